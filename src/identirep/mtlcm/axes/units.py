"""Features in units too far apart for one eigenvalue problem, which loses the small ones, are brought to like units.

Powers of two are exact. Latents do not change, and neither do axes where no noise is estimated, which has one unit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.fit import LatentFit

__all__ = ["fit_in_units", "like_units", "moments_in_units"]

# Eigenvalues of covariances keep ten digits fewer where deviations differ by this factor.
_MOST_APART = 1e5


def like_units(moments: TaskMoments) -> Array | None:
    """Return units in which features vary alike, shape (n_features,), None where they are about alike."""
    deviation = np.sqrt(np.diag(moments.pooled_covariance()))
    if deviation.max() <= _MOST_APART * deviation.min():
        return None
    return np.asarray(np.ldexp(1.0, np.frexp(deviation)[1]), dtype=np.float64)


def moments_in_units(moments: TaskMoments, units: Array) -> TaskMoments:
    """Return the moments of features in other units, ``h / units``."""
    return moments.map_features(np.diag(1.0 / units))


def fit_in_units(fit: LatentFit, units: Array) -> LatentFit:
    """Return a fit to features ``h`` as one to ``h / units``."""
    return replace(
        fit,
        unmixing=np.ascontiguousarray(fit.unmixing * units),
        components=np.ascontiguousarray(fit.components * units),
        mixing=np.ascontiguousarray(fit.mixing / units[:, None]),
    )
