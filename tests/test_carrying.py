"""A fit in the axes of an earlier one: number, order, signs, scales, origins and names, where axes come back."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from identirep import MTRN, IdentifiableRegressor, align, compare
from identirep.comparing import check_drift

_NAMES = {0: "a", 1: "b", 2: "c"}


def _dense(seed):
    """Heads of all targets on all latents: axes are a choice between solutions that are about as good."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(900, 6))
    return X, X[:, :3] @ rng.laplace(size=(3, 20)) + 0.1 * rng.normal(size=(900, 20))


def _sparse(seed, inputs=(0, 1, 2), n=900):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    return X, np.repeat(X[:, list(inputs)], 4, axis=1) + 0.3 * rng.normal(size=(n, 4 * len(inputs)))


def _model(D="auto", regressor=None, **settings):
    settings = {"n_checks": 0, "random_state": 0} | settings
    return IdentifiableRegressor(D, regressor=regressor or LinearRegression(), **settings)


def _network():
    return MTRN(hidden_sizes=(32,), max_epochs=25, n_replicates=1)


@pytest.mark.parametrize("regressor", [None, _network])
def test_axes_come_back_with_all_that_they_have(regressor):
    X, y = _sparse(0)
    stage = None if regressor is None else regressor()
    old = _model(3, stage).fit(X[:400], y[:400])
    old = old._in_axes(np.array([2, 0, 1]), np.array([-2.0, 3.0, 0.5]), np.array([5.0, 0.0, -1.0])).name_latents(_NAMES)
    new = _model("auto", stage, random_state=7).fit(X[400:800], y[400:800], like=old)
    assert new.latent_names_ == ("a", "b", "c")
    assert (new.comparison_.verdict, new.comparison_.partner.tolist()) == (("kept",) * 3, [0, 1, 2])
    assert new.comparison_.unseen
    Z, W = old.transform(X[800:]), new.transform(X[800:])
    # Relative to the spread of each axis, with sign and origin.
    assert (np.sqrt(np.mean((Z - W) ** 2, axis=0)) < 0.25 * Z.std(axis=0)).all()


def test_a_model_trained_on_latents_works_on_those_of_the_next_fit():
    X, y = _sparse(1)
    old = _model(3).fit(X[:400], y[:400])
    target = X[:, 0] - 2 * X[:, 1] + 0.5 * np.random.default_rng(5).normal(size=900)
    head = LinearRegression().fit(old.transform(X[:400]), target[:400])
    new = _model(random_state=3).fit(X[400:800], y[400:800], like=old)
    again = LinearRegression().fit(new.transform(X[400:800]), target[400:800])
    loss, best = (np.mean((target[800:] - each.predict(new.transform(X[800:]))) ** 2) for each in (head, again))
    assert loss < 1.02 * best
    fresh = _model(3, random_state=3).fit(X[400:800], y[400:800])
    assert np.mean((target[800:] - head.predict(fresh.transform(X[800:]))) ** 2) > 5 * best


@pytest.mark.parametrize("seed", [0, 2, 6])
def test_of_solutions_that_targets_do_not_tell_apart_the_earlier_one(seed):
    X, y = _dense(seed)
    old = _model(3).fit(X[:300], y[:300])
    alone = _model(3).fit(X[300:600], y[300:600])
    new = _model().fit(X[300:600], y[300:600], like=old)
    agreement = [
        np.abs(np.corrcoef(old.transform(X[600:]), model.transform(X[600:]), rowvar=False)[:3, 3:]).max(axis=1).min()
        for model in (alone, new)
    ]
    assert agreement[0] < 0.92 < 0.97 < agreement[1]
    # Axes have turned, and predictions are as good.
    assert new.score(X[600:], y[600:]) > alone.score(X[600:], y[600:]) - 1e-3


def _many_directions(seed, n=1500):
    """Targets of eight latents, the weakest of which three axes of a fit mix with theirs, by chance of its rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 12))
    heads = np.kron(np.eye(8, 8), np.ones((5, 1))) + 0.5 * rng.normal(size=(40, 8))
    heads[:, 3:] *= 0.4
    return X, X[:, :8] @ heads.T + 1.5 * rng.normal(size=(n, 40))


@pytest.mark.filterwarnings("ignore:n_components=3 cuts", "ignore:. of 3 axes")
def test_axes_that_come_back_are_read_off_all_features():
    X, y = _many_directions(0)
    old = _model(3).fit(X[:250], y[:250]).name_latents(_NAMES)
    new, alone = (_model(3, random_state=1).fit(X[250:500], y[250:500], like=like) for like in (old, None))
    by_itself = align(alone, old, X[250:500])
    kept = new.comparison_.kept & compare(old, alone, X[500:]).kept
    assert kept.any()
    Z = old.transform(X[500:])
    nearer = [
        np.array([np.corrcoef(Z[:, i], model.transform(X[500:])[:, i])[0, 1] for i in np.flatnonzero(kept)])
        for model in (new, by_itself)
    ]
    assert (1.0 - nearer[0]).mean() < 0.6 * (1.0 - nearer[1]).mean()
    # What is said of them is from rows that they were not read from, and true of later ones.
    assert abs(new.comparison_.correlation[kept] - nearer[0]).max() < 0.03
    # Predictions, features and latents go together.
    H = new.regressor_.transform(X)
    np.testing.assert_allclose(new.causal_model_.transform(H), new.transform(X), atol=1e-8)
    np.testing.assert_allclose(H @ new.regressor_.coef_.T + new.regressor_.intercept_, new.predict(X), atol=1e-8)
    covariance = np.cov(new._latents_of(X[250:500]), rowvar=False, bias=True)
    np.testing.assert_allclose(
        np.diag(new.causal_model_.moments_.map_features(new.causal_model_.components_).pooled_covariance()),
        np.diag(covariance),
        rtol=0.2,
    )


def test_axes_that_are_identified_are_not_read_off_anything_else():
    rng = np.random.default_rng(0)
    X, tasks = rng.normal(size=(900, 4)), np.arange(900) % 12
    y = X[np.arange(900), tasks % 2] * (1 + tasks / 4) + 0.1 * rng.normal(size=900)
    stage = MTRN(hidden_sizes=(32,), max_epochs=30, n_replicates=1)
    old = _model(2, stage).fit(X[:400], y[:400], tasks[:400])
    new, alone = (
        _model(2, stage, random_state=1).fit(X[400:], y[400:], tasks[400:], like=like) for like in (old, None)
    )
    np.testing.assert_allclose(new.regressor_.components_, alone.regressor_.components_, rtol=1e-9)


def test_a_fit_in_axes_read_off_is_stored_whole(tmp_path):
    X, y = _many_directions(1)
    old = _model(3).fit(X[:400], y[:400])
    new = _model(3, random_state=1).fit(X[400:800], y[400:800], like=old)
    new.save(tmp_path / "run")
    again = IdentifiableRegressor.load(tmp_path / "run")
    np.testing.assert_array_equal(again.transform(X), new.transform(X))
    np.testing.assert_array_equal(again.predict(X), new.predict(X))
    assert check_drift(again, X[800:]).n_tested == 700


def test_a_worse_solution_is_not_taken():
    X, y = _sparse(2)
    old = _model(3).fit(X[:400], y[:400])
    # Axes of an earlier model that these targets contradict: pairs of them evenly mixed, a saddle of the criterion.
    mixed = _sparse(2)[1] @ np.kron(np.array([[1, 1, 0], [1, -1, 0], [0, 0, 1]]), np.eye(4))
    other = _model(3).fit(X[:400], mixed[:400])
    with pytest.warns(UserWarning, match=r"2 of 3 axes do not come back: .* \(turned into a mixture of latent_., lat"):
        new = _model().fit(X[400:800], y[400:800], like=other.name_latents(_NAMES))
    alone = _model(3).fit(X[400:800], y[400:800])
    agreement = np.abs(np.corrcoef(alone.transform(X[800:]), new.transform(X[800:]), rowvar=False)[:3, 3:])
    assert (agreement.max(axis=1) > 0.99).all()
    assert sum(name in _NAMES.values() for name in new.latent_names_) == 1
    assert old.n_components_ == 3


def test_axes_that_do_not_come_back_are_said_and_have_no_name():
    X, y = _sparse(3)
    old = _model(3).fit(X[:400], y[:400]).name_latents(_NAMES)
    lost = old.latent_names_[int(np.abs(old.transform(np.eye(6)) - old.transform(np.zeros((1, 6))))[1].argmax())]
    _, y = _sparse(3, (0, 3, 2))
    with pytest.warns(UserWarning, match=rf"1 of 3 axes do not come back: {lost} \(lost, 0\.\d\d with its partner\)"):
        new = _model().fit(X[400:800], y[400:800], like=old)
    assert new.latent_names_ == tuple(
        name if name != lost else f"latent_{i}" for i, name in enumerate(old.latent_names_)
    )


@pytest.mark.filterwarnings("ignore:n_components=2 cuts", "ignore:1 of 2 axes")
def test_the_number_of_latents_is_that_of_the_earlier_model_unless_one_is_given():
    X, y = _sparse(4)
    old = _model(2).fit(X[:400], y[:400])
    assert _model().fit(X[400:800], y[400:800], like=old).n_components_ == 2
    new = _model(3).fit(X[400:800], y[400:800], like=old)
    assert new.n_components_ == 3
    assert len(new.comparison_.new_verdict) == 3
    assert new.comparison_.verdict[0] == "kept"


def test_what_checks_found_goes_with_the_axes():
    X, y = _sparse(5)
    old = _model(3).fit(X[:400], y[:400])
    order = np.array([2, 0, 1])
    mixed = old._in_axes(order, np.ones(3), np.zeros(3))
    plain, moved = (_model(n_checks=2).fit(X[400:800], y[400:800], like=like) for like in (old, mixed))
    np.testing.assert_allclose(
        moved.certificate_.comes_back.other_rows, plain.certificate_.comes_back.other_rows[order], rtol=1e-9
    )


def test_inputs_are_found_by_name_and_rows_without_a_label_left_out():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(800, 4)), columns=list("abcd"))
    tasks = np.tile([f"t{t}" for t in range(8)], 100)
    y = np.where(np.arange(800) % 8 < 4, X["a"], X["b"]) + 0.2 * rng.normal(size=800)
    network = MTRN(hidden_sizes=(16,), max_epochs=40, n_replicates=1)
    old = _model(2, network).fit(X[["b", "a", "c"]][:400], y[:400], tasks[:400]).name_latents({0: "first"})
    later = y[400:].copy()
    later[5] = np.nan
    new = _model("auto", network, random_state=1).fit(X[400:], later, tasks[400:], like=old)
    assert len(new.comparison_.verdict) == 2
    assert new.comparison_.n_rows <= 399


@pytest.mark.parametrize(
    ("like", "error", "message"),
    [
        (LinearRegression(), TypeError, "like has no axes: got LinearRegression"),
        (_model(3), TypeError, "like has no axes: got IdentifiableRegressor, expected a fitted"),
        ("runs/first", TypeError, "like has no axes: got str"),
    ],
)
def test_bad_models_are_refused_before_the_fit(like, error, message):
    X, y = _sparse(0, n=100)
    model = _model()
    with pytest.raises(error, match=message):
        model.fit(X, y, like=like)
    assert not hasattr(model, "regressor_")


def test_inputs_that_lack_are_told_before_the_fit():
    X, y = _sparse(0, n=200)
    old = _model(3).fit(X, y)
    model = _model()
    with pytest.raises(ValueError, match="X does not go with like: got 5 inputs, expected the 6"):
        model.fit(X[:, :5], y, like=old)
    named = _model(3).fit(pd.DataFrame(X, columns=list("abcdef")), y)
    with pytest.raises(ValueError, match="X lacks 1 of the 6 inputs of the earlier model: got no column 'f'"):
        model.fit(pd.DataFrame(X[:, :5], columns=list("abcde")), y, like=named)
    assert not hasattr(model, "regressor_")


def _mixed(seed, n=600):
    """A table whose axes are a category, a date and a number with gaps, and targets of each."""
    rng = np.random.default_rng(seed)
    colour, days, gappy = rng.choice(["red", "blue"], n), rng.integers(0, 2000, n), rng.normal(size=n)
    known = np.where(rng.random(n) < 0.1, np.nan, gappy)
    axes = np.column_stack([2.0 * (colour == "red"), days / 600, np.nan_to_num(known)])
    frame = pd.DataFrame(
        {"colour": colour, "when": pd.to_datetime("2015-01-01") + pd.to_timedelta(days, unit="D"), "gappy": known}
    )
    return frame, np.repeat(axes, 4, axis=1) + 0.3 * rng.normal(size=(n, 12))


_KINDS = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "Arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", _KINDS)
def test_tables_that_each_model_encodes_for_itself(kind):
    frame, y = _mixed(0)
    # Another order and one more column: the encoders of both fits have other inputs.
    other = frame.assign(more=np.random.default_rng(9).normal(size=len(frame)))[["more", "gappy", "when", "colour"]]
    old = _model(3).fit(_KINDS[kind](frame[:250]), y[:250]).name_latents(_NAMES)
    new = _model(random_state=5).fit(_KINDS[kind](other[250:500]), y[250:500], like=old)
    assert new.latent_names_ == ("a", "b", "c")
    assert new.comparison_.unseen
    Z, W = old.transform(frame[500:]), new.transform(other[500:])
    assert (np.sqrt(np.mean((Z - W) ** 2, axis=0)) < 0.3 * Z.std(axis=0)).all()
    same = _model(random_state=5).fit(_KINDS[kind](other[:250]), y[:250], like=old)
    assert not same.comparison_.unseen, "rows of the earlier fit are known again, though encoded"
    with pytest.raises(ValueError, match="X lacks 1 of the 3 inputs of the earlier model: got no column 'when'"):
        _model().fit(_KINDS[kind](other.drop(columns="when")), y, like=old)


def test_rows_that_the_fit_drops_are_dropped_of_the_earlier_model():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 4))
    tasks = rng.integers(0, 12, 900)
    y = X[np.arange(900), tasks % 2] * (1 + tasks / 4) + 0.1 * rng.normal(size=900)
    stage = MTRN(hidden_sizes=(32,), max_epochs=40, n_replicates=1)
    old = _model(2, stage).fit(X[:400], y[:400], tasks[:400]).name_latents({0: "a", 1: "b"})
    part, labels, targets = X[400:], tasks[400:].copy(), y[400:].copy()
    # A task with one label, and rows without any, in front of all others.
    labels[0], targets[1:60] = 99, np.nan
    with pytest.warns(UserWarning, match="nothing can be learnt of"):
        new = _model(2, stage, random_state=1).fit(part, targets, labels, like=old)
    assert dict(new.left_out_tasks_) == {99: "1 label"}
    assert new.latent_names_ == ("a", "b")
    assert (new.comparison_.correlation > 0.9).all()
    assert new.comparison_.unseen
    assert len(new.regressor_._held_out) == 500 - 60


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_rows_of_weight_zero_are_dropped_of_the_earlier_model(layout):
    rng = np.random.default_rng(0)
    X, y = _sparse(0)
    stage, tasks = None, None
    if layout == "long":
        X, tasks = rng.normal(size=(900, 4)), rng.integers(0, 12, 900)
        y = X[np.arange(900), tasks % 3] * (1 + tasks / 4) + 0.1 * rng.normal(size=900)
        stage = MTRN(hidden_sizes=(32,), max_epochs=40, n_replicates=1)
    old, new = (None if tasks is None else tasks[rows] for rows in (slice(400), slice(400, None)))
    earlier = _model(3, stage).fit(X[:400], y[:400], old).name_latents(_NAMES)
    part, targets, w = X[400:], y[400:].copy(), rng.uniform(0.5, 2.0, 500)
    # In front of all others, so that rows of both models would not match; what they say would be noticed.
    w[:60], targets[:60] = 0.0, rng.normal(size=targets[:60].shape)
    if layout == "long":
        targets[60:80] = np.nan
    model = _model(3, stage, random_state=1)
    found = model.fit(part, targets, new, sample_weight=w, like=earlier)
    assert found.latent_names_ == ("a", "b", "c")
    assert (found.comparison_.correlation > 0.9).all()
    assert found.comparison_.unseen
    kept = w > 0
    again = _model(3, stage, random_state=1).fit(
        part[kept], targets[kept], None if new is None else new[kept], sample_weight=w[kept], like=earlier
    )
    np.testing.assert_array_equal(again.transform(X), found.transform(X))


def test_checkpoints_know_the_earlier_model(tmp_path, monkeypatch):
    X, y = _sparse(3, n=500)
    old, place = _model(3).fit(X[:200], y[:200]).name_latents(_NAMES), tmp_path / "checkpoint"
    whole = _model(random_state=2).fit(X[200:], y[200:], like=old)

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(IdentifiableRegressor, "_align_like", cut)
        with pytest.raises(KeyboardInterrupt):
            _model(random_state=2).fit(X[200:], y[200:], like=old, checkpoint=place)
    renamed = _model(3).fit(X[:200], y[:200]).name_latents({0: "other"})
    for like in (None, renamed, _model(3).fit(X[:190], y[:190]).name_latents(_NAMES)):
        with pytest.raises(ValueError, match=r"is a checkpoint of another fit: got (like|.*n_components)"):
            _model(random_state=2).fit(X[200:], y[200:], like=like, checkpoint=place)
    again = _model(random_state=2).fit(X[200:], y[200:], like=old, checkpoint=place)
    np.testing.assert_array_equal(again.transform(X), whole.transform(X))
    assert again.latent_names_ == whole.latent_names_ == ("a", "b", "c")
    assert again.comparison_.verdict == whole.comparison_.verdict
    again.save(tmp_path / "run")
    assert not place.exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_rows_with_an_order_have_a_gap_that_a_network_does_not_know():
    X, y = _sparse(4)
    old = _model(3).fit(X[:300], y[:300]).name_latents(_NAMES)
    new = _model("auto", _network()).fit(X[300:], y[300:], like=old, order=np.arange(600))
    assert new.latent_names_ == ("a", "b", "c")
    # The last rows alone.
    assert new.comparison_.n_rows < 150
