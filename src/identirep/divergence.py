"""The error of a training that does not converge, which is no failure of ours."""

from __future__ import annotations

__all__ = ["DivergenceError"]


class DivergenceError(RuntimeError):
    """Training has led to numbers that are not finite: the data or the settings are to blame."""
