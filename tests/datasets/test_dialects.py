"""Text files as people have them: whatever their separator, decimal mark, encoding, line ends, quotes, one table."""

import codecs
import gzip
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from identirep.datasets import delimited, load_table, open_table, read_whole

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(30, 3)) * [1, 1e3, 1e-6]
NAMES = ["Härte", "x1", "y"]
METALS = ["Eisen", "Kupfer, rein", "Müll; Rest", 'ein "Rest"', "a|b"]


def _cell(value, separator, decimal, quoting):
    text = value if isinstance(value, str) else repr(float(value)).replace(".", decimal)
    if quoting == "all" or separator in text or '"' in text or (separator == " " and "\t" in text):
        return '"' + text.replace('"', '""') + '"'
    return text


def write(path, rows, separator=",", decimal=".", encoding="utf-8", end="\n", quoting="needed"):
    """Write rows, the first of which are names, as another program would."""
    lines = [separator.join(_cell(value, separator, decimal, quoting) for value in row) + end for row in rows]
    content = "".join(lines).encode(encoding)
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-32-le": codecs.BOM_UTF32_LE}
    content = marks.get(encoding, b"") + content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


ROWS = [[*NAMES, "metal"], *([*row, METALS[i % 5]] for i, row in enumerate(NUMBERS.tolist()))]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "latin-1", "cp1252"]
ENDINGS = ["csv", "tsv", "txt", "csv.gz"]


@pytest.mark.parametrize("quoting", ["needed", "all"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("decimal", [".", ","], ids=["point", "comma"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"], ids=["commas", "semicolons", "tabs", "bars"])
def test_same_values(tmp_path, separator, decimal, encoding, end, quoting):
    # All endings with one encoding; with the others one after the other.
    which = ENCODINGS.index(encoding)
    for ending in ENDINGS if encoding == "utf-8" else [ENDINGS[(which + len(end) + (decimal == ",")) % 4]]:
        path = write(tmp_path / f"t.{ending}", ROWS, separator, decimal, encoding, end, quoting)
        data = load_table(path, "y", features=NAMES[:2], drop="metal")
        assert_array_equal(np.column_stack([data.X, data.Y]), NUMBERS)
        table = read_whole(path)
        assert table.column_names == ROWS[0]
        assert_array_equal(np.column_stack(table.columns[:3]), NUMBERS)
        assert table.column("metal").to_pylist() == [row[3] for row in ROWS[1:]]


@pytest.mark.parametrize(("ending", "separator"), [*product(["txt", "dat", "csv"], [" ", "   ", " \t", "\t\t"])])
@pytest.mark.parametrize("decimal", [".", ","], ids=["point", "comma"])
def test_blanks_separate(tmp_path, ending, separator, decimal):
    path = tmp_path / f"t.{ending}"
    write(path, [NAMES, *NUMBERS.tolist()], separator, decimal)
    path.write_text("\n".join(f"  {line} " for line in path.read_text().splitlines()), encoding="utf-8")
    data = load_table(path, "y")
    assert data.feature_names == NAMES[:2]
    assert_array_equal(np.column_stack([data.X, data.Y]), NUMBERS)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("last", ["49.5", "49,5", "n.a."])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_whole_numbers_before_others_take_no_time(tmp_path, separator, last):
    rows = [["x", "y"], *[["1234567", "49"] for _ in range(45)], ["3", last]]
    table = read_whole(write(tmp_path / "t.csv", rows, separator))
    assert table.column("y")[45].as_py() == ("n.a." if last == "n.a." else 49.5)


def test_labels_with_blanks_in_quotes(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text('"the name" x  y\n"an iron" 1.5 2\ntin 2.5   3\n')
    assert read_whole(path).to_pydict() == {"the name": ["an iron", "tin"], "x": [1.5, 2.5], "y": [2, 3]}


def test_text_with_blanks_is_one_column(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("first last\nAda Lovelace\nAlan Turing\n")
    assert read_whole(path).to_pydict() == {"first last": ["Ada Lovelace", "Alan Turing"]}


# What a separator is must not be told from the header or from texts alone.
DISPUTED = {
    "a comma in the only name": ("E, eV;y\n1,5;2\n2,5;3\n", {"E, eV": [1.5, 2.5], "y": [2, 3]}),
    "commas in names and numbers": ("a;b,c;d\n1;2,3;4\n5;6,7;8\n", {"a": [1, 5], "b,c": [2.3, 6.7], "d": [4, 8]}),
    "semicolons in texts": ("k;l,x\na;b,1\nc;d,2\n", {"k;l": ["a;b", "c;d"], "x": [1, 2]}),
    "one column": ("x\n1.5\n2.5\n", {"x": [1.5, 2.5]}),
    "one cell in quotes": ('x,y\n"1,5","2,25"\n"2,5","3"\n', {"x": [1.5, 2.5], "y": [2.25, 3]}),
    "thousandths beside commas": ("x;y\n1,234;5\n2,345;6\n", {"x": [1.234, 2.345], "y": [5, 6]}),
    "whole numbers first": ("x;y\n" + "1;2\n" * 300 + "0,5;3\n", {"x": [1] * 300 + [0.5], "y": [2] * 300 + [3]}),
    "points late": ("x;y\n" + "1;2\n" * 300 + "0.5;3\n", {"x": [1] * 300 + [0.5], "y": [2] * 300 + [3]}),
    "quoted commas late": ("x,y\n" + "1,2\n" * 300 + '"0,5",3\n', {"x": [1] * 300 + [0.5], "y": [2] * 300 + [3]}),
    "named by Excel": ("sep=;\nx;y\n1;2\n", {"x": [1], "y": [2]}),
    "named by Excel, odd": ('"sep=~"\nx~y\n1~2\n', {"x": [1], "y": [2]}),
    "row names of R": ('"x" "y"\n"a" 1 2\n"b" 3 4\n', {"": ["a", "b"], "x": [1, 3], "y": [2, 4]}),
    "rows that end in a separator": ("x;y\n1;2;\n3;4;\n", {"x": [1, 3], "y": [2, 4], "": [None, None]}),
    "days without years": ("d;v\n01.02;1,5\n03.04;2,5\n", {"d": ["01.02", "03.04"], "v": [1.5, 2.5]}),
    "blanks after commas": ("x, y\n1, 2\n3, 4\n", {"x": [1, 3], "y": [2, 4]}),
    "hexadecimal labels": ("id,x\n0x10,2\n12,4\n", {"id": ["0x10", "12"], "x": [2, 4]}),
    "exponents and signs": ("x;y\n+1,5E3;-1e-3\n-,5;5,\n", {"x": [1500, -0.5], "y": [-0.001, 5]}),
    "booleans": ("x;b\n1,5;True\n2,5;false\n", {"x": [1.5, 2.5], "b": [True, False]}),
    "dates": ("d;x\n2020-01-31;1,5\nNA;2\n", None),
}


@pytest.mark.parametrize(("text", "expected"), DISPUTED.values(), ids=DISPUTED)
def test_disputed(tmp_path, text, expected):
    path = tmp_path / ("t.txt" if text.startswith('"x" ') else "t.csv")
    path.write_text(text)
    table = read_whole(path)
    if expected is None:
        assert [str(kind) for kind in table.schema.types] == ["date32[day]", "double"]
    else:
        assert table.to_pydict() == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["commas", "semicolons", "tabs"])
@pytest.mark.parametrize(
    "blank", ["{0}{0}", "  {0} {0} ", '""{0}""{0}""', ""], ids=["bare", "padded", "quoted", "none"]
)
@pytest.mark.parametrize("place", [0, 1, 15, 31])
def test_blank_rows(tmp_path, separator, end, blank, place):
    path = write(tmp_path / "t.csv", [NAMES, *NUMBERS.tolist()], separator, end=end)
    rows = path.read_bytes().decode().split(end)
    rows[place:place] = [blank.format(separator)] * 3
    path.write_bytes(end.join(rows).encode())
    data = load_table(path, "y")
    assert_array_equal(np.column_stack([data.X, data.Y]), NUMBERS)
    said = " ".join(open_and_read(path))
    assert ("without 3 rows that hold nothing" in said) == bool(blank and place)


def open_and_read(path, **arguments):
    """Return what is said of a file that was read."""
    file = open_table(path, **arguments)
    file.read_whole()
    return file.remarks


def test_last_blank_row_without_end(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n1,2\n,")
    assert read_whole(path).to_pydict() == {"x": [1], "y": [2]}


def test_cells_that_hold_blank_rows_are_kept(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('name,x,y\n"a\n,,\nb",1,2\n,,\nc,3,4\n')
    assert read_whole(path).to_pydict() == {"name": ["a\n,,\nb", "c"], "x": [1, 3], "y": [2, 4]}


@pytest.mark.parametrize(
    ("separator", "text"),
    [(";", "a,x;y\n1,5;2\n"), ("semicolon", "a,x;y\n1,5;2\n"), ("\\t", "a,x\ty\n1,5\t2\n"), ("#", "a,x#y\n1,5#2\n")],
)
def test_given_explicitly(tmp_path, separator, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    data = load_table(path, "y", separator=separator, decimal=",")
    assert data.feature_names == ["a,x"]
    assert (data.X, data.Y) == (1.5, 2)
    with pytest.raises(ValueError, match=r"column 'a,x' is not numeric: got '1,5' .* pass decimal=','"):
        load_table(path, "y", separator=separator, decimal=".")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"separator": ",;"}, "separator is not valid: got ',;', expected one character"),
        ({"separator": "a"}, "separator is not valid: got 'a'"),
        ({"separator": '"'}, "separator is not valid: got '\"'"),
        ({"separator": ""}, "separator is not valid: got ''"),
        ({"decimal": ";"}, "decimal is not valid: got ';', expected '.' or ','"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match=message):
        load_table(tmp_path / "t.csv", "y", **arguments)


@pytest.mark.parametrize(
    ("separator", "cells", "action"),
    [
        (",", ['"1,234"', '"2,345"'], "if it separates thousands, write numbers without it"),
        ("\t", ["1,234", "12,345"], "if it separates thousands, write numbers without it"),
        (",", ['"1,234.5"', '"2,345.5"'], "It has thousands separators: write numbers without them"),
        (",", ['"1,234,567"', "5"], "It has thousands separators: write numbers without them"),
        (";", ["1.234,5", "2,5"], "It has thousands separators: write numbers without them"),
        (";", ["1.234.567,5", "2,5"], "It has thousands separators: write numbers without them"),
        (";", ["1 234,5", "2,5"], "It has thousands separators: write numbers without them"),
        (";", ["1'234.5", "2.5"], "It has thousands separators: write numbers without them"),
        (";", ["1\u00a0234,5", "2,5"], "It has thousands separators: write numbers without them"),
        (",", ["$1.5", "$2"], "Write numbers without units, and with the usual minus"),
        (";", ["15 %", "2,5"], "Write numbers without units, and with the usual minus"),
        (",", ["\u22121.5", "2"], "Write numbers without units, and with the usual minus"),
        (";", ["1.5", "2,5"], r"If the decimal mark is '[.,]', pass decimal='[.,]'"),
    ],
)
def test_thousands_are_refused_or_told(tmp_path, separator, cells, action):
    path = tmp_path / "t.csv"
    path.write_text(f"x{separator}y\n" + "".join(f"{cell}{separator}1\n" for cell in cells), encoding="utf-8")
    with pytest.raises(ValueError, match=f"column 'x' is not numeric: got .* {action}"):
        load_table(path, "y", features="x")
    assert load_table(path, features="y").X.sum() == 2
    told = [remark for remark in open_and_read(path) if "'x'" in remark]
    assert len(told) == 1
    assert "is read as text" in told[0]


def test_what_is_said(tmp_path):
    assert open_and_read(write(tmp_path / "a.csv", ROWS)) == []
    assert open_and_read(write(tmp_path / "a.tsv", ROWS, "\t")) == []
    assert open_and_read(write(tmp_path / "b.csv", ROWS, ";", ",")) == [
        "Read as text separated by semicolons, with decimal commas."
    ]
    assert open_and_read(tmp_path / "b.csv", separator=";", decimal=",") == []
    (said,) = open_and_read(write(tmp_path / "c.csv", ROWS, "\t", encoding="utf-16-le"))
    assert "separated by tabs, encoded in UTF-16" in said
    (said,) = open_and_read(write(tmp_path / "d.csv", ROWS, encoding="latin-1"))
    assert "Not UTF-8, and read as Windows-1252" in said


def test_header_without_the_names_of_rows(tmp_path):
    (tmp_path / "t.csv").write_text('"x","y"\n"a",1,2\n"b",3,4\n')
    assert open_and_read(tmp_path / "t.csv") == [
        "Rows have one cell more than the header: the first is taken for the name of the row."
    ]
    assert load_table(tmp_path / "t.csv", "y").feature_names == ["x"]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("x,y\n1,5,2,5\n2,5,3,5\n", "If commas are decimal marks too, put numbers in double quotes"),
        ("x;y\n1;2;3\n4;5\n", "If the names of the columns are further down, take out the lines above them"),
    ],
)
def test_rows_of_other_lengths(tmp_path, text, action):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"t\.csv has rows of different length: got \d cells in row 1 .* {action}"):
        read_whole(tmp_path / "t.csv")


def test_names_that_become_equal(tmp_path):
    (tmp_path / "t.csv").write_text("x , x,y\n1,2,3\n")
    with pytest.raises(ValueError, match="repeated column names: got 'x' 2 times"):
        load_table(tmp_path / "t.csv", "y")


@pytest.mark.parametrize(
    "content",
    [
        "härte,x\nä,1\n".encode() + b"M\xfcller,2\n",
        b"\xef\xbb\xbfx,y\nM\xfcller,2\n",
        b"x,y\n\x81\x8d,2\n",
        b"\xff\xfex\x00,\x00y\x00\n\x00\x00\xd8\n\x00",
    ],
    ids=["two encodings", "marked as UTF-8", "no letters of Windows-1252", "damaged UTF-16"],
)
def test_encodings_that_cannot_be_told(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"t\.csv cannot be read: got .*expected text .* in UTF-8, UTF-16 or Windows"):
        read_whole(tmp_path / "t.csv")


def test_utf16_without_mark(tmp_path):
    for encoding in ("utf-16-le", "utf-16-be"):
        (tmp_path / "t.csv").write_bytes("x,y\n1.5,2\n".encode(encoding))
        assert read_whole(tmp_path / "t.csv").to_pydict() == {"x": [1.5], "y": [2]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_headers_and_rows_over_4_mb(tmp_path, encoding):
    names = [f"{'x' * 110}{i}" for i in range(40_000)]
    path = write(tmp_path / "t.csv", [[*names, "y"], [*range(40_000), 5.0], [*range(40_000), 6.0]], encoding=encoding)
    assert path.stat().st_size > 4 << 20
    data = load_table(path, "y", features=names[:3])
    assert data.X.tolist() == [[0, 1, 2]] * 2
    assert data.Y.ravel().tolist() == [5, 6]


@pytest.mark.parametrize("text", ["abc " * 800_000, "ab\n" * 1_000_000], ids=["one line", "many lines"])
def test_cells_longer_than_blocks(tmp_path, text, monkeypatch):
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 1 << 16)
    path = write(tmp_path / "t.csv", [["name", "y"], ["a", 1.0], [text, 2.0], ["b", 3.0]], quoting="all")
    assert load_table(path, features="y").X.ravel().tolist() == [1, 2, 3]
    assert read_whole(path).column("name")[1].as_py() == text


def test_wide_tables(tmp_path):
    names = [f"x{i}" for i in range(20_000)]
    path = write(tmp_path / "t.csv", [names, *np.ones((3, 20_000)).tolist()], ";", ",")
    table = read_whole(path)
    assert table.shape == (3, 20_000)
    assert set(table.schema.types) == {pa.float64()}
