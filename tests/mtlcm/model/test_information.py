"""Information about pairs of latents: against derivatives and errors over repetitions; scores against gradients."""

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.axes.exact import exact_state
from identirep.mtlcm.model.information import ExactInformation
from identirep.mtlcm.model.likelihood import JointMoments


def _problem(**options):
    data = make_linear_tasks(n_latents=4, n_causal=2, observation_noise=0.0, random_state=0, **options)
    m = TaskMoments.from_long(data.H, data.y, data.tasks)
    return data, m, JointMoments(m.cov_h, m.cov_hy, m.var_y, m.weights)


def test_information_is_the_second_derivative_of_the_criterion():
    data, _, moments = _problem(n_tasks=20)
    z = moments.mapped(np.linalg.inv(data.mixing) + 0.1 * np.random.default_rng(0).normal(size=(4, 4)))
    found = ExactInformation(z, data.causal, 1).scores()[1].own
    step = 1e-4
    for i in range(4):
        for j in range(4):
            E = np.zeros((4, 4))
            E[i, j] = step
            values = [exact_state(z.mapped(np.eye(4) + sign * E), data.causal).value for sign in (1, 0, -1)]
            if i != j:
                assert found[i, j] == pytest.approx(max(values[0] - 2 * values[1] + values[2], 0.0) / step**2, rel=1e-3)


def test_a_cause_says_nothing_of_another_through_the_regression():
    # Low target noise: were the coefficients known, two causes could not be mixed without anybody noticing.
    data, _, moments = _problem(n_tasks=200, n_samples=500, target_noise=(0.05, 0.1))
    z = moments.mapped(np.linalg.inv(data.mixing))
    together = JointMoments(z.S, z.s, z.v, np.where(data.causal[:, 0] & data.causal[:, 1], z.weights, 0.0))
    alike = JointMoments(together.S, together.s, together.v, together.weights / together.weights.sum())
    np.testing.assert_allclose(ExactInformation(alike, data.causal, 1).pairs().own[0, 1], 1.0, rtol=0.1)


def test_scores_of_the_exact_likelihood_sum_to_its_gradient():
    data, _, moments = _problem(n_tasks=20)
    z = moments.mapped(np.random.default_rng(1).normal(size=(4, 4)))
    scores, _ = ExactInformation(z, data.causal, 1).scores()
    assert scores.shape == (20, 4, 4)
    np.testing.assert_allclose(scores.sum(axis=0) - np.eye(4), exact_state(z, data.causal).gradient, atol=1e-9)
