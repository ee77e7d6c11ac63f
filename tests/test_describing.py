"""What an axis may be: targets, inputs with the share that they move, rows at its ends."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from identirep import MTRN, IdentifiableRegressor
from identirep.describing import describe_axes


def test_axes_have_targets_inputs_and_extreme_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    Y = X[:, [0, 0, 1, 1, 2, 2]] * [1, -2, 1, 3, 1, 2] + 0.1 * rng.normal(size=(200, 6))
    X = pd.DataFrame(X, columns=["Fe", "Ni", "Cu", "Zn", "Al"])
    model = IdentifiableRegressor(3, regressor=LinearRegression(), n_checks=0, random_state=0)
    model.fit(X, Y, [f"{name}_{t}" for name in ("Fe", "Ni", "Cu") for t in range(2)])
    model.name_latents({1: "second"})
    Z = model.transform(X)
    axes = describe_axes(model, X)
    assert [axis.name for axis in axes] == ["latent_0", "second", "latent_2"]
    for axis in axes:
        element = axis.inputs[0].name
        assert {name[:2] for name, _ in axis.targets[:2]} == {element}
        assert axis.inputs[0].share > 0.9 > 0.1 > axis.inputs[1].share
        assert axis.lowest[0] == (int(Z[:, axis.number].argmin()), Z[:, axis.number].min())
        assert axis.highest[0] == (int(Z[:, axis.number].argmax()), Z[:, axis.number].max())
    assert {axis.inputs[0].name for axis in axes} == {"Fe", "Ni", "Cu"}
    assert describe_axes(model)[0].inputs == []
    with pytest.raises(ValueError, match=r"too few rows .* got 5, expected at least 10"):
        describe_axes(model, X[:5])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["pandas", "polars", "Arrow"])
def test_columns_of_any_kind_are_shuffled_whole(kind):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "b": rng.choice(["x", "y", "z"], 300)})
    frame["when"] = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, 300), unit="D")
    frame.loc[rng.random(300) < 0.1, "a"] = np.nan
    y = np.repeat(np.column_stack([frame.a.fillna(0), 2.0 * (frame.b == "x")]), 4, axis=1)
    y += 0.1 * rng.normal(size=y.shape)
    model = IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0).fit(frame, y)
    of = {"pandas": lambda f: f, "polars": pl.from_pandas, "Arrow": pa.Table.from_pandas}[kind]
    axes = describe_axes(model, of(frame))
    assert sorted(axis.inputs[0].name for axis in axes) == ["a", "b"]
    assert all(axis.inputs[0].share > 0.8 and axis.inputs[1].share < 0.1 for axis in axes)
    assert all(np.isnan(share.correlation) for axis in axes for share in axis.inputs)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["wide", "long"])
def test_clouds_are_rows_not_seen_by_the_best_target(layout):
    rng = np.random.default_rng(0)
    X, tasks = rng.normal(size=(800, 3)), np.arange(800) % 4
    Y = X[:, [0, 0, 1, 1]] * [1, -2, 1, 3] + 0.1 * rng.normal(size=(800, 4))
    names = np.array(["a", "b", "c", "d"])
    stage = MTRN(hidden_sizes=(16,), n_replicates=1, max_epochs=20)
    model = IdentifiableRegressor(2, regressor=stage, n_checks=0, random_state=0)
    if layout == "wide":
        # In another order, and with labels missing.
        Y[::7, 0] = np.nan
        model.fit(X[:600], Y[:600], names)
        order = [2, 0, 3, 1]
        axes = describe_axes(model, X, Y[:, order], names[order])
    else:
        y = Y[np.arange(800), tasks]
        model.fit(X[:600], y[:600], names[tasks[:600]])
        axes = describe_axes(model, X, y, names[tasks])
    for axis in axes:
        cloud, Z = axis.cloud, model.transform(X)[:, axis.number]
        t = list(names).index(cloud.target)
        assert (cloud.target, cloud.unseen) == (axis.targets[0][0], True)
        rows = np.arange(600, 800)
        rows = rows[np.isfinite(Y[rows, t])] if layout == "wide" else rows[tasks[rows] == t]
        assert cloud.n_rows == len(rows)
        np.testing.assert_allclose(cloud.latent, Z[rows], rtol=1e-5)
        np.testing.assert_allclose(cloud.values, Y[rows, t])
        assert cloud.correlation == pytest.approx(np.corrcoef(Z[rows], Y[rows, t])[0, 1])
    assert describe_axes(model, X)[0].cloud is None


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_clouds_are_without_rows_of_tasks_that_were_left_out():
    rng = np.random.default_rng(0)
    X, tasks = rng.normal(size=(900, 3)), np.arange(900) % 3
    y = np.where(tasks == 1, 1.0, X[:, 0] * np.array([1.0, 0.0, -2.0])[tasks] + 0.1 * rng.normal(size=900))
    stage = MTRN(hidden_sizes=(16,), n_replicates=1, max_epochs=20)
    model = IdentifiableRegressor(1, regressor=stage, n_checks=0, random_state=0)
    names = np.array(["a", "same", "b"])[tasks]
    model.fit(X[:600], y[:600], names[:600])
    assert list(model.left_out_tasks_) == ["same"]
    cloud = describe_axes(model, X, y, names)[0].cloud
    rows = np.flatnonzero(names == cloud.target)
    rows = rows[rows >= 600] if cloud.unseen else rows
    assert cloud.n_rows == len(rows)
    np.testing.assert_allclose(cloud.latent, model.transform(X)[rows, 0], rtol=1e-5)
    np.testing.assert_allclose(cloud.values, y[rows])
