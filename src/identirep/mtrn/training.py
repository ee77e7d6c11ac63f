"""Training of the replicates on Lightning Fabric: devices, precision and data parallelism are its business."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from identirep.checkpoints import Step
from identirep.mtrn.devices import fabric_settings
from identirep.mtrn.network import NOISE_FLOOR, LongObjective, WideObjective
from identirep.mtrn.resuming import Best, KeptTraining
from identirep.processes import joined, place, summed, together
from identirep.training import Training

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
    """What the loop needs to know; `patience` epochs without a better validation loss end it, None never does."""

    max_epochs: int
    learning_rate: float
    weight_decay: float
    patience: int | None
    verbose: bool


class _Fabric(Fabric):
    """Without callbacks of other packages: all that is installed is searched for them whenever one is made."""

    @staticmethod
    def _configure_callbacks(callbacks: Any) -> list[Any]:
        return []


def make_fabric(device: str, precision: str) -> Fabric:
    """Set up `device` ("cuda:1" for one of several); one process, or those that ``torchrun`` has started."""
    joined()
    fabric = _Fabric(precision=precision, **fabric_settings(device))  # type: ignore[arg-type]
    fabric.launch()
    return fabric


def train(
    objective: WideObjective | LongObjective,
    batches: Batches,
    options: TrainingOptions,
    fabric: Fabric,
    generator: torch.Generator,
    step: Step | None = None,
) -> list[dict[str, float]]:
    """Train all replicates, and leave the weights with the best validation loss in `objective`, on the CPU.

    The history has an entry for each epoch and replicate; "validation_loss" is the mean over tasks of half the log
    residual variance, in units of the target's variance. A training of which `step` has kept something goes on.
    """
    optimizer = torch.optim.AdamW(
        objective.parameters(),
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
        fused=fabric.device.type in ("cpu", "cuda"),
    )
    training = Training(optimizer, options.max_epochs, len(batches), warm_up=_WARM_UP)
    wrapped, training.optimizer = fabric.setup(objective, optimizer)
    kept, best = KeptTraining(step, objective, training, optimizer, fabric, generator), Best(_copy(objective))
    finished = kept.restore(best)
    shows = options.verbose and fabric.global_rank == 0
    with training.progress("validation_loss") if shows else nullcontext():
        for epoch in () if finished else training.epochs():
            if options.patience is not None and epoch - 1 - best.epoch >= options.patience:
                break
            with together():
                train_loss = _run_epoch(wrapped, training, batches, fabric, generator)
            validation_loss = _validate(objective, batches, fabric, len(train_loss))
            losses = zip(train_loss.tolist(), validation_loss.tolist(), strict=True)
            training.record(
                *({"replicate": i, "train_loss": seen, "validation_loss": new} for i, (seen, new) in enumerate(losses))
            )
            loss = float(validation_loss.mean())
            if loss < best.loss:
                best = Best(_copy(objective), loss, epoch)
            kept.keep(best)
    if not finished:
        kept.keep(best, finished=True)
    objective.load_state_dict(best.weights)
    objective.to("cpu")
    return training.history


def _run_epoch(
    wrapped: nn.Module, training: Training, batches: Batches, fabric: Fabric, generator: torch.Generator
) -> Tensor:
    """Take one step for each batch; return the mean loss of each replicate."""
    wrapped.train()
    losses = []
    for batch in batches.epoch(generator, fabric.global_rank, fabric.world_size):
        loss = wrapped(*fabric.to_device(batch))
        # Replicates share no weight, so the gradient of the sum trains each on its own loss.
        training.step(loss.sum(), backward=fabric.backward)
        losses.append(loss.detach())
    (loss,) = summed(torch.stack(losses).mean(dim=0))
    return (loss / fabric.world_size).cpu()


@torch.no_grad()
def _validate(objective: WideObjective | LongObjective, batches: Batches, fabric: Fabric, n_replicates: int) -> Tensor:
    """Return the profile likelihood per label on held-out rows, shape (n_replicates,), each process on its batches."""
    objective.eval()
    rank, size = place()
    own = (batch for i, batch in enumerate(batches.validation()) if i % size == rank)
    parts = [objective.residual_squares(*fabric.to_device(batch)) for batch in own]
    if isinstance(objective, WideObjective):
        nothing = torch.zeros_like(objective.rss), torch.zeros_like(objective.count)
        squares, counts = zip(*parts, strict=True) if parts else ([nothing[0]], [nothing[1]])
        rss, count = torch.stack(squares).sum(dim=0), torch.stack(counts).sum(dim=0)
        if size > 1:
            # Numbers of labels are whole ones, or floats of weights.
            rss, count = summed(rss, count.to(rss.dtype))
        loss = _losses(objective, rss, count)
        return (loss.sum(dim=1) / count.sum().clamp_min(1)).cpu()
    # A process may have none of the tasks.
    total, n_labels = torch.zeros(n_replicates, device=fabric.device), torch.zeros((), device=fabric.device)
    if parts:
        squares, counts = zip(*parts, strict=True)
        rss, count = torch.cat(squares, dim=1), torch.cat(counts)
        total, n_labels = _losses(objective, rss, count).sum(dim=1), count.sum()
    total, n_labels = summed(total, n_labels)
    return (total / n_labels.clamp_min(1)).cpu()


def _losses(objective: WideObjective | LongObjective, rss: Tensor, count: Tensor) -> Tensor:
    """Return the negative log-likelihood of each replicate and task."""
    noise = (rss / count.clamp_min(1)).clamp_min(NOISE_FLOOR)
    loss = 0.5 * count * noise.log()
    if objective.is_binary is not None:
        loss = torch.where(objective.is_binary.to(loss.device), rss, loss)
    return loss


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
