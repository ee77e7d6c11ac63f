"""Whether axes come back when the model is fitted again: what was measured of it, and the law that carries it over.

The error of an axis, 1 - correlation with the same axis of another fit, falls as one over the number of rows (its
coefficients are means, their errors have variances of 1/n). Two fits to disjoint halves of the rows so lose twice as
much of their correlation as two fits to as many rows as the fit had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array

__all__ = ["TURNED", "ComesBack", "extrapolated"]

# Correlation with its partner in another fit under which an axis has turned.
TURNED = 0.9


@dataclass(frozen=True)
class ComesBack:
    """Correlation of each axis with its partner in another fit, on rows that neither fit has seen.

    Parameters
    ----------
    same_rows : array, shape (D,)
        To expect of another seed on the same rows; NaN where that was not measured.
    other_rows : array, shape (D,)
        To expect of a fit to as many other rows; NaN where that was not measured.
    other_rows_interval : array, shape (D, 2)
        Range in which the correlation with one such fit lies with 90% probability.
    turn_probability : array, shape (D,)
        Chance that such a fit ends in another optimum of stage two, where its partner has less than 0.9.
    how : str
        What it was measured by, or why it was not.
    """

    same_rows: Array
    other_rows: Array
    other_rows_interval: Array
    turn_probability: Array
    how: str

    @classmethod
    def unknown(cls, n_latents: int, how: str) -> ComesBack:
        """Say that nothing was measured.

        Parameters
        ----------
        n_latents : int
            Number of axes D.
        how : str
            Why it was not.

        Returns
        -------
        ComesBack
            All NaN.
        """
        nothing = np.full(n_latents, np.nan)
        return cls(nothing, nothing, np.full((n_latents, 2), np.nan), nothing, how)

    def _to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        arrays = {name: value for name, value in vars(self).items() if name != "how"}
        return arrays, {"how": self.how}

    @classmethod
    def _of_arrays(cls, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> ComesBack:
        return cls(**arrays, how=str(meta["how"]))


def extrapolated(agreement: Array, share: float) -> Array:
    """Carry the agreement of fits to a share of the rows over to fits to all of them."""
    return np.asarray(1.0 - share * (1.0 - agreement))
