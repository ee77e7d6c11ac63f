"""How often check_drift calls axes or targets moved that have not, and whether it sees those that have.

    python benchmarks/drift.py [--seeds 200] [--rows 100 1000 10000] [--only integers]

Random halves of the same data: one is fitted to, the other checked at a rate of 0.05 for axes and for targets. Inputs
are continuous, few binary ones, integers, and a mixture; the same with a task for each row; rows measured three times,
with and without groups that say so; and rows of the fit among the new ones. Then the first input is moved by 0.3
standard deviations (of binary and integer inputs: drawn from a law whose mean is that much larger).
"""

from __future__ import annotations

import argparse

from _timing import set_threads

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--seeds", type=int, default=200)
parser.add_argument("--rows", type=int, nargs="+", default=[100, 1000, 10_000])
parser.add_argument("--only", default="", help="settings whose name has this in it")
parser.add_argument("--regressor", default="linear", choices=["linear", "trees", "network"])
options = parser.parse_args()
set_threads(1)

import warnings  # noqa: E402

import numpy as np  # noqa: E402
from sklearn.ensemble import ExtraTreesRegressor  # noqa: E402
from sklearn.linear_model import LinearRegression  # noqa: E402

from identirep import MTRN, IdentifiableRegressor  # noqa: E402
from identirep.comparing import check_drift  # noqa: E402

_LEVEL, _SHIFT = 0.05, 0.3
# Tasks with rows of their own take a network in any case.
_NETWORK = MTRN(hidden_sizes=(16,), max_epochs=10, n_replicates=1, device="cpu")


def continuous(rng: np.random.Generator, n: int, shift: float) -> np.ndarray:
    X = rng.normal(size=(n, 5))
    X[:, 1] = rng.standard_t(3, size=n)
    X[:, 0] += shift
    return X


def binary(rng: np.random.Generator, n: int, shift: float) -> np.ndarray:
    # A binary input has a standard deviation of about 0.5.
    return (rng.random((n, 3)) < 0.4 + 0.5 * shift * np.array([1.0, 0, 0])).astype(float)


def integers(rng: np.random.Generator, n: int, shift: float) -> np.ndarray:
    # Mostly zeros, so that some rows are alike by chance and others are not.
    return rng.poisson(0.5 + np.sqrt(0.5) * shift * (np.arange(10) == 0), size=(n, 10)).astype(float)


def mixture(rng: np.random.Generator, n: int, shift: float) -> np.ndarray:
    X = integers(rng, n, shift)[:, :4]
    # A column that is measured in a third of the rows only.
    return np.column_stack([X, np.where(rng.random(n) < 0.3, rng.normal(size=n), 0.0)])


def targets(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    standard = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    return np.repeat(standard[:, :2], 4, axis=1) + 0.3 * rng.normal(size=(len(X), 8))


def stage() -> object:
    if options.regressor == "network":
        return _NETWORK
    return LinearRegression() if options.regressor == "linear" else ExtraTreesRegressor(20, min_samples_leaf=3)


def model() -> IdentifiableRegressor:
    return IdentifiableRegressor(2, regressor=stage(), n_checks=0, random_state=0)


def wide(law: object, n: int, rng: np.random.Generator, shift: float, kind: str) -> object:
    X, new = law(rng, n, 0.0), law(rng, n, shift)
    groups = np.arange(2 * n)
    if kind.startswith("repeated"):
        X, new = np.repeat(X[: n // 3], 3, axis=0), np.repeat(new[: n // 3], 3, axis=0)
        groups = np.arange(len(X) + len(new)) // 3
    both = targets(rng, np.concatenate([X, new]))
    given = kind.endswith("groups")
    fitted = model().fit(X, both[: len(X)], groups=groups[: len(X)] if given else None)
    y, of_new = both[len(X) :], groups[len(X) :]
    if kind.startswith("appended"):
        new, y, of_new = np.concatenate([X, new]), both, groups
    return check_drift(fitted, new, y, groups=of_new if given else None, level=_LEVEL)


def long(law: object, n: int, rng: np.random.Generator, shift: float) -> object:
    X, new = law(rng, n, 0.0), law(rng, n, shift)
    both = targets(rng, np.concatenate([X, new]))
    task = rng.permutation(np.arange(2 * n) % 4)
    y = both[np.arange(2 * n), task % 8]
    network = IdentifiableRegressor(2, regressor=_NETWORK, n_checks=0, random_state=0)
    return check_drift(network.fit(X, y[:n], task[:n]), new, y[n:], task[n:], level=_LEVEL)


def main() -> None:
    settings = [(law.__name__, law, "") for law in (continuous, binary, integers, mixture)]
    repeated = [(law, kind) for law in (continuous, mixture) for kind in ("repeated", "repeated, groups")]
    settings += [(f"{law.__name__}, {kind}", law, kind) for law, kind in repeated]
    settings += [(f"{law.__name__}, appended", law, "appended") for law in (continuous, integers, mixture)]
    settings += [(f"{law.__name__}, long", law, "long") for law in (continuous, integers)]
    print(f"False alarms at a rate of {_LEVEL}, {options.regressor}, and how often a shift of {_SHIFT} sd is seen.")
    print("| inputs | rows | axes | targets | cannot tell | shift, axes | shift, targets | worth |")
    print("|---|---|---|---|---|---|---|---|")
    for name, law, kind in settings:
        for n in options.rows:
            if options.only not in name:
                continue
            rates, worth, failed = [], [], 0
            for shift in (0.0, _SHIFT):
                found = []
                # What has moved needs fewer draws.
                for seed in range(options.seeds if not shift else max(options.seeds // 5, 10)):
                    rng = np.random.default_rng([seed, n])
                    try:
                        drift = long(law, n, rng, shift) if kind == "long" else wide(law, n, rng, shift, kind)
                    except ValueError:
                        failed += 1
                        continue
                    found.append([drift.latents.moved.any(), drift.targets.moved.any()])
                    worth.append(drift.n_independent)
                rates.append(np.mean(found, axis=0) if found else [np.nan, np.nan])
            (axes, of_targets), (seen, seen_targets) = rates
            print(
                f"| {name} | {n:,} | {axes:.3f} | {of_targets:.3f} | {failed} | {seen:.2f} | {seen_targets:.2f} "
                f"| {np.median(worth) if worth else np.nan:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
