"""An iVAE that begins at the true sources, to tell whether more starts would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from identirep._typing import Array
from identirep.baselines import IVAE

if TYPE_CHECKING:
    import torch

__all__ = ["IVAEFromTruth"]

_BATCH, _LEARNING_RATE, _WARM_UP = 256, 5e-3, 0.3


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

    def _begin(self, model: Any, rows: Any, generator: torch.Generator) -> None:
        regress(model, rows, self.sources, self.steps, generator)
        self.start_ = model.encode(rows, labelled=False)


def regress(model: Any, rows: Any, sources: Array, steps: int, generator: torch.Generator) -> None:
    """Fit encoder (but for its covariance), decoder and prior to known sources, standardised, by Adam."""
    import torch

    from identirep.training import Training

    Z = torch.from_numpy((sources - sources.mean(axis=0)) / sources.std(axis=0)).to(rows.x.dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE, fused=True)
    training = Training(optimizer, 1, steps, warm_up=_WARM_UP)
    for _ in range(steps):
        index = torch.randint(len(Z), (_BATCH,), generator=generator)
        batch, z = rows.take(index), Z[index]
        mean, variance = model.prior(batch)
        loss = ((model.recognise(batch)[0] - z) ** 2).mean() + ((model.decode(z) - batch.x) ** 2).mean()
        training.step(loss + ((z - mean) ** 2 / variance + variance.log()).mean())
