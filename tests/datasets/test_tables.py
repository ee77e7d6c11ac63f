"""Tables from files: equal numbers from all formats, and faults named by column and row."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from pyarrow import csv, feather, parquet

from identirep.datasets import columnar, delimited, load_table

TEXT = "a,b,y_1,y_2,kind\n1,2.5,3,,u\n4,-5e-1,NA,7,v\n8,9,10,11,u\n"
X = np.array([[1, 2.5], [4, -0.5], [8, 9]])
Y = np.array([[3, np.nan], [np.nan, 7], [10, 11]])


def _write_columnar(table, path):
    """Write several batches, so that rows are counted over batches."""
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=100_000)
    else:
        feather.write_feather(table, path, chunksize=100_000 if len(table) > 10 else 2)


def _write(folder, name, text=TEXT):
    """Write CSV text in the format that the ending asks for."""
    path = folder / name
    if name.endswith(".csv.gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif name.endswith(".csv"):
        path.write_text(text, encoding="utf-8")
    elif name.endswith(".tsv"):
        path.write_text(text.replace(",", "\t"), encoding="utf-8")
    else:
        table = csv.read_csv(pa.BufferReader(text.encode()))
        _write_columnar(table, path)
    return path


@pytest.fixture(params=["csv", "csv.gz", "tsv", "parquet", "feather", "arrow"])
def ending(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["one batch", "many batches"])
def batches(request, monkeypatch):
    """Read few rows at a time, so that rows are put together and counted over batches."""
    if request.param:
        monkeypatch.setattr(columnar, "_BATCH_ROWS", 2)
        monkeypatch.setattr(delimited, "_BLOCK_BYTES", 40)


@pytest.mark.usefixtures("batches")
def test_wide_layout(tmp_path, ending):
    data = load_table(_write(tmp_path, f"table.{ending}"), "y_*", drop="kind")
    assert_array_equal(data.X, X)
    assert_array_equal(data.Y, Y)
    assert data.feature_names == ["a", "b"]
    assert data.target_names == ["y_1", "y_2"]
    assert "y" not in data
    assert "tasks" not in data


@pytest.mark.usefixtures("batches")
def test_long_layout(tmp_path, ending):
    data = load_table(_write(tmp_path, f"table.{ending}"), "y_2", tasks="kind", drop="y_1")
    assert_array_equal(data.X, X)
    assert_array_equal(data.y, Y[:, 1])
    assert data.tasks.tolist() == ["u", "v", "u"]
    assert "Y" not in data


def test_many_rows_stay_in_order(tmp_path, ending):
    values = np.random.default_rng(0).normal(size=(60_000, 2))
    rows = "\n".join(f"{u!r},{v!r}" for u, v in values.tolist())
    data = load_table(_write(tmp_path, f"table.{ending}", f"x,y\n{rows}\n"), "y")
    assert_array_equal(np.column_stack([data.X, data.Y]), values)


def test_without_targets(tmp_path):
    data = load_table(_write(tmp_path, "table.csv"), features=["b", "a"])
    assert_array_equal(data.X, X[:, ::-1])
    assert "Y" not in data
    assert data.target_names == []


def test_columns_that_are_not_asked_for_are_not_read(tmp_path, ending):
    text = "a,name,y\n1,iron,2\n3,tin,4\n"
    data = load_table(_write(tmp_path, f"table.{ending}", text), "y", features="a")
    assert_array_equal(data.X, [[1], [3]])


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("y_2,y_1", ["y_2", "y_1"]),
        (["y_?", "a"], ["y_1", "y_2", "a"]),
        ("y_[1]", ["y_1"]),
        (["y_1", "y_*"], ["y_1", "y_2"]),
        (" y_1 , a ", ["y_1", "a"]),
    ],
)
def test_patterns(tmp_path, targets, expected):
    data = load_table(_write(tmp_path, "table.csv"), targets, drop="kind,y_*")
    assert data.target_names == expected
    assert data.feature_names == [name for name in ("a", "b") if name not in expected]


def test_exact_name_comes_before_pattern_and_comma(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('x,"E[eV]",Ee,"p, bar"\n1,2,3,4\n')
    assert load_table(path, "E[eV]").target_names == ["E[eV]"]
    assert load_table(path, "p, bar").target_names == ["p, bar"]


def test_pattern_of_features_leaves_out_targets_tasks_and_dropped(tmp_path):
    data = load_table(_write(tmp_path, "table.csv"), "y_1", tasks="kind", features="*", drop="y_2")
    assert data.feature_names == ["a", "b"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["3", "1", "3"], [3, 1, 3]),
        (["01", "1", "01"], ["01", "1", "01"]),
        (["1", "b", "1"], ["1", "b", "1"]),
        (["1.5", "2", "2"], ["1.5", "2", "2"]),
    ],
)
def test_labels_of_csv(tmp_path, labels, expected):
    path = tmp_path / "table.csv"
    path.write_text("t,x,y\n" + "".join(f"{label},1,2\n" for label in labels))
    assert load_table(path, "y", tasks="t").tasks.tolist() == expected


def test_labels_of_columnar_files_are_numbers_and_texts(tmp_path):
    table = pa.table({"t": [2.5, 1.0, 2.5], "when": pa.array([1, 2, 1], pa.date32()), "x": [1, 2, 3], "y": [1, 2, 3]})
    parquet.write_table(table, tmp_path / "table.parquet")
    assert load_table(tmp_path / "table.parquet", "y", tasks="t", drop="when").tasks.tolist() == [2.5, 1.0, 2.5]
    dates = load_table(tmp_path / "table.parquet", "y", tasks="when", drop="t").tasks
    assert dates.tolist() == ["1970-01-02", "1970-01-03", "1970-01-02"]


def test_booleans_and_decimals_of_columnar_files_are_numbers(tmp_path):
    table = pa.table({"flag": [True, False], "price": pa.array([1, 2]).cast(pa.decimal128(22, 2)), "y": [1.0, 2.0]})
    feather.write_feather(table, tmp_path / "table.feather")
    assert_array_equal(load_table(tmp_path / "table.feather", "y").X, [[1, 1], [0, 2]])


LATE = "x,name,y\n" + "1,2,3\n" * 30 + "1,abc,3\n"
BAD_CALLS = {
    "text in a feature": (
        "x,name,y\n1,,2\n1,3,4\n1,abc,4\n",
        {"targets": "y"},
        r"^table\.csv: column 'name' is not numeric: got 'abc' first at row 3, expected numbers\. "
        r"Drop it with drop='name' or encode it\.$",
    ),
    "text in a target": (
        "x,y\n1,?\n",
        {"targets": "y"},
        r"^table\.csv: column 'y' is not numeric: got '\?' first at row 1",
    ),
    "text in several": (
        "u,v,y\na,1,1\n2,b,1\n",
        {"targets": "y"},
        r"'u' .* got 'a' first at row 1.*\n.*'v' .* at row 2",
    ),
    "text far down": (LATE, {"targets": "y"}, r"column 'name' is not numeric: got 'abc' first at row 31"),
    "missing feature": (
        "x,y\n1,2\n,3\n,4\n",
        {"targets": "y"},
        r"^table\.csv: column 'x' has missing values: got 2, first at row 2, expected finite numbers\. Impute them",
    ),
    "infinite feature": (
        "x,y\n1,2\ninf,3\n",
        {"targets": "y"},
        r"column 'x' has infinite values: got 1, first at row 2",
    ),
    "infinite target": (
        "x,y\n1,2\n1,-inf\n",
        {"targets": "y"},
        r"column 'y' has infinite values: got 1, first at row 2",
    ),
    "many faulty columns": (
        ",".join(f"x{i}" for i in range(9)) + ",y\n" + "," * 9 + "1\n",
        {"targets": "y"},
        r"(?s)'x4' has missing.*And 4 more columns\.$",
    ),
    "missing label": (
        "t,x,y\na,1,2\n,3,4\n",
        {"targets": "y", "tasks": "t"},
        r"^table\.csv: column 't' has missing task labels: got none first at row 2, expected a label in each row\.",
    ),
    "unknown target": (
        TEXT,
        {"targets": "y_3"},
        r"^targets matches no column: got 'y_3', expected .* Did you mean 'y_2'\?$",
    ),
    "unknown pattern": (
        TEXT,
        {"targets": "kinds*"},
        r"targets matches no column: got 'kinds\*', .* Did you mean 'kind'\?$",
    ),
    "nothing close": (
        TEXT,
        {"targets": "zzzzzz"},
        r"got 'zzzzzz', expected a name or pattern of 'a', 'b', .* Check the",
    ),
    "one of two unknown": (TEXT, {"targets": "y_1,q*"}, r"targets matches no column: got 'q\*'"),
    "unknown feature": (TEXT, {"targets": "y_1", "features": ["a", "c"]}, r"features matches no column: got 'c'"),
    "unknown dropped": (
        TEXT,
        {"targets": "y_1", "drop": "knd"},
        r"drop matches no column: got 'knd', .* mean 'kind'\?",
    ),
    "unknown tasks": (
        TEXT,
        {"targets": "y_1", "tasks": "kin"},
        r"tasks matches no column: got 'kin', .* mean 'kind'\?",
    ),
    "feature is target": (TEXT, {"targets": "y_*", "features": "a,y_1"}, r"features has targets: got 'y_1' in both"),
    "tasks is target": (TEXT, {"targets": "kind", "tasks": "kind"}, r"tasks is a target too: got 'kind' for both"),
    "several long targets": (
        TEXT,
        {"targets": "y_*", "tasks": "kind"},
        r"targets has several columns: got 'y_1', 'y_2' with",
    ),
    "all are targets": ("u,v\n1,2\n", {"targets": "*"}, r"features is empty: got no column besides 'u', 'v'"),
    "no bytes": ("", {"targets": "y"}, r"^table\.csv is empty: got 0 rows"),
    "no rows": ("x,y\n", {"targets": "y"}, r"^table\.csv is empty: got 0 rows"),
    "ragged rows": ("x,y\n1,2\n3\n", {"targets": "y"}, r"table\.csv has rows of different length: got 1 cell in row 2"),
    "repeated names": ("x,x,y\n1,2,3\n", {"targets": "y"}, r"table\.csv has repeated column names: got 'x' 2 times"),
}


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize(("text", "arguments", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls(tmp_path, text, arguments, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_table(path, **arguments)


@pytest.mark.parametrize("ending", ["parquet", "feather"])
@pytest.mark.usefixtures("batches")
def test_text_in_columnar_files(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    table = pa.table({"x": [1] * 4, "name": [None, None, None, "abc"], "y": [2] * 4})
    _write_columnar(table, path)
    with pytest.raises(ValueError, match=rf"^table\.{ending}: column 'name' is not numeric: got 'abc' first at row 4"):
        load_table(path, "y")


def test_all_faults_are_raised_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"(?s)targets matches.*drop matches.*tasks matches"):
        load_table(_write(tmp_path, "table.csv"), "nope", tasks="none", drop="nada")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path does not exist: got '.*nope\.csv', expected a CSV or TSV"):
        load_table(tmp_path / "nope.csv", "y")


def test_directory(tmp_path):
    with pytest.raises(IsADirectoryError, match="path is a directory: got"):
        load_table(tmp_path, "y")


@pytest.mark.parametrize("name", ["table.xyz", "table", "table.gz"])
def test_unknown_format(tmp_path, name):
    (tmp_path / name).write_text(TEXT)
    with pytest.raises(ValueError, match=rf"path has an unknown format: got '{name}', expected CSV or TSV"):
        load_table(tmp_path / name, "y_1")


@pytest.mark.parametrize(("name", "kind"), [("table.parquet", "parquet"), ("table.arrow", "feather or Arrow")])
def test_wrong_ending(tmp_path, name, kind):
    (tmp_path / name).write_text(TEXT)
    with pytest.raises(ValueError, match=rf"(?s)table\..* cannot be read: got .*expected a {kind} file"):
        load_table(tmp_path / name, "y_1")


def test_compressed_by_name_alone(tmp_path):
    (tmp_path / "table.csv.gz").write_bytes(b"x,y\n1,2\n")
    with pytest.raises(ValueError, match=r"(?s)^table\.csv\.gz cannot be read: got .*UTF-8"):
        load_table(tmp_path / "table.csv.gz", "y")


def test_contradictions_between_features_targets_and_drop_are_refused(tmp_path):
    path = _write(tmp_path, "table.csv")
    columns = load_table(path, "y_1", drop="kind,y_2").feature_names
    with pytest.raises(ValueError, match=rf"features has columns that are to be no inputs: got '{columns[0]}'"):
        load_table(path, "y_1", features=columns, drop=columns[0])
    with pytest.raises(ValueError, match=r"features has columns that are to be no inputs: got 'kind'"):
        load_table(path, "y_1", tasks="kind", features=[*columns, "kind"])
    with pytest.raises(ValueError, match=r"drop has targets: got 'y_1'"):
        load_table(path, "y_*", drop="kind,y_1")
    # Patterns may name more than is meant.
    assert load_table(path, "y_1", drop="kind,y_*").feature_names == columns


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather", "xlsx"])
def test_blanks_around_labels_are_taken_off_in_all_formats(tmp_path, ending):
    if ending == "xlsx":
        pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"x": np.arange(6.0) ** 2, "y": np.arange(6.0), "t": ["A", " A", "A ", "B", "B\u00a0", "  B"]})
    path = tmp_path / f"t.{ending}"
    write = {"csv": frame.to_csv, "xlsx": frame.to_excel}.get(ending)
    write(path, index=False) if write else getattr(frame, f"to_{ending}")(path)
    assert load_table(path, "y", tasks="t").tasks.tolist() == ["A"] * 3 + ["B"] * 3
