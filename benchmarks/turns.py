"""What a fit says of fits to other rows, the chance that an axis turns and the loss, against several such fits.

    python benchmarks/turns.py --stage network --rows 3000 --latents 6 [--draws 5] [--fits 2] [--first 40] [--threads 1]

Superconductors, compositions apart: a fit with its checks, and fits to as many other rows with other seeds, compared on
rows that none has seen. An axis has turned where its partner there has a correlation under 0.9.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

from _timing import set_threads

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--stage", choices=("network", "trees", "ridge"), default="network")
parser.add_argument("--rows", type=int, default=1000)
parser.add_argument("--latents", type=int, default=3)
parser.add_argument("--draws", type=int, default=5)
parser.add_argument("--fits", type=int, default=2, help="fits to other rows for each draw")
parser.add_argument("--first", type=int, default=40, help="seed of the first draw")
parser.add_argument("--threads", type=int, default=1)
options = parser.parse_args()
set_threads(options.threads)

import warnings  # noqa: E402

import numpy as np  # noqa: E402
from sklearn.ensemble import ExtraTreesRegressor  # noqa: E402

from identirep import MTRN, IdentifiableRegressor, PredictiveFeatures  # noqa: E402
from identirep.datasets import load_superconductivity  # noqa: E402
from identirep.metrics import mcc  # noqa: E402

_STAGES = {
    "network": lambda: MTRN(n_replicates=2, device="cpu"),
    "trees": lambda: PredictiveFeatures(ExtraTreesRegressor(60, min_samples_leaf=2)),
    "ridge": lambda: "ridge",
}
# Chances that are shown together.
_BINS = (0.0, 0.001, 0.25, 0.5, 0.75, 1.001)
_UNSEEN = 3000


def main() -> None:
    data = load_superconductivity(fractions=True)
    axes = np.concatenate([_axes(data, options.first + draw) for draw in range(options.draws)])
    turn, low, loss, turned, actual = axes.T
    for name, rows in (("all axes", low > -1), ("axes whose interval starts at 0.9 or more", low >= 0.9)):
        print(f"{name}: chance said {turn[rows].mean():.3f}, turned {turned[rows].mean():.3f}")
        print("| chance | axes | said | turned |")
        print("|---|---|---|---|")
        for start, end in pairwise(_BINS):
            of = rows & (turn >= start) & (turn < end)
            if of.any():
                print(f"| {start:g} to {end:g} | {of.sum()} | {turn[of].mean():.3f} | {turned[of].mean():.3f} |")
    ratio = np.log(np.maximum(actual, 1e-6) / np.maximum(loss, 1e-6))
    within, low_share = np.mean(np.abs(ratio) <= np.log(3)), np.mean(ratio > np.log(3))
    print(f"loss: actual / predicted {np.exp(np.median(ratio)):.2f} (median), within 3 {within:.2f}, ", end="")
    print(f"more than 3 times what was predicted {low_share:.2f}")


def _axes(data, seed: int) -> np.ndarray:
    """Chance of a turn, lower end of the interval, loss; share of the fits in which it turned, median loss there."""
    sets, unseen = _parts(data.groups, np.random.default_rng(seed))

    def fit(rows, k, n_checks=0):
        model = IdentifiableRegressor(
            options.latents, regressor=_STAGES[options.stage](), n_checks=n_checks, random_state=10 * seed + k
        )
        return model.fit(data.X[rows], data.Y[rows], groups=data.groups[rows])

    model = fit(sets[0], 0, 2)
    Z = model.transform(data.X[unseen])
    found = []
    for k, rows in enumerate(sets[1:]):
        other = fit(rows, k + 1).transform(data.X[unseen])
        found.append(mcc(Z[::2], other[::2], held_out=(Z[1::2], other[1::2])).per_latent)
    back, found = model.comes_back_, np.array(found)
    said = (back.turn_probability, back.other_rows_interval[:, 0], 1 - back.other_rows)
    return np.stack([*said, (found < 0.9).mean(axis=0), 1 - np.median(found, axis=0)], axis=1)


def _parts(groups: np.ndarray, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """Rows of each fit and unseen ones; a group that a cut divides stays with the first part."""
    _, index = np.unique(groups, return_inverse=True)
    order = np.argsort(rng.permutation(index.max() + 1)[index], kind="stable")
    cuts = options.rows * np.arange(1, options.fits + 2)
    parts = np.split(order[: cuts[-1] + _UNSEEN], cuts)
    for k in range(1, len(parts)):
        parts[k] = parts[k][~np.isin(groups[parts[k]], groups[parts[k - 1]])]
    return parts[:-1], parts[-1]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
