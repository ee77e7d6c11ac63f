"""Tables in files, opened by the endings of their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from identirep.datasets.batches import empty_message
from identirep.datasets.columnar import ColumnarFile
from identirep.datasets.delimited import DelimitedFile
from identirep.datasets.markers import Markers

_COMMAS_FIRST, _TABS_FIRST = (",", ";", "\t", "|"), ("\t", ",", ";", "|")
_SEPARATORS: dict[str, tuple[str, ...]] = {".csv": _COMMAS_FIRST}
_SEPARATORS |= dict.fromkeys((".tsv", ".tab"), _TABS_FIRST)
_SEPARATORS |= dict.fromkeys((".txt", ".dat", ".asc", ".prn"), (*_TABS_FIRST, " "))
_COLUMNAR = {".parquet": "parquet", ".pq": "parquet", ".feather": "feather", ".arrow": "feather", ".ipc": "feather"}
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")

READABLE = "CSV or TSV (.csv, .tsv, also .gz), Parquet (.parquet) or Feather (.feather, .arrow)"


def open_table(
    path: Path,
    missing: str | Sequence[str] | None = None,
    *,
    separator: str | None = None,
    decimal: str | None = None,
) -> DelimitedFile | ColumnarFile:
    """Open a file by the ending of its name; `missing` stands for missing numbers, beside the usual markers."""
    if not path.exists():
        raise FileNotFoundError(f"path does not exist: got '{path}', expected a {READABLE} file. Check the spelling.")
    if path.is_dir():
        raise IsADirectoryError(f"path is a directory: got '{path}', expected a {READABLE} file. Name one file in it.")
    if path.stat().st_size == 0:
        raise ValueError(empty_message(path))
    suffixes = [suffix.lower() for suffix in path.suffixes]
    ending = suffixes[-1] if suffixes else ""
    if ending in _COLUMNAR:
        return ColumnarFile(path, _COLUMNAR[ending], Markers.of(missing))
    if ending in _COMPRESSED and len(suffixes) > 1:
        ending = suffixes[-2]
    if ending in _SEPARATORS:
        return DelimitedFile(path, _SEPARATORS[ending], Markers.of(missing), separator, decimal)
    raise ValueError(
        f"path has an unknown format: got '{path.name}', expected {READABLE}. Convert the file, or rename it if "
        "only its ending is unusual."
    )


def read_whole(path: Path, missing: str | Sequence[str] | None = None, columns: Sequence[str] | None = None) -> Any:
    """Read columns of a table, all by default, as one of pyarrow.

    Numbers are float64, texts string, booleans, dates, times and lists as they are, and what is missing is null; the
    types of text files are those that all values of a column suggest.
    """
    file = open_table(path, missing)
    table = file.read_whole(columns)
    if not table.num_rows:
        raise ValueError(empty_message(path))
    return table
