r"""Have latents and targets moved since the fit, and which rows lie outside of what was fitted to?

Of each axis the run keeps shares of rows below some of its values, which those of new rows are compared with (`law`;
where the law of the fit is known to lie between two, the difference is that to the nearer). Rows of equal inputs are
kept together with the others, and counted as `alike` says. Over axes the method of Holm keeps the chance that any is
called moved, though none has, at the rate that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.comparing.alike import NewRows, look_at_rows, times_written_down
from identirep.comparing.comparison import inputs_of
from identirep.comparing.law import chance_of, corrected
from identirep.comparing.reference import Columns, Reference, first_of_groups, rows_of_tasks, share_below
from identirep.parameters import Number, check_arguments
from identirep.splits import number_groups

__all__ = ["Drift", "Moved", "check_drift"]

# Rows needed on both sides, and how many independent ones they have to be worth.
_LEAST_ROWS, _LEAST_INDEPENDENT = 20, 5
# If a smaller share of the rows is tested, or independent, it is said.
_MOSTLY = 0.9


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
        Rows among them that are tested for moves: one of each group, and none that was trained on, unless inputs take
        so few values that rows fall on those of others by chance.
    n_independent : int
        How many independent rows these are worth, which may have equal inputs.
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
    n_independent: int
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
        Rows of equal inputs do so without being told, unless these occur in rows of the fit, too, and not all as often.
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
    Rows have to be independent, apart from those of a group and those of equal inputs. Rows of equal inputs that occur
    in the fit and in new rows fell on the same values by chance, and count one by one; if they occur on one side alone,
    or nearly all as often as each other (three times, say, or a multiple of it), they are the same row again.
    Where many rows are left out, are rows of the fit or repeat others, or rows have an order, `remark` says so. What
    an axis looks like is known from rows that the fit has not seen: of a network those held out for validation, so that
    small moves need many new rows.

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
    own = None if groups is None else _numbered(groups, len(Z))
    rows = look_at_rows(model._trained_rows, model._trained_rows.hashed(numbers), first_of_groups(own, len(Z)))
    tested, law = np.flatnonzero(rows.used), reference.latents
    if rows.alone and reference.apart is not None:
        law = reference.apart
    worth = rows.independent(tested)
    if len(tested) < _LEAST_ROWS or worth < _LEAST_INDEPENDENT:
        of_equal = "" if len(tested) < _LEAST_ROWS else f", which are {worth:.0f} rows repeated"
        raise ValueError(
            f"X has too few rows to tell whether axes have moved: got {len(tested)} different ones that were not "
            f"trained on{of_equal}, expected at least {_LEAST_ROWS}. Pass more."
        )
    times = times_written_down(model._trained_rows.counts)
    known = min(law.count.min(), _independent(law, rows.shared, times).min())
    if law.count.min() < _LEAST_ROWS or known < _LEAST_INDEPENDENT:
        raise ValueError(
            f"the model knows too few rows to tell whether axes have moved: got {known:.0f} that were held out from "
            f"it, expected at least {_LEAST_ROWS}. Fit to more rows."
        )
    names = model._names_of_inputs(model.regressor_)
    labels = [f"input {k}" for k in range(numbers.shape[1])] if names is None else [str(name) for name in names]
    of_targets = [] if y is None else _targets_of(model, reference, y, tasks, rows, own)
    names_of_tasks = [str(name) for name in model.task_names_]
    of_latents = [_Values(column[tested], worth) for column in Z.T]
    return Drift(
        latents=_moved(law, of_latents, list(model.latent_names_), level, rows.shared, times),
        # In tasks of their own rows are counted by task: the same input in several was not written down again.
        targets=_moved(
            reference.targets, of_targets, names_of_tasks, level, rows.shared, times if tasks is None else 1
        ),
        outside=np.flatnonzero(outside),
        reasons=tuple("latents" if k < 0 else labels[k] for k in where[outside]),
        n_rows=len(Z),
        n_tested=len(tested),
        n_independent=round(worth),
        level=level,
        remark=_remark(reference, rows, worth),
    )


@dataclass(frozen=True)
class _Values:
    """Values of new rows, and how many independent rows these are worth."""

    values: Array
    worth: float


def _remark(reference: Reference, rows: NewRows, worth: float) -> str:
    """Say what stands against the test."""
    n, n_tested, remarks = len(rows.used), int(rows.used.sum()), []
    if reference.ordered:
        remarks.append("Rows have an order, and neighbours are alike: alarms come more often than asked for.")
    if n_tested < _MOSTLY * n:
        remarks.append(
            f"{n - n_tested:,} of {n:,} rows are not tested: they belong to others, or have inputs that were trained "
            "on."
        )
    if rows.too_many:
        remarks.append(
            f"{rows.seen[rows.used].mean():.0%} of the rows have inputs that were trained on, where "
            f"{rows.expected:.0%} of other rows would by chance: many seem to be rows of the fit, which hide moves of "
            "the others. Leave those out."
        )
    if worth < _MOSTLY * n_tested:
        remarks.append(
            f"{n_tested:,} rows count as {worth:,.0f}: they repeat inputs, all as often or such as no row of the fit "
            "has, and are taken for the same rows again."
        )
    return " ".join(remarks)


def _reference_of(model: Any) -> Reference:
    reference: Reference | None = getattr(model, "_reference", None)
    if reference is not None and len(reference.latents.count) and model._trained_rows is not None:
        return reference
    if not getattr(model, "latent_names_", ("",)):
        raise ValueError("the model has no latents: got targets without signal, expected some. Fit other data.")
    raise ValueError(
        "the model does not know what its latents looked like: got one that was stored before that was kept, expected "
        "an IdentifiableRegressor of this version. Fit again."
    )


def _targets_of(
    model: Any, reference: Reference, y: Any, tasks: Any, rows: NewRows, groups: IntArray | None
) -> list[_Values]:
    """Return the known targets of each task of a model in rows that are tested, one of each group."""
    targets, n_tasks = np.asarray(y, dtype=np.float64), len(model.task_names_)
    given = list(getattr(model.regressor_, "_given_tasks", model.task_names_))
    if len(reference.targets.count) != n_tasks:
        raise ValueError(
            "the model does not know what its targets looked like: got one that was stored before that was kept in the "
            "long layout, expected one of this version. Fit again, or leave out y."
        )
    if tasks is not None:
        labels = np.asarray(tasks)
        shape = rows.used.shape
        if targets.shape != shape or labels.shape != shape:
            raise ValueError(
                f"y and tasks do not go with X: got shapes {targets.shape} and {labels.shape}, expected {shape} "
                "for both. Pass a target and the label of its task for each row."
            )
        position = {str(name): t for t, name in enumerate(model.task_names_)}
        index = np.array([position.get(str(label), -1) for label in labels.tolist()], dtype=np.int64)
        if not (index >= 0).any():
            raise ValueError(
                f"tasks has none of the tasks of the fit: got {labels.tolist()[0]!r} first, expected labels such as "
                f"{model.task_names_[0]!r}. Pass those."
            )
        # Of a group each task has a row of its own.
        known = np.flatnonzero(rows.allowed)
        own = None if groups is None else groups[known]
        of_tasks = rows_of_tasks(targets[known], index[known], n_tasks, own)
        return [_Values(targets[known[of]], rows.independent(known[of])) for of in of_tasks]
    if targets.ndim == 1 and len(given) == 1:
        targets = targets[:, None]
    if targets.ndim != 2 or len(targets) != len(rows.used) or targets.shape[1] not in (len(given), n_tasks):
        raise ValueError(
            f"y does not go with X and the fit: got shape {targets.shape}, expected {(len(rows.used), n_tasks)}. Pass "
            "all targets in their order, NaN where they are not known, or one of each row with tasks."
        )
    if targets.shape[1] != n_tasks:
        kept = set(model.task_names_)
        targets = targets[:, [t for t, name in enumerate(given) if name in kept]]
    of_tasks = [np.flatnonzero(rows.used & ~np.isnan(column)) for column in targets.T]
    return [_Values(column[of], rows.independent(of)) for column, of in zip(targets.T, of_tasks, strict=True)]


def _numbered(groups: Any, n: int) -> IntArray:
    """Number the groups of new rows."""
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise ValueError(
            f"groups does not go with X: got shape {labels.shape}, expected {(n,)}. Pass a label for each row."
        )
    return number_groups(labels)


def _independent(reference: Columns, shared: float, times: int) -> Array:
    """Return how many independent rows of the fit each column has, which were written down several times each.

    Of the others, pairs that new rows do not share are one.
    """
    alike = np.maximum(reference.alike / times, 1.0)
    return np.asarray(reference.count / times / (1.0 + (alike - 1.0) * (1.0 - shared)))


def _moved(
    reference: Columns, columns: Sequence[_Values], names: list[str], level: float, shared: float, times: int = 1
) -> Moved:
    """Test each column of known values of which there are enough values on both sides."""
    count, worth = (
        np.array([of(own) for own in columns]) for of in (lambda own: len(own.values), lambda own: own.worth)
    )
    of_fit = _independent(reference, shared, times)[: len(columns)]
    enough = (count >= _LEAST_ROWS) & (reference.count[: len(columns)] >= _LEAST_ROWS)
    known = np.flatnonzero(enough & (worth >= _LEAST_INDEPENDENT) & (of_fit >= _LEAST_INDEPENDENT))
    p_value, shift, spread = np.ones((3, len(known)))
    for k, c in enumerate(known):
        own = columns[int(c)].values
        difference = _difference(reference, int(c), own)
        p_value[k] = chance_of(difference, of_fit[c], worth[c], reference.values.shape[1])
        deviation = max(float(reference.deviation[c]), np.finfo(float).tiny)
        shift[k], spread[k] = (own.mean() - reference.mean[c]) / deviation, own.std() / deviation
    return Moved(tuple(names[c] for c in known), corrected(p_value) <= level, p_value, shift, spread)


def _difference(reference: Columns, c: int, values: Array) -> float:
    """Return the largest difference of shares between new values and a column of the fit, or the nearer of its two."""
    below, own, seen = share_below(np.sort(values), reference.values[c]), reference.share[c], reference.seen[c]
    low, high = np.minimum(own, seen), np.maximum(own, seen)
    return float(max(np.maximum(low - below, below - high).max(), 0.0))
