"""Tables as inputs of both stages: the signal of each kind of column is found, written, and read back."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression, Ridge

from identirep import MTRN, IdentifiableRegressor, TableEncoder

N, FIT = 240, 160
_NETWORK = {"hidden_sizes": (16,), "n_replicates": 1, "max_epochs": 10, "device": "cpu"}


def _targets(signal, seed=0):
    rng = np.random.default_rng(seed)
    signal = np.asarray((signal - signal.mean()) / signal.std(), dtype=float)
    return signal[:, None] * rng.uniform(0.5, 2.0, 5) + 0.1 * rng.normal(size=(N, 5))


@pytest.fixture
def frame():
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "noise": rng.normal(size=N),
            "colour": rng.choice(["red", "blue", "green"], N),
            "when": pd.to_datetime("2015-01-01") + pd.to_timedelta(rng.integers(0, 2000, N), unit="D"),
            "embedding": list(rng.normal(size=(N, 3))),
            "code": rng.choice([3, 11, 40], N),
            "gappy": np.where(rng.random(N) < 0.4, np.nan, rng.normal(size=N)),
            "is_metal": rng.random(N) < 0.5,
            "id": [f"molecule {i}" for i in range(N)],
        }
    )


_SIGNALS = {
    "category": lambda f: f.colour.map({"red": 1.0, "blue": -2.0, "green": 0.5}),
    "season": lambda f: np.sin(2 * np.pi * f.when.dt.dayofyear / 365),
    "trend": lambda f: (f.when - f.when.min()).dt.days,
    "list": lambda f: np.stack(f.embedding)[:, 1],
    "code": lambda f: f.code.map({3: 0.0, 11: 1.0, 40: 0.2}),
    "gap": lambda f: f.gappy.isna().astype(float),
    "yes or no": lambda f: f.is_metal.astype(float),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", _SIGNALS)
def test_signal_that_sits_in_one_column_only(frame, kind):
    Y = _targets(np.asarray(_SIGNALS[kind](frame), dtype=float))
    model = IdentifiableRegressor(
        1, regressor=Ridge(1e-3), n_checks=0, table_encoder=TableEncoder(categorical=["code"]), random_state=0
    )
    model.fit(frame[:FIT], Y[:FIT])
    assert model.score(frame[FIT:], Y[FIT:]) > 0.8
    # The same table without the column has nothing to say.
    column = {"category": "colour", "season": "when", "trend": "when", "list": "embedding", "gap": "gappy"}
    column |= {"code": "code", "yes or no": "is_metal"}
    other = frame.drop(columns=column[kind])
    encoder = TableEncoder(categorical=None if kind == "code" else ["code"])
    assert clone(model).set_params(table_encoder=encoder).fit(other[:FIT], Y[:FIT]).score(other[FIT:], Y[FIT:]) < 0.3


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "regressor",
    [LinearRegression(), ExtraTreesRegressor(10, random_state=0), MTRN(**_NETWORK)],
    ids=["ridge", "trees", "network"],
)
def test_round_trip_bit_for_bit(frame, regressor, tmp_path):
    Y = _targets(_SIGNALS["list"](frame))
    model = IdentifiableRegressor(1, regressor=regressor, n_checks=0, random_state=0).fit(frame[:FIT], Y[:FIT])
    model.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    other = frame[frame.columns[::-1]].assign(extra=1.0)
    for table in (other, pl.from_pandas(frame), pa.Table.from_pandas(other)):
        np.testing.assert_array_equal(loaded.transform(table), model.transform(frame))
        np.testing.assert_array_equal(loaded.predict(table), model.predict(frame))
    # A raw table is its encoded matrix to the stages.
    matrix = loaded.table_encoder_.transform(frame)
    H = loaded.regressor_.transform(matrix)
    np.testing.assert_array_equal(loaded.causal_model_.transform(H), model.transform(frame))
    assert loaded.feature_names_in_.tolist() == frame.columns.drop("id").tolist()
    assert loaded.n_features_in_ == 7
    assert "colour=red" in loaded.table_encoder_.get_feature_names_out()
    assert loaded.table_encoder_.remarks_ == model.table_encoder_.remarks_
    assert loaded.get_params()["table_encoder"] == "auto"
    loaded.save(tmp_path / "again")
    again = (tmp_path / "again" / "model.json").read_text(encoding="utf-8")
    assert json.loads(again)["parts"] == json.loads((tmp_path / "run" / "model.json").read_text())["parts"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_settings_of_an_encoder_are_stored(frame, tmp_path):
    Y = _targets(_SIGNALS["list"](frame))
    encoder = TableEncoder(categorical=("code",), missing="-9999,?", impute="median", max_categories=5)
    frame.loc[3, "noise"] = -9999
    # Values that are rare, and missing ones, are written too.
    frame.loc[:1, "colour"], frame.loc[20:30, "colour"] = "violet", None
    model = IdentifiableRegressor(1, regressor=Ridge(), n_checks=0, table_encoder=encoder, random_state=0)
    model.fit(frame, Y).save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    assert loaded.get_params()["table_encoder"].get_params() == encoder.get_params()
    np.testing.assert_array_equal(loaded.transform(frame), model.transform(frame))
    assert loaded.table_encoder_.gaps_["noise"] == 1 / N
    names = loaded.table_encoder_.get_feature_names_out().tolist()
    assert names == model.table_encoder_.get_feature_names_out().tolist()
    assert {"colour is missing", "colour=others"} < set(names)
    assert not hasattr(encoder, "columns_")


def test_what_is_learnt_is_learnt_of_training_rows(frame):
    Y = _targets(_SIGNALS["category"](frame))
    frame["colour"] = ["violet" if i >= FIT else colour for i, colour in enumerate(frame.colour)]
    frame["noise"] = np.where(np.arange(N) % 9 == 0, np.nan, np.where(np.arange(N) < FIT, 1.0, 1e6) + frame.noise)
    with pytest.warns(UserWarning, match="Left out of the inputs: 'id'"):
        model = IdentifiableRegressor(1, regressor=Ridge(), n_checks=0, random_state=0).fit(frame[:FIT], Y[:FIT])
    encoder = model.table_encoder_
    assert not any("violet" in name for name in encoder.get_feature_names_out())
    with pytest.warns(UserWarning, match="'colour' has what the fit did not have: 'violet', in 80 rows"):
        filled = encoder.transform(frame)[::9, 0]
    np.testing.assert_allclose(filled, frame.noise[:FIT].mean())


def test_gaps_are_passed_on_to_a_regressor_that_takes_them():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, N))
    Y = _targets(np.where(np.isnan(np.where(x > 1, np.nan, x)), 3.0, z))
    X = np.column_stack([np.where(x > 1, np.nan, x), z])
    trees = ExtraTreesRegressor(30, min_samples_leaf=2, random_state=0)
    model = IdentifiableRegressor(1, regressor=trees, random_state=0).fit(X[:FIT], Y[:FIT])
    assert model.table_encoder_ is None
    assert model.score(X[FIT:], Y[FIT:]) > 0.7
    assert model.row_order_.p_inputs > 0.001
    framed = pd.DataFrame(X, columns=["x", "z"])
    with pytest.warns(UserWarning, match=r"by share of the 160 rows of training: 'x' .* %; passed on as they are"):
        other = IdentifiableRegressor(1, regressor=trees, random_state=0).fit(framed[:FIT], Y[:FIT])
    np.testing.assert_array_equal(other.transform(framed), model.transform(X))
    with pytest.warns(UserWarning, match="filled with the median"):
        filled = IdentifiableRegressor(
            1, regressor=trees, table_encoder=TableEncoder(impute="median"), n_checks=0, random_state=0
        ).fit(framed[:FIT], Y[:FIT])
    assert np.isfinite(filled.table_encoder_.transform(framed)).all()


def test_gaps_that_nobody_takes_are_refused():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(N, 2)), rng.normal(size=(N, 3))
    X[4, 1] = np.nan
    with pytest.raises(ValueError, match="X contains 1 non-finite values"):
        IdentifiableRegressor(1, regressor=Ridge()).fit(X, Y)
    encoder = TableEncoder(impute="none")
    with pytest.raises(ValueError, match="inputs have gaps: got missing values in 'x1' with impute='none'"):
        IdentifiableRegressor(1, regressor=Ridge(), table_encoder=encoder).fit(X, Y)


def test_none_takes_numbers_alone(frame):
    Y = _targets(_SIGNALS["list"](frame))
    with pytest.raises(ValueError, match="could not convert"):
        IdentifiableRegressor(1, regressor=Ridge(), table_encoder=None).fit(frame[["noise", "colour"]], Y)
    plain = IdentifiableRegressor(1, regressor=Ridge(), table_encoder=None, n_checks=0, random_state=0)
    numbers = pd.DataFrame(np.stack(frame.embedding), columns=list("abc"))
    encoded = clone(plain).set_params(table_encoder="auto").fit(numbers, Y)
    np.testing.assert_allclose(plain.fit(numbers, Y).transform(numbers), encoded.transform(numbers), atol=1e-12)
    assert plain.table_encoder_ is None


def test_row_numbers_of_a_frame_are_no_inputs():
    rng = np.random.default_rng(0)
    level = np.sort(rng.normal(size=N))
    frame = pd.DataFrame({"Unnamed: 0": range(N), "sample_id": rng.permutation(N), "x": rng.normal(size=N)})
    frame["k"] = np.arange(N) + 1000
    with pytest.warns(UserWarning, match="Left out of the inputs: 'Unnamed: 0' .an index column.*'sample_id'.*'k'"):
        model = IdentifiableRegressor(1, regressor=Ridge(), n_checks=0).fit(frame, _targets(level))
    assert model.feature_names_in_.tolist() == ["x"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda meta: meta["inputs"].pop(), "in the place of a SimpleImputer"),
        (lambda meta: meta.update(indicated=["nothing"]), "inputs for gaps of columns that are none"),
        (lambda meta: meta["inputs"][1].update(kind="number"), "in the place of a"),
        (lambda meta: meta.pop("gaps"), "a state that TableEncoder cannot be in"),
        (lambda meta: meta.update(indicated=[]), "an encoder of tables that does not give 16 inputs"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_encoders(frame, tmp_path, damage, message):
    Y = _targets(_SIGNALS["list"](frame))
    IdentifiableRegressor(1, regressor=Ridge(), n_checks=0, random_state=0).fit(frame, Y).save(tmp_path / "run")
    path = tmp_path / "run" / "model.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    damage(document["parts"]["table_encoder"]["meta"])
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=f"is damaged: got .*{message}"):
        IdentifiableRegressor.load(tmp_path / "run")
