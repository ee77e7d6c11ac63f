"""Processor time of a linear regressor of thousands of targets: stage one alone, and both stages with their checks.

python benchmarks/many_targets.py [--targets 5000] [--rows 2000]
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings

import numpy as np
from _timing import set_threads
from sklearn.linear_model import LinearRegression

from identirep import IdentifiableRegressor, PredictiveFeatures

set_threads(1)
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--targets", type=int, default=5000)
parser.add_argument("--rows", type=int, default=2000)


def main() -> None:
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    n, T, D = options.rows, options.targets, 8
    Z = rng.laplace(size=(n, D))
    X = Z @ rng.normal(size=(D, 50)) + 0.1 * rng.normal(size=(n, 50))
    Y = Z @ (rng.laplace(size=(D, T)) * (rng.random((D, T)) < 0.4)) + 0.5 * rng.normal(size=(n, T))
    warnings.simplefilter("ignore")
    for name, model in (
        ("stage one", PredictiveFeatures(LinearRegression(), random_state=0)),
        ("both stages, 8 latents, checks", IdentifiableRegressor(D, regressor=LinearRegression(), random_state=0)),
    ):
        start = time.process_time()
        model.fit(X, Y)
        took = time.process_time() - start
        sys.stdout.write(f"{name}: {T:,} targets, {n:,} rows: {took:.1f} s, {model.n_components_} components\n")


if __name__ == "__main__":
    main()
