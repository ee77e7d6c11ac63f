"""From moments to latents: noise joined with the starts."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score
from identirep.mtlcm.axes import fit


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


def test_noise_is_looked_for_from_the_end_of_the_first_start_and_again_from_a_better_one(monkeypatch):
    # The identity is the truth; what the first start is made to end in is a saddle far from it.
    data = make_linear_tasks(n_latents=4, mixing="identity", observation_noise=0.0, random_state=0)
    moments = TaskMoments.from_long(data.H, data.y, data.tasks)
    asked = []
    monkeypatch.setattr(fit, "find_noise", lambda moments, clean, rng: asked.append(clean))
    model = MTLCM(n_init=3, random_state=0).fit_moments(moments)
    assert len(asked) == 1
    assert len(model.start_criteria_) == 3
    assert model.n_iter_ > 1
    solve, first = fit.solve_from_some, []

    def stuck(problem, initial, *, max_iter, tol, rng):
        if not first and len(initial) == 1:
            first.append(True)
            return solve(problem, np.linalg.qr(np.ones((4, 4)) + np.eye(4))[0][None], max_iter=0, tol=tol, rng=rng)
        return solve(problem, initial, max_iter=max_iter, tol=tol, rng=rng)

    monkeypatch.setattr(fit, "solve_from_some", stuck)
    asked.clear()
    again = MTLCM(n_init=3, robust=None, random_state=0).fit_moments(moments)
    assert len(asked) == 2
    assert mcc_score(data.H @ asked[1].T, data.Z) > 0.999 > mcc_score(data.H @ asked[0].T, data.Z)
    assert mcc_score(again.transform(data.H), data.Z) > 0.999


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
