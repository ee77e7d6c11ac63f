"""Columns that number the rows are no inputs, whatever wrote them, and are kept where the user names them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather

from identirep.datasets import load_table
from identirep.datasets.numbering import row_numbers

RNG = np.random.default_rng(0)
N = 60
FRAME = pd.DataFrame(RNG.normal(size=(N, 3)), columns=["x", "y_1", "y_2"])
SHUFFLED = FRAME.sample(frac=0.5, random_state=0)


def _csv(frame, **options):
    return lambda folder: frame.to_csv(folder / "t.csv", **options) or folder / "t.csv"


def _parquet(frame):
    return lambda folder: frame.to_parquet(folder / "t.parquet") or folder / "t.parquet"


def _feather(frame):
    def write(folder):
        feather.write_feather(pa.Table.from_pandas(frame), folder / "t.feather")
        return folder / "t.feather"

    return write


def _text(text, ending="csv"):
    def write(folder):
        (folder / f"t.{ending}").write_text(text)
        return folder / f"t.{ending}"

    return write


ROWS = list(FRAME.itertuples(index=False))
WRITTEN = {
    "pandas": _csv(FRAME),
    "pandas, shuffled": _csv(SHUFFLED),
    "pandas, texts": _csv(FRAME.set_axis([f"s{i}" for i in range(N)])),
    "pandas, several": _csv(FRAME.set_axis(pd.MultiIndex.from_product([range(6), range(10)]))),
    "pandas, read again": _csv(SHUFFLED.reset_index(names="Unnamed: 0"), index=False),
    "pandas, reset": _csv(SHUFFLED.reset_index(), index=False),
    "pandas, parts put together": _csv(pd.concat([FRAME[:30], FRAME[:20]]).reset_index(), index=False),
    "pandas, named": _csv(FRAME.rename_axis("anything")),
    "R": _text('"","x","y_1","y_2"\n' + "".join(f'"{i + 1}",{r[0]},{r[1]},{r[2]}\n' for i, r in enumerate(ROWS))),
    "TSV": _text("\tx\ty_1\ty_2\n" + "".join(f"{i}\t{r[0]}\t{r[1]}\t{r[2]}\n" for i, r in enumerate(ROWS)), "tsv"),
    "comma at the end": _text("x,y_1,y_2,\n" + "".join(f"{r[0]},{r[1]},{r[2]},\n" for r in ROWS)),
    "Parquet": _parquet(SHUFFLED),
    "Parquet, named": _parquet(SHUFFLED.rename_axis("molecule")),
    "Parquet, dates": _parquet(FRAME.set_axis(pd.date_range("2020", periods=N))),
    "Feather": _feather(SHUFFLED),
    "counted backwards": _csv(FRAME.assign(n=np.arange(N)[::-1] + 1000), index=False),
    "some counted rows": _csv(FRAME.assign(n=np.arange(N) * 1.0)[np.arange(N) % 5 > 0], index=False),
    "counted and shuffled": _csv(FRAME.assign(n=RNG.permutation(N) + 1), index=False),
    "ids": _csv(FRAME.assign(Sample_ID=RNG.choice(10_000, N, replace=False)), index=False),
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_left_out_and_said(tmp_path, write):
    data = load_table(write(tmp_path), "y_*")
    assert data.feature_names == ["x"]
    assert data.left_out
    assert data.X.shape[1] == 1


INPUTS = {
    "distinct whole numbers": RNG.choice(10_000, N, replace=False),
    "steps of ten": np.arange(N) * 10,
    "a grid": np.linspace(0, 1, N),
    "repeated numbers": np.arange(N) // 2,
    "times in parts": np.arange(N) % 20,
}


@pytest.mark.parametrize("values", INPUTS.values(), ids=INPUTS)
def test_inputs_stay(tmp_path, values):
    path = _csv(FRAME.assign(z=values), index=False)(tmp_path)
    data = load_table(path, "y_*")
    assert (data.feature_names, data.left_out) == (["x", "z"], {})


def test_named_features_are_kept(tmp_path):
    path = _csv(FRAME.assign(id=np.arange(N)))(tmp_path)
    assert load_table(path, "y_*", features="id,x").feature_names == ["id", "x"]
    assert load_table(path, "y_*", features="").feature_names == [""]
    assert load_table(path, "y_*", features="*").feature_names == ["x"]


def test_drop_takes_a_column_without_a_name(tmp_path):
    path = _csv(FRAME)(tmp_path)
    assert load_table(path, "y_*", drop="").left_out == {}
    with pytest.raises(ValueError, match="drop matches no column: got ''"):
        load_table(_csv(FRAME, index=False)(tmp_path), "y_*", drop="")


def test_nothing_but_row_numbers(tmp_path):
    with pytest.raises(ValueError, match="features is empty: got '', 'n', which only number the rows"):
        load_table(_csv(FRAME.assign(n=range(N)).drop(columns="x"))(tmp_path), "y_*")


def test_few_rows_number_nothing():
    assert row_numbers(["n"], np.arange(9.0)[:, None]) == {}
