"""Files that are replaced as a whole: a crash leaves the old one or the new one, never half of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replaced_file"]


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a sibling to write to, which takes the place of the file at the end, or never on an error."""
    # The ending stays the same: writers tell formats by it.
    staging = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield staging
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)
