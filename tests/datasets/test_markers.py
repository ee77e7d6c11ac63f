"""What is missing in a table: markers among numbers, and only empty cells among labels."""

import numpy as np
import pandas as pd
import pytest

from identirep import TableEncoder
from identirep.datasets import load_table, read_whole
from identirep.datasets.markers import USUAL

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 4)), columns=["x", "y_1", "y_2", "y_3"])


def _with_cell(path, cell, column="y_2"):
    frame = FRAME.astype(object)
    frame.loc[4, column] = cell
    frame.to_csv(path, index=False)
    return path


def _gaps(path, missing=None):
    return np.argwhere(np.isnan(load_table(path, "y_*", missing=missing).Y)).tolist()


@pytest.mark.parametrize("mark", [*sorted(USUAL), " NA ", "  ", " nan"])
def test_usual_markers(tmp_path, mark):
    path = _with_cell(tmp_path / "t.csv", mark)
    assert _gaps(path) == [[4, 1]]


@pytest.mark.parametrize(
    ("cell", "missing"),
    [("?", "?,-"), ("-", "?,-"), (" -- ", ["--", "?"]), ("-9999", "-9999"), ("-9999.0", "-9999"), ("-1e4", "-10000")],
)
def test_markers_that_are_given(tmp_path, cell, missing):
    path = _with_cell(tmp_path / "t.csv", cell)
    assert _gaps(path, missing) == [[4, 1]]
    assert read_whole(path, missing).schema.field("y_2").type == "double"


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_numbers_that_are_given_for_columnar_files(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    getattr(FRAME.replace(FRAME.loc[4, "y_2"], -9999.0), f"to_{ending}")(path)
    assert _gaps(path, "-9999") == [[4, 1]]


def test_numbers_of_single_precision_are_those_that_are_given(tmp_path):
    short = FRAME.replace(FRAME.loc[4, "y_2"], -99.9).astype(np.float32)
    short.to_parquet(tmp_path / "t.parquet")
    assert _gaps(tmp_path / "t.parquet", "-99.9") == _gaps(short, "-99.9") == [[4, 1]]
    assert read_whole(tmp_path / "t.parquet", "-99.9")["y_2"].null_count == 1
    assert list(TableEncoder(missing="-99.9").fit(short).gaps_) == ["y_2"]


def test_a_number_is_given_as_a_text():
    with pytest.raises(TypeError, match=r"missing has the wrong type: got -9999, .* Pass missing='-9999'"):
        load_table(FRAME, "y_*", missing=-9999)


@pytest.mark.parametrize("mark", ["?", "-", ".", "missing", "#DIV/0!"])
def test_others_are_said_to_be_possible_markers(tmp_path, mark):
    with pytest.raises(
        ValueError, match=f"If it stands for a missing value, pass missing='{mark}'".replace("?", r"\?")
    ):
        _gaps(_with_cell(tmp_path / "t.csv", mark))


@pytest.mark.parametrize("label", ["NA", "null", "None", "nan", "#N/A", "?", "-9999"])
@pytest.mark.parametrize("ending", ["csv", "parquet", "feather"])
def test_labels_are_no_markers(tmp_path, ending, label):
    path = tmp_path / f"t.{ending}"
    frame = FRAME.assign(country=[["DE", label, "ZA"][i % 3] for i in range(30)])
    frame.to_csv(path, index=False) if ending == "csv" else getattr(frame, f"to_{ending}")(path)
    data = load_table(path, "y_1", tasks="country", features="x", missing="?,-9999")
    assert set(data.tasks) == {"DE", label, "ZA"}
    assert read_whole(path).column("country").null_count == 0


@pytest.mark.parametrize("label", ["", '""', " "])
def test_empty_cells_are_missing_labels(tmp_path, label):
    path = tmp_path / "t.csv"
    path.write_text("country,x,y\n" + "".join(f"{['DE', label, 'ZA'][i % 3]},{i}.5,{i % 7}\n" for i in range(30)))
    with pytest.raises(ValueError, match="missing task labels: got none first at row 2"):
        load_table(path, "y", tasks="country")
    assert read_whole(path).column("country").null_count == 10


def test_texts_of_booleans_are_numbers(tmp_path):
    path = tmp_path / "t.csv"
    FRAME.assign(metal=["True", "FALSE", "true"] * 10).to_csv(path, index=False)
    assert load_table(path, "y_*").X[:, 1].tolist() == [1, 0, 1] * 10
    path.write_text(path.read_text().replace("FALSE", "NA"))
    assert np.isnan(load_table(path, "metal", features="x").Y[:, 0]).sum() == 10


def test_padded_markers_far_down(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,name,y\n" + "".join(f"{i % 7},2,{i}\n" for i in range(500_000)) + "2,abc, NA \n")
    data = load_table(path, "y", features="x")
    assert len(data.Y) == 500_001
    np.testing.assert_array_equal(data.Y[:, 0], [*range(500_000), np.nan])
    assert [str(kind) for kind in read_whole(path).schema.types] == ["double", "string", "double"]


@pytest.mark.parametrize(
    ("cell", "missing"),
    [("n,a", '"n,a"'), ("n,a", '?,"n,a"'), ("n,a", ["?", '"n,a",-']), ('"', '"'), ('a"b', 'a"b'), ('"x"', '"""x"""')],
)
def test_markers_with_commas_and_quotes(tmp_path, cell, missing):
    path = _with_cell(tmp_path / "t.csv", cell)
    assert _gaps(path, missing) == [[4, 1]]


def test_errors_say_a_marker_with_a_comma_as_it_can_be_given(tmp_path):
    path = _with_cell(tmp_path / "t.csv", "n,a")
    with pytest.raises(ValueError, match="pass missing=") as refused:
        load_table(path, "y_*", missing="n,a")
    assert """pass missing='"n,a"'""" in str(refused.value)
    with pytest.raises(ValueError, match="among numbers") as refused:
        TableEncoder().fit(pd.DataFrame({"x": [*map(str, range(60)), "n,a"], "z": np.arange(61.0) ** 2}))
    assert """Pass missing='"n,a"'""" in str(refused.value)
