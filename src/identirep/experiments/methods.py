"""The methods that are compared, by the names that the tables use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from identirep.baselines import (
    IVAE,
    VAE,
    ICaRL,
    IndependentComponents,
    PerRowMTLCM,
    PrincipalComponents,
    RotatedHeads,
    SparseHeads,
)
from identirep.mtlcm import MTLCM

__all__ = ["AFTER_STAGE_ONE", "FROM_FEATURES", "FROM_INPUTS", "OURS", "REFERENCE"]

# Dimension, seed, and passes over the rows for methods that make passes ("auto": as many as by default).
Epochs = int | Literal["auto"]
Build = Callable[[int, int, Epochs], Any]

OURS = "MTLCM"
_PUBLISHED_EPOCHS = 1000
# Not a method: the best that the truth itself gives.
REFERENCE = "truth"

# Methods for features that are a linear mixture of the latents: linear encoders and decoders where there are networks.
FROM_FEATURES: dict[str, Build] = {
    OURS: lambda D, seed, epochs: MTLCM(D, random_state=seed),
    "MTLCM exact": lambda D, seed, epochs: MTLCM(D, prior="exact", random_state=seed),
    "sparse heads": lambda D, seed, epochs: SparseHeads(D, random_state=seed),
    "FastICA": lambda D, seed, epochs: IndependentComponents(D, random_state=seed),
    "PCA": lambda D, seed, epochs: PrincipalComponents(D),
    "iVAE": lambda D, seed, epochs: IVAE(D, hidden_sizes=(), max_epochs=epochs, random_state=seed),
    "iCaRL": lambda D, seed, epochs: ICaRL(D, hidden_sizes=(), max_epochs=epochs, random_state=seed),
    "VAE": lambda D, seed, epochs: VAE(D, hidden_sizes=(), max_epochs=epochs, random_state=seed),
    "MTLCM as published": lambda D, seed, epochs: PerRowMTLCM(
        D, max_epochs=_PUBLISHED_EPOCHS if epochs == "auto" else epochs, random_state=seed
    ),
}

# Second stages for features that a first stage has learnt.
AFTER_STAGE_ONE: dict[str, Build] = {
    **{name: FROM_FEATURES[name] for name in (OURS, "sparse heads", "FastICA", "PCA")},
    "varimax": lambda D, seed, epochs: RotatedHeads("varimax", D, random_state=seed),
    "quartimax": lambda D, seed, epochs: RotatedHeads("quartimax", D, random_state=seed),
    "minimum entropy": lambda D, seed, epochs: RotatedHeads("entropy", D, random_state=seed),
}

# Methods that go from the observations to latents in one stage.
FROM_INPUTS: dict[str, Build] = {
    "iVAE": lambda D, seed, epochs: IVAE(D, max_epochs=epochs, random_state=seed),
    "iCaRL": lambda D, seed, epochs: ICaRL(D, max_epochs=epochs, random_state=seed),
    "VAE": lambda D, seed, epochs: VAE(D, max_epochs=epochs, random_state=seed),
    "FastICA": lambda D, seed, epochs: IndependentComponents(D, random_state=seed),
    "PCA": lambda D, seed, epochs: PrincipalComponents(D),
}
