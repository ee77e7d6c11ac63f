"""The very data sets that the published code was measured on, where they are at hand beside the project."""

from pathlib import Path

import numpy as np
import pytest

from identirep import MTLCM
from identirep.metrics import mcc_score

_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "reference"


@pytest.mark.parametrize("name", ["linear_D10_C2_seed0", "linear_D20_C4_seed0"])
def test_recovers_the_latents_as_well_as_the_true_posterior_mean(name):
    path = _FOLDER / f"{name}.npz"
    if not path.is_file():
        pytest.skip("the published code's data sets are not part of the project")
    with np.load(path) as file:
        H, y, Z, A = (file[key].astype(np.float64) for key in ("o_supportx", "o_supporty", "latents", "transformation"))
    tasks = np.repeat(np.arange(len(H)), H.shape[1])
    H, Z, y = H.reshape(-1, H.shape[2]), Z.reshape(-1, Z.shape[2]), y.ravel()
    found = mcc_score(MTLCM(random_state=0).fit(H, y, tasks=tasks).transform(H), Z)
    # Observation noise 0.01, which the fit does not know.
    prior = np.cov(Z.T)
    posterior_mean = H @ np.linalg.solve(A @ prior @ A.T + 1e-4 * np.eye(len(A)), A @ prior)
    assert found > mcc_score(posterior_mean, Z) - 0.001
