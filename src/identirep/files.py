"""Files that are replaced as a whole: a crash leaves the old one or the new one, never half of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from identirep.scratch import scratch, swept, taking_turns

__all__ = ["opened_by_arrow", "replaced_file"]


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a file to write to, which takes the place of another at the end, or never on an error.

    A link stays one, and what it points to is replaced; what is no file (a pipe, ``/dev/null``) is written to as it is.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        yield path
        return
    with scratch(path) as place:
        # The name stays the same: writers tell formats by its ending.
        staging = place / path.name
        yield staging
        if path.exists():
            shutil.copymode(path, staging)
        os.replace(staging, path)
    with taking_turns(path.parent):
        swept(path.parent)


def opened_by_arrow(path: Path) -> Any:
    """Return what Arrow opens to read a file: its name, or the file itself where the name is not in UTF-8."""
    import pyarrow as pa

    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return pa.OSFile(os.fsencode(path))
    return os.fspath(path)
