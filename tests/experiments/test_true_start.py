"""An iVAE that begins at the true sources."""

import numpy as np
import pytest

from identirep.experiments.segments import piecewise_stationary
from identirep.experiments.true_start import IVAEFromTruth
from identirep.metrics import mcc_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.slow
def test_begins_at_the_sources_and_is_trained_from_there():
    data = piecewise_stationary(10, 100, 2, 2, np.random.default_rng(0))
    model = IVAEFromTruth(2, auxiliary="task", prior="network", max_epochs=30, random_state=0)
    model.sources, model.steps = data.Z, 500
    model.fit(data.X, None, data.segments)
    # Not only up to order and scale: latent by latent, in standard units.
    sources = (data.Z - data.Z.mean(axis=0)) / data.Z.std(axis=0)
    assert np.mean((model.start_ - sources) ** 2) < 0.02
    found = model.transform(data.X, tasks=data.segments)
    assert np.abs(found - model.start_).max() > 0.05
    assert mcc_score(found, data.Z) > 0.8


@pytest.mark.slow
def test_sources_matter():
    data = piecewise_stationary(10, 100, 2, 2, np.random.default_rng(0))
    model = IVAEFromTruth(2, auxiliary="task", prior="network", max_epochs=1, random_state=0)
    model.sources, model.steps = data.Z[:, ::-1].copy(), 500
    model.fit(data.X, None, data.segments)
    correlation = np.corrcoef(model.start_.T, data.Z.T)[:2, 2:]
    assert abs(correlation[0, 1]) > 0.98
    assert abs(correlation[1, 0]) > 0.98
