"""What a file is, by its first bytes: many have a name that promises a table and hold something else."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Kind", "look"]


class Kind(NamedTuple):
    """What a file looks like, and what to do about it."""

    what: str
    action: str
    # Endings of the formats that are read.
    endings: tuple[str, ...] = ()


_EXPORT = "Export it as CSV or Parquet"
_UNPACK = "Unpack it"
_PARQUET = Kind("a Parquet file", "Let its name end in .parquet", (".parquet", ".pq"))
_ARROW = Kind("an Arrow file", "Let its name end in .arrow", (".arrow", ".arrows", ".feather", ".ipc"))
_EXCEL = Kind("an Excel workbook", "Let its name end in .xlsx", (".xlsx", ".xlsm"))
_ZIP = Kind("a zip archive", _UNPACK)
_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"PAR1", _PARQUET),
    (b"ARROW1", _ARROW),
    (b"\xff\xff\xff\xff", _ARROW),
    (b"FEA1", Kind("a Feather file of version 1", "Write it again as Feather of version 2 or Parquet")),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("an old Excel workbook (.xls)", "Save it as .xlsx or CSV")),
    (b"%PDF-", Kind("a PDF", "Take the table from where the PDF was made")),
    (b"\x1f\x8b", Kind("a file compressed by gzip", "Let its name end in .gz, as in table.csv.gz", (".gz",))),
    (b"BZh", Kind("a file compressed by bzip2", "Let its name end in .bz2, as in table.csv.bz2", (".bz2",))),
    (b"\x28\xb5\x2f\xfd", Kind("a file compressed by Zstandard", "Let its name end in .zst", (".zst",))),
    (b"\x04\x22\x4d\x18", Kind("a file compressed by LZ4", "Let its name end in .lz4", (".lz4",))),
    (b"\xfd7zXZ\x00", Kind("a file compressed by xz", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", _UNPACK)),
    (b"Rar!", Kind("a RAR archive", _UNPACK)),
    (b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file", _EXPORT)),
    (b"\x93NUMPY", Kind("an array of NumPy (.npy)", "Name its columns and save it as CSV or Parquet")),
    (b"SQLite format 3", Kind("an SQLite database", _EXPORT)),
    (b"MATLAB 5.0", Kind("a MATLAB file", _EXPORT)),
    (b"RDX", Kind("a file of R (.RData)", "Export it with write.csv")),
    (b"RDA", Kind("a file of R (.RData)", "Export it with write.csv")),
    (b"$FL2@(#)", Kind("an SPSS file", _EXPORT)),
    (b"<stata_dta>", Kind("a Stata file", _EXPORT)),
    (b"CDF\x01", Kind("a NetCDF file", _EXPORT)),
    (b"CDF\x02", Kind("a NetCDF file", _EXPORT)),
    (b"Obj\x01", Kind("an Avro file", _EXPORT)),
    (b"ORC", Kind("an ORC file", "Convert it to Parquet")),
    (b"\x89PNG", Kind("an image", "Use a table")),
    (b"\xff\xd8\xff", Kind("an image", "Use a table")),
    (b"GIF8", Kind("an image", "Use a table")),
    (b"{\\rtf", Kind("a text document (RTF)", "Save the table as CSV")),
    (b"version https://git-lfs", Kind("a pointer of Git LFS", "Fetch the file itself with 'git lfs pull'")),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<body|<!--[^>]*-->\s*<html)", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml")
_JSON = re.compile(rb'\s*(\{\s*("[^"\n]*"\s*:|\})|\[\s*(\{\s*["}]|\[\s*[-"\d\[\]]))')
_TAR = slice(257, 262)
# No text has these, whatever its encoding; magic of few letters may begin a name of a column.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_FEW_LETTERS = 4


def look(head: bytes) -> Kind | None:
    """Return what a file looks like by its first few thousand bytes; None for text that may be a table."""
    text = head.removeprefix(b"\xef\xbb\xbf")
    for magic, kind in _MAGIC:
        if head.startswith(magic) and (len(magic) > _FEW_LETTERS or not magic.isalnum() or _CONTROL.search(head)):
            return _of_zip(head) if kind is _ZIP else kind
    if _PICKLE.match(head):
        return Kind("a pickled object of Python", "Pickles are not read: write the table with to_parquet or to_csv")
    if head[_TAR] == b"ustar":
        return Kind("a tar archive", _UNPACK)
    if _PAGE.match(text):
        return Kind("an HTML page", "Download the file itself: this may be a page of a sign-in")
    if _XML.match(text):
        return Kind("an XML document", _EXPORT)
    if _JSON.match(text):
        return Kind("JSON", _EXPORT)
    return None


def _of_zip(head: bytes) -> Kind:
    """Tell a zip archive from a workbook that is one."""
    if b"opendocument.spreadsheet" in head:
        return Kind("an OpenDocument spreadsheet (.ods)", "Save it as .xlsx or CSV")
    return _EXCEL if b"xl/" in head or b"[Content_Types]" in head else _ZIP
