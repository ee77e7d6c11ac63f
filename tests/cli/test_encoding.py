"""Tables of mixed columns on the command line: fit, transform of the raw table, inspect and fit of one mind."""

import shlex

import numpy as np
import pandas as pd
import pytest
from pyarrow import csv, parquet

from identirep import IdentifiableRegressor

N = 150
_FAST = ("--regressor", "ridge", "--checks", 0, "-d", 1)


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "colour": rng.choice(["red", "blue", "NA"], N),
            "dose": rng.choice(["01", "1", "2"], N),
            "day": (pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, N), unit="D")).strftime(
                "%Y-%m-%d"
            ),
            "x": rng.normal(size=N),
            "is_metal": rng.choice(["True", "False"], N),
            "mol": [f"m{i}" for i in range(N)],
            "batch": [f"b{i % 45}" for i in range(N)],
        }
    )
    frame.loc[::10, "x"] = np.nan
    signal = frame.colour.map({"red": 2.0, "blue": -1.0, "NA": 0.5}) + frame.dose.map({"01": 2.0, "1": -1.0, "2": 0.0})
    Y = np.asarray(signal)[:, None] * rng.uniform(0.5, 2, 4) + 0.05 * rng.normal(size=(N, 4))
    return frame.assign(**{f"y_{t}": Y[:, t] for t in range(4)})


@pytest.fixture(params=["csv", "parquet"])
def path(request, frame, tmp_path):
    if request.param == "csv":
        frame.to_csv(tmp_path / "t.csv", index=False)
    else:
        frame.assign(day=pd.to_datetime(frame.day), is_metal=frame.is_metal == "True").to_parquet(
            tmp_path / "t.parquet"
        )
    return tmp_path / f"t.{request.param}"


def _fit(invoke, path, *options):
    run = path.parent / "run"
    result = invoke("fit", path, "--targets", "y_*", "--out", run, *_FAST, *options)
    assert result.exit_code == 0, result.output
    return run, result


def test_a_raw_table_is_fitted_and_transformed(invoke, path, frame):
    run, result = _fit(invoke, path, "--categorical", "dose")
    said = " ".join(result.output.split())
    assert "150 rows, 5 inputs, 4 targets" in said
    assert "Left out of the inputs: 'mol' (a text of its own in each row), 'batch' (text with 45 values)." in said
    assert "To keep one, name it with --features, or a text with --categorical." in said
    assert "'colour', 'dose' (category: one input for each value)" in said
    assert "Gaps in 1 input, by share of the 120 rows of training: 'x' 1" in said
    model = IdentifiableRegressor.load(run)
    # What is held out is not learnt from.
    assert {column.n_rows for column in model.table_encoder_.columns_} == {4 * N // 5}
    names = model.table_encoder_.get_feature_names_out().tolist()
    assert {"colour=NA", "dose=01", "dose=1", "day: days since 1970", "is_metal"} < set(names)
    result = invoke("transform", run, path, "--out", path.parent / "z.parquet")
    assert result.exit_code == 0, result.output
    Z = np.column_stack([column.to_numpy() for column in parquet.read_table(path.parent / "z.parquet").columns])
    np.testing.assert_array_equal(Z, model.transform(frame.drop(columns=["mol", "batch"])))
    predicted = invoke("predict", run, path, "--out", path.parent / "p.parquet")
    assert predicted.exit_code == 0, predicted.output
    first = parquet.read_table(path.parent / "p.parquet").column("y_0").to_numpy()
    assert np.corrcoef(first, frame.y_0)[0, 1] > 0.95


def test_new_data_reads_as_the_fit_did(invoke, frame, tmp_path):
    marked = frame.assign(x=frame.x.fillna(-9999).astype(str).replace("-9999.0", "?"))
    marked.loc[5, "x"] = "-99"
    marked.to_csv(tmp_path / "t.csv", index=False)
    refused = invoke("fit", tmp_path / "t.csv", "--targets", "y_*", "--out", tmp_path / "run", *_FAST)
    assert refused.exit_code == 2
    assert "column 'x' is not numeric: got '?' among numbers, first at row 1" in " ".join(refused.output.split())
    assert "Pass --missing '?' if it stands for a missing value, or --categorical 'x'." in " ".join(
        refused.output.split()
    )
    run, _ = _fit(invoke, tmp_path / "t.csv", "--missing", "?,-99")
    assert IdentifiableRegressor.load(run).table_encoder_.gaps_["x"] > 0.05
    new = marked.drop(columns=["mol", "batch", "y_0", "y_1", "y_2", "y_3"])[["x", "is_metal", "day", "dose", "colour"]]
    new.loc[:, "colour"] = "red"
    new.loc[:, "dose"] = "01"
    new.to_csv(tmp_path / "new.csv", index=False)
    result = invoke("transform", run, tmp_path / "new.csv", "--out", tmp_path / "z.csv")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    Z = csv.read_csv(tmp_path / "z.csv").column(0).to_numpy()
    assert len(Z) == N
    new.assign(colour="violet").to_csv(tmp_path / "other.csv", index=False)
    result = invoke("transform", run, tmp_path / "other.csv", "--out", tmp_path / "z.csv")
    assert result.stderr.count("'colour' has what the fit did not have: 'violet', in 150 rows") == 1


def test_cells_of_a_sheet_with_texts_and_numbers_are_categories(invoke, frame, tmp_path):
    frame["dose"] = frame.dose.map({"01": "low", "1": 1, "2": 2.5})
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    run, _ = _fit(invoke, tmp_path / "t.xlsx")
    names = IdentifiableRegressor.load(run).table_encoder_.get_feature_names_out().tolist()
    assert {"dose=1", "dose=2.5", "dose=low"} < set(names)
    result = invoke("transform", run, tmp_path / "t.xlsx", "--out", tmp_path / "z.csv")
    assert result.exit_code == 0, result.output
    assert "has what the fit did not have" not in result.stderr


@pytest.mark.parametrize(
    "impute", ["auto", "mean", *(pytest.param(how, marks=pytest.mark.slow) for how in ("median", "none"))]
)
def test_impute(invoke, frame, tmp_path, impute):
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = ("--impute", impute, "--regressor", "extra-trees", "--held-out", 0)
    run, result = _fit(invoke, tmp_path / "t.csv", *options)
    how = {"auto": "passed on as they are", "none": "passed on as they are"}.get(impute, f"filled with the {impute}")
    assert how in " ".join(result.stderr.split())
    result = invoke("transform", run, tmp_path / "t.csv", "--out", tmp_path / "z.csv")
    assert result.exit_code == 0, result.output


def test_inspect_and_fit_are_of_one_mind(invoke, path):
    inspected = invoke("inspect", path)
    assert inspected.exit_code == 0, inspected.output
    rows = {line.split()[0]: line for line in inspected.stdout.splitlines() if line.strip()}
    assert "one-hot, or --groups" in rows["colour"]
    assert "date or time" in rows["day"]
    assert "gaps: target or filled" in rows["x"]
    assert "label of a row: drop" in rows["mol"]
    assert "--groups, --tasks or drop" in rows["batch"]
    command = shlex.split(inspected.stdout.split("want explained: ")[1])
    assert command[command.index("--groups") + 1] == "batch"
    result = invoke(*command[1:-1], path.parent / "run", *_FAST)
    assert result.exit_code == 0, result.output
    assert "Left out" not in result.stdout


def test_structs_and_short_floats_are_shown(invoke, tmp_path, frame):
    import pyarrow as pa

    table = pa.table(
        {
            "short": pa.array(np.arange(N, dtype=np.float16)[::-1] * np.float16(0.5)),
            "struct": pa.array([{"a": i, "b": "x"} for i in range(N)]),
            "ragged": pa.array([[1.0] * (i % 3) for i in range(N)]),
            "y_a": frame.y_0,
            "y_b": frame.y_1,
            "y_c": frame.y_2,
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    result = invoke("inspect", tmp_path / "t.parquet")
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert " number " in rows["short"]
    assert "no numbers: drop" in rows["struct"]
    assert "lists of 0 to 2 values: drop" in rows["ragged"]
    fitted = invoke("fit", tmp_path / "t.parquet", "--targets", "y_*", "--out", tmp_path / "run", *_FAST)
    # There is nothing in the one input.
    assert fitted.exit_code == 3, fitted.output
    assert "1 input, 3 targets" in fitted.stdout
    assert "'struct'" in fitted.stdout


def test_no_encode_refuses_what_is_no_number(invoke, frame, tmp_path):
    frame.to_csv(tmp_path / "t.csv", index=False)
    result = invoke("fit", tmp_path / "t.csv", "--targets", "y_*", "--no-encode", "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 2
    assert "column 'colour' is not numeric" in result.stderr
    numbers = frame.fillna({"x": 0.0})[["x", "y_0", "y_1", "y_2"]].assign(z=frame.y_3)
    numbers.to_csv(tmp_path / "n.csv", index=False)
    run, _ = _fit(invoke, tmp_path / "n.csv", "--no-encode")
    assert IdentifiableRegressor.load(run).table_encoder_ is None
    assert invoke("transform", run, tmp_path / "n.csv", "--out", tmp_path / "z.csv").exit_code == 0
