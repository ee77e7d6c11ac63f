"""Whether the inputs say anything about the targets: a linear model and trees try before "no signal" is said.

A network may find nothing where there is something: it needs more rows than they do, and its spectrum is measured on
the few rows that it was not trained on. Ridge regression and extremely randomised trees predict *all* rows, each by a
model of the folds that it is not in; rows of one group and rows with equal inputs share a fold. What their predictions
p and the standardised targets y have in common is

    S = sum_ti p_ti y_ti,

and its null are the same sums with rows permuted (within tasks in the long layout; signs of whole groups where rows are
dependent). Predictions of one fold come from targets of the others, so that under the null S is about a quadratic form
sum_ij K_ij y_i y_j, of twice the variance that it has with p held fixed: the largest null value counts times sqrt(2).

With R^2 the share that is predicted, S is n R^2 with a null deviation of about sqrt(n R^2): signal of
R^2 > 2 (2.6)^2 / n would be seen. Where that is a large share, nothing seen says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import effective_number
from identirep.gaps import without_gaps
from identirep.row_weights import effective_weights
from identirep.splits import row_groups
from identirep.units import plain_units
from identirep.validation import TaskData
from identirep.weighted_fit import fitted

__all__ = [
    "CROSS_FITTED",
    "WORTH_SEEING",
    "Signal",
    "above_chance",
    "beyond_signs",
    "check_signal",
    "extra_trees",
    "ridge",
    "units",
]

Answer = Literal["signal", "none", "too few rows"]

_N_FOLDS = 5
_N_TREES = 50
_N_PERMUTATIONS = 199
# Mean of the largest of so many normal numbers.
_LARGEST = 2.75
# Predictions of all rows are more variable than the null has them with predictions held fixed.
CROSS_FITTED = np.sqrt(2.0)
# "None" is said only where signal of this share of the variance would have been seen.
WORTH_SEEING = 0.2
# More rows and tasks cost time, and of signal in so many nothing is missed.
_MAX_ROWS, _MAX_TASKS = 2000, 64
# Targets count with at most so many standard deviations: a single row decides nothing.
_CLIP = 4.0
# With so many tasks, and up to so many rows, products of all pairs of rows cost less than targets permuted again and
# again.
_PAIRED_TASKS, _PAIRED_ROWS, _PAIRED_BLOCK = 100, 20_000, 256
# Fewer independent rows than this are not worth a try.
_MIN_UNITS = 10


@dataclass(frozen=True)
class Signal:
    """Whether the inputs say anything about the targets, and what to do."""

    answer: Answer
    # What was found and what to do; empty where stage one found signal itself.
    statement: str
    # Mean over tasks of R^2 in cross-validation, by name of what tried.
    r2: Mapping[str, float]


def ridge() -> Any:
    """Return ridge regression of standardised inputs that chooses its penalty for each target."""
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 7, 19), alpha_per_target=True))


def extra_trees(n_trees: int, random_state: int | None = None) -> Any:
    """Return trees for tables with few rows and many inputs."""
    return ExtraTreesRegressor(n_trees, min_samples_leaf=2, max_features=0.5, random_state=random_state)


def check_signal(
    data: TaskData, groups: IntArray | None, rng: np.random.Generator, who: str = "stage one", own: Any = None
) -> Signal:
    """Let ridge and trees predict rows that they have not seen, where `who` found no signal, and judge.

    `own` is the regressor that found none, if it is one of scikit-learn: it is not what is advised.
    """
    found_none = f"y has no predictive signal on held-out rows by {who}"
    data, unit = _sample(data, groups, rng)
    n_units = int(unit.max()) + 1
    n_effective = n_units if data.weights is None else round(effective_number(np.bincount(unit, data.weights)))
    least = min(CROSS_FITTED**2 * _LARGEST**2 / n_effective, 1.0)
    too_few = (
        f"{found_none}, and {n_effective} independent rows are too few to tell{{tried}}: got rows that show signal of "
        f"R^2 {least:.2f} and more, expected {WORTH_SEEING:g}. Add rows, {_enough_units()} or more."
    )
    if n_effective < _MIN_UNITS:
        return Signal("too few rows", too_few.format(tried=""), {})
    y, fold = _standardised(data), rng.permutation(np.arange(n_units) % _N_FOLDS)[unit]
    seed = int(rng.integers(2**31))
    found, r2 = {}, {}
    total = _per_task(y**2, data)
    # Of a large table a target with few labels, or a rare value, may have none among the rows looked at.
    varies = total > 0
    for name, make in (("ridge", ridge), ("extra-trees", lambda: extra_trees(_N_TREES, seed))):
        p = _cross_fitted(make, data, y, fold)
        left = _per_task((y - p) ** 2, data)[varies] / total[varies]
        r2[name] = float(np.mean(1.0 - left)) if varies.any() else 0.0
        found[name] = above_chance(p, y, data.task_index, unit, rng, data.weights)
    tried = f"R^2 in cross-validation, mean over {'targets' if data.task_index is None else 'tasks'}: "
    tried += f"{r2['ridge']:.2f} by a linear model, {r2['extra-trees']:.2f} by trees"
    if any(found.values()):
        others = [name for name in found if found[name] and name != _kind_of(own)]
        if not others:
            what = f"though over all targets together such a regressor finds some ({tried})"
            return Signal("signal", f"{found_none}, {what}. Add rows: these are too few to tell directions apart.", r2)
        best = max(others, key=lambda name: r2[name])
        return Signal("signal", f"{found_none}, but others find some ({tried}). Use regressor={best!r}.", r2)
    if least > WORTH_SEEING:
        return Signal("too few rows", too_few.format(tried=f" ({tried})"), r2)
    return Signal("none", f"{found_none}, nor by others ({tried}). Check that X says something about y.", r2)


def _kind_of(regressor: Any) -> str | None:
    """Name what tries that is of the kind of a regressor, if any is."""
    last = regressor.steps[-1][1] if hasattr(regressor, "steps") else regressor
    name = type(last).__name__
    if "Trees" in name or "Forest" in name:
        return "extra-trees"
    return "ridge" if "Ridge" in name or name == "LinearRegression" else None


def _enough_units() -> int:
    return int(np.ceil(CROSS_FITTED**2 * _LARGEST**2 / WORTH_SEEING))


def _sample(data: TaskData, groups: IntArray | None, rng: np.random.Generator) -> tuple[TaskData, IntArray]:
    """Return some of the rows and tasks, and which rows depend on each other."""
    y, index = data.targets, data.task_index
    unit = units(data.X, groups)
    if index is None:
        tasks = np.argsort(-(~np.isnan(y)).sum(axis=0), kind="stable")[:_MAX_TASKS]
        y = y[:, tasks]
        rows = ~np.isnan(y).all(axis=1)
    else:
        tasks = np.argsort(-np.bincount(index), kind="stable")[:_MAX_TASKS]
        rows = np.isin(index, tasks)
    # Whole units in random order, until there are enough rows.
    rank = rng.permutation(int(unit.max()) + 1)[unit]
    filled = np.cumsum(np.bincount(rank[rows], minlength=int(rank.max()) + 1))
    # One unit in any case: the first one that has labels.
    rows &= filled[rank] <= max(_MAX_ROWS, int(filled[np.argmax(filled > 0)]))
    unit = np.unique(unit[rows], return_inverse=True)[1].reshape(-1)
    own = None if index is None else np.unique(index[rows], return_inverse=True)[1].reshape(-1)
    names = tuple(range(len(tasks) if own is None else int(own.max(initial=-1)) + 1))
    center, scale = plain_units(data.X[rows])
    weights = None if data.weights is None else effective_weights(data.weights[rows], own)
    X = without_gaps((data.X[rows] - center) / scale)
    return TaskData(X, y[rows], own, names, weights=weights), unit


def units(X: NDArray[Any], groups: IntArray | None) -> IntArray:
    """Number the sets of dependent rows: those with equal inputs, or of one group, or connected by others."""
    found = row_groups(X, groups)
    return np.arange(len(X)) if found is None else found


def _blocks(data: TaskData) -> Iterator[tuple[BoolArray, IntArray]]:
    """Yield the rows and tasks that can be fitted at once: those of one task, or of tasks with labels on equal rows."""
    if data.task_index is not None:
        for task in range(data.n_tasks):
            yield data.task_index == task, np.array([task])
        return
    seen = ~np.isnan(data.targets)
    masks, which = np.unique(seen, axis=1, return_inverse=True)
    for block in range(masks.shape[1]):
        yield masks[:, block], np.flatnonzero(which.reshape(-1) == block)


def _standardised(data: TaskData) -> Array:
    """Return targets with mean 0 and variance 1 in each task, outliers clipped, missing labels as 0."""
    y = np.zeros(data.targets.shape)
    for rows, tasks in _blocks(data):
        if not rows.any():
            continue
        part = data.targets[rows] if data.task_index is not None else data.targets[np.ix_(rows, tasks)]
        weights = None if data.weights is None else data.weights[rows]
        for _ in range(2):
            part = part - np.average(part, axis=0, weights=weights)
            std = np.sqrt(np.average(part**2, axis=0, weights=weights))
            part = np.clip(part / np.where(std > 0, std, 1.0), -_CLIP, _CLIP)
        if data.task_index is not None:
            y[rows] = part
        else:
            y[np.ix_(rows, tasks)] = part
    return y


def _cross_fitted(make: Callable[[], Any], data: TaskData, y: Array, fold: IntArray) -> Array:
    """Predict each fold by a model of the others, within the range of targets; 0 where nothing can be fitted."""
    predicted = np.zeros(y.shape)
    for rows, tasks in _blocks(data):
        for k in range(_N_FOLDS):
            train, test = np.flatnonzero(rows & (fold != k)), np.flatnonzero(rows & (fold == k))
            if len(train) < 3 or not len(test):
                continue
            at, of = (train, test) if data.task_index is not None else (np.ix_(train, tasks), np.ix_(test, tasks))
            target = y[at]
            labels = target[:, 0] if target.shape[1:] == (1,) else target
            model = fitted(make(), data.X[train], labels, None if data.weights is None else data.weights[train])
            low, high = target.min(axis=0), target.max(axis=0)
            predicted[of] = np.clip(model.predict(data.X[test]).reshape(y[of].shape), low, high)
    return predicted


def _per_task(values: Array, data: TaskData) -> Array:
    """Sum over the rows of each task, by their weights."""
    if data.weights is not None:
        values = values * data.weights.reshape(-1, *[1] * (values.ndim - 1))
    if data.task_index is None:
        return values.sum(axis=0)
    return np.asarray(np.bincount(data.task_index, values, data.n_tasks), dtype=np.float64)


def above_chance(
    p: Array,
    y: Array,
    index: IntArray | None,
    unit: IntArray,
    rng: np.random.Generator,
    weights: Array | None = None,
) -> bool:
    """Whether cross-fitted predictions have more in common with the targets, centred, than with permuted ones.

    Of rows with weights signs are drawn, which leaves each label to its row.
    """
    if weights is not None:
        p = p * (weights / weights.max()).reshape(-1, *[1] * (p.ndim - 1))
    product = (p * y).reshape(len(y), -1).sum(axis=1)
    own = np.bincount(unit, product)
    if len(own) < len(unit) or weights is not None:
        null = np.asarray(rng.choice([-1.0, 1.0], size=(_N_PERMUTATIONS, len(own))) @ own, dtype=np.float64)
        largest = max(float(null.max()), 0.0)
        return bool(product.sum() > beyond_signs(largest, float(own @ own), int(np.count_nonzero(own)), CROSS_FITTED))
    if index is not None:
        order = np.argsort(index, kind="stable")
        index, p, y = index[order], p[order], y[order]
        null = np.array([p @ y[np.lexsort((rng.random(len(y)), index))] for _ in range(_N_PERMUTATIONS)])
    else:
        null = _permuted_sums(p, y, (rng.permutation(len(y)) for _ in range(_N_PERMUTATIONS)))
    return bool(product.sum() > CROSS_FITTED * max(null.max(), 0.0))


def beyond_signs(largest: float, squares: float, n_units: int, inflation: float) -> float:
    r"""Return the sum that is `inflation` times as many standard errors as the largest sum with random signs.

    Signs leave the sum of squares Q of n units as it is, signal included, so that no sum exceeds :math:`\sqrt{n Q}` and
    multiples of sums with random signs would hide strong signal in few units. Student's t of a sum S,
    :math:`S / \sqrt{Q - S^2 / n}`, has no bound and the same order.
    """
    share = min(largest**2 / max(n_units * squares, np.finfo(np.float64).tiny), 1.0)
    share = inflation**2 * share / (1.0 - share + inflation**2 * share)
    return float(np.sqrt(share * n_units * squares))


def _permuted_sums(p: Array, y: Array, orders: Iterable[IntArray]) -> Array:
    """Return the sum of ``p * y[order]`` for each order of the rows."""
    if y.ndim == 1 or y.shape[1] < _PAIRED_TASKS or len(y) > _PAIRED_ROWS:
        return np.array([np.sum(p * y[order]) for order in orders])
    orders = list(orders)
    found = np.zeros(len(orders))
    for start in range(0, len(y), _PAIRED_BLOCK):
        block = slice(start, start + _PAIRED_BLOCK)
        products = p[block] @ y.T
        of_rows = np.arange(len(products))
        found += [products[of_rows, order[block]].sum() for order in orders]
    return found
