"""What the variational baselines share: rules of parameters, and the way from checked data to a trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array
from identirep.baselines.auxiliary import Auxiliary, AuxiliaryScaling, learn_scaling
from identirep.baselines.base import N_COMPONENTS, POSITIVE, TrainedBaseline, Whitening, late_loss, whiten
from identirep.parameters import Choice, Either, Number, Rule, Sizes, Whole

if TYPE_CHECKING:
    import torch
    from torch import nn

    from identirep.baselines.networks import Batch
    from identirep.baselines.variational import VariationalModel
    from identirep.validation import TaskData

__all__ = ["VariationalBaseline"]


class VariationalBaseline(TrainedBaseline):
    """Base of the estimators that maximise an evidence lower bound."""

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        "n_components": N_COMPONENTS,
        "posterior": Choice("full", "factorized"),
        "hidden_sizes": Sizes(),
        "decoder_hidden_sizes": Either(Sizes(), Choice(None)),
        "min_noise_std": POSITIVE,
        "max_epochs": Either(Whole(), Choice("auto")),
        "batch_size": Whole(),
        "learning_rate": POSITIVE,
        "beta_warm_up": Number(0.0, 1.0),
    }

    hidden_sizes: Sequence[int]
    decoder_hidden_sizes: Sequence[int] | None
    max_epochs: int | str
    batch_size: int
    learning_rate: float
    beta_warm_up: float
    min_noise_std: float
    posterior: str
    # Parameters of iVAE that the others keep at their default.
    activation: str = "leaky_relu"
    n_init: int = 1
    module_: VariationalModel
    loss_: float
    _scaling: AuxiliaryScaling
    _whitening: Whitening

    def _prior(self, n_latents: int, generator: torch.Generator) -> nn.Module:
        """Return the prior, untrained."""
        raise NotImplementedError

    def _build(self, *sizes: int, **settings: Any) -> VariationalModel:
        """Return the model, untrained; arguments are those of `VariationalModel`."""
        from identirep.baselines.variational import VariationalModel

        return VariationalModel(*sizes, **settings)

    def _embedding(self, generator: torch.Generator) -> Any:
        """Return what joint inference makes of the auxiliary variable; None if it is not joint."""
        return None

    def _begin(self, model: VariationalModel, rows: Batch, generator: torch.Generator) -> None:
        """Prepare an untrained model; nothing by default."""

    def _fit(self, data: TaskData, rng: np.random.Generator) -> str | None:
        from identirep.training import ordinary_torch

        with ordinary_torch():
            return self._train(data, rng)

    def _train(self, data: TaskData, rng: np.random.Generator) -> str | None:
        """Build the model and train it, from several starts if asked to; the lowest loss wins."""
        import torch

        from identirep.baselines.networks import Batch
        from identirep.baselines.variational import maximise

        self._whitening = whiten(data.X, data.weights)
        self._scaling = learn_scaling(data, uses_targets=self._needs_labels)
        n_inputs = len(self._whitening.components)
        self._set_n_components(n_inputs)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        rows = Batch.of(self._whitening(data.X), self._scaling(data), weights=data.weights)
        self.loss_ = np.inf
        for _ in range(self.n_init):
            model = self._untrained(n_inputs, generator)
            self._begin(model, rows, generator)
            history = maximise(
                model,
                rows,
                generator,
                max_epochs=self.max_epochs,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                beta_warm_up=self.beta_warm_up,
            )
            loss = late_loss([entry["loss"] for entry in history])
            if loss < self.loss_:
                self.loss_, self.module_, self.history_ = loss, model, history
        return self._judge()

    def _untrained(self, n_inputs: int, generator: torch.Generator) -> VariationalModel:
        """Return the model with its networks and prior, untrained."""
        decoder_sizes = self.hidden_sizes[::-1] if self.decoder_hidden_sizes is None else self.decoder_hidden_sizes
        return self._build(
            n_inputs,
            self.n_components_,
            encoder_sizes=tuple(self.hidden_sizes),
            decoder_sizes=tuple(decoder_sizes),
            prior=self._prior(self.n_components_, generator),
            embedding=self._embedding(generator),
            correlated=self.posterior == "full",
            min_noise_std=self.min_noise_std,
            activation=self.activation,
            generator=generator,
        )

    def _latents(self, X: NDArray[Any], auxiliary: Auxiliary | None = None) -> Array:
        import torch

        from identirep.baselines.networks import Batch
        from identirep.training import ordinary_torch

        with ordinary_torch():
            rows = Batch.of(self._whitening(X), auxiliary or self._scaling.unknown(len(X)), torch.float64)
            return self.module_.encode(rows, labelled=auxiliary is not None)
