"""Axes on shared rows: which choice of them comes back on other rows, and which finds latents that are known.

    python benchmarks/rotations.py [superconductivity] [truth] [table] [--stage mtrn trees] [--draws N] [--first N]
        [--csv FILE --targets NAME ... --latents D ...] [--threads N]

- superconductivity: two fits of stage one to disjoint sets of 4,000 (D = 6) and 7,000 (D = 8) rows, compositions apart,
  compared on up to 4,000 rows that neither has seen. Stage two is replaced by each choice of the axes in turn.
- table: the same for two fifths of the rows each of a table with the targets named.
- truth: sparse heads of known latents, uncorrelated and correlated, of equal and unequal strength.

Strong MCC, mean and worst axis; the same of decorrelated latents; mean correlation between the axes; all with the
difference to MTLCM, draw by draw, and its standard error. With c_i the coefficients of latent i in all heads, "power p"
minimises sum_i |c_i|_p^p, "length p" sum_i |c_i|_p and "squared length" sum_i |c_i|_1^2, where MTLCM has sum_i |c_i|_1.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from _timing import set_threads
from scipy.optimize import minimize

Axes = Callable[..., np.ndarray]


def choices() -> dict[str, Axes]:
    """Each takes moments and a seed, and returns a linear map of the features."""
    from typing import get_args

    from identirep import MTLCM
    from identirep.baselines import RotatedHeads, SparseHeads
    from identirep.baselines.rotated_heads import RotationCriterion

    def fitted(estimator: object, moments: object) -> np.ndarray:
        return estimator.fit_moments(moments).components_

    return {
        "MTLCM": lambda m, k: fitted(MTLCM(random_state=k), m),
        "joint diagonalisation": pham,
        **{f"power {p}": partial(lengths, p=p, q=p) for p in (1.25, 1.5, 1.75)},
        **{f"length {p}": partial(lengths, p=p, q=1.0) for p in (1.25, 1.5)},
        "squared length": partial(lengths, p=1.0, q=2.0),
        "sparse heads": lambda m, k: fitted(SparseHeads(n_init=20, random_state=k), m),
        **{c: lambda m, k, c=c: fitted(RotatedHeads(c, random_state=k), m) for c in get_args(RotationCriterion)},
    }


def pham(moments: object, seed: int) -> np.ndarray:
    """Pham's criterion, which MTLCM minimises where tasks have rows of their own."""
    from identirep.mtlcm.axes.fit import whitened_covariances
    from identirep.mtlcm.axes.starts import random_rotations, solve_in_blocks

    covariances, whitener = whitened_covariances(moments, 0.0)
    starts = random_rotations(20, len(whitener), np.random.default_rng(seed))
    found = solve_in_blocks(covariances, starts, max_iter=500, tol=1e-7)
    return found.unmixing[found.best] @ whitener


def lengths(moments: object, seed: int, p: float, q: float) -> np.ndarray:
    """Least sum over latents of |c_i|_p^q, for latents of unit variance."""
    from identirep.mtlcm.axes.rotation import HeadsOfTasks
    from identirep.mtlcm.axes.starts import random_rotations

    heads, whitener = HeadsOfTasks.of(moments, 0.0)
    D = len(whitener)
    # Powers of one have a kink, smoothed as in MTLCM.
    width = (0.05 if p == 1.0 else 0.01) * heads.size

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        M = flat.reshape(D, D)
        norm = np.linalg.norm(M, axis=1, keepdims=True)
        B, inverse = M / norm, np.linalg.inv(M / norm)
        coef = heads.coef @ inverse
        square = coef**2 + width**2
        sums = np.sum(square ** (p / 2), axis=0)
        total = np.sum(sums ** (q / p))
        steep = q / total * sums ** (q / p - 1) * square ** (p / 2 - 1) * coef
        gradient = -coef.T @ steep @ inverse.T
        return float(np.log(total)), ((gradient - (gradient * B).sum(axis=1, keepdims=True) * B) / norm).ravel()

    starts = random_rotations(10, D, np.random.default_rng(seed))
    ends = [minimize(value, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500}) for start in starts]
    B = min(ends, key=lambda end: end.fun).x.reshape(D, D)
    return B / np.linalg.norm(B, axis=1, keepdims=True) @ whitener


def stage_one(stage: str, D: int, seed: int) -> object:
    from sklearn.ensemble import ExtraTreesRegressor

    from identirep import MTRN, PredictiveFeatures

    if stage == "mtrn":
        return MTRN(D, n_replicates=4, device="cpu", random_state=seed)
    return PredictiveFeatures(ExtraTreesRegressor(60, min_samples_leaf=2), D, random_state=seed)


def compare_draws(title: str, X, Y, groups, n: int, sizes: list[int], stage: str, draws: range) -> None:
    """Print what each choice makes of pairs of fits to n rows each, groups apart, one pair a draw."""
    from identirep.experiments.scores import agreement

    kept = ("mcc", "worst_latent", "decorrelated_mcc", "mean_correlation")
    rows: dict[str, list[list[float]]] = {}
    weak = []
    for draw in draws:
        rank = np.random.default_rng(1000 + draw).permutation(int(groups.max()) + 1)[groups]
        order = np.argsort(rank, kind="stable")
        test = order[2 * n :][:4000]
        fits = []
        for k, part in enumerate((order[:n], order[n : 2 * n])):
            model = stage_one(stage, max(sizes), 100 * draw + k).fit(X[part], Y[part], groups=groups[part])
            fits.append((model.moments_, model.transform(X[test])))
        half = len(test) // 2
        for D in sizes:
            for name, axes in choices().items():
                latents = []
                for k, (moments, H) in enumerate(fits):
                    leading = moments.map_features(np.eye(D, H.shape[1]))
                    latents.append(H[:, :D] @ axes(leading, draw + k).T)
                scores = agreement(*((Z[:half], Z[half:]) for Z in latents))
                rows.setdefault(name, []).append([scores[key] for key in kept])
            weak.append(scores["weak_mcc"])
    print(f"\n{title}, {stage}: {len(weak)} pairs of fits, weak MCC {np.mean(weak):.3f}\n")
    print_table(rows, ("strong MCC", "worst axis", "decorrelated", "correlation"))


def truth(seeds: range) -> None:
    """Print the MCC with known latents whose heads are sparse."""
    from identirep import TaskMoments
    from identirep.metrics import mcc_score

    rows: dict[str, list[list[float]]] = {}
    D, n, T = 5, 2000, 60
    for seed in seeds:
        scores: dict[str, list[float]] = {}
        for correlated in (0.0, 0.3):
            for unequal in (0.0, 1.0):
                rng = np.random.default_rng(seed)
                Z = rng.normal(size=(n, D)) @ (np.eye(D) + correlated * rng.normal(size=(D, D)))
                Z /= Z.std(axis=0)
                strength = np.exp(unequal * rng.normal(size=(D, 1)))
                heads = rng.normal(size=(D, T)) * (rng.random((D, T)) < 0.3) * strength
                Y, H = Z @ heads + 0.5 * rng.normal(size=(n, T)), Z @ rng.normal(size=(D, D))
                moments = TaskMoments.from_arrays(H, Y)
                for name, axes in choices().items():
                    scores.setdefault(name, []).append(mcc_score(H @ axes(moments, seed).T, Z))
        for name, found in scores.items():
            rows.setdefault(name, []).append(found)
    print(f"\nKnown latents with sparse heads, MCC, {len(seeds)} seeds\n")
    print_table(rows, ("uncorrelated", "unequal strength", "correlated", "correlated, unequal"))


def print_table(rows: dict[str, list[list[float]]], columns: tuple[str, ...]) -> None:
    print("| axes | " + " | ".join(columns) + " | first, less that of MTLCM |\n" + "|---" * (len(columns) + 2) + "|")
    ours = np.array(rows["MTLCM"])
    for name, found in rows.items():
        values = np.array(found)
        gap = (values - ours)[:, 0]
        error = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else float("nan")
        means = " | ".join(f"{value:.3f}" for value in values.mean(axis=0))
        print(f"| {name} | {means} | {gap.mean():+.4f} +- {error:.4f} |", flush=True)


def superconductivity(stages: list[str], draws: range) -> None:
    from identirep.datasets import load_superconductivity

    data = load_superconductivity(fractions=True, leaky_inputs=False)
    for stage in stages:
        for n, D in ((4000, 6), (7000, 8)):
            compare_draws(f"superconductivity, n = {n}, D = {D}", data.X, data.Y, data.groups, n, [D], stage, draws)


def table(file: str, targets: list[str], sizes: list[int], stages: list[str], draws: range) -> None:
    import pandas as pd

    frame = pd.read_csv(file).dropna()
    X = pd.get_dummies(frame.drop(columns=targets)).to_numpy(float)
    groups = pd.factorize(pd.Series(list(map(tuple, X))))[0]
    for stage in stages:
        n = int(0.4 * len(X))
        compare_draws(file, X, frame[targets].to_numpy(float), groups, n, sizes, stage, draws)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["truth", "superconductivity"])
    parser.add_argument("--stage", nargs="+", default=["mtrn", "trees"])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--csv")
    parser.add_argument("--targets", nargs="+")
    parser.add_argument("--latents", nargs="+", type=int, default=[2, 3])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    set_threads(arguments.threads)
    warnings.simplefilter("ignore")
    chosen = range(arguments.first, arguments.first + arguments.draws)
    if "truth" in arguments.parts:
        truth(chosen)
    if "superconductivity" in arguments.parts:
        superconductivity(arguments.stage, chosen)
    if "table" in arguments.parts:
        table(arguments.csv, arguments.targets, arguments.latents, arguments.stage, chosen)
