"""The exact prior: its steps, where the factorised one is blind or biased, and where it must not be worse."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc
from identirep.mtlcm.axes.diagonalise import StepMemory
from identirep.mtlcm.axes.exact import ExactState, climb, exact_step, maximise_exact
from identirep.mtlcm.axes.search import latent_correlations
from identirep.mtlcm.model import JointMoments, exact_criterion
from identirep.mtlcm.roles.posterior import causal_posterior


def _fit(data, prior, **options):
    return MTLCM(prior=prior, random_state=0, **options).fit(data.H, data.y, tasks=data.tasks)


def _score(model, data):
    return mcc(model.transform(data.H), data.Z).score


@pytest.fixture(scope="module")
def alike():
    """Spurious latents vary like causal ones, and roles are unknown."""
    data = make_linear_tasks(
        n_causal=6, mixing="orthogonal", spurious_std=1.0, standardize=False, observation_noise=0.0, random_state=0
    )
    return data, _fit(data, "exact")


@pytest.mark.slow
def test_latents_that_vary_alike_are_found(alike):
    data, model = alike
    assert _score(model, data) > 0.99
    assert _score(_fit(data, "factorized"), data) < 0.95
    assert model.converged_


@pytest.mark.slow
@pytest.mark.parametrize("seed", [4, 7, 106])
def test_starts_that_stall_are_taken_further(seed):
    # With four causes, annealing from each start by itself ends in a worse optimum in many of the starts.
    data = make_linear_tasks(
        n_causal=4, mixing="orthogonal", spurious_std=1.0, standardize=False, observation_noise=0.0, random_state=seed
    )
    assert _score(_fit(data, "exact"), data) > 0.99


def test_roles_are_found_too(alike):
    data, model = alike
    match = mcc(model.transform(data.H), data.Z)
    assert np.mean((model.causal_probability_ > 0.5) == data.causal[:, match.assignment]) > 0.88


def test_certificate_of_the_exact_fit(alike):
    _, model = alike
    assert model.certificate_.verdict == ["identified"] * 10
    assert model.certificate_.goodness_of_fit.p_value > 0.001


def test_likelihood_and_state_round_trip(alike):
    data, model = alike
    assert model.score(data.H, data.y, data.tasks) == pytest.approx(model.log_likelihood_, abs=1e-9)
    other = MTLCM(prior="exact")._from_arrays(*model._to_arrays())
    np.testing.assert_array_equal(other.transform(data.H), model.transform(data.H))
    assert other.log_likelihood_ == model.log_likelihood_


@pytest.mark.slow
def test_low_target_noise_does_not_bias():
    data = make_linear_tasks(
        n_samples=1000, n_causal=8, mixing="orthogonal", target_noise=(0.05, 0.1), observation_noise=0.0, random_state=0
    )
    model = _fit(data, "exact", n_init=2)
    assert _score(model, data) > 0.999
    assert _score(model, data) >= _score(_fit(data, "factorized"), data)
    match = mcc(model.transform(data.H), data.Z)
    assert np.mean((model.causal_probability_ > 0.5) == data.causal[:, match.assignment]) > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("mixing", ["orthogonal", "random"])
def test_exact_is_not_worse_on_the_papers_data(mixing):
    data = make_linear_tasks(mixing=mixing, random_state=3)
    exact, factorized = _fit(data, "exact", n_init=2), _fit(data, "factorized")
    assert _score(exact, data) > _score(factorized, data) - 2e-4


def _ill_conditioned(seed):
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.normal(size=(6, 6)))[0] for _ in range(2))
    return (U * np.array([5.0] * 5 + [0.05])) @ V


@pytest.mark.parametrize("seed", range(3))
def test_exact_is_not_worse_where_the_mixing_amplifies_noise(seed):
    data = make_linear_tasks(n_latents=6, n_causal=1, mixing=_ill_conditioned(seed), random_state=seed)
    exact, factorized = _fit(data, "exact", n_init=2), _fit(data, "factorized")
    assert exact.noise_std_ > 0
    assert _score(exact, data) > _score(factorized, data) - 1e-6


@pytest.mark.slow
def test_exact_is_still_better_there_where_latents_vary_alike():
    data = make_linear_tasks(
        n_latents=6, n_causal=4, mixing=_ill_conditioned(0), spurious_std=1.0, standardize=False, random_state=0
    )
    assert _score(_fit(data, "exact"), data) > _score(_fit(data, "factorized"), data) + 0.05


def test_same_seed_same_bits():
    data = make_linear_tasks(n_tasks=30, n_latents=4, random_state=0)
    first, second = _fit(data, "exact", n_init=2), _fit(data, "exact", n_init=2)
    np.testing.assert_array_equal(first.components_, second.components_)


@pytest.mark.slow
def test_more_than_twelve_latents():
    data = make_linear_tasks(
        n_tasks=100, n_latents=14, n_causal=8, mixing="orthogonal", spurious_std=1.0, standardize=False, random_state=0
    )
    assert _score(_fit(data, "exact", n_init=3), data) > 0.99


def _known_roles():
    data = make_linear_tasks(
        n_latents=4, n_causal=2, spurious_std=1.0, standardize=False, observation_noise=0.0, random_state=0
    )
    m = TaskMoments.from_long(data.H, data.y, data.tasks)
    start = np.linalg.inv(data.mixing) + 0.2 * np.random.default_rng(2).normal(size=(4, 4))
    return data, JointMoments(m.cov_h, m.cov_hy, m.var_y, m.weights), start


def _is_the_truth(B, data):
    P = np.abs(B @ data.mixing)
    return (P / P.max(axis=1, keepdims=True)).sum() - 4 < 0.2


def test_steps_go_down_and_reach_the_truth_with_known_roles():
    data, moments, B = _known_roles()
    state, memory = ExactState.at(moments.mapped(B), data.causal, B), StepMemory()
    value = state.criterion.value - np.linalg.slogdet(B)[1]
    for _ in range(200):
        state, E = exact_step(state, data.causal, memory)
        assert E.shape == (4, 4)
        new = state.criterion.value - np.linalg.slogdet(state.unmixing)[1]
        assert new <= value + 1e-9
        value = new
    assert state.gradient_norm < 1e-6
    assert _is_the_truth(state.unmixing, data)


def test_a_climb_says_where_it_ended():
    data, moments, B = _known_roles()
    few = climb(moments, B, data.causal, max_iter=2, tol=1e-8)
    assert few.n_iter.tolist() == [2]
    assert not few.converged[0]
    top = climb(moments, B, data.causal, max_iter=500, tol=1e-8)
    assert top.converged[0]
    assert top.gradient_norm[0] <= 1e-8
    assert top.criterion[0] < few.criterion[0]
    assert _is_the_truth(top.unmixing[0], data)
    again = ExactState.at(moments.mapped(top.unmixing[0]), data.causal, top.unmixing[0])
    assert again.criterion.value - np.linalg.slogdet(again.unmixing)[1] == pytest.approx(top.criterion[0], abs=1e-12)


def test_the_fit_is_an_optimum_at_the_roles_that_are_most_probable():
    # Under the flat prior of the search other roles are best, at which the certificate would not ask.
    norms = []
    for seed in range(5):
        data = make_linear_tasks(
            60, 100, 5, 3, mixing="identity", spurious_std=0.5, observation_noise=0.0, random_state=seed
        )
        m = TaskMoments.from_long(data.Z, data.y, data.tasks)
        moments, rng = JointMoments(m.cov_h, m.cov_hy, m.var_y, m.weights), np.random.default_rng(seed)
        found = maximise_exact(moments, m.n_samples, np.eye(5)[None], rng, max_iter=500, tol=1e-7)
        z = moments.mapped(found.unmixing[0])
        roles = causal_posterior(latent_correlations(z), m.n_samples).best
        norms.append(np.abs(exact_criterion(z, roles).gradient).max())
    # A role on the brink may flip once more as the prior is learnt again.
    assert np.median(norms) < 1e-6


def test_variances_are_those_of_the_axes_that_were_found():
    data = make_linear_tasks(
        60, 100, 4, 2, mixing="orthogonal", spurious_std=1.0, standardize=False, observation_noise=0.0, random_state=0
    )
    model = _fit(data, "exact", n_init=2)
    assert model.noise_std_ == 0.0
    Z = model.transform(data.H)
    for t in range(0, 60, 10):
        rows = data.tasks == t
        design = np.c_[np.ones(rows.sum()), data.y[rows]]
        residuals = Z[rows] - design @ np.linalg.lstsq(design, Z[rows], rcond=None)[0]
        np.testing.assert_allclose(model.fit_.variances[t], residuals.var(axis=0), rtol=1e-5)
