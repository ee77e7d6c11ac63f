"""Excel workbooks: the same values as from other files, and what a spreadsheet has besides values."""

import datetime as dt
import sys

import numpy as np
import openpyxl
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from identirep.datasets import load_table, open_table, read_whole

DAYS = [dt.date(2020, 1, 31), None, dt.date(2021, 2, 1)]
MOMENTS = [dt.datetime(2020, 1, 31, 10, 5), dt.datetime(2021, 1, 1), None]
COLUMNS = {
    "x": [1.5, 2, -3e-7],
    " name ": ["iron", "tin", None],
    "flag": [True, False, None],
    "day": DAYS,
    "when": MOMENTS,
    "y": [1, None, 3],
}
EXPECTED = {
    "x": [1.5, 2.0, -3e-7],
    "name": ["iron", "tin", None],
    "flag": [True, False, None],
    "day": DAYS,
    "when": MOMENTS,
    "y": [1.0, None, 3.0],
}
TYPES = ["double", "string", "bool", "date32[day]", "timestamp[us]", "double"]


def write(path, columns, n_above=0, n_left=0, sheets=("data",)):
    """Write columns to the first of some sheets, with rows and columns of nothing before."""
    book = openpyxl.Workbook()
    book.active.title = sheets[0]
    for name in sheets[1:]:
        book.create_sheet(name).append(["another", "table"])
    for _ in range(n_above):
        book.active.append([None])
    n_rows = max(map(len, columns.values()))
    for row in [list(columns), *([values[i] for values in columns.values()] for i in range(n_rows))]:
        book.active.append([None] * n_left + row)
    book.save(path)
    return path


def _said(path, **arguments):
    file = open_table(path, **arguments)
    file.read_whole()
    return list(file.remarks)


@pytest.mark.parametrize(("n_above", "n_left"), [(0, 0), (3, 0), (0, 2), (1, 1)])
def test_values_and_types(tmp_path, n_above, n_left):
    table = read_whole(write(tmp_path / "t.xlsx", COLUMNS, n_above, n_left))
    assert table.to_pydict() == EXPECTED
    assert [str(kind) for kind in table.schema.types] == TYPES
    some = read_whole(tmp_path / "t.xlsx", columns=["y", "name"])
    assert some.to_pydict() == {name: EXPECTED[name] for name in ("y", "name")}
    assert _said(tmp_path / "t.xlsx") == []


def test_load_table(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5_000, 2)).round(9)  # openpyxl writes 16 digits
    tasks = [f"t{i % 3}" for i in range(5_000)]
    path = write(tmp_path / "t.xlsx", {"a": X[:, 0].tolist(), "y": X[:, 1].tolist(), "task": tasks})
    data = load_table(path, "y", tasks="task")
    assert_array_equal(np.column_stack([data.X, data.y]), X)
    assert data.tasks.tolist() == tasks
    assert load_table(path, "y", drop="task").Y.shape == (5_000, 1)


def test_index_that_pandas_writes_is_no_input(tmp_path):
    frame = pd.DataFrame({"x": [0.5, 1.5, 0.25], "y": [1.0, 2.0, 3.0]}, index=[3, 1, 2])
    frame.to_excel(tmp_path / "t.xlsx")
    data = load_table(tmp_path / "t.xlsx", "y")
    assert data.feature_names == ["x"]
    assert list(data.left_out) == [""]


def test_sheets(tmp_path):
    path = write(tmp_path / "t.xlsx", COLUMNS, sheets=("data", "notes", "more"))
    assert load_table(path, "y", features="x").X.ravel().tolist() == COLUMNS["x"]
    assert _said(path) == ["Read from the first sheet, 'data'."]
    assert _said(path, sheet="data") == []
    with pytest.raises(ValueError, match=r"t\.xlsx is empty: got 0 rows"):
        read_whole(path, sheet="notes")
    assert open_table(path, sheet="notes").columns == ["another", "table"]
    with pytest.raises(ValueError, match=r"sheet is not in t\.xlsx: got 'Data', expected one of 'data', 'notes'"):
        load_table(path, "y", sheet="Data")


def test_errors_of_formulas_are_missing_and_told(tmp_path):
    path = write(tmp_path / "t.xlsx", {"x": [1, 2, 3, 4], "y": ["#N/A", 2, "#DIV/0!", "#N/A"]})
    assert_array_equal(load_table(path, "y").Y.ravel(), [np.nan, 2, np.nan, np.nan])
    assert load_table(path, "y").remarks == ["Errors of formulas count as missing: #DIV/0! (1), #N/A (2)."]
    assert read_whole(path).column("y").to_pylist() == [None, 2, None, None]


def test_formulas_without_values_are_refused(tmp_path):
    path = write(tmp_path / "t.xlsx", {"x": [1, 2, 3], "y": [1, "=A2*2", 3]})
    with pytest.raises(ValueError, match=r"t\.xlsx has formulas without values: got one in cell B3, expected what"):
        load_table(path, "y")


def test_numbers_stored_as_text_and_markers(tmp_path):
    path = write(tmp_path / "t.xlsx", {"x": ["1.5", 2, " 3 "], "y": ["NA", 2, "?"]})
    data = load_table(path, "y", missing="?")
    assert data.X.ravel().tolist() == [1.5, 2, 3]
    assert_array_equal(data.Y.ravel(), [np.nan, 2, np.nan])
    with pytest.raises(ValueError, match=r"column 'y' is not numeric: got '\?' first at row 3"):
        load_table(path, "y")


def test_text_among_numbers(tmp_path):
    path = write(tmp_path / "t.xlsx", {"x": [1.5, 2, "<0.1"], "y": [1, 2, 3]})
    with pytest.raises(ValueError, match=r"t\.xlsx: column 'x' is not numeric: got '<0\.1' first at row 3"):
        load_table(path, "y")
    assert read_whole(path).column("x").to_pylist() == ["1.5", "2", "<0.1"]


@pytest.mark.parametrize("place", [0, 2, 4])
def test_blank_rows(tmp_path, place):
    columns = {"x": [1, 2, 3, 4], "y": [5, 6, 7, 8]}
    for values in columns.values():
        values[place:place] = [None, " "]
    path = write(tmp_path / "t.xlsx", columns)
    assert read_whole(path).to_pydict() == {"x": [1, 2, 3, 4], "y": [5, 6, 7, 8]}
    # What is left at the end holds nothing that anybody has written there.
    assert ("without 2 rows" in " ".join(_said(path))) == (place < 4)


def test_labels_are_numbers_and_texts(tmp_path):
    days = [dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 2, 5), dt.datetime(2020, 1, 1)]
    path = write(tmp_path / "t.xlsx", {"x": [1, 2, 3], "y": [1, 2, 3], "lab": [3, 1, 3], "day": days})
    assert load_table(path, "y", tasks="lab", drop="day").tasks.tolist() == [3, 1, 3]
    days = load_table(path, "y", tasks="day", drop="lab").tasks.tolist()
    assert days == ["2020-01-01", "2020-01-02 05:00:00", "2020-01-01"]


def test_names_that_repeat(tmp_path):
    path = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["x", "x ", "y"])
    book.active.append([1, 2, 3])
    book.save(path)
    with pytest.raises(ValueError, match=r"t\.xlsx has repeated column names: got 'x' 2 times"):
        load_table(path, "y")


def test_damaged(tmp_path):
    content = write(tmp_path / "t.xlsx", COLUMNS).read_bytes()
    rng = np.random.default_rng(0)
    messages = []
    for i in range(60):
        damaged = bytearray(content)
        if i % 2:
            del damaged[rng.integers(len(content)) :]
        else:
            for place in rng.integers(len(content), size=20):
                damaged[place] = rng.integers(256)
        (tmp_path / "d.xlsx").write_bytes(damaged)
        try:
            read_whole(tmp_path / "d.xlsx")
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 30
    assert all(message.startswith("d.xlsx ") for message in messages), messages


def test_without_openpyxl(tmp_path, monkeypatch):
    path = write(tmp_path / "t.xlsx", COLUMNS)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r"t\.xlsx needs openpyxl: .* Run pip install 'identirep\[excel\]'\."):
        load_table(path, "y")
