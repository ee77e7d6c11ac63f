"""Per-task second moments: all that anything after the encoder needs to know about the data."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from identirep._typing import Array, Counts, IntArray
from identirep.accumulation import Sums, as_float_matrix, long_sums, wide_sums
from identirep.merging import aligned, merged, without
from identirep.moment_arguments import (
    RowsOfTasks,
    batches_of,
    check_moments,
    names_of_columns,
    offset_of,
    positions,
    rows_of_tasks,
)
from identirep.moment_statistics import MomentStatistics, check_units
from identirep.parameters import Choice, check_arguments, raise_faults
from identirep.robust_weights import ROBUST, Robust
from identirep.row_weights import as_weights, unless_ones
from identirep.target_kinds import TARGET_TYPE, TargetType
from identirep.task_rows import found_of_arrays, found_of_rows
from identirep.units import spread_of, spread_of_tasks

__all__ = ["TaskMoments"]


class TaskMoments(MomentStatistics):
    r"""Counts, means and centred second moments of features and target, for each task.

    For task t with rows (h, y) the sufficient statistics of every Gaussian model in this package are
    :math:`n_t`, the means of h and y, :math:`S_t = \mathrm{cov}(h, h)`, :math:`s_t = \mathrm{cov}(h, y)` and
    :math:`v_t = \mathrm{var}(y)`, all with divisor :math:`n_t` and in float64. Objects add up (``a + b`` holds the
    moments of the rows of both), so they come from arrays, streams of batches or many machines alike.

    Tasks that are observed on the very same rows form a *row group* and share one :math:`S_t`: complete wide data is a
    single group, the long layout has one group for each task, missing labels lie in between.

    Rows may have weights. These are analytic: only their ratios within a task matter, moments are weighted ones, and
    :math:`n_t` is the effective number of rows :math:`(\sum w)^2 / \sum w^2`, so that a weight of 3 is not three rows.

    Build instances with `from_arrays`, `from_long` or `from_batches`; the constructor takes the parts as they are.

    Parameters
    ----------
    task_names : sequence of hashable, length n_tasks
        Label of each task.
    group : array of int, shape (n_tasks,)
        Row group of each task.
    counts : array, shape (n_groups,)
        Number of rows in each row group; effective numbers, which are no integers, where rows have weights.
    mean_h : array, shape (n_groups, n_features)
        Mean of the features.
    scatter_h : array, shape (n_groups, n_features, n_features)
        Centred sums of products of the features: `counts` times their covariance.
    mean_y : array, shape (n_tasks,)
        Mean of the target.
    scatter_hy : array, shape (n_tasks, n_features)
        Centred sums of products of features and target.
    scatter_y : array, shape (n_tasks,)
        Centred sums of squares of the target.
    n_rows : int
        Number of distinct rows that carry a label of any task, none of weight 0.
    weight_sums : array, shape (n_groups,), optional
        Sum of the weights of each row group; default `counts`, for rows without weights.
    row_counts : array of int, shape (n_groups,), optional
        Number of rows of each row group, whatever their weights; default `counts`.

    Attributes
    ----------
    row_weights_ : array, shape (n_samples,), or None
        Weight that `robust` has found for each row, 0 to 1; None if all count alike, and of merged or stored moments.
    target_kinds_ : tuple of str, length n_tasks, or None
        What `target_type` found or was told of each target; None if it was None, and of merged or stored moments.
    effect_degree_ : int
        Degree of the curves along which features follow continuous targets, 1 for lines.

    Notes
    -----
    Merging follows T. F. Chan, G. H. Golub and R. J. LeVeque (The American Statistician 37, 1983, 242-247):
    cancellation-free, so data with mean 1e8 and variance 1 keep their digits. Memory is O(n_groups * n_features**2),
    independent of the number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep import TaskMoments
    >>> H, Y = np.arange(12.0).reshape(6, 2), np.ones((6, 3))
    >>> (TaskMoments.from_arrays(H[:2], Y[:2]) + TaskMoments.from_arrays(H[2:], Y[2:])).n_samples
    array([6, 6, 6])
    """

    def __init__(
        self,
        task_names: Sequence[Hashable],
        group: ArrayLike,
        counts: ArrayLike,
        mean_h: ArrayLike,
        scatter_h: ArrayLike,
        mean_y: ArrayLike,
        scatter_hy: ArrayLike,
        scatter_y: ArrayLike,
        n_rows: int,
        weight_sums: ArrayLike | None = None,
        row_counts: ArrayLike | None = None,
    ) -> None:
        self.task_names: tuple[Hashable, ...] = tuple(task_names)
        self.group: IntArray = np.asarray(group, dtype=np.int64)
        numbers = counts if row_counts is None else row_counts
        self.row_counts: IntArray = np.asarray(numbers, dtype=np.int64)
        self.weight_sums: Array = np.asarray(numbers if weight_sums is None else weight_sums, dtype=np.float64)
        # Weights of one are none.
        has_weights = not np.array_equal(self.weight_sums, self.row_counts) or np.any(counts != self.row_counts)
        self.counts: Counts = np.asarray(counts, dtype=np.float64 if has_weights else np.int64)
        # Contiguous, as stored ones are read: sums over other strides round differently.
        self.mean_h: Array = np.ascontiguousarray(mean_h, dtype=np.float64)
        self.scatter_h: Array = np.ascontiguousarray(scatter_h, dtype=np.float64)
        self.mean_y: Array = np.ascontiguousarray(mean_y, dtype=np.float64)
        self.scatter_hy: Array = np.ascontiguousarray(scatter_hy, dtype=np.float64)
        self.scatter_y: Array = np.ascontiguousarray(scatter_y, dtype=np.float64)
        self.n_rows = int(n_rows)
        self.row_weights_: Array | None = None
        self.target_kinds_: tuple[str, ...] | None = None
        self.effect_degree_ = 1
        self._curves: Array | None = None

    @classmethod
    def from_arrays(
        cls,
        H: ArrayLike,
        Y: ArrayLike,
        *,
        task_names: Sequence[Hashable] | None = None,
        sample_weight: ArrayLike | None = None,
        robust: Robust = None,
        target_type: TargetType = None,
    ) -> TaskMoments:
        """Compute moments of the wide layout, one column of targets for each task.

        Parameters
        ----------
        H : array-like, shape (n_samples, n_features)
            Features.
        Y : array-like, shape (n_samples, n_tasks)
            Targets; NaN means that the label is missing, and the row is left out for that task alone.
        task_names : sequence of hashable, optional
            Labels of the columns of `Y`; default 0, 1, ...
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each row, at least 0 and not all 0; rows of weight 0 are left out. Default: all alike.
        robust : {"auto", "mixture", "student"} or None, default None
            As for `from_long`; needs rows of one label each, where others are "auto" changes nothing.
        target_type : str, dict or None, default None
            As for `from_long`; curves are looked for in rows of one label each alone.

        Returns
        -------
        TaskMoments
            Tasks with the same missing rows share one row group.

        Raises
        ------
        ValueError
            If shapes do not fit, `H` is not finite, weights are invalid, squares leave doubles, or rows are shared.
        """
        check_arguments(robust=(robust, Choice(*ROBUST)), target_type=(target_type, TARGET_TYPE))
        H, Y = as_float_matrix(H, "H"), as_float_matrix(Y, "Y")
        if len(H) != len(Y):
            raise ValueError(f"Y has {len(Y)} rows: got H with {len(H)}, expected equal lengths. Align the rows.")
        weight, faults = as_weights(sample_weight, len(H))
        raise_faults(faults)
        kept = None if weight is None or weight.all() else weight > 0
        if weight is not None and kept is not None:
            H, Y, weight = H[kept], Y[kept], weight[kept]
        names = names_of_columns(task_names, Y.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):
            sums, n_rows = wide_sums(H, Y, unless_ones(weight))
        check_units(sums, H, lambda: spread_of(Y), names)
        found = found_of_arrays(sums, H, Y, names, unless_ones(weight), robust, target_type)
        return cls(names, **found.sums._asdict(), n_rows=n_rows)._with_found(found, kept)

    @classmethod
    def from_long(
        cls,
        H: ArrayLike,
        y: ArrayLike,
        tasks: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        robust: Robust = None,
        target_type: TargetType = None,
    ) -> TaskMoments:
        """Compute moments of the long layout, where each row belongs to one task.

        Parameters
        ----------
        H : array-like, shape (n_samples, n_features)
            Features.
        y : array-like, shape (n_samples,)
            Target; rows with NaN are left out.
        tasks : array-like of hashable, shape (n_samples,)
            Task label of each row.
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each row, at least 0 and not all 0; rows of weight 0 are left out. Default: all alike.
        robust : {"auto", "mixture", "student"} or None, default None
            Whether rows that do not look like their task (gross errors, labels mixed up) count less, by weights that
            multiply `sample_weight`. "mixture": the probability of a row to be of its task and not of a background
            that all tasks share; tasks with fewer than 8 (K + 1) rows get weights of "student", those of a Student t
            with 3 degrees of freedom. "auto": as "mixture" if rows have heavier tails than Gaussian ones, else none.
        target_type : {"auto", "continuous", "binary", "ordinal", "count"}, dict of task to one of these, or None
            What targets are; default None, numbers as they are. Of binary and ordinal targets and counts, moments are
            those of the standard normal variable of which the target shows the interval (polyserial, by maximum
            likelihood), in units of the target; where features follow continuous targets along curves (powers up to 4
            of normal scores, if a test over all tasks prefers them), covariances are of features without what curves
            add to lines. "auto" tells kinds from values, task by task: two whole numbers, at most 10 levels, skewed
            whole numbers from 0 on. Tasks that a dict does not name are told so, too.

        Returns
        -------
        TaskMoments
            One row group for each task, in sorted order of the labels where they can be sorted.

        Raises
        ------
        ValueError
            If shapes do not fit, `H` is not finite, weights are not valid, or squares of some column are beyond
            doubles.
        """
        check_arguments(robust=(robust, Choice(*ROBUST)), target_type=(target_type, TARGET_TYPE))
        return cls._of_rows(rows_of_tasks(H, y, tasks, sample_weight), robust, target_type)

    @classmethod
    def _of_rows(cls, rows: RowsOfTasks, robust: Robust, target_type: TargetType) -> TaskMoments:
        """Compute moments of checked rows of the long layout."""
        H, target, index, names, weight, kept = rows
        with np.errstate(over="ignore", invalid="ignore"):
            sums = long_sums(H, target, index, len(names), unless_ones(weight))
        check_units(sums, H, lambda: spread_of_tasks(target, index, len(names)), names)
        found = found_of_rows(sums, H, target, index, names, unless_ones(weight), robust, target_type)
        return cls(names, **found.sums._asdict(), n_rows=len(H))._with_found(found, kept)

    @classmethod
    def from_batches(cls, batches: Iterable[tuple[Any, ...]]) -> TaskMoments:
        """Accumulate moments over an iterable of batches, holding one batch at a time.

        Parameters
        ----------
        batches : iterable of (H, Y), (H, y, tasks) or (H, y, tasks, sample_weight)
            Batches in the wide or the long layout; with weights and without tasks, `tasks` is None.

        Returns
        -------
        TaskMoments
            The moments of all rows together.

        Raises
        ------
        ValueError
            If there is no batch or a batch does not fit the ones before it.
        """
        total: TaskMoments | None = None
        for H, Y, tasks, weight in batches_of(batches):
            if tasks is None:
                part = cls.from_arrays(H, Y, sample_weight=weight)
            else:
                part = cls.from_long(H, Y, tasks, sample_weight=weight)
            total = part if total is None else total.merge(part)
        if total is None:
            raise ValueError("batches is empty: got no batch, expected at least one. Check the source of the batches.")
        return total

    def update(
        self,
        H: ArrayLike,
        Y: ArrayLike,
        tasks: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> TaskMoments:
        """Add a batch of rows in place.

        Parameters
        ----------
        H : array-like, shape (n_samples, n_features)
            Features.
        Y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets of the wide or, with `tasks`, of the long layout.
        tasks : array-like, shape (n_samples,), optional
            Task labels of the long layout.
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each row, on the scale of those before; rows without weights have weights of 1.

        Returns
        -------
        TaskMoments
            This object.
        """
        if tasks is None:
            part = self.from_arrays(H, Y, task_names=self.task_names, sample_weight=sample_weight)
        else:
            part = self.from_long(H, Y, tasks, sample_weight=sample_weight)
        self.__dict__.update(self.merge(part).__dict__)
        return self

    def merge(self, other: TaskMoments) -> TaskMoments:
        """Return the moments of the rows of both.

        Parameters
        ----------
        other : TaskMoments
            Moments of other rows, with the same features. Tasks may differ: the result has the union.

        Returns
        -------
        TaskMoments
            A new object.

        Raises
        ------
        TypeError
            If `other` is something else.
        ValueError
            If the numbers of features differ.
        """
        check_moments(other, "other")
        if self.n_features != other.n_features:
            raise ValueError(
                f"other has other features: got {other.n_features}, expected {self.n_features}. "
                "Merge moments of the same features."
            )
        names, a, b = aligned(self.task_names, self._sums, other.task_names, other._sums)
        return TaskMoments(names, **merged(a, b)._asdict(), n_rows=self.n_rows + other.n_rows)

    def _without(self, part: TaskMoments) -> TaskMoments:
        """Return the moments of the rows that are not in a part with the same row groups."""
        sums = without(self._sums, part._sums)
        return TaskMoments(self.task_names, **sums._asdict(), n_rows=self.n_rows - part.n_rows)

    def _replaced(self, **parts: Any) -> TaskMoments:
        """Return the same moments but for some parts."""
        return TaskMoments(self.task_names, **self._sums._replace(**parts)._asdict(), n_rows=self.n_rows)

    def __add__(self, other: TaskMoments) -> TaskMoments:
        if not isinstance(other, TaskMoments):
            return NotImplemented
        return self.merge(other)

    def map_features(self, M: ArrayLike, offset: ArrayLike | None = None) -> TaskMoments:
        """Return the moments of the features ``M @ h + offset``.

        Parameters
        ----------
        M : array-like, shape (n_new_features, n_features)
            Linear map.
        offset : array-like, shape (n_new_features,), optional
            Added to the mapped features; default zero.

        Returns
        -------
        TaskMoments
            A new object, exact: no row is looked at again.
        """
        M = as_float_matrix(M, "M")
        if M.shape[1] != self.n_features:
            raise ValueError(
                f"M has the wrong number of columns: got {M.shape[1]}, expected {self.n_features} (features). "
                "Pass a matrix that maps these features."
            )
        shift = offset_of(offset, len(M))
        scatter_h = M @ self.scatter_h @ M.T
        return self._replaced(
            mean_h=self.mean_h @ M.T + shift,
            scatter_h=0.5 * (scatter_h + scatter_h.transpose(0, 2, 1)),
            scatter_hy=self.scatter_hy @ M.T,
        )

    def select_tasks(self, index: ArrayLike) -> TaskMoments:
        """Return the moments of some tasks.

        Parameters
        ----------
        index : array-like of int or bool
            Positions of the tasks to keep, in the order wanted; negative ones count from the end. Or a bool for each.

        Returns
        -------
        TaskMoments
            A new object.

        Raises
        ------
        ValueError
            If there is no such task.
        """
        tasks: Any = positions(index, self.n_tasks)
        kept, group = np.unique(self.group[tasks], return_inverse=True)
        own = self._sums
        sums = Sums(
            group.reshape(-1),
            *(part[kept] for part in own[1:4]),
            *(part[tasks] for part in own[4:7]),
            *(part if part is None else part[kept] for part in own[7:]),
        )
        n_rows = min(self.n_rows, int(self.row_counts[kept].sum()))
        return TaskMoments([self.task_names[i] for i in tasks], **sums._asdict(), n_rows=n_rows)
