"""Canonical correlations against scikit-learn's CCA on the same arrays.

python benchmarks/canonical_correlations.py
"""

from __future__ import annotations

import warnings

from _timing import median_seconds, set_threads

set_threads(1)

import numpy as np  # noqa: E402
from sklearn.cross_decomposition import CCA  # noqa: E402

from identirep.metrics import canonical_correlations  # noqa: E402


def scikit_learn(X: np.ndarray, Y: np.ndarray, **options: float) -> np.ndarray:
    a, b = CCA(X.shape[1], **options).fit(X, Y).transform(X, Y)
    return np.array([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(X.shape[1])])


def main() -> None:
    warnings.simplefilter("ignore")
    print("| data | ours, s | CCA, s | CCA / ours | largest difference (CCA run to tolerance 1e-14) |")
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for D in (10, 20, 50):
        X = rng.normal(size=(10_000, D))
        # Well separated correlations between 0.3 and 0.95, where the iterative algorithm converges.
        c = np.linspace(0.3, 0.95, D)
        Y = (X * c + np.sqrt(1 - c**2) * rng.normal(size=X.shape)) @ rng.normal(size=(D, D))
        ours = median_seconds(lambda: canonical_correlations(X, Y), 9)  # noqa: B023
        theirs = median_seconds(lambda: scikit_learn(X, Y), 3)  # noqa: B023
        exact = scikit_learn(X, Y, max_iter=100_000, tol=1e-14) if D <= 20 else np.full(D, np.nan)
        difference = np.abs(np.sort(exact)[::-1] - canonical_correlations(X, Y)).max()
        print(f"| 10,000 x {D} | {ours:.4f} | {theirs:.3f} | {theirs / ours:.0f} | {difference:.1e} |", flush=True)


if __name__ == "__main__":
    main()
