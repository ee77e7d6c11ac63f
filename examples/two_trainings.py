"""Train twice, compare: features of the network, then canonical latents.

    python examples/two_trainings.py [--quick] [--out two_trainings.png]

Two independent trainings on the superconductivity data, compared on compositions that neither has seen. The features
that a network learns predict equally well each time and come out mixed differently; latents come out the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit

from identirep import MTRN, IdentifiableRegressor
from identirep.datasets import load_superconductivity
from identirep.metrics import mcc


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small version, for tests")
    parser.add_argument("--out", type=Path, default=Path("two_trainings.png"))
    options = parser.parse_args(arguments)
    data = load_superconductivity(fractions=True)
    train, test = next(GroupShuffleSplit(1, test_size=0.25, random_state=0).split(data.X, groups=data.groups))
    settings = {"n_replicates": 4}
    if options.quick:
        train, settings = train[:3000], {"n_replicates": 1, "max_epochs": 3}
    features, latents = [], []
    for seed in (0, 1):
        model = IdentifiableRegressor(10, regressor=MTRN(**settings), n_checks=0, random_state=seed)
        model.fit(data.X[train], data.Y[train], tasks=data.target_names, groups=data.groups[train])
        with torch.no_grad():
            # The last layer of the first network, before anything is done to it.
            features.append(model.regressor_.module_(torch.from_numpy(data.X[test]).float())[0].double().numpy())
        latents.append(model.transform(data.X[test]))
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    for axis, (title, (first, second)) in zip(
        axes, (("features of the network", features), ("canonical latents", latents)), strict=True
    ):
        match = mcc(first, second)
        D = first.shape[1]
        correlation = np.abs(np.corrcoef(first.T, second.T)[:D, D:])[:, match.assignment]
        image = axis.imshow(correlation, vmin=0, vmax=1, cmap="viridis")
        axis.set(title=f"{title}: MCC {match.score:.3f}", xlabel="second training", ylabel="first training")
        step = max(1, D // 10)
        axis.set_xticks(range(0, D, step), range(1, D + 1, step))
        axis.set_yticks(range(0, D, step), range(1, D + 1, step))
        print(f"{title}: MCC {match.score:.4f}, lowest {match.per_latent.min():.4f}")
    figure.colorbar(image, ax=axes, label="|correlation| on unseen compositions", shrink=0.85)
    figure.savefig(options.out, dpi=130)
    print(f"figure: {options.out}")


if __name__ == "__main__":
    main()
