"""Your own encoder: any torch.nn.Module from inputs to features.

    python examples/own_encoder.py

The module is copied and initialised anew for each replicate; heads, noise, validation and the reduction of features
come with MTRN. `to_torch()` gives back one module from inputs to canonical latents.
"""

from __future__ import annotations

import numpy as np
import torch

from identirep import MTRN, IdentifiableRegressor
from identirep.metrics import mcc_score


class Encoder(torch.nn.Module):
    """A residual network, to stand for what you have."""

    def __init__(self, n_inputs: int, n_features: int) -> None:
        super().__init__()
        self.first = torch.nn.Linear(n_inputs, 64)
        self.block = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.SiLU(), torch.nn.Linear(64, 64))
        self.last = torch.nn.Linear(64, n_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.silu(self.first(x))
        return self.last(x + self.block(x))


def main() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(4000, 4))
    X = np.tanh(Z @ rng.normal(size=(4, 12))) + 0.05 * rng.normal(size=(4000, 12))
    heads = rng.normal(size=(4, 30)) * (rng.random((4, 30)) < 0.4)
    Y = Z @ heads + 0.2 * rng.normal(size=(4000, 30))

    stage_one = MTRN(encoder=Encoder(12, 16), n_replicates=2, max_epochs=40)
    model = IdentifiableRegressor(4, regressor=stage_one, random_state=0).fit(X[:3000], Y[:3000])
    print(f"held-out R^2: {model.score(X[3000:], Y[3000:]):.3f}")
    print(f"held-out agreement with the true latents: {mcc_score(model.transform(X[3000:]), Z[3000:]):.3f}")
    module = model.to_torch()
    with torch.no_grad():
        same = module(torch.from_numpy(X[3000:]).float()).numpy()
    print(f"largest difference of the exported module: {np.abs(same - model.transform(X[3000:])).max():.1e}")


if __name__ == "__main__":
    main()
