"""The experiment of mixings: flows that lose nothing, and distances to the ceiling of the same network and draw."""

import numpy as np
import pytest

from identirep.experiments import load_experiment, mixing
from identirep.experiments.experiment import Measured
from identirep.experiments.methods import REFERENCE


def test_flow_is_invertible_and_bends():
    Z = np.random.default_rng(0).normal(size=(500, 5))
    X = mixing._flow(Z, 3, np.random.default_rng(1))
    steps = np.eye(5) * 1e-5
    slopes = np.stack([(mixing._flow(Z + h, 3, np.random.default_rng(1)) - X) / 1e-5 for h in steps], axis=-1)
    signs, sizes = np.linalg.slogdet(slopes)
    # One sign everywhere: no two latents meet.
    assert abs(signs.sum()) == 500
    assert np.std(sizes) > 0.1
    line = np.column_stack([X, np.ones(500)])
    left = Z - line @ np.linalg.lstsq(line, Z, rcond=None)[0]
    assert left.std() > 0.1


def test_ceiling_is_that_of_the_same_network_and_draw():
    cell = {"mixing": "leaky", "depth": 1, "observed": 2, "q": 0.1, "tasks": 100}
    finished = []
    for encoder, seed, scores in (
        ("default", 1, {REFERENCE: 0.98, "auto": 0.97, "labels alone": 0.9}),
        ("default", 2, {REFERENCE: 0.9, "auto": 0.9}),
        ("deep", 1, {REFERENCE: 0.99, "auto": 0.95}),
        ("VAE", 1, {"VAE, MTLCM": 0.97}),
        # Without a ceiling nothing is said.
        ("wide", 1, {"auto": 0.9}),
    ):
        of_cell = {**cell, "encoder": encoder, "seed": seed}
        finished.append((of_cell, Measured([{**of_cell, "method": m, "mcc": v} for m, v in scores.items()])))
    found = {(r["encoder"], r["seed"], r["of"]): (r["gap"], r["close"]) for r in mixing._combine(finished)}
    assert set(found) == {
        ("default", 1, "auto"),
        ("default", 1, "labels alone"),
        ("default", 2, "auto"),
        ("deep", 1, "auto"),
        ("VAE", 1, "VAE, MTLCM"),
    }
    assert found["default", 1, "auto"] == (pytest.approx(0.01), 1.0)
    assert found["default", 1, "labels alone"] == (pytest.approx(0.08), 0.0)
    assert found["default", 2, "auto"] == (pytest.approx(0.0), 1.0)
    assert found["deep", 1, "auto"] == (pytest.approx(0.04), 0.0)


def test_draws_are_of_the_setting():
    for cell in load_experiment("mixing").cells(False, 1):
        if cell["encoder"] == "default":
            drawn = mixing._drawn({**cell, "tasks": 3, "rows": 10})
            assert drawn.X.shape == (90, cell["observed"] * 5)
            assert drawn.truth.shape == (90, 5)
