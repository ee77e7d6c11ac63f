"""The training loop of the variational baselines."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from identirep._typing import Array
from identirep.baselines.auxiliary import Auxiliary
from identirep.baselines.networks import Batch
from identirep.baselines.variational import VariationalModel

__all__ = ["TrainingOptions", "encode_rows", "late_change", "late_loss", "make_batch", "train"]

# Share of the steps in which the learning rate rises.
_WARM_UP = 0.1
# max_epochs="auto" takes as many epochs as make this many steps, within limits.
_AUTO_STEPS, _MIN_EPOCHS, _MAX_EPOCHS = 4000, 20, 1000
# Rows encoded at once.
_CHUNK_ROWS = 8192
_CLIP = 100.0


@dataclass(frozen=True)
class TrainingOptions:
    """What the loop needs to know.

    Attributes
    ----------
    max_epochs : int or "auto"
        Passes over the rows; the learning rate follows one cycle over all of them.
    batch_size : int
        Rows of a batch.
    learning_rate : float
        Peak of the learning rate of Adam.
    beta_warm_up : float
        Share of the steps over which the weight of the divergence from the prior rises from 0 to 1.
    """

    max_epochs: int | str
    batch_size: int
    learning_rate: float
    beta_warm_up: float


def make_batch(X: Array, auxiliary: Auxiliary, dtype: torch.dtype = torch.float32) -> Batch:
    """Return whitened inputs and their auxiliary variable as tensors."""
    x = torch.from_numpy(np.ascontiguousarray(X)).to(dtype)
    values, seen = (torch.from_numpy(part).to(dtype) for part in (auxiliary.values, auxiliary.seen))
    return Batch(x, values, seen, torch.from_numpy(auxiliary.task))


def train(
    model: VariationalModel,
    rows: Batch,
    options: TrainingOptions,
    generator: torch.Generator,
) -> list[dict[str, float]]:
    """Maximise the evidence lower bound by Adam.

    Parameters
    ----------
    model : VariationalModel
        Trained in place.
    rows : Batch
        All rows.
    options : TrainingOptions
        Settings.
    generator : torch.Generator
        Order of the rows and noise.

    Returns
    -------
    list of dict
        For each epoch "epoch", "loss", "reconstruction", "divergence" (nats for a row), "learning_rate" and "seconds".

    Raises
    ------
    RuntimeError
        If the loss is no longer finite.
    """
    n = len(rows.x)
    n_batches = -(-n // options.batch_size)
    epochs = n_epochs(options.max_epochs, n_batches)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate, fused=True)
    # A warm-up of a single step would divide by zero inside the schedule, so tiny runs use the start of a longer one.
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=max(epochs * n_batches, 20), pct_start=_WARM_UP
    )
    history: list[dict[str, float]] = []
    start, step, ramp = time.perf_counter(), 0, max(options.beta_warm_up * epochs * n_batches, 1.0)
    for epoch in range(epochs):
        totals = torch.zeros(2)
        for index in torch.randperm(n, generator=generator).split(options.batch_size):
            model.progress = step / (epochs * n_batches)
            reconstruction, divergence = model(Batch(*(part[index] for part in rows)), generator)
            step += 1
            loss = reconstruction + min(step / ramp, 1.0) * divergence
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
            optimizer.step()
            schedule.step()
            totals += torch.stack([reconstruction.detach(), divergence.detach()]) * (len(index) / n)
        if not torch.isfinite(totals).all():
            raise RuntimeError(
                f"training diverged: got a loss that is not finite in epoch {epoch}, expected a finite one. Lower "
                f"learning_rate (now {options.learning_rate:g}) or check the scale of X."
            )
        history.append(
            {
                "epoch": epoch,
                "loss": float(totals.sum()),
                "reconstruction": float(totals[0]),
                "divergence": float(totals[1]),
                "learning_rate": float(optimizer.param_groups[0]["lr"]),
                "seconds": time.perf_counter() - start,
            }
        )
    model.eval()
    return history


def n_epochs(max_epochs: int | str, n_batches: int) -> int:
    """Return the number of epochs."""
    if max_epochs != "auto":
        return int(max_epochs)
    return min(max(-(-_AUTO_STEPS // n_batches), _MIN_EPOCHS), _MAX_EPOCHS)


def late_loss(history: list[dict[str, float]]) -> float:
    """Return the mean loss of the last tenth of the epochs."""
    losses = [entry["loss"] for entry in history]
    return float(np.mean(losses[-max(len(losses) // 10, 1) :]))


def late_change(history: list[dict[str, float]]) -> float:
    """Return by how much the loss fell from the last but one tenth of the epochs to the last."""
    width = max(len(history) // 10, 1)
    if len(history) < 2 * width:
        return float("inf")
    return late_loss(history[: len(history) - width]) - late_loss(history)


@torch.no_grad()
def encode_rows(model: VariationalModel, X: Array, auxiliary: Auxiliary, *, labelled: bool) -> Array:
    """Return the latents of rows, computed in float64, shape (n_rows, n_latents).

    Parameters
    ----------
    model : VariationalModel
        Trained.
    X : array, shape (n_rows, n_inputs)
        Whitened inputs.
    auxiliary : Auxiliary
        Auxiliary variable, read if `labelled`.
    labelled : bool
        Whether the auxiliary variable is known; then the mean of q(z | x, u), otherwise what the encoder says of x.

    Returns
    -------
    array
        Latents.
    """
    double = copy.deepcopy(model).double()
    rows = make_batch(X, auxiliary, torch.float64)
    parts = []
    for index in torch.arange(len(X)).split(_CHUNK_ROWS):
        batch = Batch(*(part[index] for part in rows))
        if labelled:
            mean = double.posterior(batch, double.prior(batch)).mean
        else:
            mean = double.recognise(batch, torch.zeros(len(index), 1, dtype=torch.float64))[0]
        parts.append(mean.numpy())
    return np.concatenate(parts)
