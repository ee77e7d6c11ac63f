"""What the variational baselines share: parameters, their checks, and the way from checked data to a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array
from identirep.baselines.auxiliary import Auxiliary, AuxiliaryScaling
from identirep.baselines.base import (
    Baseline,
    Whitening,
    choice_faults,
    components_faults,
    count_faults,
    positive_faults,
    range_faults,
    warn_not_converged,
    whiten,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

    from identirep.baselines.variational import VariationalModel
    from identirep.validation import TaskData

__all__ = ["VariationalBaseline"]

# Training counts as converged if the loss falls by less than this (nats for a row and latent) in its last tenth.
_TOLERANCE = 0.01


class VariationalBaseline(Baseline):
    """Base of the estimators that maximise an evidence lower bound."""

    n_components: int | None
    hidden_sizes: Sequence[int]
    decoder_hidden_sizes: Sequence[int] | None
    max_epochs: int | str
    batch_size: int
    learning_rate: float
    beta_warm_up: float
    min_noise_std: float
    posterior: str
    activation: str = "leaky_relu"
    module_: VariationalModel
    history_: list[dict[str, float]]
    converged_: bool
    _scaling: AuxiliaryScaling

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

    def _train(self, data: TaskData, scaling: AuxiliaryScaling, rng: np.random.Generator, n_init: int = 1) -> None:
        """Build the model and train it, from several starts if asked to; the lowest loss wins."""
        import torch

        from identirep.baselines.training import TrainingOptions, late_change, late_loss, make_batch, train

        whitening = whiten(data.X)
        faults = components_faults(self.n_components, len(whitening.components))
        if faults:
            raise ValueError(faults[0])
        self._whitening, self._scaling = whitening, scaling
        self.task_names_ = data.task_names
        self.n_components_ = len(whitening.components) if self.n_components is None else int(self.n_components)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        rows = make_batch(whitening(data.X), scaling(data))
        options = TrainingOptions(self.max_epochs, self.batch_size, self.learning_rate, self.beta_warm_up)
        lowest = np.inf
        for _ in range(n_init):
            model = self._untrained(len(whitening.components), generator)
            history = train(model, rows, options, generator)
            loss = late_loss(history)
            if loss < lowest:
                lowest, self.module_, self.history_ = loss, model, history
        change = late_change(self.history_) / self.n_components_
        self.converged_ = change < _TOLERANCE
        if not self.converged_:
            warn_not_converged(type(self).__name__, change, _TOLERANCE)

    def _untrained(self, n_inputs: int, generator: torch.Generator) -> VariationalModel:
        decoder_sizes = self.hidden_sizes if self.decoder_hidden_sizes is None else self.decoder_hidden_sizes
        return self._build(
            n_inputs,
            self.n_components_,
            encoder_sizes=tuple(self.hidden_sizes),
            decoder_sizes=tuple(decoder_sizes)[:: -1 if self.decoder_hidden_sizes is None else 1],
            prior=self._prior(self.n_components_, generator),
            embedding=self._embedding(generator),
            correlated=self.posterior == "full",
            min_noise_std=self.min_noise_std,
            activation=self.activation,
            generator=generator,
        )

    def _latents(self, X: NDArray[Any], auxiliary: Auxiliary | None = None) -> Array:
        from identirep.baselines.training import encode_rows

        unknown = np.zeros((len(X), self._scaling.n_targets), dtype=np.float32)
        blank = Auxiliary(unknown, unknown, np.zeros(len(X), dtype=np.int64))
        labelled = auxiliary is not None
        return encode_rows(self.module_, self._whitening(X), auxiliary or blank, labelled=labelled)

    def _network_faults(self) -> list[str]:
        """Return what is wrong with the parameters that all variational baselines have."""
        counts: dict[str, Any] = {"batch_size": self.batch_size}
        for name in ("hidden_sizes", "decoder_hidden_sizes"):
            counts |= {f"{name}[{i}]": size for i, size in enumerate(getattr(self, name) or ())}
        if self.max_epochs != "auto":
            counts["max_epochs"] = self.max_epochs
        return [
            *components_faults(self.n_components),
            *count_faults(counts),
            *positive_faults({"learning_rate": self.learning_rate, "min_noise_std": self.min_noise_std}),
            *choice_faults(
                {
                    "posterior": (self.posterior, ("full", "factorized")),
                    "activation": (self.activation, ("leaky_relu", "gelu")),
                }
            ),
            *range_faults({"beta_warm_up": (self.beta_warm_up, 0.0, 1.0)}),
        ]

    _whitening: Whitening
