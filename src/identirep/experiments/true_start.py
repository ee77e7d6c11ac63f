"""An iVAE that begins at the true sources, to tell whether more starts would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from identirep._typing import Array
from identirep.baselines import IVAE

if TYPE_CHECKING:
    import torch

    from identirep.baselines.auxiliary import AuxiliaryScaling
    from identirep.baselines.networks import Batch
    from identirep.baselines.variational import VariationalModel
    from identirep.validation import TaskData

__all__ = ["IVAEFromTruth"]

_BATCH, _LEARNING_RATE = 256, 5e-3


class IVAEFromTruth(IVAE):
    """An iVAE whose encoder, decoder and prior are first fitted to the true sources, then trained on the bound.

    Attributes
    ----------
    sources : array, shape (n_samples, n_components)
        The true sources, to be set before `fit`.
    steps : int
        Steps of the fit to the sources, to be set before `fit`.
    start_ : array, shape (n_samples, n_components)
        Latents where training on the bound begins.
    """

    sources: Array
    steps: int
    start_: Array
    _data: TaskData

    def _train(self, data: TaskData, scaling: AuxiliaryScaling, rng: np.random.Generator, n_init: int = 1) -> None:
        self._data = data
        super()._train(data, scaling, rng, n_init)

    def _untrained(self, n_inputs: int, generator: torch.Generator) -> VariationalModel:
        from identirep.baselines.training import encode_rows, make_batch

        model = super()._untrained(n_inputs, generator)
        X, auxiliary = self._whitening(self._data.X), self._scaling(self._data)
        regress(model, make_batch(X, auxiliary), self.sources, self.steps, generator)
        self.start_ = encode_rows(model, X, auxiliary, labelled=False)
        return model


def regress(model: VariationalModel, rows: Batch, sources: Array, steps: int, generator: torch.Generator) -> None:
    """Fit encoder, decoder and prior to known sources, standardised, by Adam.

    Parameters
    ----------
    model : VariationalModel
        Trained in place; the covariance of its encoder is not.
    rows : Batch
        Inputs and their auxiliary variable.
    sources : array, shape (n_rows, n_latents)
        True sources.
    steps : int
        Steps of 256 rows.
    generator : torch.Generator
        Which rows.
    """
    import torch

    from identirep.baselines.networks import Batch

    Z = torch.from_numpy((sources - sources.mean(axis=0)) / sources.std(axis=0)).to(rows.x.dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    for _ in range(steps):
        index = torch.randint(len(Z), (_BATCH,), generator=generator)
        batch, z = Batch(*(part[index] for part in rows)), Z[index]
        mean, variance = model.prior(batch)
        loss = ((model.recognise(batch)[0] - z) ** 2).mean() + ((model.decode(z) - batch.x) ** 2).mean()
        loss = loss + ((z - mean) ** 2 / variance + variance.log()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
