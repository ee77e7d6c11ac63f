"""Tables in files, opened by the endings of their names, and tables of other programs in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from identirep.datasets.arrow_columns import ArrowColumns
from identirep.datasets.arrow_objects import ArrowObject, is_stream
from identirep.datasets.batches import empty_message
from identirep.datasets.columnar import ColumnarFile
from identirep.datasets.delimited import DelimitedFile
from identirep.datasets.kinds import Kind, look
from identirep.datasets.markers import Markers
from identirep.datasets.workbooks import Workbook

__all__ = ["READABLE", "AnyTable", "open_table", "read_whole"]

AnyTable = DelimitedFile | ArrowColumns | Workbook

_COMMAS_FIRST, _TABS_FIRST = (",", ";", "\t", "|"), ("\t", ",", ";", "|")
_SEPARATORS: dict[str, tuple[str, ...]] = {".csv": _COMMAS_FIRST}
_SEPARATORS |= dict.fromkeys((".tsv", ".tab"), _TABS_FIRST)
_SEPARATORS |= dict.fromkeys((".txt", ".dat", ".asc", ".prn"), (*_TABS_FIRST, " "))
_COLUMNAR = dict.fromkeys((".parquet", ".pq"), "parquet")
_COLUMNAR |= dict.fromkeys((".feather", ".arrow", ".arrows", ".ipc"), "arrow")
_EXCEL = (".xlsx", ".xlsm")
# Endings that tell more than the first bytes, which are those of a zip archive.
_OTHERS = {".xlsb": Kind("a binary Excel workbook (.xlsb)", "Save it as .xlsx or CSV")}
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
_HEAD_BYTES = 1 << 12

READABLE = (
    "CSV or TSV (.csv, .tsv, .txt, .dat, also .gz), Parquet (.parquet), Feather or Arrow (.feather, .arrow, .arrows) "
    "or Excel (.xlsx)"
)


def open_table(
    source: str | os.PathLike[str] | Any,
    missing: str | Sequence[str] | None = None,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
) -> AnyTable:
    """Open a file by the ending of its name, or any object with ``__arrow_c_stream__``.

    `missing` stands for missing numbers, beside the usual markers; `separator` and `decimal` are those of a text file,
    by default what its first rows tell; `sheet` is one of a workbook, by default the first.
    """
    markers = Markers.of(missing)
    if is_stream(source):
        _check_options(type(source).__name__, "", separator, decimal, sheet)
        return ArrowObject(source, markers)
    if not isinstance(source, str | os.PathLike):
        raise TypeError(
            f"path is no table: got {type(source).__name__}, expected a path or an object with __arrow_c_stream__, "
            "such as a data frame of pandas or polars. Pass one of these."
        )
    path = Path(source)
    ending = _ending(path)
    kind = "text" if ending in _SEPARATORS else "workbook" if ending in _EXCEL else ""
    _check_options(path.name, kind, separator, decimal, sheet)
    if ending in _COLUMNAR:
        return ColumnarFile(path, _COLUMNAR[ending], markers)
    if ending in _EXCEL:
        return Workbook(path, markers, sheet)
    _check_kind(path, ending)
    return DelimitedFile(path, _SEPARATORS[ending], markers, separator, decimal)


def read_whole(
    source: str | os.PathLike[str] | Any,
    missing: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
) -> Any:
    """Read columns of a table, all by default, as one of pyarrow.

    Numbers are float64, texts string, booleans, dates, times and lists as they are, and what is missing is null; the
    types of text files are those that all values of a column suggest.
    """
    file = open_table(source, missing, separator=separator, decimal=decimal, sheet=sheet)
    table = file.read_whole(columns)
    if not table.num_rows:
        raise ValueError(empty_message(file.path))
    return table


def _ending(path: Path) -> str:
    """Return the ending that tells the format, once it is sure that there is a file."""
    if not path.exists():
        action = "Write the rows to a file first" if str(path) == "-" else "Check the spelling"
        raise FileNotFoundError(f"path does not exist: got '{path}', expected a {READABLE} file. {action}.")
    if path.is_dir():
        raise IsADirectoryError(f"path is a directory: got '{path}', expected a {READABLE} file. Name one file in it.")
    if not path.is_file():
        raise ValueError(
            f"path is no file: got '{path}', a pipe or a device, expected a {READABLE} file, which is read more than "
            "once. Write the rows to a file first."
        )
    if path.stat().st_size == 0:
        raise ValueError(empty_message(path))
    suffixes = [suffix.lower() for suffix in path.suffixes]
    ending = suffixes[-1] if suffixes else ""
    if ending in _COLUMNAR or ending in _EXCEL:
        return ending
    if ending in _COMPRESSED and len(suffixes) > 1:
        ending = suffixes[-2]
    if ending in _SEPARATORS:
        return ending
    found = _OTHERS.get(ending, look(_head(path)))
    what = f"'{path.name}'" if found is None else f"'{path.name}', which looks like {found.what}"
    action = "Convert the file, or rename it if only its ending is unusual" if found is None else found.action
    raise ValueError(f"path has an unknown format: got {what}, expected {READABLE}. {action}.")


def _check_kind(path: Path, ending: str) -> None:
    """Raise if a file that should be text is something else."""
    found = look(_head(path))
    if found is not None and path.suffix.lower() not in found.endings:
        raise ValueError(
            f"{path.name} is no table of text: got what looks like {found.what}, expected rows as its ending {ending} "
            f"tells. {found.action}."
        )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _check_options(name: str, kind: str, separator: str | None, decimal: str | None, sheet: str | None) -> None:
    """Raise if an option is given to a table that has nothing of that kind."""
    for option, given, of in (
        ("separator", separator, "text"),
        ("decimal", decimal, "text"),
        ("sheet", sheet, "workbook"),
    ):
        if given is not None and kind != of:
            what = "text files such as CSV" if of == "text" else "Excel workbooks"
            raise ValueError(f"{option} is for {what}: got {given!r} for {name}, expected none. Leave it out.")
