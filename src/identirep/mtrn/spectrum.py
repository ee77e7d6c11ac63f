r"""How much signal each predictive direction has on held-out rows, how many have any, and where a cut comes back.

Direction k has the signal :math:`M_{kk}` on rows that the encoder was not trained on, from

.. math::
    M = \sum_t p_t \, \mathrm{sym}(w_t s_t^\top) / \sigma_t^2,

heads :math:`w_t` from training rows and covariances :math:`s_t = \mathrm{cov}(h, y)` from held-out rows. Without signal
its mean is zero however well the network has memorised its training rows. Directions come from the training rows, so
that each is a test of its own, far stronger than one of the largest eigenvalue of all that is left.

The D leading directions of another fit mix with those after the cut as far as the standard errors of M compare with
the gaps: first-order perturbation gives the angles :math:`M_{jk} / (M_{jj} - M_{kk})`, and fits to disjoint rows differ
by the sum of two such errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import effective_number
from identirep.mtrn.reduction import HeldOut, Reduction
from identirep.row_weights import effective_numbers
from identirep.signal_check import WORTH_SEEING, Signal, beyond_signs

__all__ = ["FEW_PERMUTATIONS", "PERMUTATIONS", "Spectrum", "finds_as_much", "predictive_spectrum"]

# An imperfect encoder spreads about a hundredth of a strong direction's signal over others, and with enough rows that
# is significant too. Directions with less than this share of the strongest signal do not count.
_RESOLUTION = 0.02
# The threshold is the largest of this many null values: a false alarm in one of 200 data sets without signal.
PERMUTATIONS = 199
# So many are enough to order directions, where their number is given.
FEW_PERMUTATIONS = 19
# Of fewer rows or groups there are too few permutations for a threshold.
_FEWEST_UNITS = 7
# Of what others predict of all rows, a stage one has to predict so much of few groups held out.
_AS_MUCH = 0.5
# Directions within so many standard errors of the threshold are as good in as out.
_UNDECIDED = 2.0
# A cut comes back if the squared sine of the angle between fits to other rows is less than this,
_COMES_BACK = 0.25
# where variances count so many times: encoders differ by more than the sampling error of their heads.
_ENCODER = 4.0


@dataclass(frozen=True)
class Spectrum:
    """Signal to noise ratio of each direction on held-out rows, averaged over tasks; around zero without signal.

    `order` puts the directions of the reduction in descending order of it, those above their thresholds first; all else
    is in that order.
    """

    order: IntArray
    values: Array
    # The largest value that chance gave to the direction, and no less than the resolution.
    threshold: Array
    error: Array
    # Squared sine of the largest angle between the D leading directions of fits to disjoint rows, D = 1, 2, ...
    mixing: Array
    # M in the directions, and the variance of its entries from fit to fit.
    signal: Array
    variance: Array
    # Rows, or groups of these, that were held out.
    n_units: float = np.inf

    @property
    def n_signal(self) -> int:
        """Number of leading directions above their thresholds."""
        return _leading(self.values > self.threshold)

    @property
    def can_decide(self) -> bool:
        """Whether enough was held out for signal to exceed what chance gives."""
        return self.n_units >= _FEWEST_UNITS

    def share(self, n_components: int) -> float:
        """Share of the variance of the targets that the leading directions predict on held-out rows."""
        ratio = float(np.maximum(self.values[:n_components], 0.0).sum())
        return ratio / (1.0 + ratio)

    @property
    def range(self) -> tuple[int, int]:
        """Least and largest number of directions that are as good; zeros if none has signal."""
        n = self.n_signal
        if n == 0:
            return 0, 0
        # The strongest direction, of which the threshold may be a share, is measured with an error too.
        margin = _UNDECIDED * np.hypot(self.error, _RESOLUTION * self.error[0])
        low, high = (_leading(self.values + sign * margin > self.threshold) for sign in (-1.0, 1.0))
        return min(max(low, 1), n), max(high, n)

    def mixing_of(self, n_components: int, share: float) -> float:
        """Squared sine between the leading directions of two fits to other rows, of which this one had a share."""
        return float(_mixing(self.signal, share * self.variance)[n_components - 1])

    def redrawn(self, n_components: int, n_draws: int, rng: np.random.Generator, share: float = 1.0) -> Array:
        """Draw the leading directions of fits to other rows, each as near to these as it spans, (n_draws, D, K).

        Errors are those of fits to all rows, of which this one had a share.
        """
        D, deviation = n_components, np.sqrt(share * self.variance)
        found = []
        for _ in range(n_draws):
            error = np.triu(rng.normal(size=deviation.shape) * deviation)
            values, vectors = np.linalg.eigh(self.signal + error + np.triu(error, 1).T)
            leading = vectors[:, np.argsort(-values)[:D]].T
            left, _, right = np.linalg.svd(leading[:, :D])
            found.append((left @ right).T @ leading)
        return np.array(found)

    @property
    def n_components(self) -> int:
        """Number of leading directions to keep: of those that are as good and significant, the most that come back."""
        low, n = self.range[0], self.n_signal
        if n == 0:
            return 0
        mixing = self.mixing[low - 1 : n]
        clear = np.flatnonzero(mixing < _COMES_BACK)
        return low + int(clear[-1] if len(clear) else np.argmin(mixing))


def predictive_spectrum(
    reduction: Reduction,
    held_out: HeldOut,
    rng: np.random.Generator,
    n_trained: float,
    inflation: float = 1.0,
    n_permutations: int = PERMUTATIONS,
) -> Spectrum:
    """Measure the signal of each direction, what chance would give, and where another fit would cut.

    What chance gives is the same with targets permuted within tasks (the same way for tasks that share rows), or where
    these share rows with the targets of whole groups, or with random signs for groups of tasks with rows of their own,
    and for rows that have weights. A group counts once, however many rows it has: large ones would decide alone.
    `n_trained` labels have led to the directions. Chance does `inflation` times as much as permuted targets
    show; inf stands for targets that have been found to carry none.
    """
    H = (held_out.features - reduction.mean) @ reduction.components.T
    seen = ~np.isnan(held_out.targets)
    n_labels: float = int(seen.sum())
    K = H.shape[1]
    if K == 0 or n_labels == 0:
        return Spectrum(np.arange(K), *np.zeros((4, K)), *np.zeros((2, K, K)))
    n_rows = len(H)
    groups = np.arange(n_rows) if held_out.groups is None else np.unique(held_out.groups, return_inverse=True)[1]
    groups = groups.reshape(-1)
    weight = 1.0 / np.bincount(groups)[groups]
    n_groups: float = int(groups.max()) + 1
    if held_out.weights is not None:
        weight = weight * held_out.weights / held_out.weights.max()
        n_groups = effective_number(np.bincount(groups, weight).astype(np.float64))
        n_labels = _effective_labels(held_out.weights, seen, held_out.task_index)
    if held_out.task_index is None:
        index = np.zeros(n_rows, dtype=np.int64)
        y = held_out.targets / reduction.scale
        mean = weight @ np.where(seen, y, 0.0) / np.maximum(weight @ seen, np.finfo(np.float64).tiny)
        labels = np.where(seen, y - mean, 0.0) @ reduction.heads
        weight = weight / float((weight @ seen).sum())
    else:
        index = held_out.task_index
        y = _centred((held_out.targets / reduction.scale[index])[:, None], index, weight)
        labels = y * reduction.heads[index]
        weight = weight / weight.sum()
    H = _centred(H, index, weight)
    M, V = _signal(H, labels, weight, n_groups)
    value = np.diagonal(M)

    # Signs leave each label to its row, which is how noisy its weight says.
    by_signs = held_out.weights is not None or (held_out.groups is not None and held_out.task_index is not None)
    blocks = None if held_out.groups is None else _Blocks.of(groups)

    def permuted() -> Array:
        if by_signs:
            return labels * rng.choice([-1.0, 1.0], size=int(groups.max()) + 1)[groups][:, None]
        if held_out.task_index is None:
            return labels[rng.permutation(n_rows) if blocks is None else blocks.permuted(rng)]
        order = np.empty(n_rows, dtype=np.int64)
        order[np.argsort(index, kind="stable")] = np.lexsort((rng.random(n_rows), index))
        return y[order] * reduction.heads[index]

    weighted = H * weight[:, None]
    null = np.stack([np.einsum("ik,ik->k", weighted, permuted()) for _ in range(n_permutations)])
    # The largest deviation over all directions: one threshold for all, in units of what chance does to each.
    deviation = np.maximum(np.sqrt((null**2).mean(axis=0)), np.finfo(np.float64).tiny)
    largest = float((null / deviation).max())
    if by_signs and np.isfinite(inflation):
        n_units = int(np.count_nonzero(np.bincount(groups, np.abs(weighted * labels).sum(axis=1))))
        chance = deviation * beyond_signs(largest, 1.0, n_units, inflation)
    else:
        chance = inflation * deviation * largest
    threshold = np.nan_to_num(chance, posinf=max(value.max(), 0.0)).clip(_RESOLUTION * value.max())
    # Those with signal first: one that chance does much to can be stronger without any.
    order = np.lexsort((-value, value <= threshold))
    M, V = M[np.ix_(order, order)], V[np.ix_(order, order)]
    error = np.sqrt(np.diagonal(V))
    # Two fits differ by two errors.
    variance = 2.0 * _ENCODER * V * n_labels / n_trained
    return Spectrum(order, np.diagonal(M), threshold[order], error, _mixing(M, variance), M, variance, n_groups)


class _Blocks(NamedTuple):
    """Rows of groups, one group after the other; sizes and first places of these; of each row its group and place."""

    rows: IntArray
    size: IntArray
    start: IntArray
    group: IntArray
    place: IntArray

    @classmethod
    def of(cls, groups: IntArray) -> _Blocks:
        """Order the rows by their groups 0, 1, ..."""
        rows, size = np.argsort(groups, kind="stable"), np.bincount(groups)
        start = np.cumsum(size) - size
        place = np.empty(len(groups), dtype=np.int64)
        place[rows] = np.arange(len(groups)) - start[groups[rows]]
        return cls(rows, size, start, groups, place)

    def permuted(self, rng: np.random.Generator) -> IntArray:
        """Give each group the rows of another, from the first one again where that has fewer.

        What rows of a group have in common stays. Signs would not do: where there is signal they vary with it, and few
        groups never exceed what they give.
        """
        other = rng.permutation(len(self.size))[self.group]
        return np.asarray(self.rows[self.start[other] + self.place % self.size[other]])


def _signal(H: Array, labels: Array, weight: Array, n_groups: float) -> tuple[Array, Array]:
    """Return M and the sampling variance of its entries, rows of a group taken for one and the same."""
    M = (H * weight[:, None]).T @ labels
    squares = (H**2 * weight[:, None]).T @ labels**2
    product = H * labels
    crossed = (product * weight[:, None]).T @ product
    M = 0.5 * (M + M.T)
    # Mean square of (h_j l_k + h_k l_j) / 2.
    second = 0.25 * (squares + squares.T + 2.0 * crossed)
    return M, np.maximum(weight.sum() * second - M**2, 0.0) / n_groups


def _effective_labels(weights: Array, seen: BoolArray, index: IntArray | None) -> float:
    """Return the effective number of labels, summed over tasks."""
    if index is not None:
        return float(effective_numbers(weights, index, int(index.max()) + 1).sum())
    return sum(effective_number(weights[column]) for column in seen.T)


def _mixing(M: Array, variance: Array) -> Array:
    """Return the squared sine between the leading directions of two fits, by first-order perturbation."""
    strength = np.diagonal(M)
    gap = strength[:, None] - strength
    # Directions of equal signal mix freely.
    angle = np.where(gap == 0, 1.0, variance / np.where(gap == 0, 1.0, gap**2))
    K = len(strength)
    return np.array([np.minimum(angle[:D, D:].sum(axis=1).max(initial=0.0), 1.0) for D in range(1, K + 1)])


def _leading(above: BoolArray) -> int:
    return len(above) if above.all() else int(np.argmin(above))


def _centred(values: Array, index: IntArray, weight: Array) -> Array:
    """Subtract each task's weighted mean from its rows."""
    total = np.maximum(np.bincount(index, weight), np.finfo(np.float64).tiny)
    means = np.stack([np.bincount(index, column * weight) for column in values.T], axis=1) / total[:, None]
    return np.asarray(values - means[index])


def finds_as_much(spectrum: Spectrum, n_components: int, signal: Signal) -> bool:
    """Tell whether rows of too few groups for a test are predicted, about as well as others predict all rows."""
    best = max(signal.r2.values(), default=0.0)
    if spectrum.can_decide or not n_components or signal.answer != "signal" or best < WORTH_SEEING:
        return False
    return spectrum.share(n_components) >= _AS_MUCH * best
