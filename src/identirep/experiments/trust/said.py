"""What a fit says of each of its axes: the one place that knows how a certificate spells it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from identirep.experiments.experiment import Row
from identirep.mtlcm import Certificate
from identirep.regressor import IdentifiableRegressor

__all__ = ["CERTIFIED", "IDENTIFIED", "said_of_axes", "two_stages"]

IDENTIFIED = "identified"
# Words that let a user name an axis.
CERTIFIED = (IDENTIFIED, "reproducible")


def two_stages(regressor: Any, n_components: Any, seed: int, *, checked: bool) -> IdentifiableRegressor:
    """Return the model of a cell, not fitted; what only serves to compare needs no checks of its own."""
    return IdentifiableRegressor(n_components, regressor=regressor, n_checks=2 if checked else 0, random_state=seed)


def said_of_axes(certificate: Certificate) -> list[Row]:
    """Return verdict, expected correlations with fits and truth, and their range for each axis; None where unsaid."""
    back = certificate.comes_back
    low, high = back.other_rows_interval.T
    columns = {
        "predicted": back.other_rows,
        "predicted_low": low,
        "predicted_high": high,
        "predicted_same": back.same_rows,
        "turn": back.turn_probability,
        "expected": certificate.expected_mcc,
    }
    known = {name: _known(values) for name, values in columns.items()}
    return [
        {"verdict": verdict, **{name: values[i] for name, values in known.items()}}
        for i, verdict in enumerate(certificate.verdict)
    ]


def _known(values: ArrayLike) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in np.asarray(values, dtype=np.float64)]
