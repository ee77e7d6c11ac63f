"""From moments to latents: which start counts, blocks of starts, and noise joined with the starts."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score
from identirep.mtlcm import fitting
from identirep.mtlcm.covariance_sets import DenseCovariances
from identirep.mtlcm.fitting import Starts, random_rotations, solve_in_blocks


def _starts(criterion, converged):
    n = len(criterion)
    return Starts(
        np.array(criterion), np.zeros(n), np.ones(n, dtype=np.int64), np.array(converged, dtype=bool), np.ones((n, 2))
    )


def test_the_best_start_is_the_first_among_equals_that_converged():
    assert _starts([0.0, -1.0, -1.0 + 1e-12, 2.0], [True] * 4).best == 1
    assert _starts([0.0, -1.0, -1.0 + 1e-12, 2.0], [True, False, True, True]).best == 2
    # A lower criterion counts more than convergence.
    assert _starts([0.0, -1.0], [True, False]).best == 1


def test_blocks_of_starts_give_what_all_together_give(monkeypatch):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(20, 5, 15))
    R = A @ A.swapaxes(1, 2) / 15
    covariances = DenseCovariances.from_matrices(R, rng.dirichlet(np.ones(20), size=7))
    starts = random_rotations(7, 5, rng)
    together = solve_in_blocks(covariances, starts, max_iter=500, tol=1e-9)
    monkeypatch.setattr(fitting, "_MAX_NUMBERS", 2 * 5 * (20 + 25))
    blocks = solve_in_blocks(covariances, starts, max_iter=500, tol=1e-9)
    np.testing.assert_allclose(blocks.unmixing, together.unmixing, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(blocks.converged, together.converged)


def test_starts_are_those_of_the_model_with_noise():
    data = make_linear_tasks(n_latents=6, random_state=3)
    moments = TaskMoments.from_long(data.H, data.y, data.tasks)
    model = MTLCM(random_state=0).fit_moments(moments)
    assert model.noise_std_ > 0
    assert model.converged_
    # All starts end in the optimum that the search for noise started from.
    np.testing.assert_allclose(model.start_criteria_, model.start_criteria_[0], atol=1e-8)
    assert model.fit_.starts.agreement.min() > 0.9999
    # With the noise given, the same latents come out.
    given = MTLCM(noise_std=model.noise_std_, random_state=0).fit_moments(moments)
    assert mcc_score(model.transform(data.H), given.transform(data.H)) > 0.99999


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_latents_in_a_thousand_tasks():
    data = make_linear_tasks(
        mixing="orthogonal", n_tasks=1000, n_samples=500, n_latents=100, n_causal=20, random_state=0
    )
    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    assert model.converged_
    assert mcc_score(model.transform(data.H), data.Z) > 0.999
    assert model.certificate_.verdict == ["identified"] * 100
