"""First rows that are no names: comments at the head of a file, and files without a header."""

import io

import numpy as np
import pyarrow as pa
import pytest

from identirep.datasets import load_table, open_table, read_whole

_VALUES = np.random.default_rng(0).normal(size=(20, 3))
_ROWS = "".join(",".join(map(repr, row)) + "\n" for row in _VALUES.tolist())
_IRIS = "5.1,3.5,1.4,0.2,Iris-setosa\n4.9,3.0,1.4,0.2,Iris-setosa\n4.7,3.2,1.3,0.2,Iris-setosa\n" * 3


def _write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("head", "names", "n_comments"),
    [
        ("# made by A\n", "a,b,y", 1),
        ("# made by A, on Monday\n# of 3\n\n", "a,b,y", 2),
        # As many cells as the names, which stand over numbers.
        ("# one, two, three\n", "a,b,y", 1),
        # As NumPy's savetxt writes names, and as tables of genomes do.
        ("", "# a,b,y", 0),
        ("# made by A\n", "# a,b,y", 1),
        ("## made by A\n", "#a,b,y", 1),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_comments_at_the_head_are_left_out_and_counted(tmp_path, head, names, n_comments, ending):
    path = _write(tmp_path / f"t.{ending}", f"{head}{names}\n{_ROWS}")
    table = read_whole(path)
    assert table.column_names == ["#a" if "#a" in names else "a", "b", "y"]
    assert np.array_equal(np.column_stack(table.columns), _VALUES)
    data = load_table(path, "y")
    assert np.array_equal(np.column_stack([data.X, data.Y]), _VALUES)
    remarks = [remark for remark in data.remarks if "comments" in remark]
    assert len(remarks) == bool(n_comments)
    assert not n_comments or f"without {n_comments} line" in remarks[0]


def test_a_file_of_savetxt(tmp_path):
    buffer = io.BytesIO()
    np.savetxt(buffer, _VALUES, header="a b y")
    (tmp_path / "t.txt").write_bytes(buffer.getvalue())
    assert open_table(tmp_path / "t.txt").columns == ["a", "b", "y"]
    np.testing.assert_allclose(load_table(tmp_path / "t.txt", "y").X, _VALUES[:, :2])


def test_a_name_with_the_sign_of_a_comment_stays(tmp_path):
    path = _write(tmp_path / "t.csv", "#id,x,y\n" + "".join(f"s{i},{i}.5,2\n" for i in range(9)))
    assert open_table(path).columns == ["#id", "x", "y"]
    assert open_table(path).remarks == []


@pytest.mark.parametrize(("separator", "ending"), [("\t", "tsv"), (" ", "txt"), (",", "csv")])
def test_a_column_named_by_the_sign_stays(tmp_path, separator, ending):
    rows = "".join(separator.join([str(i), f"{i}.5", "2"]) + "\n" for i in range(9))
    path = _write(tmp_path / f"t.{ending}", separator.join("#xy") + f"\n{rows}")
    assert open_table(path).columns == ["#", "x", "y"]
    assert read_whole(path).num_rows == 9


@pytest.mark.parametrize("text", [_ROWS, _IRIS, _ROWS.replace(",", ";"), _ROWS.replace(",", "\t")])
def test_a_file_without_a_header_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"t\.csv has no header: got '.*' in the first row, numbers like those below"):
        open_table(_write(tmp_path / "t.csv", text))


def test_a_sheet_without_a_header_is_refused(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in _VALUES.tolist():
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(ValueError, match=r"t\.xlsx has no header: got"):
        open_table(tmp_path / "t.xlsx")


@pytest.mark.parametrize(
    "names",
    [
        ["0", "1", "2"],  # counted, as data frames without names do
        ["1", "2", "3"],
        ["400.5", "401.0", "401.5"],  # wavelengths
        ["2003", "2002", "2001"],  # years
        ["1851", "884", "720"],  # ids of assays
    ],
)
def test_names_that_are_numbers_are_names(tmp_path, names):
    path = _write(tmp_path / "t.csv", ",".join(names) + "\n" + _ROWS)
    assert open_table(path).columns == names
    assert pa.types.is_float64(read_whole(path).schema.field(names[0]).type)
