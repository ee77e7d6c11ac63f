"""Moments on Dask: arrays, data frames and delayed blocks, added up in a tree on any cluster."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from identirep.engines.blocks import BlockError, Encoder, Part, as_one_error, block_part, merged, shown, whole
from identirep.moments import TaskMoments

__all__ = ["check_dask", "connected", "dask_moments", "tree_reduced"]

# Parts that one task adds up.
_FAN_IN = 8
_ARRAY, _FRAME = "dask array", "dask data frame"


def dask_moments(
    H: Any,
    y: Any = None,
    tasks: Any = None,
    *,
    sample_weight: Any = None,
    encoder: Encoder = None,
    scheduler: Any = None,
    timeout: float = 30.0,
) -> TaskMoments:
    """Compute moments of rows that are spread over the partitions of Dask collections.

    Parameters
    ----------
    H : dask array, dask DataFrame, or sequence of delayed
        Features, or inputs of `encoder`. Of a sequence each entry gives the tuple (H, y), (H, y, tasks) or (H, y,
        tasks, sample_weight) of a block of rows, with tasks None in the wide layout.
    y : dask array, DataFrame or Series
        Targets with the rows of `H`: (n_samples, n_tasks) with NaN where a label is missing, or in the long layout
        (n_samples,). None where `H` is a sequence of delayed.
    tasks : dask array or Series, or sequence of hashable, optional
        Long layout: label of each row's task. Wide layout: names of the columns of `y`; default those of a data frame,
        else 0, 1, ...
    sample_weight : dask array or Series, optional
        Weight of each row, see `TaskMoments`; default: all alike.
    encoder : callable or transformer, optional
        What makes features (n_rows, n_features) of the inputs of a block, an array or a data frame as `H` has them: a
        function, or an object with `transform`, such as ``model.regressor_``. It is sent to the workers.
    scheduler : str or distributed.Client, optional
        Address of a scheduler, such as ``"tcp://host:8786"``, or a client; default: what Dask uses otherwise.
    timeout : float, default 30
        Seconds to wait for the scheduler at an address and for its first worker.

    Returns
    -------
    TaskMoments
        Those of all rows in one process, up to rounding; the same bits whatever workers compute them.

    Raises
    ------
    ImportError
        If the extra ``dask`` is not installed.
    TypeError
        If the data are no collections of Dask.
    ValueError
        If the scheduler does not answer or has no workers, if a partition has other columns, types or rows than it
        should, or if there are no rows; the message names the partition.

    Notes
    -----
    Tasks may be spread over partitions or be in one of them only, and partitions may be empty. Workers that die are
    Dask's to replace: what they had is computed again. Features are never gathered, only moments are.

    Examples
    --------
    >>> import dask.array as da  # doctest: +SKIP
    >>> from identirep.engines import dask_moments  # doctest: +SKIP
    >>> H, Y = da.random.normal(size=(10**6, 8)), da.random.normal(size=(10**6, 5))  # doctest: +SKIP
    >>> dask_moments(H, Y, scheduler="tcp://127.0.0.1:8786")  # doctest: +SKIP
    TaskMoments(n_tasks=5, n_features=8, n_groups=1, n_labels=5000000)
    """
    check_dask("dask_moments")
    from dask.delayed import delayed

    own = None if encoder is None else delayed(encoder, traverse=False)
    if y is None:
        parts = _of_delayed(H, own)
    else:
        parts = _of_collections(H, y, tasks, sample_weight, own)
    with connected(scheduler, timeout) as client, as_one_error():
        return whole(tree_reduced(parts, merged, client))


def tree_reduced(parts: Sequence[Any], merge: Callable[[Sequence[Any]], Any], client: Any = None) -> Any:
    """Add delayed parts up, neighbours first, and return the sum; the tree does not depend on the workers."""
    from dask.delayed import delayed

    add = delayed(merge, pure=False)
    level = list(parts)
    while len(level) > 1:
        level = [add(level[i : i + _FAN_IN]) for i in range(0, len(level), _FAN_IN)]
    if client is None:
        return level[0].compute()
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    future = client.compute(level[0])
    try:
        return future.result()
    except KilledWorker as error:
        raise ValueError(
            f"workers of Dask have died: got {error}, expected one that ends a block. Give them more memory, or make "
            "partitions smaller."
        ) from None
    except CancelledError:
        raise ValueError(
            "scheduler was lost: got no answer any more, expected the moments. Start it, and compute them again."
        ) from None
    finally:
        future.cancel()


@contextmanager
def connected(scheduler: Any, timeout: float = 30.0) -> Iterator[Any]:
    """Yield a client of the scheduler at an address, which has workers; a client as it is; None for None."""
    if not isinstance(scheduler, str):
        yield scheduler
        return
    import asyncio

    from distributed import Client

    try:
        client = Client(scheduler, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, TypeError, asyncio.TimeoutError) as error:
        raise ValueError(
            f"scheduler does not answer: got {type(error).__name__} from {scheduler!r}, expected the address of a "
            "scheduler of Dask. Start one with 'dask scheduler', or check the address."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=timeout)
        except (OSError, asyncio.TimeoutError):
            raise ValueError(
                f"scheduler has no workers: got none in {timeout:g} s from {scheduler!r}, expected at least one. Start "
                f"some with 'dask worker {scheduler}'."
            ) from None
        yield client


def check_dask(who: str) -> None:
    """Say what to install if Dask is not there."""
    try:
        import dask  # noqa: F401
        import distributed  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{who} needs Dask: got no module {error.name!r}, expected the extra dask. Install it: pip install "
            "'identirep[dask]'"
        ) from None


def _of_delayed(blocks: Any, encoder: Any) -> list[Any]:
    """Moments of delayed tuples, one for each block."""
    from dask.delayed import Delayed, delayed

    listed = [blocks] if isinstance(blocks, Delayed) else list(blocks) if isinstance(blocks, list | tuple) else []
    if not listed or not all(isinstance(block, Delayed) for block in listed):
        raise TypeError(
            f"H is no sequence of delayed: got {type(blocks).__name__} without y, expected dask.delayed blocks of "
            "(H, y) or (H, y, tasks), or collections of Dask for both. Pass y, or such blocks."
        )
    part = delayed(_block_of_tuple, pure=False)
    return [part(f"block {i}", block, encoder) for i, block in enumerate(listed)]


def _block_of_tuple(where: str, block: Any, encoder: Encoder) -> Part:
    """Moments of a block (H, y), (H, y, tasks) or (H, y, tasks, sample_weight)."""
    if not isinstance(block, tuple | list) or not 2 <= len(block) <= 4:
        raise BlockError(
            f"{where} is no tuple of arrays: got {type(block).__name__}, expected (H, y), (H, y, tasks) or (H, y, "
            "tasks, sample_weight). Return one of these."
        )
    return block_part(where, *block, encoder=encoder)


def _of_collections(H: Any, y: Any, tasks: Any, sample_weight: Any, encoder: Any) -> list[Any]:
    """Moments of the partitions of collections with the same rows."""
    from dask.delayed import delayed

    names, labels = (None, tasks) if _kind_of(tasks) else (tasks, None)
    if names is None and labels is None and getattr(y, "ndim", 2) == 1 and _kind_of(y) == _FRAME:
        y = y.to_frame()
    given = {"H": H, "y": y, "tasks": labels, "sample_weight": sample_weight}
    columns = {name: _partitions(name, value) for name, value in given.items() if value is not None}
    n_blocks = {name: len(partitions) for name, partitions in columns.items()}
    if len(set(n_blocks.values())) > 1 or len({_row_chunks(of) for of in given.values() if _row_chunks(of)}) > 1:
        given = _split_alike(given, n_blocks)
        columns = {name: _partitions(name, value) for name, value in given.items() if value is not None}
    frames = {name: value for name, value in given.items() if _kind_of(value) == _FRAME and value.ndim == 2}
    declared = {name: tuple(frame.columns) for name, frame in frames.items()}
    part = delayed(partial(_block_of_partition, declared, _checked_names(names, y)), pure=False)
    order = list(columns)
    return [
        part(f"partition {i}", dict(zip(order, blocks, strict=True)), encoder)
        for i, blocks in enumerate(zip(*columns.values(), strict=True))
    ]


def _block_of_partition(
    declared: dict[str, tuple[Any, ...]],
    task_names: Sequence[Hashable] | None,
    where: str,
    block: dict[str, Any],
    encoder: Encoder,
) -> Part:
    """Moments of a partition, with the columns that its data frame declares for all of them, in that order."""
    if any(len(frame) for frame in block.values()):
        for name, columns in declared.items():
            found = tuple(getattr(block[name], "columns", ()))
            if set(found) != set(columns):
                raise BlockError(
                    f"{where} has other columns of {name}: got {shown(found)}, expected {shown(columns)}. Give all "
                    "partitions the same columns."
                )
            block[name] = block[name][list(columns)]
    return block_part(where, encoder=encoder, task_names=task_names, **block)


def _kind_of(value: Any) -> str:
    """Tell arrays and data frames of Dask from anything else, which is empty."""
    of = type(value).__module__.split(".")[0]
    if of not in ("dask", "dask_expr") or not (hasattr(value, "to_delayed") or hasattr(value, "chunks")):
        return ""
    return _ARRAY if hasattr(value, "chunks") else _FRAME


def _partitions(name: str, value: Any) -> list[Any]:
    """Return the blocks of rows of a collection, delayed."""
    kind = _kind_of(value)
    if not kind:
        raise TypeError(
            f"{name} is no collection of Dask: got {type(value).__name__}, expected a dask array or data frame. Use "
            "TaskMoments.from_arrays or from_long for data in memory."
        )
    if kind == _FRAME:
        return list(value.to_delayed())
    if value.ndim > 1 and value.numblocks[1] > 1:
        value = value.rechunk({1: -1})
    return list(value.to_delayed().reshape(-1))


def _row_chunks(value: Any) -> tuple[int, ...] | None:
    """Return the numbers of rows in the blocks of an array, None where these are not known."""
    if _kind_of(value) != _ARRAY or np.isnan(value.chunks[0]).any():
        return None
    return tuple(value.chunks[0])


def _split_alike(given: dict[str, Any], n_blocks: dict[str, int]) -> dict[str, Any]:
    """Split arrays as the first one is; what has partitions of unknown size cannot be split otherwise."""
    chunks = {name: _row_chunks(value) for name, value in given.items() if value is not None}
    if not all(chunks.values()) or len({sum(rows or ()) for rows in chunks.values()}) > 1:
        sizes = [
            f"{sum(rows):,} rows of {name}" if (rows := chunks[name]) else f"{n_blocks[name]} partitions of {name}"
            for name in chunks
        ]
        raise ValueError(
            f"partitions do not go together: got {', '.join(sizes)}, expected the same rows in each. Take all from "
            "one data frame, or repartition them alike."
        )
    return {
        name: value if value is None or name == "H" else value.rechunk({0: given["H"].chunks[0]})
        for name, value in given.items()
    }


def _checked_names(names: Any, y: Any) -> tuple[Hashable, ...] | None:
    """Return the names of the tasks of the wide layout, if they are given."""
    if names is None:
        return None
    if isinstance(names, str | bytes) or not hasattr(names, "__iter__"):
        raise TypeError(
            f"tasks are neither names nor labels: got {type(names).__name__}, expected a sequence of names for the "
            "columns of y, or a collection of Dask with a label for each row. Pass one of these."
        )
    listed = tuple(names)
    if getattr(y, "ndim", 2) == 1:
        raise TypeError(
            f"tasks is no collection of Dask: got {type(names).__name__} with a y of one dimension, expected a label "
            "for each row, split as y is. Pass a dask array or series."
        )
    return listed
