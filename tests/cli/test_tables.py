"""Tables of the command line: labels, orders and columns that are no inputs, as they are said to the user."""

import gzip
import json
import shlex
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from identirep.cli.raw import raw_columns
from identirep.cli.tables import read_table
from identirep.datasets import load_table, open_table
from identirep.encoding import judge_columns

_FAST = ("--regressor", "ridge", "--checks", 0, "-d", 1)
RNG = np.random.default_rng(0)
N = 60


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2))
    return pd.DataFrame(np.column_stack([x, x @ rng.normal(size=(2, 3))]), columns=["x0", "x1", "y_1", "y_2", "y_3"])


def _write(folder, frame, **options):
    frame.to_csv(folder / "t.csv", **{"index": False, **options})
    return folder / "t.csv"


def test_rows_of_a_group_called_na_stay_together(tmp_path, frame):
    path = _write(tmp_path, frame.assign(country=[["DE", "NA", "ZA"][i % 3] for i in range(N)]))
    np.testing.assert_array_equal(read_table(path, ["y_*"], groups="country").groups, np.arange(N) % 3)


def test_rows_without_a_group_are_alone(tmp_path, frame):
    path = _write(tmp_path, frame.assign(country=[["DE", "", "ZA"][i % 3] for i in range(N)]))
    assert len(set(read_table(path, ["y_*"], groups="country").groups)) == 2 + N // 3


@pytest.mark.parametrize("form", ["{}", "{}.0", " {}"])
def test_numbers_are_ordered_as_numbers(tmp_path, frame, form):
    path = _write(tmp_path, frame.assign(day=[form.format(i + 1) for i in range(N)]))
    np.testing.assert_array_equal(read_table(path, ["y_*"], order="day").order, np.arange(N))


def test_texts_are_ordered_as_texts(tmp_path, frame):
    path = _write(tmp_path, frame.assign(day=[f"2020-{i // 28 + 1:02}-{i % 28 + 1:02}" for i in range(N)]))
    np.testing.assert_array_equal(read_table(path, ["y_*"], order="day").order, np.arange(N))


def test_numbers_with_decimal_commas_are_ordered_as_numbers(tmp_path, frame):
    path = _write(tmp_path, frame.assign(depth=np.arange(N) * 0.5 + 0.25), sep=";", decimal=",")
    np.testing.assert_array_equal(read_table(path, ["y_*"], order="depth").order, np.arange(N))


def test_numbers_that_are_written_otherwise_are_no_texts_to_sort(tmp_path, frame):
    path = _write(tmp_path, frame.assign(depth=[f"{100 * i + 700:,}" for i in range(N)]))
    with pytest.raises(ValueError, match=r"order .*'1,000' in column 'depth' first at row 4.*separates thousands"):
        read_table(path, ["y_*"], order="depth")


@pytest.mark.parametrize("missing", [None, ["-9999"]])
def test_columns_have_their_kinds_whatever_stands_for_missing_numbers(tmp_path, frame, missing):
    codes = [["1", "2", "3"][i % 3] for i in range(N)]
    since = pd.to_timedelta(np.arange(N) % 7, unit="h")
    frame.assign(code=codes, since=since, flag=np.arange(N) % 2 == 0).to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", ["y_*"], missing=missing)
    kinds = {column.name: column.kind for column in table.columns}
    assert kinds | {"code": "category", "since": "duration", "flag": "yes or no"} == kinds


@pytest.mark.parametrize("mark", ["NA", "", "-9999"])
def test_order_needs_a_number_of_each_row(tmp_path, frame, mark):
    path = _write(tmp_path, frame.assign(day=[str(i) if i != 4 else mark for i in range(N)]))
    with pytest.raises(ValueError, match="order contains 1 missing values: got nan first at row 5"):
        read_table(path, ["y_*"], order="day", missing=["-9999"])


def test_fit_leaves_out_row_numbers_and_says_so(invoke, tmp_path, frame):
    path = _write(tmp_path, frame, index=True)
    result = invoke("fit", path, "--targets", "y_*", "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 0, result.output
    assert "2 inputs, 3 targets" in result.stdout
    assert "Left out of the inputs: '' (a column without a name). To keep one, name it" in result.stdout
    dropped = invoke("fit", path, "--targets", "y_*", "--drop", "", "--out", tmp_path / "run", *_FAST)
    assert "2 inputs" in dropped.stdout
    assert "Left out" not in dropped.stdout
    kept = invoke("fit", path, "--targets", "y_*", "--features", "", "--out", tmp_path / "run", *_FAST)
    assert "1 input," in kept.stdout


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz"])
@pytest.mark.parametrize("n_trailing", [1, 2])
def test_inspect_and_fit_agree_on_separators_at_the_end_of_rows(invoke, tmp_path, frame, ending, n_trailing):
    mark = "\t" if ending == ".tsv" else ","
    text = "".join(f"{line}{mark * n_trailing}\n" for line in frame.to_csv(index=False, sep=mark).splitlines())
    path = tmp_path / f"t{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    result = invoke("inspect", path)
    assert result.stdout.count("a column without a name: drop") == n_trailing
    assert result.stdout.count("--drop") == 1
    assert read_table(path, ["y_*"]).left_out == {"": "a column without a name"}
    assert load_table(path, ["y_*"]).left_out == {"": "a column without a name"}


@pytest.mark.parametrize("texts", [["a", "b", "c", "d"], ["1", "2", "3", "x"], [""] * 4, ["1"] * 4])
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_an_index_is_one_by_its_name_whatever_it_holds(tmp_path, frame, texts, ending):
    table = frame.assign(**{"Unnamed: 0": (texts * N)[:N]})
    path = tmp_path / f"t{ending}"
    table.to_parquet(path) if ending == ".parquet" else table.to_csv(path, index=False)
    said = {"Unnamed: 0": "an index column"}
    assert read_table(path, ["y_*"]).left_out == load_table(path, ["y_*"]).left_out == said
    judged = judge_columns(raw_columns(open_table(path), list(table), []))
    assert {column.name: column.why_not for column in judged if column.why_not} == said


def test_inspect_and_fit_agree_on_row_numbers(invoke, tmp_path, frame):
    path = _write(tmp_path, frame.assign(is_big=frame.x0 > 0, **{"no input": range(N)}), index=True)
    result = invoke("inspect", path)
    assert result.stdout.count("numbers the rows: drop") == 1
    assert result.stdout.count("a column without a name: drop") == 1
    command = shlex.split(result.stdout.split("want explained: ")[1])
    assert command[command.index("--drop") + 1 :: 2][:2] == ["no input", ""]
    fitted = invoke(*command[1:-1], tmp_path / "run", *_FAST)
    assert "3 inputs, 3 targets" in fitted.stdout, fitted.output


@pytest.mark.parametrize("command", ["fit", "inspect"])
def test_codes_of_missing_values_are_remarked_on(invoke, tmp_path, frame, command):
    frame.loc[[3, 7], "y_2"] = -9999
    path = _write(tmp_path, frame)
    arguments = ["fit", path, "--targets", "y_*", "--out", tmp_path / "run", "--epochs", 2, "--replicates", 1, "-d", 1]
    arguments = [*arguments, "--checks", 0] if command == "fit" else ["inspect", path]
    result = invoke(*arguments)
    assert "'y_2' has the value -9999 in 2 rows" in result.stdout
    assert "if it stands for a missing value, pass --missing '-9999'" in result.stdout
    result = invoke(*arguments, "--missing", "-9999")
    assert result.exit_code == 0, result.output
    assert "the value -9999" not in result.stdout
    # The command that is printed next reads the table the same way.
    assert "--missing=-9999 --out" in result.stdout


def test_names_with_commas_in_a_list(tmp_path, frame):
    path = _write(tmp_path, frame.rename(columns={"y_1": "logP (o/w), 25 °C", "y_2": "100%"}))
    assert read_table(path, ["logP (o/w), 25 °C, 100%,y_*"]).tasks == ["logP (o/w), 25 °C", "100%", "y_3"]


def test_inspect_shows_lists(invoke, tmp_path, frame):
    frame.assign(embedding=list(RNG.normal(size=(N, 500)))).to_parquet(tmp_path / "t.parquet")
    result = invoke("inspect", tmp_path / "t.parquet")
    assert result.exit_code == 0, result.output
    assert "its numbers" in result.stdout
    assert len(result.stdout) < 3000


def test_files_of_other_dialects(invoke, tmp_path, frame):
    path, out = tmp_path / "my data.csv", tmp_path / "run"
    frame.to_csv(path, index=False, sep="#", decimal=",", encoding="latin-1")
    path.write_bytes(path.read_bytes() + b"####\n")
    settings = ("--epochs", 2, "--replicates", 1, "-d", 1, "--checks", 0)
    result = invoke("fit", path, "--targets", "y_*", "--out", out, *settings)
    assert result.exit_code == 2
    options = ("--separator", "#", "--decimal", ",")
    for command in (("fit", "--targets", "y_*", "--out", out, *settings), ("inspect",)):
        result = invoke(command[0], path, *command[1:], *options)
        assert result.exit_code == 0, result.output
        assert "without 1 row that holds nothing but separators" in result.stdout
        # What is printed next runs as printed.
        assert "--separator '#' --decimal , --out" in result.stdout
    for command in ("transform", "predict"):
        result = invoke(command, out, path, "--out", tmp_path / "z.csv", *options)
        assert result.exit_code == 0, result.output
        assert "without 1 row that holds nothing" in result.stdout
        assert "60 rows" in result.stdout
    for option in ("--separator", "--decimal"):
        result = invoke("inspect", path, option, "::")
        assert result.exit_code == 2
        assert f"Error: {option} is not valid: got '::'" in result.stderr


def test_what_is_detected_is_said(invoke, tmp_path, frame):
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",", encoding="utf-16")
    for arguments in (("inspect",), ("inspect", "--targets", "y_*")):
        result = invoke(arguments[0], tmp_path / "t.csv", *arguments[1:])
        said = "Read as text separated by semicolons, with decimal commas, encoded in UTF-16."
        assert said in result.stdout


def test_workbooks(invoke, tmp_path, frame):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        pd.DataFrame({"note": ["see the other sheet"]}).to_excel(book, sheet_name="notes", index=False)
        frame.to_excel(book, sheet_name="my data", index=False)
    result = invoke("inspect", tmp_path / "t.xlsx")
    assert "Read from the first sheet, 'notes'." in result.stdout
    result = invoke("inspect", tmp_path / "t.xlsx", "--sheet", "my data")
    assert "60 rows, 5 columns" in result.stdout
    assert "--sheet 'my data' --out runs/first" in result.stdout
    result = invoke("inspect", tmp_path / "t.xlsx", "--sheet", "data")
    assert "Error: --sheet is not in t.xlsx: got 'data', expected one of 'notes', 'my data'" in result.stderr


def test_workbooks_without_the_package(invoke, tmp_path, frame, monkeypatch):
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    result = invoke("inspect", tmp_path / "t.xlsx")
    assert result.exit_code == 2
    assert "Run pip install 'identirep[excel]'." in result.stderr


def test_moments_with_time_zones_are_ordered_as_moments(tmp_path, frame):
    hours = np.arange(N)
    zoned = [f"2020-03-01T{10 + (i + 60) // 60:02}:{i % 60:02}:00+0{1 + i % 2}:00" for i in hours]
    moments = pd.to_datetime(pd.Series(zoned), utc=True)
    path = _write(tmp_path, frame.assign(day=zoned))
    expected = np.unique(moments, return_inverse=True)[1]
    assert not np.array_equal(expected, np.unique(zoned, return_inverse=True)[1])
    np.testing.assert_array_equal(read_table(path, ["y_*"], order="day").order, expected)


@pytest.mark.parametrize("form", ["2020-1-{}", "2020-01-{:02}T00:00:00", "{0}.1.20"])
def test_dates_that_would_be_sorted_wrongly_are_refused(tmp_path, frame, form):
    days = [form.format(i % 28 + 1) for i in range(N)]
    days = [f"{day}Z" if "T" in day and i % 2 else day for i, day in enumerate(days)]
    with pytest.raises(ValueError, match=r"order cannot be sorted: got dates .* in column 'day', such as '"):
        read_table(_write(tmp_path, frame.assign(day=days)), ["y_*"], order="day")


def test_texts_that_are_sorted_as_such_are_said(tmp_path, frame):
    path = _write(tmp_path, frame.assign(day=[f"run {i}" for i in range(N)]))
    table = read_table(path, ["y_*"], order="day")
    assert "Column 'day' is sorted as text, from 'run 0' to 'run 9'." in table.read_as
    dates = _write(tmp_path, frame.assign(day=pd.date_range("2020-01-01", periods=N).astype(str)))
    assert not any("sorted" in text for text in read_table(dates, ["y_*"], order="day").read_as)


def test_groups_that_differ_in_blanks_around_them_are_one(tmp_path, frame):
    padded = [[" A", "A", "B "][i % 3] for i in range(N)]
    table = read_table(_write(tmp_path, frame.assign(group=padded)), ["y_*"], groups="group")
    assert len(set(table.groups)) == 2


@pytest.mark.parametrize("option", ["groups", "order", "labels", "weights"])
def test_columns_that_are_inputs_and_something_else_are_refused(tmp_path, frame, option):
    path = _write(tmp_path, frame.assign(g=np.arange(N) // 2 + 1.0))
    with pytest.raises(ValueError, match="features has columns that are to be no inputs: got 'g'"):
        read_table(path, ["y_*"], features=["x0,x1,g"], **{option: "g"})
    table = read_table(path, ["y_*"], features=["x*", "[g]"], **{option: "g"})
    assert table.X.column_names == ["x0", "x1"]


def test_two_groups_of_which_one_is_held_out(invoke, tmp_path, frame):
    path = _write(tmp_path, frame.assign(g=np.arange(N) % 2))
    result = invoke("fit", path, "--targets", "y_*", "--groups", "g", "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 2
    assert "--groups 'g' has too few groups to hold one out" in " ".join(result.stderr.split())


@pytest.mark.parametrize("wide", [pa.list_(pa.float64()), pa.list_(pa.float64(), 2), pa.large_list(pa.float32())])
@pytest.mark.parametrize("ending", [".parquet", ".feather", ".arrow"])
def test_lists_are_counted_by_what_they_hold(invoke, tmp_path, wide, ending):
    lists = pa.array([None if i == 0 else [float(i % 3), 1.0] for i in range(N)], wide)
    table = pa.table({"embedding": lists, "part": [{"a": i % 2} for i in range(N)], "y": np.arange(N) + 0.5})
    path = tmp_path / f"t{ending}"
    if ending == ".parquet":
        parquet.write_table(table, path)
    else:
        feather.write_feather(table, path, compression="uncompressed")
    columns = json.loads(invoke("inspect", path, "--json").stdout)["columns"]
    assert [column["n_distinct"] for column in columns] == [3, 2, N]
