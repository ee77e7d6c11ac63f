"""Plans: sizes against those that studies turn out to need, what pilots may be, and what is said of bad ones."""

import numpy as np
import pytest

from identirep import MTLCM, IdentifiableRegressor, plan
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score
from identirep.planning import SIZES, smallest, too_few
from identirep.planning.populations import Design, Growing, Pilot

_CLEAN = {"mixing": "orthogonal", "observation_noise": 0.0}


def _fit(*sizes, seed=0, **options):
    data = make_linear_tasks(*sizes, **{**_CLEAN, **options}, random_state=seed)
    return MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)


def _needed(n, D, causes, spurious, seeds):
    """Median over studies of the tasks that they need for an MCC of 0.99."""

    def score(T, seed):
        data = make_linear_tasks(64, n, D, causes, spurious_std=spurious, **_CLEAN, random_state=seed)
        rows = np.s_[: T * n]
        model = MTLCM(noise_std=0.0, robust=None, random_state=0).fit(data.H[rows], data.y[rows], data.tasks[rows])
        return mcc_score(data.H[rows] @ model.components_.T, data.Z[rows])

    sizes = [size for size in SIZES if size <= 64]
    return np.median([smallest(lambda T, s=seed: score(T, s) >= 0.99, sizes, 10) for seed in seeds])


@pytest.fixture(scope="module")
def pilot():
    return _fit(15, 12, 6, 2)


@pytest.mark.parametrize("guess", [0, 2, 5, 64, 1e6])
@pytest.mark.parametrize("first", [2, 3, 5, 40, 1024])
def test_smallest_is_found_from_any_guess(guess, first):
    tried = []

    def reaches(size):
        tried.append(size)
        return size >= first

    assert smallest(reaches, SIZES, guess) == first
    assert len(tried) == len(set(tried)) <= 10


def test_what_is_never_reached_is_infinite():
    assert smallest(lambda size: False, SIZES, 8) == np.inf


def test_a_longer_study_has_the_tasks_of_a_shorter_one():
    population = Design(4, 2, 0.1, 0.0)
    rng = np.random.default_rng(0)
    tasks = Growing(population.study(rng, own_tasks=False), 10, rng)
    few = tasks.first(5)
    many = tasks.first(50)
    assert many.Z.shape == (50, 10, 4)
    np.testing.assert_array_equal(few.Z, many.Z[:5])


def test_plans_from_the_design_come_true():
    found = plan(n_components=5, n_causal=2, spurious_std=1.0, n_samples=[30], n_draws=7, random_state=0)
    needed = _needed(30, 5, 2, 1.0, range(100, 105))
    assert needed / 2 <= found.tasks[0].n_tasks <= 2 * needed
    assert found.tasks[0].n_tasks <= found.tasks[0].n_tasks_safe


@pytest.mark.slow
@pytest.mark.parametrize(("D", "causes", "spurious", "seed"), [(6, 2, 0.1, 0), (6, 3, 0.8, 1)])
def test_plans_from_pilots_come_true(D, causes, spurious, seed):
    model = _fit(30, 15, D, causes, spurious_std=spurious, seed=seed)
    found = plan(model, n_samples=[40], random_state=0)
    needed = _needed(40, D, causes, spurious, range(100, 107))
    assert needed / 2 <= found.tasks[0].n_tasks <= 2 * needed


def test_more_is_needed_for_more():
    options = {"n_components": 3, "n_causal": 1, "spurious_std": 1.0, "n_draws": 5, "random_state": 0}
    found = plan(**options, n_samples=[15, 60], n_tasks=[20])
    few, many = (need.n_tasks for need in found.tasks)
    assert few > many
    assert plan(**options, n_samples=[60], target=0.9).tasks[0].n_tasks < many
    assert 5 <= found.rows[0].n_samples <= found.rows[0].n_samples_safe


def test_same_seed_same_plan():
    options = {"n_components": 3, "n_causal": 1, "n_samples": [100], "n_tasks": [8], "n_draws": 3}
    plans = [plan(**options, random_state=1) for _ in range(2)]
    assert plans[0].tasks == plans[1].tasks
    assert plans[0].rows == plans[1].rows


def test_a_pilot_plans_for_its_own_tasks_and_for_others(pilot):
    found = plan(pilot, n_samples=[50], n_draws=3, random_state=0)
    assert [need.n_tasks for need in found.rows] == [15]
    assert (found.n_rows, found.is_lower_bound) == (180, False)
    text = repr(found)
    assert "a pilot of 15 tasks of 12 rows, 6 latents" in text
    assert "rows per task" in text


def test_latents_that_vary_alike_are_not_told_apart_by_sampling_error():
    # In 12 rows variances look different; as many tasks as one likes tell nothing of latents that vary alike.
    rng = np.random.default_rng(0)
    data = rng.standard_normal((40 * 12, 4)), rng.standard_normal(40 * 12), np.repeat(np.arange(40), 12)
    model = MTLCM(noise_std=0.0, random_state=0).fit(data[0], data[1], tasks=data[2])
    found = Pilot.of(model.fit_, model.moments_, 1.0)
    assert np.log(found.variances).std(axis=0).mean() < 0.5 * np.log(model.fit_.variances).std(axis=0).mean()
    np.testing.assert_allclose(found.variances.mean(axis=0), model.fit_.variances.mean(axis=0))


def test_a_pilot_that_does_not_tell_axes_apart_gives_lower_bounds():
    found = plan(_fit(8, 8, 4, 3, spurious_std=0.9), n_samples=[], target=0.7, n_draws=3, random_state=0)
    assert found.is_lower_bound
    assert "at least so much is needed" in repr(found)


def test_noise_that_leaves_too_little_is_named():
    found = plan(n_components=4, noise_std=0.2, n_tasks=[20], random_state=0)
    assert found.highest == pytest.approx(1 / np.sqrt(1.04))
    assert {need.n_tasks for need in found.tasks} == {need.n_samples for need in found.rows} == {np.inf}
    assert "leaves a correlation of 0.981 at most" in repr(found)
    assert "> 1,024" in repr(found)


@pytest.fixture(scope="module")
def shared():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    y = X @ rng.laplace(size=(4, 20)) + 2.0 * rng.normal(size=(400, 20))
    return X, y


def test_shared_rows_are_planned_to_come_back(shared):
    X, y = shared
    model = MTLCM(random_state=0).fit(X, y)
    back = model.certificate_.comes_back.other_rows
    found = plan(model, target=0.999)
    assert found.tasks == found.rows == ()
    assert "not to be causal latents" in repr(found)
    expected = 400 * (1 - back) / back * 0.999 / 0.001
    np.testing.assert_allclose(found.rows_to_come_back, np.maximum(expected, 400))
    # With so many rows the correlation is the target: the law that the certificate extrapolates by.
    v = (1 - back) / back * 400 / found.rows_to_come_back
    np.testing.assert_allclose(1 / (1 + v)[found.rows_to_come_back > 400], 0.999)


@pytest.mark.slow
def test_rows_to_come_back_come_true():
    rng = np.random.default_rng(1)
    heads = rng.laplace(size=(4, 20))

    def fit(n):
        X = rng.normal(size=(n, 4))
        return MTLCM(random_state=0).fit(X, X @ heads + 3.0 * rng.normal(size=(n, 20)))

    test = rng.normal(size=(5000, 4))
    needed = [plan(fit(200), target=0.99).rows_to_come_back.max() for _ in range(5)]
    n = int(np.median(needed))
    assert n > 200
    agreed = [mcc_score(fit(n).transform(test), fit(n).transform(test)) for _ in range(5)]
    assert 0.98 < np.median(agreed) < 0.9985


def test_regressors_are_pilots_too(shared):
    X, y = shared
    model = IdentifiableRegressor(3, regressor="ridge", random_state=0).fit(X, y)
    assert plan(model).rows_to_come_back.shape == (3,)
    unchecked = IdentifiableRegressor(3, regressor="ridge", n_checks=0, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="shares its rows and was not checked"):
        plan(unchecked)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "n_components is not known: got no pilot and None"),
        ({"n_components": 1}, ValueError, "n_components is not valid: got 1"),
        ({"n_components": 4, "n_causal": 5}, ValueError, "n_causal is too large: got 5"),
        ({"n_components": 4, "target": 1.0}, ValueError, "target is not valid: got 1.0"),
        ({"n_components": 4, "n_samples": [2]}, ValueError, "n_samples is not valid"),
        ({"n_components": 4, "n_tasks": [1]}, ValueError, "n_tasks is not valid"),
        ({"n_components": 4, "noise_std": np.nan}, ValueError, "noise_std is not valid"),
        ({"n_components": 4.0}, TypeError, "n_components has the wrong type"),
        ({"pilot": 3}, TypeError, "pilot has the wrong type: got int"),
        ({"pilot": MTLCM()}, ValueError, "not fitted"),
        ({"pilot": IdentifiableRegressor()}, ValueError, "not fitted"),
    ],
)
def test_wrong_use_is_explained(arguments, error, message):
    with pytest.raises(error, match=message):
        plan(**arguments)


def test_a_pilot_and_a_design_contradict(pilot):
    with pytest.raises(ValueError, match="pilot does not go with n_causal, n_tasks"):
        plan(pilot, n_causal=2, n_tasks=[5])


@pytest.mark.parametrize(
    ("n_tasks", "rows", "least"), [(7, 20, 8), (8, 20, None), (4, 50, 5), (5, 50, None), (7, 50, None)]
)
def test_tables_with_too_few_tasks_are_told(n_tasks, rows, least):
    found = too_few(np.full(n_tasks, rows))
    if least is None:
        assert found is None
    else:
        assert f"got {n_tasks} of {rows} rows, expected at least {least}" in found
