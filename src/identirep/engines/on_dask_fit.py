"""Stage two of very many tasks on Dask: workers hold the moments of their tasks, and only sums come together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from identirep.engines.blocks import BlockError, as_one_error
from identirep.engines.on_dask import check_dask, connected, tree_reduced
from identirep.moments import TaskMoments

__all__ = ["dask_fit"]

_Model = TypeVar("_Model")
_MOST_NAMED = 5


def dask_fit(model: _Model, shards: Sequence[Any], *, scheduler: Any = None, timeout: float = 30.0) -> _Model:
    """Fit `MTLCM` to tasks that are spread over the workers of a cluster.

    Parameters
    ----------
    model : MTLCM
        What to fit; its parameters hold.
    shards : sequence of delayed or TaskMoments
        Moments of some of the tasks each, or ``dask.delayed`` calls that return them, such as
        ``dask.delayed(TaskMoments.from_long)(H, y, tasks)``. No task is in two shards, and no row has two tasks.
    scheduler : str or distributed.Client, optional
        Address of a scheduler, such as ``"tcp://host:8786"``, or a client; default: what Dask uses otherwise.
    timeout : float, default 30
        Seconds to wait for the scheduler at an address and for its first worker.

    Returns
    -------
    MTLCM
        `model`, fitted: the fit of ``model.fit_moments`` to all tasks in one process, up to rounding.

    Raises
    ------
    ImportError
        If the extra ``dask`` is not installed.
    TypeError
        If `model` is no MTLCM, or a shard gives something else than moments.
    ValueError
        If the scheduler does not answer or has no workers, if a task is in two shards or rows have several tasks, and
        where `fit_moments` raises; the message names the shard or the tasks.

    Notes
    -----
    On the workers: the covariances given the target, less noise, and their joint diagonalisation from all starts. Each
    step sends an unmixing matrix for each start and gets back sums over the tasks of a shard, a few times D x D numbers
    a start, added up in the order of the shards. Workers keep nothing from step to step; what one that dies had is made
    again by Dask from its shards, with the same bits.

    In this process: the moments of all tasks, gathered once, since the fitted model holds them; the search for
    observation noise and its likelihood (none with ``noise_std=0``), the likelihood of ``prior="exact"``, the search
    for foreign tasks (none with ``robust=None``), roles and certificate. So memory here grows with the tasks, about
    8 K (K + 3) bytes each for K features, and several times that while what is listed here runs.

    Examples
    --------
    >>> import dask  # doctest: +SKIP
    >>> from identirep import MTLCM, TaskMoments  # doctest: +SKIP
    >>> from identirep.engines import dask_fit  # doctest: +SKIP
    >>> shards = [dask.delayed(TaskMoments.load)(path) for path in paths]  # doctest: +SKIP
    >>> model = dask_fit(MTLCM(random_state=0), shards, scheduler="tcp://127.0.0.1:8786")  # doctest: +SKIP
    """
    check_dask("dask_fit")
    from dask.delayed import delayed

    fit = getattr(model, "_fit_shards", None)
    if fit is None:
        raise TypeError(f"model is no MTLCM: got {type(model).__name__}, expected one to be fitted. Pass MTLCM().")
    if isinstance(shards, str | bytes) or not hasattr(shards, "__iter__") or not (listed := list(shards)):
        raise ValueError(
            f"shards are none: got {type(shards).__name__}, expected a sequence with moments of some tasks each. Split "
            "them by TaskMoments.select_tasks, or return them from delayed calls."
        )
    checked = delayed(_checked, pure=False)
    parts = [checked(f"shard {i}", shard) for i, shard in enumerate(listed)]
    with connected(scheduler, timeout) as client, as_one_error():
        held = _DaskShards(tuple(parts), client).kept()
        moments = tree_reduced(held.parts, _together, client)
        if moments._n_labels > moments.n_rows:
            raise ValueError(
                f"shards share rows: got {moments._n_labels:,} labels of {moments.n_rows:,} rows, expected rows of one "
                "task each. Fit tasks on shared rows in one process, MTLCM.fit_moments."
            )
        fit(moments, held)
    return model


@dataclass(frozen=True)
class _DaskShards:
    """Parts that Dask holds on its workers, or in this process if there is no client."""

    parts: tuple[Any, ...]
    client: Any

    def kept(self) -> _DaskShards:
        """Have the parts computed, and held as long as anybody asks for them."""
        from dask.base import persist

        held = persist(*self.parts) if self.client is None else tuple(self.client.persist(list(self.parts)))
        return _DaskShards(held, self.client)

    def made(self, function: Callable[..., Any], *arguments: Any) -> _DaskShards:
        """Return what a function makes of each part, held where the part is."""
        from dask.delayed import delayed

        call = delayed(partial(_called, function, arguments), pure=False)
        return _DaskShards(tuple(call(part) for part in self.parts), self.client).kept()

    def summed(self, function: Callable[..., tuple[Any, ...]], *arguments: Any) -> tuple[Any, ...]:
        """Return the sums over parts of the arrays that a function returns, neighbours first."""
        from dask.delayed import delayed

        call = delayed(partial(_called, function, arguments), pure=False)
        found: tuple[Any, ...] = tree_reduced([call(part) for part in self.parts], _added, self.client)
        return found


def _called(function: Callable[..., Any], arguments: tuple[Any, ...], part: Any) -> Any:
    return function(part, *arguments)


def _added(parts: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(sum(values[1:], start=values[0]) for values in zip(*parts, strict=True))


def _checked(where: str, shard: Any) -> TaskMoments:
    """Return the moments that a shard gives."""
    if not isinstance(shard, TaskMoments):
        raise BlockError(
            f"{where} gives no moments: got {type(shard).__name__}, expected TaskMoments. Return those of its tasks, "
            "TaskMoments.from_long(H, y, tasks)."
        )
    return shard


def _together(parts: Sequence[TaskMoments]) -> TaskMoments:
    """Moments of all tasks of some shards."""
    total = parts[0]
    for part in parts[1:]:
        before = set(total.task_names)
        twice = [name for name in part.task_names if name in before]
        if twice:
            named = ", ".join(map(repr, twice[:_MOST_NAMED]))
            raise BlockError(
                f"tasks are in two shards: got {named}{' and more' if len(twice) > _MOST_NAMED else ''}, expected each "
                "in one. Merge their moments first, TaskMoments.merge."
            )
        if part.n_features != total.n_features:
            raise BlockError(
                f"shards have other features: got {part.n_features} and {total.n_features}, expected as many in all. "
                "Take all from one encoder."
            )
        total = total.merge(part)
    return total
