"""What every training loop shares: steps under a one-cycle schedule, epochs with a history, the error of divergence.

Importing this module imports torch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from identirep.divergence import DivergenceError

__all__ = ["Training", "ordinary_torch"]


@contextmanager
def ordinary_torch() -> Iterator[None]:
    """Work on new tensors in float32 on the CPU with gradients, whatever the caller has set; all of it is put back."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with ExitStack() as modes:
            # This turns gradients on, too.
            modes.enter_context(torch.inference_mode(False))
            modes.enter_context(torch.device("cpu"))
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    modes.enter_context(torch.autocast(kind, enabled=False))
            yield
    finally:
        torch.set_default_dtype(dtype)


class Training:
    """Steps of an optimiser, in at most `max_epochs` epochs of `n_batches`; each epoch ends with a call of `record`.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its learning rate is the peak of the schedule.
    max_epochs, n_batches : int
        Length of the schedule.
    warm_up : float or None
        Share of the steps in which the learning rate rises to its peak, after which it falls; None keeps it constant.
    advice : str
        What may help against divergence, beside a lower learning rate.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        max_epochs: int,
        n_batches: int = 1,
        *,
        warm_up: float | None = None,
        advice: str = " or check the scale of X",
    ) -> None:
        self.optimizer, self.max_epochs, self.advice = optimizer, max_epochs, advice
        self.learning_rate = float(optimizer.defaults["lr"])
        self.history: list[dict[str, float]] = []
        self.epoch, self.first_epoch, self._start = 0, 0, time.perf_counter()
        self._advance: Callable[[tuple[dict[str, float], ...]], object] = lambda entries: None
        self.schedule = None
        if warm_up is not None:
            # A warm-up of a single step would divide by zero, so tiny runs use the start of a longer schedule.
            total_steps = max(max_epochs * n_batches, round(2.0 / warm_up))
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, self.learning_rate, total_steps=total_steps, pct_start=warm_up
            )

    def epochs(self) -> Iterator[int]:
        """Yield the numbers of the epochs."""
        for epoch in range(self.first_epoch, self.max_epochs):
            self.epoch = epoch
            yield epoch

    def resume(self, history: list[dict[str, float]]) -> None:
        """Go on after the epochs of a history."""
        self.history, self.first_epoch = history, 0
        if history:
            self.first_epoch = int(history[-1]["epoch"]) + 1
            self._start = time.perf_counter() - history[-1]["seconds"]

    def step(
        self, loss: Tensor, *, backward: Callable[[Tensor], object] = Tensor.backward, clip: float | None = None
    ) -> None:
        """Take one step down the gradient of a loss, whose norm is held below `clip`."""
        self.optimizer.zero_grad()
        backward(loss)
        if clip is not None:
            nn.utils.clip_grad_norm_([p for group in self.optimizer.param_groups for p in group["params"]], clip)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()

    def record(self, *entries: dict[str, float]) -> None:
        """Add the losses of the epoch, an entry for each network; DivergenceError unless all of them are finite."""
        if not all(math.isfinite(value) for entry in entries for value in entry.values()):
            raise self.diverged()
        known = {"learning_rate": float(self.optimizer.param_groups[0]["lr"])}
        known["seconds"] = time.perf_counter() - self._start
        self.history += [{"epoch": self.epoch, **entry, **known} for entry in entries]
        self._advance(entries)

    def diverged(self) -> DivergenceError:
        """Return the error of a loss that is not finite."""
        return DivergenceError(
            f"training diverged: got a loss that is not finite in epoch {self.epoch}, expected a finite one. Lower "
            f"learning_rate (now {self.learning_rate:g}){self.advice}."
        )

    @contextmanager
    def progress(self, loss: str) -> Iterator[None]:
        """Show a progress bar with the loss of this name, the mean over networks."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        text = TextColumn(loss.replace("_", " ") + " {task.fields[loss]:.4f}")
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), text, TimeRemainingColumn())
        with Progress(*columns) as bars:
            bar = bars.add_task("training", total=self.max_epochs, completed=self.first_epoch, loss=math.nan)
            self._advance = lambda entries: bars.update(
                bar, advance=1, loss=sum(entry[loss] for entry in entries) / len(entries)
            )
            yield
