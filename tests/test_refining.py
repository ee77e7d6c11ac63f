"""Refinement: the causal model teaches the encoder, and is not believed where it does not help."""

import numpy as np
import pytest

from identirep import MTRN, IdentifiableRegressor
from identirep.datasets import make_nonlinear_tasks
from identirep.metrics import mcc_score
from identirep.refining import information_of_targets, latents_given_targets, refine, told_by_targets

_NETWORK = {"hidden_sizes": (64,), "n_replicates": 2, "max_epochs": 40, "device": "cpu"}


def _fit(data, n_refinements, **settings):
    model = IdentifiableRegressor(
        3, regressor=MTRN(**_NETWORK), n_refinements=n_refinements, random_state=0, **settings
    )
    return model.fit(data.X, data.y, data.tasks)


@pytest.fixture(scope="module")
def data():
    return make_nonlinear_tasks(60, 60, 3, 15, 1, random_state=0)


@pytest.fixture(scope="module")
def refined(data):
    return _fit(data, 2)


@pytest.mark.slow
def test_latents_come_closer_to_the_truth(data, refined):
    assert refined.n_refinements_ > 0
    before, after = (1 - mcc_score(model.transform(data.X), data.Z) for model in (_fit(data, 0), refined))
    assert after < 0.8 * before


@pytest.mark.slow
def test_auto_refines_where_the_encoder_falls_short(data, refined):
    # Three layers, twice as many observations as latents: hard to read for the small network.
    hard = make_nonlinear_tasks(
        60, 60, 3, 6, 1, hidden_sizes=[6] * 3, activation="leaky_relu", random_state=np.random.default_rng(3)
    )
    plain, auto = (_fit(hard, n, n_checks=0) for n in (0, "auto"))
    assert plain.encoder_mcc_.min() < 0.99
    assert auto.n_refinements_ > 0
    assert mcc_score(auto.transform(hard.X), hard.Z) > mcc_score(plain.transform(hard.X), hard.Z)
    # A linear mixture is read as it is.
    easy = IdentifiableRegressor(3, regressor=MTRN(**_NETWORK), n_refinements="auto", n_checks=0, random_state=0)
    easy.fit(data.Z, data.y, data.tasks)
    assert easy.n_refinements_ == 0


@pytest.mark.slow
def test_auto_leaves_shared_inputs_alone():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = X[:, :2] @ rng.laplace(size=(2, 8)) + 0.1 * rng.normal(size=(300, 8))
    fits = [
        IdentifiableRegressor(2, regressor=MTRN(**_NETWORK), n_refinements=n, n_checks=0, random_state=0).fit(X, y)
        for n in (0, "auto")
    ]
    assert fits[1].n_refinements_ == 0
    np.testing.assert_array_equal(fits[0].transform(X), fits[1].transform(X))


@pytest.mark.slow
def test_a_refined_model_is_whole(data, refined, tmp_path):
    assert refined.regressor_.n_features_in_ == 15
    Z = refined.transform(data.X)
    np.testing.assert_allclose(Z.std(axis=0), 1.0, rtol=0.2)
    assert refined.score(data.X, data.y, data.tasks) > 0.9
    assert refined.regressor_.moments_.task_names == refined.task_names_
    refined.save(tmp_path / "run")
    np.testing.assert_array_equal(IdentifiableRegressor.load(tmp_path / "run").transform(data.X), Z)
    np.testing.assert_array_equal(_fit(data, 2).transform(data.X), Z)


@pytest.mark.slow
def test_rounds_end_where_the_model_says_nothing(data):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3600, 8))
    tasks = np.repeat(np.arange(60), 60)
    # Inputs of one law for all tasks, many of them causes: a target determines no latent.
    y = np.einsum("nd,nd->n", np.tanh(X[:, :3]), rng.normal(size=(60, 3))[tasks]) + rng.normal(size=3600)
    model = IdentifiableRegressor(3, regressor=MTRN(**_NETWORK), n_refinements=3, random_state=0).fit(X, y, tasks)
    plain = IdentifiableRegressor(3, regressor=MTRN(**_NETWORK), random_state=0).fit(X, y, tasks)
    assert model.score(X, y, tasks) > plain.score(X, y, tasks) - 0.02


class _Teachable(MTRN):
    """Stage one whose features are latents with errors of known size, in training and elsewhere, before and after."""

    def __init__(self, Z=None, errors=None):
        super().__init__(3)
        self.Z, self.errors = Z, errors
        self._held_out = np.arange(len(Z)) % 4 == 0

    def transform(self, X):
        return self.Z + np.where(self._held_out, *self.errors[0][::-1])[:, None] * X

    def _taught(self, data, latents, groups, rng):
        self.lesson = latents
        return _Teachable(self.Z, self.errors[1:])


class _Identity:
    def transform(self, H):
        return H


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("errors", "kept"),
    [
        # Errors in training and on held-out rows, first of the encoder and then of the one taught.
        ([(0.3, 0.3), (0.1, 0.1)], True),
        ([(0.1, 0.1), (0.3, 0.3)], False),
        # Rows of the training may be known by heart.
        ([(0.3, 0.3), (0.0, 0.6)], False),
        ([(0.0, 0.6), (0.3, 0.3)], True),
    ],
)
def test_rounds_are_judged_on_held_out_rows(errors, kept, seed):
    rng = np.random.default_rng(seed)
    tasks, y = np.repeat(np.arange(30), 60), rng.normal(size=1800)
    Z = rng.choice([-1.0, 1.0], size=(30, 2))[tasks] * y[:, None] + 0.2 * rng.normal(size=(1800, 2))
    stage = _Teachable(Z, errors)
    refined = refine(stage, _Identity(), rng.normal(size=(1800, 2)), y, tasks, None, seed)
    assert (refined is not None) == kept


def test_rows_whose_target_is_silent_do_not_teach():
    rng = np.random.default_rng(0)
    tasks, y = np.repeat(np.arange(30), 60), rng.normal(size=1800)
    is_effect = np.array([[True, False], [False, True]])[np.arange(30) % 2][tasks]
    Z = np.where(is_effect, y[:, None], 0.0) + np.where(is_effect, 0.05, 1.0) * rng.normal(size=(1800, 2))
    stage = _Teachable(Z, [(0.3, 0.3), (0.1, 0.1)])
    assert refine(stage, _Identity(), rng.normal(size=(1800, 2)), y, tasks, None, 0) is not None
    np.testing.assert_array_equal(np.isfinite(stage.lesson), is_effect)
    assert np.std((stage.lesson - Z)[is_effect]) < 0.15


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [(-1, ValueError, "n_refinements is not valid: got -1"), (1.5, TypeError, "n_refinements has the wrong type")],
)
def test_bad_numbers_of_refinements(data, value, error, message):
    with pytest.raises(error, match=message):
        _fit(data, value)


def test_shared_inputs_cannot_be_refined(data):
    with pytest.raises(ValueError, match="n_refinements does not fit the data"):
        IdentifiableRegressor(n_refinements=1).fit(data.X, np.stack([data.y, data.y], axis=1))


def test_posterior_takes_from_the_target_what_it_knows():
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(40), 50)[rng.permutation(2000)]
    y = rng.normal(size=2000) + tasks
    effect = rng.choice([-1.0, 1.0], size=(40, 2)) * np.array([1.0, 0.0])
    Z = effect[tasks] * y[:, None] + np.array([0.05, 1.0]) * rng.normal(size=(2000, 2))
    seen = Z + 0.3 * rng.normal(size=(2000, 2))
    found = latents_given_targets(seen, y, tasks, np.array([0.09, 0.09]))
    error_before, error_after = ((value - Z).var(axis=0) for value in (seen, found))
    # The first latent follows from the target, the second has nothing to do with it.
    assert error_after[0] < 0.3 * error_before[0]
    assert error_after[1] < 1.2 * error_before[1]


def test_rows_teach_what_their_target_tells():
    rng = np.random.default_rng(0)
    tasks, y = np.repeat(np.arange(40), 50), rng.normal(size=2000)
    # The first latent is an effect in half of the tasks, the second in two of them, the third everywhere but vaguely.
    effect = np.column_stack([np.arange(40) < 20, np.arange(40) < 2, np.full(40, 0.3)]).astype(float)
    Z = effect[tasks] * y[:, None] + np.where(effect[tasks] == 1.0, 0.05, 1.0) * rng.normal(size=(2000, 3))
    seen, held_out = Z + 0.3 * rng.normal(size=Z.shape), np.arange(2000) % 5 == 0
    told = told_by_targets(seen, y, tasks, np.full(3, 0.09), held_out)
    np.testing.assert_array_equal(told[:, 0], tasks < 20)
    # Too few rows are told of the others: all of them teach.
    assert told[:, 1:].all()


def test_errors_of_an_encoder_lower_the_information():
    rng = np.random.default_rng(0)
    tasks, y = np.repeat(np.arange(40), 50), rng.normal(size=2000)
    Z = rng.choice([-1.0, 1.0], size=(40, 2))[tasks] * y[:, None] + 0.1 * rng.normal(size=(2000, 2))
    noise = rng.normal(size=(2000, 2))
    found = [information_of_targets(Z + error * noise, y, tasks) for error in (0.0, 0.1, 0.5)]
    assert found[0] > found[1] > found[2]
    # One nat for each factor e between the standard deviations with and without the target.
    assert found[0] == pytest.approx(0.5 * np.log(1.01 / 0.01), abs=0.1)
    assert information_of_targets(Z[::50], y[::50], tasks[::50]) == 0.0
