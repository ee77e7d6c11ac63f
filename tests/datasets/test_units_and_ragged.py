"""Rows of units below the names, comments of other kinds, titles, and rows that are not as long as the header."""

import numpy as np
import pandas as pd
import pytest

from identirep.datasets import load_table, open_table, read_whole

_VALUES = np.round(np.random.default_rng(0).normal(size=(12, 3)), 4)


def _text(values, separator=",", decimal="."):
    return "".join(separator.join(f"{v}".replace(".", decimal) for v in row) + "\n" for row in values.tolist())


_ROWS = _text(_VALUES)


def _write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "units", ["K,eV,-", "[K],[eV],[MPa]", "°C,kJ mol-1,g/cm^3", "%,1/s,m s^-1", "\n\nK,eV,", "kg·m²,,W/(m"]
)
def test_a_row_of_units_is_not_read_and_said(tmp_path, units):
    path = _write(tmp_path / "t.csv", f"a,b,y\n{units}\n{_ROWS}")
    if units.endswith("(m"):
        # One of them is none.
        with pytest.raises(ValueError, match="If row 1 holds units, take it out of the file"):
            load_table(path, "y")
        return
    data = load_table(path, "y")
    np.testing.assert_array_equal(np.column_stack([data.X, data.Y]), _VALUES)
    assert data.remarks[0].startswith("Read without the row of units below the names: ")
    np.testing.assert_array_equal(np.column_stack(read_whole(path).columns), _VALUES)


@pytest.mark.parametrize(("ending", "separator", "decimal"), [("csv", ";", ","), ("tsv", "\t", "."), ("txt", " ", ".")])
def test_units_in_other_dialects(tmp_path, ending, separator, decimal):
    head = "".join(separator.join(row) + "\n" for row in (["name", "a", "y"], ["-", "K", "eV"]))
    rows = "".join(
        f"s{i}{separator}{line}\n" for i, line in enumerate(_text(_VALUES[:, 1:], separator, decimal).splitlines())
    )
    table = read_whole(_write(tmp_path / f"t.{ending}", head + rows))
    np.testing.assert_array_equal(np.column_stack([table["a"], table["y"]]), _VALUES[:, 1:])
    assert table["name"].to_pylist() == [f"s{i}" for i in range(12)]


def test_units_of_a_sheet(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["a", "b", "y"], [None] * 3, ["K", "eV", "-"], *_VALUES.tolist()):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    data = load_table(tmp_path / "t.xlsx", "y")
    np.testing.assert_array_equal(np.column_stack([data.X, data.Y]), _VALUES)
    np.testing.assert_array_equal(np.column_stack(read_whole(tmp_path / "t.xlsx").columns), _VALUES)
    assert open_table(tmp_path / "t.xlsx").remarks == ["Read without the row of units below the names: 'K', 'eV', '-'."]


# One unit, a word for what is missing, texts that are longer, names below a title.
@pytest.mark.parametrize(
    "first", ["K,1.5,2", "void,void,void", "measured at 4 degrees,in a lab,by me", "x1_long_name,K,eV", "1.5,K,eV"]
)
def test_other_first_rows_are_rows(tmp_path, first):
    path = _write(tmp_path / "t.csv", f"a,b,y\n{first}\n{_ROWS}")
    assert read_whole(path).num_rows == 13
    with pytest.raises(ValueError, match="is not numeric: got"):
        load_table(path, "y")


def test_names_below_a_title_are_no_units(tmp_path):
    path = _write(tmp_path / "t.csv", f"Report of B,,\na,b,y\n{_ROWS}")
    with pytest.raises(ValueError, match="if it holds the names, take out what is above it"):
        load_table(path, "Report of B")


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
@pytest.mark.parametrize("sign", ["%", "//", ";", "%%", ";;", "#"])
def test_comments_of_any_sign_are_left_out(tmp_path, sign, ending):
    path = _write(tmp_path / f"t.{ending}", f"{sign} made by A, on Monday\n{sign}of 3\na,b,y\n{_ROWS}")
    data = load_table(path, "y")
    np.testing.assert_array_equal(np.column_stack([data.X, data.Y]), _VALUES)
    assert "Read without 2 lines of comments at the head." in data.remarks


def test_names_that_begin_like_comments_stay(tmp_path):
    assert open_table(_write(tmp_path / "t.csv", f"% Fe,% Ni,y\n{_ROWS}")).columns == ["% Fe", "% Ni", "y"]
    indexed = _write(tmp_path / "u.csv", ";a;y\n" + "".join(f"{i};{i},5;{i},25\n" for i in range(12)))
    assert open_table(indexed).columns == ["", "a", "y"]
    assert open_table(_write(tmp_path / "v.csv", f"% a,b,y\n{_ROWS}")).columns == ["a", "b", "y"]


@pytest.mark.parametrize("read", [read_whole, lambda path: load_table(path, "y")])
@pytest.mark.parametrize(
    ("row", "got", "action"),
    [
        ("1,2", r"got 2 cells in row 7 \('1,2'\), expected 3 as in the header", "Give the row its other cells"),
        ("1,2,3,4", r"got 4 cells in row 7", "Put double quotes around cells with commas in them"),
        ("9", "got 1 cell in row 7", "Give the row its other cells"),
    ],
)
def test_rows_of_another_length_are_named_with_what_to_do(tmp_path, read, row, got, action):
    lines = _ROWS.splitlines()
    path = _write(tmp_path / "t.csv", "\n".join(["a,b,y", *lines[:6], "", row, *lines[6:]]))
    with pytest.raises(ValueError, match=rf"t\.csv has rows of different length: {got}.*separated by commas. {action}"):
        read(path)


@pytest.mark.parametrize("n_rows", [3, 30_000])
def test_a_row_of_another_length_is_found_further_down(tmp_path, n_rows):
    text = _ROWS.splitlines()[0]
    path = _write(tmp_path / "t.csv", "\n".join(["a,b,y", *[text] * n_rows, '"x, ""and\nz",1', text]))
    with pytest.raises(ValueError, match=f"got 2 cells in row {n_rows + 1:,} "):
        read_whole(path)


@pytest.mark.parametrize("title", ["Report of B", "Report of B\n", "Report: 1, 2"])
def test_lines_above_the_names_are_told(tmp_path, title):
    with pytest.raises(ValueError, match="names of the columns are further down, take out the lines above them"):
        load_table(_write(tmp_path / "t.csv", f"{title}\na,b,c,d,y\n1,2,3,4,5\n1,2,3,4,6\n"), "y")


def test_units_in_a_typed_table_are_told(tmp_path):
    frame = pd.DataFrame(_VALUES.astype(str), columns=["a", "b", "y"])
    frame.loc[-1] = ["K", "eV", "-"]
    frame.sort_index().to_parquet(tmp_path / "t.parquet", index=False)
    from identirep.encoding import judge_columns

    judged = judge_columns(read_whole(tmp_path / "t.parquet"))
    assert judged[0].is_fault
    assert judged[0].remedy.startswith("if row 1 holds units, take it out")


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_numbers_written_otherwise_are_counted(tmp_path, ending):
    cells = [*map(str, _VALUES[:, 0]), "1,234.5", "2,345.5", "1.5 eV", "$3", "?", "7.25"]
    frame = pd.DataFrame({"a": cells, "y": np.arange(len(cells)) + 0.5})
    path = tmp_path / f"t.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    else:
        pytest.importorskip("openpyxl")
        frame.to_excel(path, index=False)
    ways = "2 with thousands separators, 2 with units or signs, 1 of text"
    with pytest.raises(ValueError, match=rf"got '1,234.5' first at row 13, of 5 cells that are no numbers \({ways}\)"):
        load_table(path, "y")


def test_units_behind_numbers_are_told(tmp_path):
    path = _write(tmp_path / "t.csv", "a,y\n" + "".join(f"{i}.5 eV,{i}.25\n" for i in range(12)))
    table = open_table(path)
    table.read_whole()
    assert table.remarks == [
        "Column 'a' is read as text: got '0.5 eV', of 12 cells that are no numbers (12 with units or signs), expected "
        "numbers. Write numbers without units, and with the usual minus."
    ]
