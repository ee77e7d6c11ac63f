"""HTML files that need nothing else: templates, with the style and the script that all of them share."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from identirep.files import replaced_file
from identirep.report.style import DARK, LIGHT

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["write_page"]


def write_page(path: str | Path, template: str, **content: Any) -> None:
    """Write a page; a reader never sees half of one."""
    page = (
        _templates()
        .get_template(template)
        .render(
            **content,
            light=LIGHT,
            dark=DARK,
            version=version("identirep"),
            date=f"{datetime.now(timezone.utc):%d %B %Y}".lstrip("0"),
        )
    )
    with replaced_file(Path(path)) as staging:
        # Names of files and columns need not be in UTF-8.
        staging.write_text(page, encoding="utf-8", errors="backslashreplace")


@cache
def _templates() -> Environment:
    """Return the templates, which take longer to compile than a page to write."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    # They are read by name, zipped or not.
    loader = FunctionLoader(lambda name: files("identirep.report").joinpath(name).read_text(encoding="utf-8"))
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": lambda value: f"{value:,}",
        "fixed": _fixed,
        "known": lambda value: "–" if value is None else _fixed(value, 2),
        "signed": lambda value: _fixed(value, 2, "+"),
        "percent": lambda value: f"{100 * value:.0f}%",
        "sentence": lambda text: text[:1].upper() + text[1:],
    }
    return environment


def _fixed(value: float, digits: int = 3, sign: str = "") -> str:
    """Write a number with a minus sign instead of a hyphen."""
    return f"{value:{sign}.{digits}f}".replace("-", "\u2212")
