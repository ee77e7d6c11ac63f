"""partial_fit: batches give the model of one pass; predict: targets of the fitted tasks."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks


@pytest.fixture(scope="module", params=["orthogonal", "random"])
def data(request):
    return make_linear_tasks(n_tasks=60, n_latents=6, mixing=request.param, random_state=0)


def _streamed(batches, **settings):
    model = MTLCM(random_state=0, **settings)
    for batch in batches:
        model.partial_fit(*batch)
    return model


@pytest.mark.parametrize("prior", ["factorized", "exact"])
def test_batches_give_the_model_of_one_pass(data, prior):
    rows = np.array_split(np.random.default_rng(0).permutation(len(data.H)), 3)
    batches = [(data.H[part], data.y[part], data.tasks[part]) for part in rows]
    settings = {"prior": prior, "noise_std": 0.0, "n_init": 3}
    model = _streamed(batches, **settings)
    once = MTLCM(**settings, random_state=0).fit(data.H, data.y, tasks=data.tasks)
    np.testing.assert_allclose(model.transform(data.H), once.transform(data.H), rtol=0, atol=1e-10)
    np.testing.assert_allclose(model.causal_probability_, once.causal_probability_, atol=1e-8)
    merged = MTLCM(**settings, random_state=0).fit_moments(TaskMoments.from_batches(batches))
    np.testing.assert_allclose(model.transform(data.H), merged.transform(data.H), rtol=0, atol=1e-10)


def test_batches_give_the_model_of_one_pass_with_estimated_noise(data):
    rows = np.array_split(np.random.default_rng(0).permutation(len(data.H)), 3)
    model = _streamed((data.H[part], data.y[part], data.tasks[part]) for part in rows)
    once = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    np.testing.assert_allclose(model.transform(data.H), once.transform(data.H), rtol=0, atol=1e-9)


def test_wide_batches_with_missing_labels():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(600, 4))
    Y = H @ (rng.normal(size=(4, 12)) * (rng.random((4, 12)) < 0.5)) + 0.3 * rng.normal(size=(600, 12))
    Y[rng.random(Y.shape) < 0.2] = np.nan
    # A task without a single label in one of the batches.
    Y[:200, 3] = np.nan
    names = [f"t{i}" for i in range(12)]
    model = MTLCM(random_state=0).partial_fit(H[:200], Y[:200], names)
    # Without names, the columns are the tasks so far.
    model.partial_fit(H[200:], Y[200:])
    once = MTLCM(random_state=0).fit(H, Y, tasks=names)
    assert model.task_names_ == once.task_names_
    np.testing.assert_allclose(model.transform(H), once.transform(H), rtol=0, atol=1e-9)


def test_new_tasks_appear_and_a_fit_is_continued(data):
    early, late = data.tasks < 30, data.tasks >= 30
    model = MTLCM(noise_std=0.0, random_state=0).fit(data.H[early], data.y[early], tasks=data.tasks[early])
    model.adapt(data.H[late][:20], data.y[late][:20])
    model.partial_fit(data.H[late], data.y[late], data.tasks[late])
    once = MTLCM(noise_std=0.0, random_state=0).fit(data.H, data.y, tasks=data.tasks)
    assert model.task_names_ == tuple(range(60))
    np.testing.assert_allclose(model.transform(data.H), once.transform(data.H), rtol=0, atol=1e-10)
    # What was computed from the first fit is gone.
    new = data.H[:20], data.y[:20]
    np.testing.assert_allclose(model.adapt(*new).causal_probability, once.adapt(*new).causal_probability, atol=1e-6)


def test_rows_that_do_not_suffice_are_kept(data):
    model = MTLCM(noise_std=0.0, random_state=0).partial_fit(data.H[:50], data.y[:50], data.tasks[:50])
    with pytest.raises(NotFittedError):
        model.transform(data.H)
    with pytest.raises(ValueError, match="too few tasks: got 1"):
        model.fit_moments(model.accumulated_)
    model.partial_fit(data.H[50:-100], data.y[50:-100], data.tasks[50:-100])
    before = model.transform(data.H)
    # Two rows of the last task do not make a task yet, and the model stays as it was.
    model.partial_fit(data.H[-100:-98], data.y[-100:-98], data.tasks[-100:-98])
    np.testing.assert_array_equal(model.transform(data.H), before)
    assert (len(model.task_names_), model.accumulated_.n_tasks) == (59, 60)
    model.partial_fit(data.H[-98:], data.y[-98:], data.tasks[-98:])
    once = MTLCM(noise_std=0.0, random_state=0).fit(data.H, data.y, tasks=data.tasks)
    np.testing.assert_allclose(model.transform(data.H), once.transform(data.H), rtol=0, atol=1e-10)


def test_bad_batches_are_named_and_leave_the_model_as_it_was(data):
    model = MTLCM(noise_std=0.0, random_state=0).partial_fit(data.H, data.y, data.tasks)
    before = model.transform(data.H)
    with pytest.raises(ValueError, match="5 features"):
        model.partial_fit(data.H[:, :5], data.y, data.tasks)
    with pytest.raises(ValueError, match="X contains 6 non-finite values"):
        model.partial_fit(np.where(np.arange(len(data.H))[:, None] == 2, np.nan, data.H), data.y, data.tasks)
    with pytest.raises(ValueError, match="y has the wrong number of columns: got 1, expected 60"):
        model.partial_fit(data.H, data.y)
    with pytest.raises(ValueError, match="tol is not valid"):
        MTLCM(tol=-1.0).partial_fit(data.H, data.y, data.tasks)
    assert model.accumulated_.n_rows == len(data.H)
    np.testing.assert_array_equal(model.transform(data.H), before)


# -- predict ---------------------------------------------------------------------------------------------------------


def test_predictions_are_regressions_within_tasks(data):
    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    Z = model.transform(data.H)
    everything, causal = model.predict(data.H), model.predict(data.H, use="causal")
    assert everything.shape == causal.shape == (len(data.H), 60)
    for t in (0, 17, 59):
        rows = data.tasks == t
        for columns, prediction in ((slice(None), everything), (model.causal_coef_[t] != 0, causal)):
            design = np.c_[np.ones(rows.sum()), Z[rows][:, columns]]
            fitted = design @ np.linalg.lstsq(design, data.y[rows], rcond=None)[0]
            np.testing.assert_allclose(prediction[rows, t], fitted, atol=1e-5)


def test_causal_predictions_survive_a_flip_and_others_do_not():
    data = make_linear_tasks(n_tasks=100, n_causal=4, mixing="orthogonal", target_noise=(0.05, 0.1), random_state=0)
    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    flipped = data.H - 2.0 * (data.y[:, None] * data.spurious_coef[data.tasks]) @ data.mixing.T
    own = np.arange(len(data.H)), data.tasks

    def r2(H, use):
        return 1.0 - np.mean((data.y - model.predict(H, use=use)[own]) ** 2) / data.y.var()

    assert abs(r2(data.H, "causal") - r2(flipped, "causal")) < 0.02
    assert r2(data.H, "all") > 0.99
    assert r2(flipped, "all") < r2(data.H, "all") - 0.2


@pytest.mark.filterwarnings("ignore:y has 1 task that nothing can be learnt of")
def test_tasks_that_a_fit_has_left_out_may_be_in_batches_and_stay_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X @ rng.laplace(size=(3, 6)) + 0.1 * rng.normal(size=(200, 6))
    y[:100, 2] = 1.0
    model, others = MTLCM(random_state=0).fit(X[:100], y[:100]), np.arange(6) != 2
    for part in (slice(100, 150), slice(150, 200)):
        model.partial_fit(X[part], y[part])
    assert model.left_out_tasks_ == {2: "constant"}
    once = MTLCM(random_state=0).fit(X, y[:, others])
    np.testing.assert_allclose(model.transform(X), once.transform(X), rtol=0, atol=1e-9)
    assert model.score(X, y) == pytest.approx(once.score(X, y[:, others]), abs=1e-9)
    # So does a model that has the axes of another.
    turned = model._in_axes(np.array([2, 0, 1]), np.array([-3.0, 0.5, 1.0]), np.zeros(3))
    assert turned.left_out_tasks_ == {2: "constant"}
    assert turned.score(X, y) == pytest.approx(model.score(X, y), abs=1e-9)
