"""MTLCM: recovery of known truth, invariances, use of the fitted model, errors."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc, mcc_score


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("mixing", ["identity", "orthogonal", "random"])
@pytest.mark.parametrize(("n_latents", "n_causal"), [(10, 2), (20, 4)])
def test_known_latents_are_recovered(n_latents, n_causal, mixing, standardize):
    data = make_linear_tasks(
        n_latents=n_latents, n_causal=n_causal, mixing=mixing, standardize=standardize, random_state=3
    )
    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    ceiling = mcc_score(data.H @ np.linalg.inv(data.mixing).T, data.Z)
    assert mcc_score(model.transform(data.H), data.Z) > ceiling - 0.002
    assert model.converged_


def test_roles_and_coefficients_are_recovered():
    data = make_linear_tasks(n_tasks=100, n_samples=1000, n_causal=4, mixing="orthogonal", random_state=0)
    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    match = mcc(model.transform(data.H), data.Z)
    causal = data.causal[:, match.assignment]
    assert np.mean((model.causal_probability_ > 0.5) == causal) > 0.98
    scale = match.signs * data.Z.std(axis=0)[match.assignment]
    agree = (model.causal_probability_ > 0.5) == causal
    w, gamma = data.causal_coef[:, match.assignment] * scale, data.spurious_coef[:, match.assignment] / scale
    np.testing.assert_allclose(model.causal_coef_[agree & causal], w[agree & causal], atol=0.5)
    np.testing.assert_allclose(model.spurious_coef_[agree & ~causal], gamma[agree & ~causal], atol=0.05)


def test_wide_layout_of_shared_inputs_recovers_sparse_heads():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(5000, 6))
    heads = rng.normal(size=(6, 60)) * (rng.random((6, 60)) < 0.3)
    Y = Z @ heads + 0.3 * rng.normal(size=(5000, 60))
    A = rng.normal(size=(6, 6))
    model = MTLCM(random_state=0).fit(Z @ A.T, Y)
    assert mcc_score(model.transform(Z @ A.T), Z) > 0.98
    assert model.noise_std_ == 0.0


def test_missing_labels_lead_to_the_same_axes():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(5000, 4))
    Y = Z @ (rng.normal(size=(4, 20)) * (rng.random((4, 20)) < 0.4)) + 0.3 * rng.normal(size=(5000, 20))
    complete = MTLCM(random_state=0).fit(Z, Y)
    Y[rng.random(Y.shape) < 0.2] = np.nan
    model = MTLCM(noise_std=0.0, random_state=0).fit(Z, Y)
    assert mcc_score(model.transform(Z), complete.transform(Z)) > 0.9995
    assert mcc_score(model.transform(Z), Z) > 0.98


@pytest.fixture(scope="module")
def problem():
    data = make_linear_tasks(n_tasks=80, n_latents=5, n_causal=2, random_state=0)
    return data, MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)


def test_axes_do_not_depend_on_the_coordinates_of_the_features(problem):
    data, _ = problem
    M = np.random.default_rng(1).normal(size=(5, 5))
    other = MTLCM(noise_std=0.0, random_state=5).fit(data.H @ M.T + 7.0, data.y, tasks=data.tasks)
    plain = MTLCM(noise_std=0.0, random_state=0).fit(data.H, data.y, tasks=data.tasks)
    # Order, sign and scale too.
    np.testing.assert_allclose(other.transform(data.H @ M.T + 7.0), plain.transform(data.H), atol=1e-4)


def test_labels_and_order_of_tasks_do_not_matter(problem):
    data, model = problem
    names = np.array([f"task {79 - t:02d}" for t in range(80)])
    other = MTLCM(random_state=0).fit(data.H, data.y, tasks=names[data.tasks])
    np.testing.assert_allclose(other.transform(data.H), model.transform(data.H), atol=1e-4)
    assert other.task_names_[0] == "task 00"


def test_moments_give_the_same_model_as_rows(problem):
    data, model = problem
    parts = [TaskMoments.from_long(data.H[i::3], data.y[i::3], data.tasks[i::3]) for i in range(3)]
    merged = MTLCM(random_state=0).fit_moments(parts[0] + parts[1] + parts[2])
    np.testing.assert_allclose(merged.components_, model.components_, rtol=1e-6, atol=1e-8)
    assert merged.log_likelihood_ == pytest.approx(model.log_likelihood_, abs=1e-9)


def test_transform_is_the_documented_formula_and_inverse(problem):
    data, model = problem
    Z = model.transform(data.H)
    np.testing.assert_allclose(Z, (data.H - model.mean_) @ model.components_.T)
    exact = MTLCM(noise_std=0.0, random_state=0).fit(data.H, data.y, tasks=data.tasks)
    np.testing.assert_allclose(exact.inverse_transform(exact.transform(data.H)), data.H, atol=1e-9)
    np.testing.assert_allclose(exact.components_ @ exact.mixing_, np.eye(5), atol=1e-9)


def test_latents_have_unit_pooled_variance_within_tasks(problem):
    data, _ = problem
    Z = MTLCM(noise_std=0.0, random_state=0).fit(data.H, data.y, tasks=data.tasks).transform(data.H)
    within = np.mean([Z[data.tasks == t].var(axis=0) for t in range(80)], axis=0)
    np.testing.assert_allclose(within, 1.0, rtol=1e-8)


def test_score_is_the_training_likelihood_and_prefers_the_true_model(problem):
    data, model = problem
    assert model.score(data.H, data.y, data.tasks) == pytest.approx(model.log_likelihood_, abs=1e-9)
    fresh = make_linear_tasks(n_tasks=80, n_latents=5, n_causal=2, random_state=1)
    assert model.score(fresh.H, fresh.y, fresh.tasks) < model.log_likelihood_ - 1
    some = data.tasks < 3
    assert np.isfinite(model.score(data.H[some], data.y[some], data.tasks[some]))


def test_samples_look_like_the_data(problem):
    data, model = problem
    drawn = model.sample(500, random_state=0)
    assert drawn.H.shape == (80 * 500, 5)
    again = TaskMoments.from_long(drawn.H, drawn.y, drawn.tasks)
    original = model.moments_
    np.testing.assert_allclose(again.mean_y, original.mean_y, atol=1.0)
    scale = np.sqrt(np.einsum("tii->ti", original.cov_h))
    difference = (again.cov_h - original.cov_h) / (scale[:, :, None] * scale[:, None])
    assert np.abs(difference).mean() < 0.15
    refit = MTLCM(random_state=0).fit(drawn.H, drawn.y, tasks=drawn.tasks)
    assert mcc_score(refit.transform(data.H), model.transform(data.H)) > 0.995


@pytest.mark.parametrize("n_features", [8, 15])
def test_more_features_than_latents(n_features):
    data = make_linear_tasks(n_latents=5, n_features=n_features, observation_noise=0.05, random_state=0)
    model = MTLCM(n_components=5, random_state=0).fit(data.H, data.y, tasks=data.tasks)
    assert model.mixing_.shape == (n_features, 5)
    assert model.noise_std_ == pytest.approx(0.05, rel=0.1)
    ceiling = mcc_score(data.H @ np.linalg.pinv(data.mixing).T, data.Z)
    assert mcc_score(model.transform(data.H), data.Z) > ceiling - 0.002


def test_few_samples_in_each_task():
    data = make_linear_tasks(n_tasks=1000, n_samples=8, n_causal=4, mixing="orthogonal", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    assert mcc_score(model.transform(data.H), data.Z) > 0.99


def test_same_seed_same_bits_and_restarts_agree(problem):
    data, model = problem
    again = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    np.testing.assert_array_equal(again.components_, model.components_)
    np.testing.assert_array_equal(again.causal_probability_, model.causal_probability_)
    np.testing.assert_allclose(model.start_criteria_, model.start_criteria_.min(), atol=1e-9)


def test_global_generator_is_left_alone(problem):
    data, _ = problem
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_stopping_early_warns_with_figures(problem):
    data, _ = problem
    message = r"MTLCM stopped after 1 iterations with gradient norm .* > tol=.* Increase max_iter"
    with pytest.warns(ConvergenceWarning, match=message):
        model = MTLCM(max_iter=1, n_init=1, random_state=0).fit(data.H, data.y, tasks=data.tasks)
    assert not model.converged_


def test_faults_of_parameters_and_data_come_together():
    data = make_linear_tasks(n_tasks=4, n_samples=20, n_latents=3, n_causal=1, random_state=0)
    with pytest.raises(ValueError, match=r"(?s)2 faults.*tol is not valid.*X contains 1 non-finite"):
        MTLCM(tol=-1.0).fit(np.where(np.arange(80)[:, None] + [0, 1, 2] == 0, np.nan, data.H), data.y, data.tasks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_components": 6}, "n_components is too large: got 6, expected at most 5, the number of features"),
        ({"n_components": 0}, "n_components is not valid: got 0"),
        ({"prior": "exactly"}, "prior is not valid: got 'exactly', expected 'factorized' or 'exact'"),
        ({"noise_std": "guess"}, "noise_std is not valid: got 'guess'"),
        ({"n_init": 0}, "n_init is not valid: got 0"),
        ({"max_iter": 0}, "max_iter is not valid"),
        ({"tol": 0.0}, "tol is not valid"),
        ({"tol": 0.0, "n_init": 0}, "2 faults:\n  1. n_init is not valid.*\n  2. tol is not valid"),
    ],
)
def test_bad_parameters_are_named(problem, change, message):
    data, _ = problem
    with pytest.raises(ValueError, match=message):
        MTLCM(**change).fit(data.H, data.y, tasks=data.tasks)
    with pytest.raises(ValueError, match=message):
        MTLCM(**change).fit_moments(TaskMoments.from_long(data.H, data.y, data.tasks))


def test_parameters_of_a_wrong_type_are_type_errors(problem):
    data, model = problem
    with pytest.raises(TypeError, match="n_init has the wrong type: got list, expected 'auto' or an int of at least 1"):
        MTLCM(n_init=[5]).fit(data.H, data.y, tasks=data.tasks)
    with pytest.raises(ValueError, match=r"(?s)2 faults.*over is not valid: got 'rows'.*n_refits is not valid: got 0"):
        model.bootstrap("rows", n_refits=0)


def test_moments_have_no_names_of_features(problem):
    data, _ = problem
    frame = pd.DataFrame(data.H, columns=list("abcde"))
    model = MTLCM(random_state=0).fit(frame, data.y, data.tasks)
    assert list(model.feature_names_in_) == list("abcde")
    model.fit_moments(model.moments_)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize(("output", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output_names_the_latents(problem, output, kind):
    data, model = problem
    framed = clone(model).set_output(transform=output).fit(data.H, data.y, data.tasks)
    Z = framed.transform(data.H)
    assert isinstance(Z, kind)
    assert list(Z.columns) == list(model.get_feature_names_out()) == [f"latent_{i}" for i in range(5)]
    np.testing.assert_array_equal(Z.to_numpy(), model.transform(data.H))
    # What uses latents inside does not depend on it.
    np.testing.assert_array_equal(framed.predict(data.H), model.predict(data.H))
    new = data.H[:30], data.y[:30]
    np.testing.assert_array_equal(framed.adapt(*new).predict(new[0]), model.adapt(*new).predict(new[0]))


@pytest.mark.filterwarnings("error::UserWarning")
def test_frames_keep_their_index_and_are_not_warned_of(problem):
    data, model = problem
    frame = pd.DataFrame(data.H, columns=list("abcde"), index=[f"row {i}" for i in range(len(data.H))])
    framed = MTLCM(random_state=0).set_output(transform="pandas").fit(frame, data.y, data.tasks)
    Z = framed.transform(frame)
    pd.testing.assert_index_equal(Z.index, frame.index)
    np.testing.assert_array_equal(Z, model.transform(data.H))
    framed.adapt(frame[:30], data.y[:30]).predict(frame)
    other = MTLCM(random_state=0).fit(pl.from_pandas(frame), data.y, data.tasks)
    np.testing.assert_array_equal(other.mixing_, framed.mixing_)


def _bad_data(kind):
    data = make_linear_tasks(n_tasks=4, n_samples=20, n_latents=3, n_causal=1, random_state=0)
    H, y, tasks = data.H.copy(), data.y.copy(), data.tasks.copy()
    if kind == "nan":
        H[3, 1] = np.nan
    elif kind == "one task":
        tasks[:] = 0
    elif kind == "one row":
        tasks[tasks == 2] = 1
        tasks[0] = 2
    elif kind == "constant target":
        y[tasks == 1] = 3.5
    elif kind == "constant feature":
        H[:, 2] = 4.0
    elif kind == "collinear":
        H = np.c_[H, H[:, 0] - H[:, 1]]
    return H, y, tasks


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", "X contains 1 non-finite values .*first at index 3, column 1"),
        ("one task", "too few tasks: got 1, expected at least 2"),
        ("constant feature", "feature 2 is constant within tasks"),
        ("collinear", "features are collinear: got an exact linear relation among features 0, 1, 3"),
    ],
)
def test_bad_data_are_named(kind, message):
    with pytest.raises(ValueError, match=message):
        MTLCM().fit(*_bad_data(kind))


@pytest.mark.parametrize(("kind", "task", "why"), [("one row", 2, "1 label"), ("constant target", 1, "constant")])
def test_tasks_that_say_nothing_are_left_out_with_a_word(kind, task, why, tmp_path):
    H, y, tasks = _bad_data(kind)
    with pytest.warns(UserWarning, match=rf"left out of the fit: got {task} \({why}\), expected at least 3 labels"):
        model = MTLCM(random_state=0).fit(H, y, tasks)
    kept = tasks != task
    expected = MTLCM(random_state=0).fit(H[kept], y[kept], tasks[kept])
    np.testing.assert_array_equal(model.mixing_, expected.mixing_)
    assert expected.left_out_tasks_ == {}
    model.save(tmp_path / "run")
    for one in (model, MTLCM.load(tmp_path / "run")):
        assert one.left_out_tasks_ == {task: why}
        assert one.score(H, y, tasks) == expected.score(H[kept], y[kept], tasks[kept])


def test_a_score_of_no_label_is_none():
    H, y, tasks = _bad_data("constant target")
    with pytest.warns(UserWarning, match="left out"):
        model = MTLCM(random_state=0).fit(H, y, tasks)
    assert np.isnan(model.score(H, np.full(len(y), np.nan), tasks))
    assert np.isnan(model.score(H[tasks == 1], y[tasks == 1], tasks[tasks == 1]))


@pytest.mark.parametrize("kind", [lambda t: ("assay", t), lambda t: t or "zero", lambda t: f"task {t}"])
def test_samples_have_the_labels_of_the_fit(kind):
    data = make_linear_tasks(n_tasks=5, n_latents=2, random_state=0)
    model = MTLCM(random_state=0).fit(data.H, data.y, [kind(int(t)) for t in data.tasks])
    drawn = model.sample(10, random_state=0)
    assert list(drawn.tasks[::10]) == [kind(t) for t in range(5)] == list(model.task_names_)
    assert np.isfinite(model.score(drawn.H, drawn.y, drawn.tasks))


@pytest.mark.parametrize("noise_std", [0, 0.0, 1e-200])
def test_fewer_latents_than_features_without_noise_have_no_likelihood(problem, noise_std):
    data, model = problem
    few = MTLCM(2, noise_std=noise_std)
    for fit in (
        lambda: few.fit(data.H, data.y, data.tasks),
        lambda: few.fit_moments(model.moments_),
        lambda: few.partial_fit(data.H[:2], data.y[:2], data.tasks[:2]),
    ):
        with pytest.raises(ValueError, match=r"noise_std leaves the likelihood undefined: got .* with 2 latents of 5"):
            fit()
    assert not hasattr(few, "accumulated_")
    MTLCM(5, noise_std=0.0).fit_moments(model.moments_)


def test_non_finite_moments_name_the_task(problem):
    _, model = problem
    scatter_hy = model.moments_.scatter_hy.copy()
    scatter_hy[7] = np.nan
    with pytest.raises(ValueError, match="moments are not finite: got NaN or infinity in task 7"):
        MTLCM().fit_moments(model.moments_._replaced(scatter_hy=scatter_hy))


def test_unknown_task_and_wrong_shapes_after_the_fit(problem):
    data, model = problem
    with pytest.raises(ValueError, match="not fitted on: got 99"):
        model.score(data.H[:2], data.y[:2], [0, 99])
    with pytest.raises(ValueError, match="features"):
        model.transform(data.H[:, :2])
    with pytest.raises(ValueError, match=r"Z has the wrong shape: got \(3, 2\)"):
        model.inverse_transform(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="n_samples is not valid: got 0"):
        model.sample(0)
    with pytest.raises(NotFittedError):
        MTLCM().transform(data.H)


# Columns are taken by their names, where scikit-learn refuses another order; and weights are not numbers of rows.
_EXPECTED = {
    "check_dataframe_column_names_consistency": "columns are taken by their names, in any order",
    "check_sample_weight_equivalence_on_dense_data": "weights are analytic: a weight of 3 is not three rows",
    "check_fit_score_takes_y": "no batch is added to a fit to ordinal targets",
}


# One component, since the checks pass one target, and only what differs between tasks tells latents apart.
@parametrize_with_checks([MTLCM(n_components=1)], expected_failed_checks=lambda _: _EXPECTED)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_targets_that_features_determine_do_not_break_the_fit(layout):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(600, 3))
    heads = rng.normal(size=(3, 12)) * (rng.random((3, 12)) < 0.5) + 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if layout == "wide":
            model = MTLCM(random_state=0).fit(Z, Z @ heads)
        else:
            tasks = np.repeat(np.arange(12), 50)
            model = MTLCM(random_state=0).fit(Z, np.einsum("ni,in->n", Z, heads[:, tasks]), tasks=tasks)
        assert np.isfinite(model.log_likelihood_)
        assert np.isfinite(model.certificate_.features_mcc).all()
