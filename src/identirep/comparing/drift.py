r"""Have latents and targets moved since the fit, and which rows lie outside of what was fitted to?

Of each axis the run keeps some order statistics of m independent rows. If n new rows come from the same law, the shares
of it below these are partial sums of a Dirichlet distribution, and numbers of new rows between them are multinomial, so
that the law of the largest difference of shares

    max_k | share of new rows below the order statistic of rank r_k  -  r_k / m |

is known exactly, whatever the law of the axis (the test of Kolmogorov and Smirnov for two samples, on the ranks that
are kept; where the law of the fit is known to lie between two, the difference is that to the nearer). It is drawn
from; far out, where no draw comes, the limit for all ranks bounds it. Over axes the method of Holm keeps the chance
that any is called moved, though none has, at the rate that was asked for.

References
----------
S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979) 65-70.
N. V. Smirnov, "Table for estimating the goodness of fit of empirical distributions", Annals of Mathematical Statistics
19 (1948) 279-281.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.stats import kstwobign

from identirep._typing import Array, BoolArray, IntArray
from identirep.comparing.comparison import inputs_of
from identirep.comparing.reference import Columns, Reference, ranks_kept, share_below, values_of_tasks
from identirep.parameters import Number, check_arguments
from identirep.splits import number_groups, row_groups

__all__ = ["Drift", "Moved", "check_drift"]

# Independent rows needed on both sides, and draws of the law under which nothing has moved.
_LEAST_ROWS, _N_DRAWS = 20, 4999
# If a smaller share of the rows is tested it is said.
_MOSTLY = 0.9
# From so many rows on two digits of their number say enough.
_LARGE = 200


@dataclass(frozen=True)
class Moved:
    """Which of some columns have moved. Part of `Drift`.

    Parameters
    ----------
    names : tuple of str
        Names of the columns that could be tested.
    moved : array of bool, shape (n_columns,)
        Whether each has moved.
    p_value : array, shape (n_columns,)
        Chance of a difference as large if the column has not moved, not corrected for the number of columns.
    shift : array, shape (n_columns,)
        Difference of means, in standard deviations of the fit.
    spread : array, shape (n_columns,)
        Ratio of standard deviations, new over that of the fit.
    """

    names: tuple[str, ...]
    moved: BoolArray
    p_value: Array
    shift: Array
    spread: Array


@dataclass(frozen=True)
class Drift:
    """What has changed since a fit. Made by `check_drift`.

    Parameters
    ----------
    latents, targets : Moved
        Which axes, and which targets as far as they are known, have moved.
    outside : array of int, shape (n_outside,)
        Rows that lie outside of what was fitted to: an input beyond its ends, further than held-out rows are, or
        latents together further out than those of any row of the fit.
    reasons : tuple of str, length n_outside
        The input that is furthest out in each of these, or "latents".
    n_rows : int
        Rows that were looked at.
    n_tested : int
        Different rows among them that were not trained on: these are tested for moves.
    level : float
        Chance that any axis (any target) is called moved if none has.
    remark : str
        What stands against the test, empty if nothing does.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import IdentifiableRegressor
    >>> from identirep.comparing import check_drift
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 4))
    >>> y = np.repeat(X[:, :2], 4, axis=1) + 0.3 * rng.normal(size=(600, 8))
    >>> model = IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0).fit(
    ...     X[:300], y[:300]
    ... )
    >>> check_drift(model, X[300:]).latents.moved
    array([False, False])
    >>> check_drift(model, X[300:] + [1, 1, 0, 0]).latents.moved
    array([ True,  True])
    """

    latents: Moved
    targets: Moved
    outside: IntArray
    reasons: tuple[str, ...]
    n_rows: int
    n_tested: int
    level: float
    remark: str


def check_drift(
    model: Any, X: Any, y: Any = None, tasks: Any = None, *, groups: Any = None, level: float = 0.05
) -> Drift:
    """Say which latents and targets have moved since a fit, and which rows lie outside of what was fitted to.

    Parameters
    ----------
    model : IdentifiableRegressor
        Fitted model.
    X : array-like or table, shape (n_samples, n_features)
        Inputs of new rows; those that were trained on are not tested.
    y : array-like, shape (n_samples, n_tasks) or (n_samples,), optional
        Targets of new rows, NaN where they are not known: in the order of the fit (wide layout), with or without those
        that it has left out; or one of each row, with `tasks`. Default: none.
    tasks : array-like, shape (n_samples,), optional
        Long layout: label of each row's task. Rows of tasks that the fit does not know are left out.
    groups : array-like, shape (n_samples,), optional
        Rows of one group know of each other (repeated measurements, the same molecule), and count once, as in a fit.
        Rows of equal inputs do so without being told.
    level : float, default 0.05
        Rate of false alarms: the chance that any axis is called moved though none has; the same for targets.

    Returns
    -------
    Drift
        Axes and targets that have moved, rows that lie outside.

    Raises
    ------
    ValueError
        If the model has no latents or was stored before it kept what they (or the targets of tasks) look like, has held
        out too few rows, there are too few new ones, or `y` or `groups` do not go with them.

    Notes
    -----
    Rows have to be independent, apart from those of a group, and mostly have inputs of their own: where these take few
    values, rows that differ from those of the fit are the rarer ones, and axes are called moved that are not. Where
    many rows are left out, or rows have an order, `remark` says so. What an axis looks like is known from rows that the
    fit has not seen: of a network those held out for validation, so that small moves need many new rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import IdentifiableRegressor
    >>> from identirep.comparing import check_drift
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 4))
    >>> y = np.repeat(X[:, :2], 4, axis=1) + 0.3 * rng.normal(size=(400, 8))
    >>> model = IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0).fit(
    ...     X[:200], y[:200]
    ... )
    >>> found = check_drift(model, X[200:] + [0, 0, 50, 0])
    >>> len(found.outside), found.reasons[0]
    (200, 'input 2')
    """
    check_arguments(level=(level, Number(0.0, 1.0, open_low=True, open_high=True)))
    reference = _reference_of(model)
    inputs = inputs_of(model, X, "fitted")
    Z, numbers = model._latents_of(inputs), model._checked_inputs(inputs)
    outside, where = reference.outside(Z, numbers)
    seen = model._saw(inputs)
    seen = np.zeros(len(Z), dtype=bool) if seen is None else seen
    groups = _groups_of(numbers, groups)
    tested = ~seen if groups is None else ~seen & _first(groups)
    if tested.sum() < _LEAST_ROWS:
        raise ValueError(
            f"X has too few rows to tell whether axes have moved: got {int(tested.sum())} different ones that were not "
            f"trained on, expected at least {_LEAST_ROWS}. Pass more."
        )
    if reference.latents.count.min() < _LEAST_ROWS:
        raise ValueError(
            "the model knows too few rows to tell whether axes have moved: got "
            f"{int(reference.latents.count.min())} that were held out from it, expected at least {_LEAST_ROWS}. Fit to "
            "more rows."
        )
    names = model._names_of_inputs(model.regressor_)
    labels = [f"input {k}" for k in range(numbers.shape[1])] if names is None else [str(name) for name in names]
    targets = [] if y is None else _targets_of(model, reference, y, tasks, ~seen, groups)
    names_of_tasks = [str(name) for name in model.task_names_]
    return Drift(
        latents=_moved(reference.latents, list(Z[tested].T), list(model.latent_names_), level),
        targets=_moved(reference.targets, targets, names_of_tasks, level),
        outside=np.flatnonzero(outside),
        reasons=tuple("latents" if k < 0 else labels[k] for k in where[outside]),
        n_rows=len(Z),
        n_tested=int(tested.sum()),
        level=level,
        remark=_remark(reference, len(Z), int(tested.sum())),
    )


def _remark(reference: Reference, n: int, n_tested: int) -> str:
    """Say what stands against the test."""
    remarks = []
    if reference.ordered:
        remarks.append("Rows have an order, and neighbours are alike: alarms come more often than asked for.")
    if n_tested < _MOSTLY * n:
        remarks.append(
            f"{n - n_tested:,} of {n:,} rows are not tested: they belong to others, or have inputs that were trained "
            "on. If that is because inputs take few values, the rows that are left are rarer ones, and alarms come "
            "more often than asked for."
        )
    return " ".join(remarks)


def _reference_of(model: Any) -> Reference:
    reference: Reference | None = getattr(model, "_reference", None)
    if reference is not None and len(reference.latents.count):
        return reference
    if not getattr(model, "latent_names_", ("",)):
        raise ValueError("the model has no latents: got targets without signal, expected some. Fit other data.")
    raise ValueError(
        "the model does not know what its latents looked like: got one that was stored before that was kept, expected "
        "an IdentifiableRegressor of this version. Fit again."
    )


def _targets_of(
    model: Any, reference: Reference, y: Any, tasks: Any, rows: BoolArray, groups: IntArray | None
) -> list[Array]:
    """Return the known targets of each task of a model in some of the rows, those of equal inputs once."""
    targets, n_tasks = np.asarray(y, dtype=np.float64), len(model.task_names_)
    given = list(getattr(model.regressor_, "_given_tasks", model.task_names_))
    if len(reference.targets.count) != n_tasks:
        raise ValueError(
            "the model does not know what its targets looked like: got one that was stored before that was kept in the "
            "long layout, expected one of this version. Fit again, or leave out y."
        )
    if tasks is not None:
        labels = np.asarray(tasks)
        if targets.shape != rows.shape or labels.shape != rows.shape:
            raise ValueError(
                f"y and tasks do not go with X: got shapes {targets.shape} and {labels.shape}, expected {rows.shape} "
                "for both. Pass a target and the label of its task for each row."
            )
        position = {str(name): t for t, name in enumerate(model.task_names_)}
        index = np.array([position.get(str(label), -1) for label in labels.tolist()], dtype=np.int64)
        if not (index >= 0).any():
            raise ValueError(
                f"tasks has none of the tasks of the fit: got {labels.tolist()[0]!r} first, expected labels such as "
                f"{model.task_names_[0]!r}. Pass those."
            )
        own = None if groups is None else groups[rows]
        return values_of_tasks(targets[rows], index[rows], n_tasks, own)
    if targets.ndim == 1 and len(given) == 1:
        targets = targets[:, None]
    if targets.ndim != 2 or len(targets) != len(rows) or targets.shape[1] not in (len(given), n_tasks):
        raise ValueError(
            f"y does not go with X and the fit: got shape {targets.shape}, expected {(len(rows), n_tasks)}. Pass all "
            "targets in their order, NaN where they are not known, or one of each row with tasks."
        )
    if targets.shape[1] != n_tasks:
        kept = set(model.task_names_)
        targets = targets[:, [t for t, name in enumerate(given) if name in kept]]
    tested = rows if groups is None else rows & _first(groups)
    return [column[tested & ~np.isnan(column)] for column in targets.T]


def _groups_of(numbers: Array, groups: Any) -> IntArray | None:
    """Number the groups that rows are in, by what was given and by equal inputs."""
    equal = row_groups(numbers)
    if groups is None:
        return equal
    labels = np.asarray(groups)
    if labels.shape != (len(numbers),):
        raise ValueError(
            f"groups does not go with X: got shape {labels.shape}, expected {(len(numbers),)}. Pass a label for each "
            "row."
        )
    return row_groups(numbers, number_groups(labels))


def _first(groups: IntArray) -> BoolArray:
    """Tell which row is the first of its group."""
    found = np.zeros(len(groups), dtype=bool)
    found[np.unique(groups, return_index=True)[1]] = True
    return found


def _moved(reference: Columns, values: Sequence[Array], names: list[str], level: float) -> Moved:
    """Test each column of known values of which there are enough values on both sides."""
    count = np.array([len(own) for own in values], dtype=np.int64)
    known = np.flatnonzero((count >= _LEAST_ROWS) & (reference.count[: len(count)] >= _LEAST_ROWS))
    p_value, shift, spread = np.ones((3, len(known)))
    for k, c in enumerate(known):
        own = values[int(c)]
        p_value[k] = _p_value(reference, int(c), own)
        deviation = max(float(reference.deviation[c]), np.finfo(float).tiny)
        shift[k], spread[k] = (own.mean() - reference.mean[c]) / deviation, own.std() / deviation
    return Moved(tuple(names[c] for c in known), _holm(p_value) <= level, p_value, shift, spread)


@lru_cache(maxsize=256)
def _law(m: int, n: int, n_kept: int) -> Array:
    """Draw the largest difference of shares if nothing has moved, sorted, times the root of m n / (m + n)."""
    rng, ranks = np.random.default_rng(0), ranks_kept(m, n_kept)
    steps = np.diff(np.concatenate([[0], np.unique(ranks), [m + 1]])).astype(np.float64)
    shares = rng.standard_gamma(steps, size=(_N_DRAWS, len(steps)))
    counts = rng.multinomial(n, shares / shares.sum(axis=1, keepdims=True))
    below = np.cumsum(counts[:, :-1], axis=1) / n
    return np.sort(np.abs(below - np.unique(ranks) / m).max(axis=1)) * _size(m, n)


def _size(m: int, n: int) -> float:
    """Return what makes the difference of two shares of m and n rows have a law of its own."""
    return float(np.sqrt(m * n / (m + n)))


def _about(n: int) -> int:
    """Return a large number in two digits: targets with gaps would each have a law of their own."""
    unit = 10 ** max(len(str(n)) - 2, 0)
    return n if n < _LARGE else round(n / unit) * unit


def _p_value(reference: Columns, c: int, values: Array) -> float:
    ranks, ends = reference.ranks(c), reference.values[c]
    # Of equal values the last rank counts, that of all that are not larger.
    last = np.searchsorted(ends, ends, side="right") - 1
    m, n = int(reference.count[c]), len(values)
    below, own, seen = share_below(np.sort(values), ends), ranks[last] / m, reference.seen[c]
    statistic = float(np.maximum(np.minimum(own, seen) - below, below - np.maximum(own, seen))[np.unique(last)].max())
    statistic *= _size(m, n)
    law = _law(_about(m), _about(n), reference.values.shape[1])
    # Rounding must not make a difference of two equal ones.
    beyond = len(law) - int(np.searchsorted(law, statistic - 1e-12, side="left"))
    share = (1 + beyond) / (1 + len(law))
    return share if beyond else min(share, float(kstwobign.sf(statistic)))


def _holm(p_value: Array) -> Array:
    """Correct p-values for their number."""
    order = np.argsort(p_value, kind="stable")
    corrected = np.maximum.accumulate(p_value[order] * (len(order) - np.arange(len(order))))
    found = np.empty(len(order))
    found[order] = np.minimum(corrected, 1.0)
    return found
