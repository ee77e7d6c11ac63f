"""The processes that ``torchrun`` has started, if it has: what all of them sum, and what the first one says or does.

A WORLD_SIZE that something else than torchrun has set means nothing here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

__all__ = [
    "by_first",
    "common_generator",
    "is_shared",
    "joined",
    "joint_mean",
    "of_all",
    "of_first",
    "place",
    "summed",
    "together",
]

Value = TypeVar("Value")

# What the libraries that processes talk by say where one is gone.
_LOST = ("Connection closed", "Connection reset", "Broken pipe", "Timed out", "timed out", "NCCL", "gloo")


def is_shared() -> bool:
    """Tell whether torchrun has started several processes, each of which has a part of the work."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def place() -> tuple[int, int]:
    """Return the number of this process and how many there are; (0, 1) for a single one."""
    if not is_shared():
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def joined() -> None:
    """Let the processes know each other, if there are several and they do not yet."""
    if not is_shared():
        return
    import torch

    if not torch.distributed.is_initialized():
        has_cuda = torch.cuda.is_available()
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if has_cuda else "gloo")


def summed(*values: Tensor) -> tuple[Tensor, ...]:
    """Return sums over all processes, without gradients; of one process what is given."""
    if not is_shared():
        return values
    import torch

    found = tuple(value.detach().clone() for value in values)
    with together():
        for value in found:
            torch.distributed.all_reduce(value)
    return found


def joint_mean(values: Tensor) -> Tensor:
    """Return the mean over the second axis, which is kept, of what all processes have, with its gradient."""
    if not is_shared():
        return values.mean(dim=1, keepdim=True)
    import torch
    from torch.distributed.nn.functional import all_reduce

    (count,) = summed(torch.tensor(float(values.shape[1]), device=values.device))
    return all_reduce(values.sum(dim=1, keepdim=True)) / count


def of_first(value: Value) -> Value:
    """Return what the first process has."""
    if not is_shared():
        return value
    import torch

    joined()
    held: list[Any] = [value if place()[0] == 0 else None]
    with together():
        torch.distributed.broadcast_object_list(held, src=0)
    return held[0]


def of_all(value: Value) -> list[Value]:
    """Return what each process has, in their order."""
    if not is_shared():
        return [value]
    import torch

    joined()
    held: list[Any] = [None] * place()[1]
    with together():
        torch.distributed.all_gather_object(held, value)
    return held


@contextmanager
def together() -> Iterator[None]:
    """Say in words that another process has ended, where that shows."""
    try:
        yield
    except RuntimeError as error:
        words = str(error)
        if not is_shared() or not any(mark in words for mark in _LOST):
            raise
        raise ConnectionError(
            f"one of the {place()[1]} processes of this job has ended: got no answer from it, expected all of them to "
            "go on to the end. Look for its error above, and start the job again; what was kept is gone on from with "
            "--resume, in Python with the same checkpoint."
        ) from None


def by_first(work: Callable[[], Value]) -> Value:
    """Let the first process do something, and return what came of it in all; an error is raised in all, too."""
    if not is_shared():
        return work()
    result: Any = None
    error: Exception | None = None
    if place()[0] == 0:
        try:
            result = work()
        except Exception as found:
            error = found
    result, error = of_first((result, error))
    if error is not None:
        raise error
    return result


def common_generator(rng: np.random.Generator) -> np.random.Generator:
    """Let all processes draw the same numbers, those of the first one."""
    if is_shared():
        rng.bit_generator.state = of_first(rng.bit_generator.state)
    return rng
