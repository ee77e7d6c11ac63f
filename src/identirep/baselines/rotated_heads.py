"""Rotated heads: the orthogonal rotation of whitened features under which correlations with targets are simplest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar, Literal, get_args

import numpy as np

from identirep._typing import Array, RandomState
from identirep.baselines.moment_based import End, MomentBaseline
from identirep.moments import TaskMoments
from identirep.parameters import Choice, Rule

__all__ = ["RotatedHeads", "RotationCriterion"]

RotationCriterion = Literal[
    "varimax", "quartimax", "equamax", "entropy", "third_power", "sixth_power", "absolute_value"
]

_TINY = 1e-12
# Smoothing of the absolute value, in units of the root mean square correlation.
_WIDTH = 0.05


class RotatedHeads(MomentBaseline):
    r"""Whitened features turned to where their correlations with the targets are simplest, as in factor analysis.

    With L the correlations of whitened features with the targets, shape (n_tasks, D), the latents are :math:`z = R' h`
    for the rotation R that maximises, with :math:`l = L R`,

    ==================  ==========================================================================
    ``criterion``       maximised
    ==================  ==========================================================================
    "varimax"           :math:`\sum_{ti} l_{ti}^4 - \frac1T \sum_i (\sum_t l_{ti}^2)^2`
    "quartimax"         :math:`\sum_{ti} l_{ti}^4`
    "equamax"           as varimax, the second term times D / 2
    "entropy"           :math:`\sum_{ti} l_{ti}^2 \log l_{ti}^2` (minimum entropy)
    "third_power"       :math:`\sum_{ti} |l_{ti}|^3`
    "sixth_power"       :math:`\sum_{ti} l_{ti}^6`
    "absolute_value"    :math:`-\sum_{ti} |l_{ti}|`
    ==================  ==========================================================================

    by iterating :math:`R \leftarrow \mathrm{polar}(L' g(LR))`, g the derivative of the criterion.

    Parameters
    ----------
    criterion : str, default "varimax"
        What is maximised, as above.
    n_components : int, optional
        Number of latents D; default the rank of the features. With fewer, the leading principal components are used.
    n_init : int, default 20
        Number of starts; the highest criterion wins.
    max_iter : int, default 1000
        Largest number of iterations.
    tol : float, default 1e-7
        Largest change of an entry of the rotation at convergence.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Source of the random starts.

    Attributes
    ----------
    components_ : array, shape (n_components_, n_features_in_)
        Linear map of `transform`: rotated principal components of unit variance.
    mean_ : array, shape (n_features_in_,)
        Mean of the features.
    objective_ : float
        Criterion at the end.
    n_iter_ : int
        Iterations of the start that won.
    converged_ : bool
        Whether `tol` was reached.
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    n_components_, n_features_in_ : int
        Number of latents, and of features.

    Notes
    -----
    Identifies latents that are uncorrelated and whose correlations with targets are sparse.

    References
    ----------
    H. F. Kaiser, "The varimax criterion for analytic rotation in factor analysis", Psychometrika 23 (1958) 187-200.
    Y. Shen, Y. Xue, J. Zhang, K. Letaief, V. Lau, "Complete dictionary learning via l_p-norm maximization", UAI 2020.
    K. Rohe, M. Zeng, "Vintage factor analysis with varimax performs statistical inference", J. R. Stat. Soc. B 85
    (2023) 1037-1060.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.baselines import RotatedHeads
    >>> from identirep.metrics import mcc_score
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(500, 3))
    >>> y = Z @ (rng.normal(size=(3, 30)) * (rng.random((3, 30)) < 0.4)) + 0.1 * rng.normal(size=(500, 30))
    >>> H = Z @ rng.normal(size=(3, 3))
    >>> bool(mcc_score(RotatedHeads(random_state=0).fit(H, y).transform(H), Z) > 0.98)
    True
    """

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        **MomentBaseline._parameter_rules,
        "criterion": Choice(*get_args(RotationCriterion)),
    }
    _unrest = "the last of which changed the rotation by"

    def __init__(
        self,
        criterion: RotationCriterion = "varimax",
        n_components: int | None = None,
        *,
        n_init: int = 20,
        max_iter: int = 1000,
        tol: float = 1e-7,
        random_state: RandomState = None,
    ) -> None:
        self.criterion = criterion
        self.n_components = n_components
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def _best_end(self, moments: TaskMoments, starts: list[Array]) -> End:
        """Maximise the criterion."""
        correlations = moments.cov_hy / np.sqrt(moments.var_y)[:, None]
        judge = _judge(self.criterion, correlations)
        ends = [_turned(correlations, start, judge, self.max_iter, self.tol) for start in starts]
        return max(ends, key=lambda end: end.objective)


def _turned(L: Array, rotation: Array, judge: Callable[[Array], tuple[float, Array]], max_iter: int, tol: float) -> End:
    """Iterate one start until the rotation stays."""
    value, gradient = judge(L @ rotation)
    change, n_iter = np.inf, 0
    while n_iter < max_iter and change > tol:
        left, _, right = np.linalg.svd(L.T @ gradient)
        moved = left @ right
        change, n_iter = float(np.abs(moved - rotation).max()), n_iter + 1
        rotation = moved
        value, gradient = judge(L @ moved)
    return End(rotation.T, value, n_iter, change)


def _judge(criterion: str, L: Array) -> Callable[[Array], tuple[float, Array]]:
    """Criterion of turned correlations, and its derivative plus a multiple of them that makes every step a rise.

    Such a multiple only adds a constant to the criterion, since rotations leave the sum of squares as it is.
    """
    T, D = L.shape
    if criterion in _POWERS:
        return partial(_power, p=_POWERS[criterion])
    if criterion in ("varimax", "equamax"):
        # Rises all the way once the multiple outweighs the second term.
        share = (1.0 if criterion == "varimax" else 0.5 * D) / T
        return partial(_orthomax, share=share, lift=share * float(np.linalg.norm(L, 2) ** 2) * 3.0)
    return _entropy if criterion == "entropy" else partial(_absolute, width=_WIDTH * float(np.sqrt(np.mean(L**2))))


_POWERS = {"quartimax": 4.0, "third_power": 3.0, "sixth_power": 6.0}


def _power(turned: Array, p: float) -> tuple[float, Array]:
    steep = np.abs(turned) ** (p - 2.0) * turned
    return float(np.sum(steep * turned)), steep


def _orthomax(turned: Array, share: float, lift: float) -> tuple[float, Array]:
    columns = np.sum(turned**2, axis=0)
    value = float(np.sum(turned**4) - share * np.sum(columns**2))
    return value, turned**3 - share * columns * turned + lift * turned


def _entropy(turned: Array) -> tuple[float, Array]:
    logs = np.log(turned**2 + _TINY)
    # Convex with this multiple of the correlations, down to the tiniest of them.
    return float(np.sum(turned**2 * logs)), turned * (logs - np.log(_TINY))


def _absolute(turned: Array, width: float) -> tuple[float, Array]:
    smooth = np.sqrt(turned**2 + width**2)
    return -float(smooth.sum()), turned / width - turned / smooth
