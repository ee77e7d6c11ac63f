"""Whether axes come back when the model is fitted again: what was measured of it, and the law that carries it over.

An axis of a fit is that of all fits and an error of its own, whose variance falls as one over the number of rows (its
coefficients are means). Errors of variance v leave two fits a correlation c = 1 / (1 + v), so that fits to 1 / s times
as many rows have c / (c + s (1 - c)): two fits to disjoint halves lose about twice as much of their correlation as two
fits to as many rows as the fit had (the Spearman-Brown formula).

References
----------
W. Brown, "Some experimental results in the correlation of mental abilities", British Journal of Psychology 3 (1910)
296-322.
C. Spearman, "Correlation calculated from faulty data", British Journal of Psychology 3 (1910) 271-295.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, IntArray
from identirep.shapes import CORRELATION, check_shapes, check_values

__all__ = ["TURNED", "ComesBack", "extrapolated"]

# Correlation with its partner in another fit under which an axis has turned.
TURNED = 0.9

_SHAPES = {"same_rows": "D", "other_rows": "D", "other_rows_interval": "D2", "turn_probability": "D"}


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

    def _in_order(self, order: IntArray) -> ComesBack:
        """Return what is known of axes in another order."""
        return ComesBack(**{name: getattr(self, name)[order] for name in _SHAPES}, how=self.how)

    def _to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        arrays = {name: value for name, value in vars(self).items() if name != "how"}
        return arrays, {"how": self.how}

    @classmethod
    def _of_arrays(cls, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> ComesBack:
        check_shapes(arrays, _SHAPES)
        check_values(arrays, dict.fromkeys(_SHAPES, CORRELATION), gaps=True)
        return cls(**arrays, how=str(meta["how"]))


def extrapolated(agreement: Array, share: float) -> Array:
    """Carry the correlation of fits to a share of the rows over to fits to all of them; none stays none."""
    kept = np.clip(agreement, 0.0, 1.0)
    return np.asarray(kept / (kept + share * (1.0 - kept)))
