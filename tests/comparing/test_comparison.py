"""Comparison of fitted models: on which rows, with what inputs, and what is refused."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from identirep import MTLCM, IdentifiableRegressor, align, compare

_NAMES = ["Fe", "Ni", "Cu", "Zn", "Al"]
_TASKS = [f"{name}_{t}" for name in ("a", "b", "c") for t in range(4)]


def _problem(seed=0, n=600):
    """Three groups of targets, each of which depends on one input."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    return X, np.repeat(X[:, :3], 4, axis=1) + 0.3 * rng.normal(size=(n, 12))


def _fit(X, y, D=3, tasks=None, **settings):
    tasks = _TASKS[: y.shape[1]] if tasks is None else tasks
    settings = {"regressor": LinearRegression(), "n_checks": 0, "random_state": 0} | settings
    return IdentifiableRegressor(D, **settings).fit(X, y, tasks)


def _frame(X):
    return pd.DataFrame(X, columns=_NAMES)


@pytest.fixture(scope="module")
def models():
    X, y = _problem()
    return _fit(_frame(X[:200]), y[:200]).name_latents({0: "first", 2: "third"}), _fit(_frame(X[200:400]), y[200:400])


def test_rows_that_neither_has_seen(models):
    X, _ = _problem()
    found = compare(*models, _frame(X))
    assert (found.n_rows, found.unseen, found.rows) == (200, True, "rows that neither was trained on")
    assert found.verdict == ("kept",) * 3
    assert found.kept.all()
    expected = compare(*models, _frame(X[400:]))
    np.testing.assert_array_equal(found.correlation, expected.correlation)
    assert found.old_names == ("first", "latent_1", "third")
    assert (found.interval[:, 0] <= found.correlation).all()
    assert (found.correlation <= found.interval[:, 1]).all()


def test_rows_are_told_after_a_round_trip_and_in_any_order(models, tmp_path):
    X, _ = _problem()
    X = X[np.random.default_rng(0).permutation(600)]
    loaded = []
    for k, model in enumerate(models):
        model.save(tmp_path / str(k))
        loaded.append(IdentifiableRegressor.load(tmp_path / str(k)))
    assert compare(*loaded, _frame(X)).n_rows == 200
    # 64 bits for each row.
    assert models[0]._trained_rows.hashes.nbytes == 200 * 8
    X[0, 0] = np.nextafter(X[0, 0], 9.0)
    assert compare(*loaded, _frame(X)).n_rows in (200, 201)


def test_rows_that_were_trained_on_are_said(models):
    X, _ = _problem()
    found = compare(*models, _frame(X[:220]))
    assert (found.n_rows, found.unseen) == (220, False)
    assert "220 of which were trained on, so that correlations may be too high" in found.rows


def test_models_without_a_record_of_their_rows(models, tmp_path):
    X, y = _problem()
    Z = X[:, :3]
    pair = [MTLCM(random_state=0).fit(Z[rows], y[rows]) for rows in (slice(200), slice(200, 400))]
    found = compare(*pair, Z)
    assert (found.n_rows, found.unseen) == (600, False)
    assert "whether they were trained on is not known" in found.rows
    assert found.verdict == ("kept",) * 3
    # A run from before they were kept.
    models[0].save(tmp_path / "run")
    old = IdentifiableRegressor.load(tmp_path / "run")
    old._trained_rows = None
    assert not compare(old, models[1], _frame(X)).unseen


def test_rows_in_fewer_digits():
    X, y = _problem()
    short, long = _fit(X[:200].astype(np.float32), y[:200]), _fit(X[200:400], y[200:400])
    assert compare(short, short, X).n_rows == 400
    found = compare(long, long, X.astype(np.float32))
    assert (found.unseen, found.n_rows) == (False, 600)


@pytest.mark.parametrize("form", [_frame, lambda X: pa.table(list(X.T), names=_NAMES)])
def test_inputs_of_other_models_are_found_by_name(models, form):
    X, y = _problem()
    other = _fit(_frame(X[:200])[["Cu", "Ni", "Fe"]], y[:200])
    found = compare(models[1], other, form(X))
    assert found.verdict == ("kept",) * 3
    reordered = form(X)[_NAMES[::-1]] if form is _frame else form(X).select(_NAMES[::-1])
    np.testing.assert_allclose(compare(models[1], other, reordered).correlation, found.correlation)


def test_other_numbers_of_latents_and_targets(models):
    X, y = _problem()
    fewer = _fit(_frame(X[200:400]), y[200:400, :8], 2, ["other", *_TASKS[1:8]])
    found = compare(models[0], fewer, _frame(X))
    assert sorted(found.verdict) == ["kept", "kept", "lost"]
    assert (found.old_targets, found.new_targets) == (("a_0", *_TASKS[8:]), ("other",))
    assert found.common_targets == tuple(_TASKS[1:8])
    back = compare(fewer, models[0], _frame(X))
    assert back.verdict == ("kept", "kept")
    assert sorted(back.new_verdict) == ["kept", "kept", "new"]
    table = back.to_table()
    assert table.column_names == ["axis", "verdict", "partner", "correlation", "low", "high", "sign", "of"]
    assert table["verdict"].to_pylist() == ["kept", "kept", "new"]


def test_bad_input(models):
    X, y = _problem()
    with pytest.raises(ValueError, match=r"X lacks 1 of the 5 inputs of the old model: got no column 'Al'"):
        compare(*models, _frame(X).drop(columns="Al"))
    other = _fit(pd.DataFrame(X[:200], columns=list("uvwxy")), y[:200])
    with pytest.raises(ValueError, match=r"no input in common: got 'Fe', 'Ni', .* and 'u', 'v'"):
        compare(models[0], other, _frame(X))
    with pytest.raises(ValueError, match=r"too few rows to compare 3 axes with 3: got 29, expected at least 30"):
        compare(*models, _frame(X[:29]))
    pair = _fit(X[:200], y[:200]), _fit(X[:200, :4], y[:200])
    with pytest.raises(ValueError, match=r"cannot be compared: got 5 and 4 inputs without names"):
        compare(*pair, X)


def _mixed(model, order, factor, origin):
    return model._in_axes(np.array(order), np.array(factor), np.array(origin))


def test_aligned_models_have_the_axes_of_the_old_one(models, tmp_path):
    X, _ = _problem()
    old, new = models
    turned = _mixed(new, [2, 0, 1], [-3.0, 0.5, -1.0], [1.0, -2.0, 0.0]).name_latents({0: "own"})
    found = align(turned, old, _frame(X))
    assert turned.latent_names_ == ("own", "latent_1", "latent_2")
    assert found.latent_names_ == ("first", "latent_1", "third")
    Z, W = old.transform(_frame(X[400:])), found.transform(_frame(X[400:]))
    np.testing.assert_allclose(W.mean(axis=0), Z.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(W.std(axis=0), Z.std(axis=0), rtol=1e-9)
    assert (np.einsum("ni,ni->i", Z - Z.mean(0), W - W.mean(0)) > 0.9 * 200 * Z.var(axis=0)).all()
    found.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.transform(_frame(X)), found.transform(_frame(X)))
    assert loaded.latent_names_ == found.latent_names_


def test_what_is_known_of_axes_moves_with_them():
    X, y = _problem(1)
    model = _fit(X, y, n_checks=2)
    order, factor = np.array([2, 0, 1]), np.array([-3.0, 0.5, -1.0])
    moved = _mixed(model, order, factor, [1.0, -2.0, 0.0])
    np.testing.assert_allclose(moved.transform(X), factor * model.transform(X)[:, order] + [1.0, -2.0, 0.0], atol=1e-10)
    old, new = model.certificate_, moved.certificate_
    assert list(new.verdict) == [old.verdict[i] for i in order]
    np.testing.assert_array_equal(new.comes_back.other_rows, old.comes_back.other_rows[order])
    np.testing.assert_allclose(new.separation, old.separation[np.ix_(order, order)], rtol=1e-6)
    np.testing.assert_allclose(moved.causal_probability_, model.causal_probability_[:, order], atol=1e-6)
    np.testing.assert_allclose(moved.predict(X, use="causal"), model.predict(X, use="causal"), atol=1e-9)
    np.testing.assert_allclose(
        moved.causal_model_.inverse_transform(moved.transform(X)),
        model.causal_model_.inverse_transform(model.transform(X)),
        atol=1e-9,
    )


@pytest.mark.parametrize("n_new", [2, 4])
def test_other_numbers_of_latents_align_as_far_as_they_go(n_new):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 5))
    y = np.repeat(X[:, :4], 4, axis=1) * np.repeat([1.0, 0.9, 0.8, 0.7], 4) + 0.3 * rng.normal(size=(600, 16))
    old = _fit(X[:200], y[:200, :12]).name_latents({0: "a", 1: "b", 2: "c"})
    new = _fit(X[200:400], y[200:400, : 4 * n_new], n_new, [f"t{t}" for t in range(4 * n_new)])
    found = align(new, old, X)
    kept = compare(old, new, X).kept
    assert kept.sum() == min(n_new, 3)
    given = [name for name, is_kept in zip("abc", kept, strict=True) if is_kept]
    assert found.latent_names_ == (tuple(given) if n_new == 2 else ("a", "b", "c", "latent_3"))


def test_axes_that_do_not_come_back_have_no_name(models):
    X, y = _problem()
    rng = np.random.default_rng(0)
    # The second input says nothing of the targets any more, and the fourth does.
    y = np.repeat(X[:, [0, 3, 2]], 4, axis=1) + 0.3 * rng.normal(size=(600, 12))
    old = models[0]
    new = _fit(_frame(X[200:400]), y[200:400])
    kept = compare(old, new, _frame(X)).kept
    assert kept.sum() == 2
    assert align(new, old, _frame(X)).latent_names_ == tuple(
        name if is_kept else f"latent_{i}"
        for i, (name, is_kept) in enumerate(zip(old.latent_names_, kept, strict=True))
    )


def test_damaged_rows_are_told(models, tmp_path):
    from safetensors.numpy import load_file, save

    from identirep.run_files import sha256

    models[0].save(tmp_path / "run")
    arrays = load_file(tmp_path / "run" / "model.safetensors")
    arrays["model.trained_rows.hashes"] = np.zeros((2, 2))
    (tmp_path / "run" / "model.safetensors").write_bytes(save(arrays))
    path = tmp_path / "run" / "model.json"
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | {"sha256": sha256(tmp_path / "run" / "model.safetensors")}))
    with pytest.raises(ValueError, match=r"is damaged: got .*hashes of rows that are none"):
        IdentifiableRegressor.load(tmp_path / "run")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tables_of_any_columns_are_compared_by_models_with_encoders_of_their_own():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=600), "b": rng.choice(["x", "y", "z"], 600), "c": rng.normal(size=600)})
    y = np.repeat(np.column_stack([frame.a, 2.0 * (frame.b == "x")]), 4, axis=1) + 0.3 * rng.normal(size=(600, 8))
    old, new = (
        IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0).fit(
            frame[list(names)][start : start + 200], y[start : start + 200]
        )
        for start, names in ((0, "ab"), (200, "cba"))
    )
    for table in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        found = compare(old, new, table)
        assert found.verdict == ("kept", "kept")
        assert (found.n_rows, found.unseen) == (200, True)
    named = old.name_latents({0: "first"})
    assert "first" in align(new, named, frame).latent_names_
    with pytest.raises(ValueError, match="X lacks 1 of the 3 inputs of the new model: got no column 'c'"):
        compare(old, new, frame[["a", "b"]])
