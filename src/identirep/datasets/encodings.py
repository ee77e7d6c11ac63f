"""Text files as UTF-8, whatever their encoding, and what one pass over a file tells."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from identirep.files import opened_by_arrow

__all__ = ["FALLBACK", "Survey", "open_bytes", "survey_of", "utf8_blocks"]

FALLBACK = "cp1252"
_BLOCK_BYTES = 1 << 20
# As Arrow tells them by the endings of names.
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_HEAD_BYTES = 1 << 12
# The longer marks first: that of UTF-32 begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BLANK_ROW = re.compile(rb'\n[,;|\t "]+\r?\n')
_BLANK = b',;|\t "\r\n'


@dataclass(frozen=True)
class Survey:
    """What one pass over a text file tells: how it is encoded, and what reading it takes."""

    encoding: str
    n_mark: int  # bytes of the byte-order mark
    has_quotes: bool
    has_lone_cr: bool
    may_have_blank_rows: bool
    longest_line: int  # of lines longer than a block; shorter ones do not matter


def survey_of(path: Path) -> Survey:
    """Look through a text file, once for each state of it."""
    state = path.stat()
    return _survey(os.fspath(path), state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=16)
def _survey(path: str, *_state: int) -> Survey:
    encoding, n_mark = _marked(path)
    if encoding != "utf-8":
        return _look(path, encoding, n_mark)
    try:
        return _look(path, encoding, n_mark)
    except UnicodeDecodeError as error:
        if n_mark or not _is_single_byte(path):
            # Marked as UTF-8, or partly so: it is damaged, and no other encoding would be right.
            raise error from None
    return _look(path, FALLBACK, 0)


def _marked(path: str) -> tuple[str, int]:
    """Return the encoding that the first bytes tell, and the length of the mark."""
    with open_bytes(path) as stream:
        head = stream.read(_HEAD_BYTES)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    # Text in UTF-16 without a mark has a zero byte beside nearly each character of a table.
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = head[start::2].count(0), head[1 - start :: 2].count(0)
        if zeros > 0.7 * (len(head) // 2) and not others:
            return encoding, 0
    return "utf-8", 0


def _look(path: str, encoding: str, n_mark: int) -> Survey:
    """Decode all of a file and note what reading it takes."""
    has_quotes = may_have_blank_rows = False
    n_cr = n_crlf = longest = length = 0
    rest = b"\n"
    decoder = codecs.getincrementaldecoder("utf-8")()
    last = b""
    for block in _blocks(path, encoding, n_mark):
        if encoding == "utf-8":
            decoder.decode(block)
        has_quotes = has_quotes or b'"' in block
        if b"\r" in block or last == b"\r":
            n_cr += block.count(b"\r")
            n_crlf += block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
        last = block[-1:]
        ends = [place for place in (block.find(b"\n"), block.find(b"\r")) if place >= 0]
        longest = max(longest, length + (min(ends) if ends else len(block)))
        end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        length = len(block) - end - 1 if ends else length + len(block)
        if not may_have_blank_rows:
            # A line may go on from the block before.
            rest += block
            may_have_blank_rows = _BLANK_ROW.search(rest) is not None
            rest = rest[max(rest.rfind(b"\n"), 0) :]
            rest = b"" if rest.strip(_BLANK) else rest
    decoder.decode(b"", final=True)
    has_lone_cr = n_cr != n_crlf
    may_have_blank_rows = may_have_blank_rows or has_lone_cr or len(rest.strip(b"\r\n")) > 0
    return Survey(encoding, n_mark, has_quotes, has_lone_cr, may_have_blank_rows, max(longest, length))


def _is_single_byte(path: str) -> bool:
    """Tell whether bytes that are not ASCII are all letters of Windows-1252, and none of them a character of UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    with open_bytes(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            if not decoder.decode(block).isascii():
                return False
            try:
                block.decode(FALLBACK)
            except UnicodeDecodeError:
                return False
    return True


def utf8_blocks(path: Path, survey: Survey) -> Iterator[bytes]:
    """Yield the text of a file as UTF-8 without a mark, its lines ended by LF or CR LF."""
    blocks = _blocks(os.fspath(path), survey.encoding, survey.n_mark)
    return _with_lf(blocks) if survey.has_lone_cr else blocks


def _blocks(path: str, encoding: str, n_mark: int) -> Iterator[bytes]:
    decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
    with open_bytes(path) as stream:
        stream.read(n_mark)
        while block := stream.read(_BLOCK_BYTES):
            yield block if decoder is None else decoder.decode(block).encode()
    if decoder is not None:
        yield decoder.decode(b"", final=True).encode()


def _with_lf(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """End all lines by LF alone."""
    held = b""
    for each in blocks:
        block = held + each
        held = b"\r" if block.endswith(b"\r") else b""
        yield block[: len(block) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    yield b"\n" if held else b""


def open_bytes(path: str | Path) -> Any:
    """Open the bytes of a file, decompressed by the ending of its name."""
    import pyarrow as pa

    source = opened_by_arrow(Path(path))
    if isinstance(source, str):
        return pa.input_stream(source)
    return pa.input_stream(source, compression=_COMPRESSIONS.get(Path(path).suffix))
