"""Fits of which nothing but the best end counts: the same end, without following the others."""

import numpy as np
import pytest

from identirep.moments import TaskMoments
from identirep.mtlcm.axes.fit import fit_latents


@pytest.mark.parametrize("seed", range(4))
def test_the_best_end_is_that_of_a_full_search(seed):
    rng = np.random.default_rng(seed)
    H = rng.normal(size=(400, 5))
    # Heads that are hardly sparse have several optima.
    y = H @ rng.standard_t(3, size=(5, 30)) + rng.normal(size=(400, 30))
    moments = TaskMoments.from_arrays(H, y)
    settings = {"prior": "factorized", "noise_std": 0.0, "n_init": 20, "most_starts": 100, "max_iter": 500, "tol": 1e-7}
    full, quick = (
        fit_latents(moments, 5, **settings, rng=np.random.default_rng(1), only_best=only) for only in (False, True)
    )
    np.testing.assert_allclose(np.abs(quick.unmixing), np.abs(full.unmixing), atol=1e-4)
    assert quick.starts.criterion.min() == pytest.approx(full.starts.criterion.min(), abs=1e-9)
    assert len(quick.starts.criterion) <= 3 < 20 <= len(full.starts.criterion)
    assert quick.starts.converged[quick.starts.best]
