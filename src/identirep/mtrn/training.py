"""The training loop, on Lightning Fabric: devices, precision and data parallelism are its business."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from identirep.mtrn.network import NOISE_FLOOR, LongObjective, WideObjective

__all__ = ["Batches", "TrainingOptions", "make_fabric", "train"]

# Share of the steps in which the learning rate rises.
_WARM_UP = 0.2


class Batches(Protocol):
    """Source of batches for training and validation."""

    def __len__(self) -> int: ...

    def epoch(self, generator: torch.Generator, rank: int = 0, world_size: int = 1) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of an epoch."""

    def validation(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of the held-out rows."""


@dataclass(frozen=True)
class TrainingOptions:
    """What the loop needs to know.

    Attributes
    ----------
    max_epochs : int
        Passes over the training rows; the learning rate follows one cycle over all of them.
    learning_rate : float
        Peak of the learning rate of AdamW.
    weight_decay : float
        Decoupled weight decay.
    patience : int or None
        Epochs without a better validation loss before training stops; None never stops early.
    verbose : bool
        Whether to show progress.
    """

    max_epochs: int
    learning_rate: float
    weight_decay: float
    patience: int | None
    verbose: bool


def make_fabric(device: str, precision: str) -> Fabric:
    """Set up devices; one process, or those that ``torchrun`` has started.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda", "mps", or one of several as in "cuda:1".
    precision : str
        As Lightning Fabric has it: "32-true", "bf16-mixed", "16-mixed".

    Returns
    -------
    lightning_fabric.Fabric
        Launched.
    """
    accelerator, _, number = device.partition(":")
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size > 1:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world_size)))
        fabric = Fabric(
            accelerator=accelerator,
            devices=local,
            num_nodes=world_size // local,
            strategy="ddp",
            precision=precision,  # type: ignore[arg-type]
        )
    else:
        devices: Any = [int(number)] if number else 1
        fabric = Fabric(accelerator=accelerator, devices=devices, precision=precision)  # type: ignore[arg-type]
    fabric.launch()
    return fabric


def train(
    objective: WideObjective | LongObjective,
    batches: Batches,
    options: TrainingOptions,
    fabric: Fabric,
    generator: torch.Generator,
) -> list[dict[str, float]]:
    """Train all replicates, and leave the weights with the best validation loss in `objective`.

    Parameters
    ----------
    objective : WideObjective or LongObjective
        Trained in place; on the CPU afterwards.
    batches : WideBatches or LongBatches
        Matching data.
    options : TrainingOptions
        Settings.
    fabric : lightning_fabric.Fabric
        Devices.
    generator : torch.Generator
        Order of the rows.

    Returns
    -------
    list of dict
        For each epoch and replicate "epoch", "replicate", "train_loss", "validation_loss" (mean over tasks of half the
        log residual variance, in units of the target's variance), "learning_rate" and "seconds" since the start.

    Raises
    ------
    RuntimeError
        If the loss is no longer finite.
    """
    optimizer = torch.optim.AdamW(
        objective.parameters(),
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
        fused=fabric.device.type in ("cpu", "cuda"),
    )
    # A warm-up of a single step would divide by zero inside the schedule, so tiny runs use the start of a longer one.
    total_steps = max(options.max_epochs * len(batches), 10)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=total_steps, pct_start=_WARM_UP
    )
    wrapped, optimizer = fabric.setup(objective, optimizer)
    history: list[dict[str, float]] = []
    best, best_loss, best_epoch = _copy(objective), float("inf"), -1
    start = time.perf_counter()
    with _progress(options, fabric.global_rank) as advance:
        for epoch in range(options.max_epochs):
            train_loss = _run_epoch(wrapped, optimizer, schedule, batches, fabric, generator)
            validation_loss = _validate(objective, batches, fabric)
            if not torch.isfinite(train_loss).all():
                raise RuntimeError(
                    f"training diverged: got a loss that is not finite in epoch {epoch}, expected a finite one. Lower "
                    f"learning_rate (now {options.learning_rate:g}) or check the scale of X."
                )
            history += [
                {
                    "epoch": epoch,
                    "replicate": replicate,
                    "train_loss": float(train_loss[replicate]),
                    "validation_loss": float(validation_loss[replicate]),
                    "learning_rate": float(optimizer.param_groups[0]["lr"]),
                    "seconds": time.perf_counter() - start,
                }
                for replicate in range(len(train_loss))
            ]
            loss = float(validation_loss.mean())
            advance(loss)
            if loss < best_loss:
                best, best_loss, best_epoch = _copy(objective), loss, epoch
            if options.patience is not None and epoch - best_epoch >= options.patience:
                break
    objective.load_state_dict(best)
    objective.to("cpu")
    return history


def _run_epoch(
    wrapped: nn.Module, optimizer: Any, schedule: Any, batches: Batches, fabric: Fabric, generator: torch.Generator
) -> Tensor:
    """Take one step for each batch; return the mean loss of each replicate."""
    wrapped.train()
    losses = []
    for batch in batches.epoch(generator, fabric.global_rank, fabric.world_size):
        loss = wrapped(*fabric.to_device(batch))
        optimizer.zero_grad()
        # Replicates share no weight, so the gradient of the sum trains each on its own loss.
        fabric.backward(loss.sum())
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return torch.stack(losses).mean(dim=0).cpu()


@torch.no_grad()
def _validate(objective: WideObjective | LongObjective, batches: Batches, fabric: Fabric) -> Tensor:
    """Return the profile likelihood per label on held-out rows, shape (n_replicates,)."""
    objective.eval()
    parts = [objective.residual_squares(*fabric.to_device(batch)) for batch in batches.validation()]
    if objective.tasks_in_every_batch:
        rss, count = (
            torch.stack([part[0] for part in parts]).sum(dim=0),
            torch.stack([part[1] for part in parts]).sum(dim=0),
        )
    else:
        rss, count = torch.cat([part[0] for part in parts], dim=1), torch.cat([part[1] for part in parts])
    noise = (rss / count.clamp_min(1)).clamp_min(NOISE_FLOOR)
    return (0.5 * (count * noise.log()).sum(dim=1) / count.sum().clamp_min(1)).cpu()


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


@contextmanager
def _progress(options: TrainingOptions, rank: int) -> Iterator[Callable[[float], None]]:
    """Show a progress bar, if wanted; the function given takes the validation loss of each epoch."""
    if not options.verbose or rank != 0:
        yield lambda loss: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("validation loss {task.fields[loss]:.4f}"),
    )
    with Progress(*columns, TimeRemainingColumn()) as progress:
        bar = progress.add_task("training", total=options.max_epochs, loss=float("nan"))
        yield lambda loss: progress.update(bar, advance=1, loss=loss)
