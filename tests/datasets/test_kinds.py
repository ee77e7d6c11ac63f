"""Files that are something else than their names tell: errors that say what they look like."""

import bz2
import gzip
import json
import lzma
import os
import pickle
import sqlite3
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from identirep.datasets import load_table, read_whole

FRAME = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]})
CSV = FRAME.to_csv(index=False).encode()


def _zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("table.csv", CSV)


def _sheets_of_open_document(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", "<office/>")


def _workbook(path):
    book = openpyxl.Workbook()
    book.active.append(["x", "y"])
    with path.open("wb") as file:
        book.save(file)


def _sqlite(path):
    database = sqlite3.connect(path)
    database.execute("create table t (x, y)")
    database.commit()
    database.close()


def _numpy(path):
    with path.open("wb") as file:
        np.save(file, np.ones(3))


KINDS = {
    "an HTML page": lambda path: path.write_text("\n<!DOCTYPE html>\n<html><title>Sign in, please</title></html>"),
    "an XML document": lambda path: path.write_text('<?xml version="1.0"?><a/>'),
    "a zip archive": _zip,
    "an Excel workbook": _workbook,
    "an OpenDocument spreadsheet (.ods)": _sheets_of_open_document,
    "a PDF": lambda path: path.write_bytes(b"%PDF-1.7\n%\xe2\xe3"),
    "a pickled object of Python": lambda path: path.write_bytes(pickle.dumps(FRAME)),
    "JSON": lambda path: path.write_text(json.dumps(FRAME.to_dict("records"))),
    "a Parquet file": lambda path: path.write_bytes(FRAME.to_parquet()),
    "an Arrow file": lambda path: FRAME.to_feather(path),
    "a file compressed by gzip": lambda path: path.write_bytes(gzip.compress(CSV)),
    "a file compressed by bzip2": lambda path: path.write_bytes(bz2.compress(CSV)),
    "a file compressed by xz": lambda path: path.write_bytes(lzma.compress(CSV)),
    "an SQLite database": _sqlite,
    "an array of NumPy (.npy)": _numpy,
    "an old Excel workbook (.xls)": lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)),
    "an HDF5 file": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)),
    "a pointer of Git LFS": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1"),
    "an image": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
}
OF_ENDING = {
    ".parquet": "a Parquet file",
    ".feather": "an Arrow file",
    ".xlsx": "an Excel workbook",
}


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt", ".parquet", ".feather", ".xlsx", ".xyz", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds(tmp_path, kind, ending):
    if OF_ENDING.get(ending) == kind:
        pytest.skip("this is what the name tells")
    path = tmp_path / f"t{ending}"
    KINDS[kind](path)
    with pytest.raises(ValueError, match=r"t.*looks like ") as caught:
        load_table(path, "y")
    assert f"looks like {kind}" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("ending", "kind"), [(".xls", "an old Excel"), (".xlsb", "a binary Excel"), (".ods", "an Open")]
)
def test_other_spreadsheets_are_to_be_saved_anew(tmp_path, ending, kind):
    path = tmp_path / f"t{ending}"
    write = {".xls": KINDS["an old Excel workbook (.xls)"], ".xlsb": _workbook, ".ods": _sheets_of_open_document}
    write[ending](path)
    with pytest.raises(ValueError, match=rf"looks like {kind}.*\({ending}\), expected .* Save it as \.xlsx or CSV\."):
        load_table(path, "y")


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("value", [FRAME, {"x": 1}, [1, 2], (1.5, "a"), "text", None], ids=str)
def test_pickles(tmp_path, protocol, value):
    path = tmp_path / "t.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    with pytest.raises(ValueError, match="looks like a pickled object of Python"):
        load_table(path, "y")


@pytest.mark.parametrize("name", ["[Fe]", "{a}", "<b>x</b>", "ORC", "RDX", "%PDF", "Obj", "[[x]]", "PK", "BZ"])
def test_names_that_look_like_something_else(tmp_path, name):
    (tmp_path / "t.csv").write_text(f"{name},y\n1.5,2\n")
    assert load_table(tmp_path / "t.csv", "y").feature_names == [name]


def test_bytes_that_are_no_text(tmp_path):
    for seed in range(20):
        (tmp_path / "t.csv").write_bytes(np.random.default_rng(seed).bytes(2_000))
        with pytest.raises(ValueError, match=r"^t\.csv "):
            load_table(tmp_path / "t.csv", "y")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"path is no file: got .*t\.csv', a pipe .* Write the rows to a file first"):
        read_whole(tmp_path / "t.csv")
    with pytest.raises(FileNotFoundError, match="Write the rows to a file first"):
        read_whole("-")
