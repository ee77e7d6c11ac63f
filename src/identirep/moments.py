"""Per-task second moments: all that anything after the encoder needs to know about the data."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from identirep._typing import Array, IntArray
from identirep.accumulation import as_float_matrix, check_finite, factorize, long_moments, wide_moments

__all__ = ["TaskMoments"]

_FORMAT = "identirep.TaskMoments/1"


class TaskMoments:
    r"""Counts, means and centred second moments of features and target, for each task.

    For task t with rows (h, y) the sufficient statistics of every Gaussian model in this package are
    :math:`n_t`, the means of h and y, :math:`S_t = \mathrm{cov}(h, h)`, :math:`s_t = \mathrm{cov}(h, y)` and
    :math:`v_t = \mathrm{var}(y)`, all with divisor :math:`n_t` and in float64. Objects add up (``a + b`` holds the
    moments of the rows of both), so they come from arrays, streams of batches or many machines alike.

    Tasks that are observed on the very same rows form a *row group* and share one :math:`S_t`: complete wide data is a
    single group, the long layout has one group for each task, missing labels lie in between.

    Build instances with `from_arrays`, `from_long` or `from_batches`; the constructor takes the parts as they are.

    Parameters
    ----------
    task_names : sequence of hashable, length n_tasks
        Label of each task.
    group : array of int, shape (n_tasks,)
        Row group of each task.
    counts : array, shape (n_groups,)
        Number of rows in each row group.
    mean_h : array, shape (n_groups, n_features)
        Mean of the features.
    scatter_h : array, shape (n_groups, n_features, n_features)
        Centred sums of products of the features.
    mean_y : array, shape (n_tasks,)
        Mean of the target.
    scatter_hy : array, shape (n_tasks, n_features)
        Centred sums of products of features and target.
    scatter_y : array, shape (n_tasks,)
        Centred sums of squares of the target.
    n_rows : int
        Number of distinct rows that carry a label of any task.

    Notes
    -----
    Merging follows Chan, Golub and LeVeque (1983): cancellation-free, so data with mean 1e8 and variance 1 keep their
    digits. Memory is O(n_groups * n_features**2), independent of the number of rows.

    References
    ----------
    T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance", The American Statistician
    37 (1983) 242-247.

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
    ) -> None:
        self.task_names: tuple[Hashable, ...] = tuple(task_names)
        self.group: IntArray = np.asarray(group, dtype=np.int64)
        self.counts: IntArray = np.asarray(counts, dtype=np.int64)
        self.mean_h: Array = np.asarray(mean_h, dtype=np.float64)
        self.scatter_h: Array = np.asarray(scatter_h, dtype=np.float64)
        self.mean_y: Array = np.asarray(mean_y, dtype=np.float64)
        self.scatter_hy: Array = np.asarray(scatter_hy, dtype=np.float64)
        self.scatter_y: Array = np.asarray(scatter_y, dtype=np.float64)
        self.n_rows = int(n_rows)

    # -- construction ------------------------------------------------------------------------------------------------

    @classmethod
    def from_arrays(cls, H: ArrayLike, Y: ArrayLike, *, task_names: Sequence[Hashable] | None = None) -> TaskMoments:
        """Compute moments of the wide layout, one column of targets for each task.

        Parameters
        ----------
        H : array-like, shape (n_samples, n_features)
            Features.
        Y : array-like, shape (n_samples, n_tasks)
            Targets; NaN means that the label is missing, and the row is left out for that task alone.
        task_names : sequence of hashable, optional
            Labels of the columns of `Y`; default 0, 1, ...

        Returns
        -------
        TaskMoments
            Tasks with the same missing rows share one row group.

        Raises
        ------
        ValueError
            If shapes do not fit or `H` is not finite.
        """
        H, Y = as_float_matrix(H, "H"), as_float_matrix(Y, "Y")
        if len(H) != len(Y):
            raise ValueError(f"Y has {len(Y)} rows: got H with {len(H)}, expected equal lengths. Align the rows.")
        names = tuple(range(Y.shape[1])) if task_names is None else tuple(task_names)
        if len(names) != Y.shape[1] or len(set(names)) != len(names):
            raise ValueError(
                f"task_names does not label the columns of Y: got {len(names)} names ({len(set(names))} distinct) for "
                f"{Y.shape[1]} columns, expected one distinct name each. Pass a name for each column."
            )
        # Most data are complete: look for what is missing only if the moments show it.
        with np.errstate(invalid="ignore", over="ignore"):
            complete = wide_moments(H, Y)
        if all(np.isfinite(part).all() for part in complete):
            n, mean_h, scatter_h, mean_y, scatter_hy, scatter_y = complete
            group = np.zeros(len(names), dtype=np.int64)
            return cls(names, group, [n], mean_h[None], scatter_h[None], mean_y, scatter_hy, scatter_y, len(H))
        check_finite(H, "H", np.isfinite)
        check_finite(Y, "Y", lambda values: ~np.isinf(values))
        packed, group = np.unique(np.packbits(~np.isnan(Y), axis=0), axis=1, return_inverse=True)
        group = group.reshape(-1)
        patterns = np.unpackbits(packed, axis=0, count=len(Y)).T.astype(bool)
        K, T, G = H.shape[1], Y.shape[1], len(patterns)
        counts, mean_h, scatter_h = np.zeros(G), np.zeros((G, K)), np.zeros((G, K, K))
        mean_y, scatter_hy, scatter_y = np.zeros(T), np.zeros((T, K)), np.zeros(T)
        for g, rows in enumerate(patterns):
            tasks = np.flatnonzero(group == g)
            counts[g], mean_h[g], scatter_h[g], mean_y[tasks], scatter_hy[tasks], scatter_y[tasks] = wide_moments(
                H[rows], Y[np.ix_(rows, tasks)]
            )
        n_rows = int(np.count_nonzero(patterns.any(axis=0)))
        return cls(names, group, counts, mean_h, scatter_h, mean_y, scatter_hy, scatter_y, n_rows)

    @classmethod
    def from_long(cls, H: ArrayLike, y: ArrayLike, tasks: ArrayLike) -> TaskMoments:
        """Compute moments of the long layout, where each row belongs to one task.

        Parameters
        ----------
        H : array-like, shape (n_samples, n_features)
            Features.
        y : array-like, shape (n_samples,)
            Target; rows with NaN are left out.
        tasks : array-like of hashable, shape (n_samples,)
            Task label of each row.

        Returns
        -------
        TaskMoments
            One row group for each task, in sorted order of the labels where they can be sorted.

        Raises
        ------
        ValueError
            If shapes do not fit or `H` is not finite.
        """
        H, target = as_float_matrix(H, "H"), np.asarray(y, dtype=np.float64)
        check_finite(H, "H", np.isfinite)
        names, index = factorize(tasks)
        if target.shape != (len(H),) or index.shape != (len(H),):
            raise ValueError(
                f"y and tasks do not match H: got {target.shape} and {index.shape}, expected ({len(H)},) for both. "
                "Pass one target and one task label for each row."
            )
        seen = ~np.isnan(target)
        if not seen.all():
            H, target, index = H[seen], target[seen], index[seen]
        counts, mean_h, scatter_h, mean_y, scatter_hy, scatter_y = long_moments(H, target, index, len(names))
        return cls(names, np.arange(len(names)), counts, mean_h, scatter_h, mean_y, scatter_hy, scatter_y, len(H))

    @classmethod
    def from_batches(cls, batches: Iterable[tuple[Any, ...]]) -> TaskMoments:
        """Accumulate moments over an iterable of batches, holding one batch at a time.

        Parameters
        ----------
        batches : iterable of (H, Y) or (H, y, tasks)
            Batches in the wide or the long layout.

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
        for batch in batches:
            part = cls._from_batch(*batch)
            total = part if total is None else total.merge(part)
        if total is None:
            raise ValueError("batches is empty: got no batch, expected at least one. Check the source of the batches.")
        return total

    @classmethod
    def _from_batch(cls, H: ArrayLike, Y: ArrayLike, tasks: ArrayLike | None = None) -> TaskMoments:
        return cls.from_arrays(H, Y) if tasks is None else cls.from_long(H, Y, tasks)

    # -- the monoid --------------------------------------------------------------------------------------------------

    def update(self, H: ArrayLike, Y: ArrayLike, tasks: ArrayLike | None = None) -> TaskMoments:
        """Add a batch of rows in place.

        Parameters
        ----------
        H : array-like, shape (n_samples, n_features)
            Features.
        Y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets of the wide or, with `tasks`, of the long layout.
        tasks : array-like, shape (n_samples,), optional
            Task labels of the long layout.

        Returns
        -------
        TaskMoments
            This object.
        """
        if tasks is None:
            part = TaskMoments.from_arrays(H, Y, task_names=self.task_names)
        else:
            part = TaskMoments.from_long(H, Y, tasks)
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
        ValueError
            If the numbers of features differ.
        """
        if self.n_features != other.n_features:
            raise ValueError(
                f"other has other features: got {other.n_features}, expected {self.n_features}. "
                "Merge moments of the same features."
            )
        if self.task_names == other.task_names and np.array_equal(self.group, other.group):
            a, b, group, names = self, other, self.group, self.task_names
        else:
            names = _union(self.task_names, other.task_names)
            pairs = np.stack([self._groups_of(names), other._groups_of(names)])
            unique, group = np.unique(pairs, axis=1, return_inverse=True)
            group = group.reshape(-1)
            a, b = self._regroup(names, group, unique[0]), other._regroup(names, group, unique[1])
        n = a.counts + b.counts
        share = np.divide(b.counts, n, out=np.zeros(len(n)), where=n > 0)
        delta_h, delta_y = b.mean_h - a.mean_h, b.mean_y - a.mean_y
        factor = a.counts * share
        factor_t, delta_t = factor[group], delta_h[group]
        return TaskMoments(
            names,
            group,
            n,
            a.mean_h + share[:, None] * delta_h,
            a.scatter_h + b.scatter_h + factor[:, None, None] * delta_h[:, :, None] * delta_h[:, None, :],
            a.mean_y + share[group] * delta_y,
            a.scatter_hy + b.scatter_hy + (factor_t * delta_y)[:, None] * delta_t,
            a.scatter_y + b.scatter_y + factor_t * delta_y**2,
            a.n_rows + b.n_rows,
        )

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
        shift = 0.0 if offset is None else np.asarray(offset, dtype=np.float64)
        scatter_h = M @ self.scatter_h @ M.T
        return TaskMoments(
            self.task_names,
            self.group,
            self.counts,
            self.mean_h @ M.T + shift,
            0.5 * (scatter_h + scatter_h.transpose(0, 2, 1)),
            self.mean_y,
            self.scatter_hy @ M.T,
            self.scatter_y,
            self.n_rows,
        )

    def select_tasks(self, index: ArrayLike) -> TaskMoments:
        """Return the moments of some tasks.

        Parameters
        ----------
        index : array-like of int
            Positions of the tasks to keep, in the order wanted.

        Returns
        -------
        TaskMoments
            A new object.
        """
        index = np.asarray(index, dtype=np.int64)
        kept, group = np.unique(self.group[index], return_inverse=True)
        return TaskMoments(
            [self.task_names[i] for i in index],
            group.reshape(-1),
            self.counts[kept],
            self.mean_h[kept],
            self.scatter_h[kept],
            self.mean_y[index],
            self.scatter_hy[index],
            self.scatter_y[index],
            min(self.n_rows, int(self.counts[kept].sum())),
        )

    # -- what the models read ----------------------------------------------------------------------------------------

    @property
    def n_tasks(self) -> int:
        """Number of tasks T."""
        return len(self.task_names)

    @property
    def n_features(self) -> int:
        """Number of features K."""
        return int(self.mean_h.shape[1])

    @property
    def n_samples(self) -> IntArray:
        """Number of labelled rows of each task, shape (n_tasks,)."""
        return self.counts[self.group]

    @property
    def is_shared(self) -> bool:
        """Whether all tasks are observed on the same rows, and so share one covariance."""
        return len(self.counts) == 1

    @property
    def weights(self) -> Array:
        """Share of each task in all labelled rows, shape (n_tasks,); sums to one."""
        n = self.n_samples.astype(np.float64)
        return n / n.sum()

    @property
    def cov_h(self) -> Array:
        """Covariance of the features in each row group, shape (n_groups, n_features, n_features)."""
        return self.scatter_h / np.maximum(self.counts, 1)[:, None, None]

    @property
    def cov_hy(self) -> Array:
        """Covariance of features and target, shape (n_tasks, n_features)."""
        return self.scatter_hy / np.maximum(self.n_samples, 1)[:, None]

    @property
    def var_y(self) -> Array:
        """Variance of the target, shape (n_tasks,)."""
        return self.scatter_y / np.maximum(self.n_samples, 1)

    def pooled_mean(self) -> Array:
        """Return the mean of the features, each task weighted by its rows.

        Returns
        -------
        array, shape (n_features,)
            The mean.
        """
        return np.bincount(self.group, self.weights, len(self.counts)) @ self.mean_h

    def pooled_covariance(self) -> Array:
        """Return the within-task covariance of the features, averaged over tasks by their rows.

        Returns
        -------
        array, shape (n_features, n_features)
            The covariance.
        """
        weight = np.bincount(self.group, self.weights, len(self.counts))
        return np.tensordot(weight, self.cov_h, axes=1)

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the moments to a safetensors file.

        Parameters
        ----------
        path : str or Path
            File to write. Task names must be strings or numbers.
        """
        from safetensors.numpy import save_file

        arrays, meta = self.to_arrays()
        save_file(arrays, str(path), metadata={"format": _FORMAT, "meta": json.dumps(meta)})

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the parts as arrays, and as what JSON can hold, to be stored inside another file.

        Returns
        -------
        arrays : dict of array
            The statistics.
        meta : dict
            Task names and the number of rows.

        Raises
        ------
        ValueError
            If a task name is neither a string nor a number.
        """
        names = list(self.task_names)
        if json.loads(json.dumps(names, default=repr)) != names:
            raise ValueError(
                "task_names cannot be stored: got names that are neither strings nor numbers, expected names that "
                "survive JSON. Rename the tasks."
            )
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        return arrays, {"task_names": names, "n_rows": self.n_rows}

    @classmethod
    def from_parts(cls, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> TaskMoments:
        """Build moments from what `to_arrays` returned.

        Parameters
        ----------
        arrays : dict of array
            The statistics.
        meta : dict
            Task names and the number of rows.

        Returns
        -------
        TaskMoments
            Equal, bit for bit, to what `to_arrays` was called on.
        """
        return cls(meta["task_names"], **{name: arrays[name] for name in _ARRAYS}, n_rows=int(meta["n_rows"]))

    @classmethod
    def load(cls, path: str | Path) -> TaskMoments:
        """Read moments written by `save`.

        Parameters
        ----------
        path : str or Path
            File to read.

        Returns
        -------
        TaskMoments
            Equal, bit for bit, to what was saved.
        """
        from safetensors import safe_open

        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ValueError(
                    f"{path} does not hold task moments: got format {metadata.get('format')!r}, expected {_FORMAT!r}. "
                    "Pass a file written by TaskMoments.save."
                )
            return cls.from_parts({name: file.get_tensor(name) for name in _ARRAYS}, json.loads(metadata["meta"]))

    def __repr__(self) -> str:
        return (
            f"TaskMoments(n_tasks={self.n_tasks}, n_features={self.n_features}, n_groups={len(self.counts)}, "
            f"n_labels={int(self.n_samples.sum())})"
        )

    # -- regrouping --------------------------------------------------------------------------------------------------

    def _groups_of(self, names: Sequence[Hashable]) -> IntArray:
        """Row group of each of `names`; -1 for tasks this object has not seen."""
        position = {name: int(g) for name, g in zip(self.task_names, self.group, strict=True)}
        return np.array([position.get(name, -1) for name in names], dtype=np.int64)

    def _regroup(self, names: Sequence[Hashable], group: IntArray, source: IntArray) -> TaskMoments:
        """Lay the moments out for the union of tasks, `source` naming the old group of each new one."""
        position = {name: t for t, name in enumerate(self.task_names)}
        task = np.array([position.get(name, -1) for name in names], dtype=np.int64)

        def take(values: NDArray[Any], index: IntArray) -> NDArray[Any]:
            taken = values[index].copy()
            taken[index < 0] = 0
            return taken

        return TaskMoments(
            names,
            group,
            take(self.counts, source),
            take(self.mean_h, source),
            take(self.scatter_h, source),
            take(self.mean_y, task),
            take(self.scatter_hy, task),
            take(self.scatter_y, task),
            self.n_rows,
        )


_ARRAYS = ("group", "counts", "mean_h", "scatter_h", "mean_y", "scatter_hy", "scatter_y")


def _union(a: tuple[Hashable, ...], b: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """All names of both; sorted when each side is, so that merging does not depend on the order of the parts."""
    if a == b:
        return a
    union = list(dict.fromkeys(a + b))
    try:
        if sorted(a) == list(a) and sorted(b) == list(b):  # type: ignore[type-var]
            return tuple(sorted(union))  # type: ignore[type-var]
    except TypeError:
        pass
    return tuple(union)
