"""Stage one: recovery of nonlinear latents, agreement of independent fits, and the cost of replicates.

    python benchmarks/stage1.py [nonlinear] [superconductivity] [trees] [cut] [replicates] [--threads N]

- nonlinear: the paper's synthetic problem (D = 20, 500 tasks of 200 rows, ReLU decoder), long layout. Canonical
  correlations of the features with the true latents, and the MCC after stage two.
- superconductivity: two fits with the same training compositions and other seeds, compared on compositions that neither
  has seen. Canonical variates come from one half of those, correlations from the other.
- trees: the same with 60 extremely randomised trees in place of networks.
- cut: superconductivity as published (all rows, with the leak), two fits cut after D directions: the gap of signal
  there in standard errors between the networks of a fit, how many of the D directions both fits do not share, and the
  MCC after stage two.
- replicates: time of 1, 4 and 5 replicates, same data and epochs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _timing import set_threads


def nonlinear() -> None:
    from identirep import MTLCM, MTRN
    from identirep.datasets import make_nonlinear_tasks
    from identirep.metrics import canonical_correlations, mcc

    print("| decoder, seed | D found | fit, s | weakest canonical correlation | MCC | worst latent | shuffled D |")
    print("|---|---|---|---|---|---|---|")
    for activation in ("relu", "leaky_relu"):
        for seed in range(2):
            data = make_nonlinear_tasks(activation=activation, random_state=seed)
            start = time.perf_counter()
            features = MTRN(random_state=seed).fit(data.X, data.y, data.tasks)
            seconds = time.perf_counter() - start
            H = features.transform(data.X)
            strong = mcc(MTLCM(random_state=seed).fit_moments(features.moments_).transform(H), data.Z)
            order = np.lexsort((np.random.default_rng(seed).random(len(data.y)), data.tasks))
            shuffled = MTRN(random_state=seed, max_epochs=10).fit(data.X, data.y[order], data.tasks)
            print(
                f"| {activation}, {seed} | {features.n_components_} | {seconds:.0f} | "
                f"{canonical_correlations(H, data.Z).min():.3f} | {strong.score:.3f} | {strong.per_latent.min():.3f} | "
                f"{shuffled.n_components_} |",
                flush=True,
            )


def superconductivity(trees: bool) -> None:
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.model_selection import GroupShuffleSplit

    from identirep import MTLCM, MTRN, PredictiveFeatures
    from identirep.datasets import load_superconductivity
    from identirep.metrics import canonical_correlations, mcc

    data = load_superconductivity(fractions=True)
    X, Y, groups = data.X, data.Y, data.groups
    train, test = next(GroupShuffleSplit(1, test_size=0.2, random_state=0).split(X, groups=groups))
    learn, score = next(GroupShuffleSplit(1, test_size=0.5, random_state=0).split(X[test], groups=groups[test]))
    print(f"\n{'60 extremely randomised trees' if trees else 'MTRN'}, compositions held out\n")
    print("| D | fit, s | canonical correlation | weakest | MCC after stage two | worst latent | R^2 |")
    print("|---|---|---|---|---|---|---|")
    for D in (5, 10, 15):
        H, Z, seconds = [], [], []
        for seed in (1, 2):
            start = time.perf_counter()
            if trees:
                forest = ExtraTreesRegressor(60, min_samples_leaf=2, n_jobs=-1)
                features = PredictiveFeatures(forest, D, random_state=seed)
            else:
                features = MTRN(D, random_state=seed)
            features.fit(X[train], Y[train], groups=groups[train])
            seconds.append(time.perf_counter() - start)
            H.append(features.transform(X[test]))
            Z.append(MTLCM(random_state=seed).fit_moments(features.moments_).transform(H[-1]))
        weak = canonical_correlations(H[0][learn], H[1][learn], held_out=(H[0][score], H[1][score]))
        strong = mcc(Z[0], Z[1])
        print(
            f"| {D} | {max(seconds):.0f} | {weak.mean():.4f} | {weak.min():.3f} | {strong.score:.4f} | "
            f"{strong.per_latent.min():.3f} | {features.score(X[test], Y[test]):.3f} |",
            flush=True,
        )


def cut() -> None:
    from identirep import MTLCM, MTRN, TaskMoments
    from identirep.datasets import load_superconductivity
    from identirep.metrics import canonical_correlations, mcc_score
    from identirep.mtrn.cut import cut_clarity
    from identirep.mtrn.reduction import linear_heads, reduce_features

    data = load_superconductivity(fractions=True, leaky_inputs=True)
    most, clarity, fits = 24, [], []
    for seed in (1, 2):
        features = MTRN(most, random_state=seed).fit(data.X, data.Y, groups=data.groups)
        moments = TaskMoments.from_arrays(features._base_features(data.X), data.Y)
        replicates = features.n_replicates
        heads = linear_heads(moments, n_blocks=replicates)
        reduction = reduce_features(moments, heads.coef, heads.noise)
        clarity.append(cut_clarity(moments, heads.coef, reduction, replicates))
        fits.append((features.moments_, features.transform(data.X)))
    print("\n| D | gap in standard errors, first fit | second fit | not shared by both fits | MCC after stage two |")
    print("|---|---|---|---|---|")
    for D in (5, 10, 15, *range(17, most + 1)):
        H = [values[:, :D] for _, values in fits]
        Z = [
            MTLCM(random_state=0).fit_moments(moments.map_features(np.eye(D, most))).transform(values[:, :D])
            for moments, values in fits
        ]
        between = D - canonical_correlations(*H).sum()
        gaps = " | ".join(f"{values[D - 1]:.0f}" for values in clarity)
        print(f"| {D} | {gaps} | {between:.2f} | {mcc_score(*Z):.4f} |", flush=True)


def replicates() -> None:
    from identirep import MTRN
    from identirep.datasets import load_superconductivity

    data = load_superconductivity(fractions=True)
    print("\n| replicates | training, s | ratio to one |\n|---|---|---|")
    seconds = {}
    for n in (1, 4, 5):
        fits = [MTRN(10, n_replicates=n, max_epochs=8, random_state=0).fit(data.X, data.Y) for _ in range(3)]
        seconds[n] = sorted(fit.history_[-1]["seconds"] for fit in fits)[1]
        print(f"| {n} | {seconds[n]:.2f} | {seconds[n] / seconds[1]:.2f} |", flush=True)


def main() -> None:
    parts = {
        "nonlinear": nonlinear,
        "superconductivity": lambda: superconductivity(trees=False),
        "trees": lambda: superconductivity(trees=True),
        "cut": cut,
        "replicates": replicates,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="which parts; default all")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    set_threads(arguments.threads)
    import torch

    torch.set_num_threads(arguments.threads)
    for part in arguments.parts or parts:
        parts[part]()


if __name__ == "__main__":
    main()
