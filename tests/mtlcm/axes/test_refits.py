"""Refits: from the fit, by the criterion of the fit, with other weights on the tasks."""

import numpy as np

from identirep import MTLCM
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.axes import latent_agreement, refits


def test_large_problems_are_refitted_from_the_fit_alone(monkeypatch):
    data = make_linear_tasks(n_tasks=60, n_latents=5, mixing="orthogonal", random_state=0)
    model = MTLCM(random_state=0).fit(data.H, data.y, data.tasks)
    agreement, n_starts, solve = [], [], refits.solve_in_blocks

    def counted(covariances, starts, **options):
        n_starts.append(len(starts))
        return solve(covariances, starts, **options)

    monkeypatch.setattr(refits, "solve_in_blocks", counted)
    for work in (refits._WORK, 0.0):
        monkeypatch.setattr(refits, "_WORK", work)
        agreement.append(model.bootstrap(n_refits=5, random_state=0).agreement)
    assert n_starts == [15, 5]
    # There is one optimum, and rotations lead to where the fit leads.
    np.testing.assert_allclose(agreement[0], agreement[1], atol=1e-7)


def test_even_weights_lead_back_to_the_fit_on_shared_rows():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(1000, 4)) @ (np.eye(4) + 0.3 * rng.normal(size=(4, 4)))
    Y = Z @ (rng.normal(size=(4, 40)) * (rng.random((4, 40)) < 0.4)) + 0.5 * rng.normal(size=(1000, 40))
    model = MTLCM(random_state=0).fit(Z @ rng.normal(size=(4, 4)), Y)
    moments = model.moments_
    even, uneven = np.full(40, 1 / 40), rng.dirichlet(np.ones(40))
    found = refits.refit_axes(model.fit_, moments, np.stack([even, uneven]), rng)
    agreement = [latent_agreement(model.fit_.unmixing, B, moments.pooled_covariance()).per_latent.min() for B in found]
    assert agreement[0] > 1 - 1e-6
    assert agreement[1] < 1 - 1e-5
