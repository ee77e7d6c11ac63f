"""The experiment of retraining: parts that share no group, maps that are undone, kept axes that serve as they are."""

import numpy as np
import pytest
from sklearn.utils import Bunch

from identirep.experiments import load_experiment, retraining
from identirep.mtrn import MTRN


def test_parts_share_no_group():
    groups = np.random.default_rng(0).integers(50, size=400)
    parts = retraining._parts(groups, np.random.default_rng(1))
    assert sorted(np.concatenate(list(parts.values()))) == list(range(400))
    names = [set(groups[index]) for index in parts.values()]
    assert sum(map(len, names)) == len(set(groups))
    assert min(len(index) for index in parts.values()) > 30
    assert len(parts["old"]) > 2 * len(parts["test"]) - 30


def test_canonical_map_undoes_a_linear_one():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(200, 3)) + 5.0
    W = Z @ rng.normal(size=(3, 3)) - 2.0
    np.testing.assert_allclose(retraining._canonical_map(W[:100], Z[:100])(W[100:]), Z[100:], atol=1e-8)


def _table(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 5))
    Y = np.repeat(X[:, :3], 4, axis=1) * rng.uniform(0.5, 2.0, 12) + 0.3 * rng.normal(size=(1200, 12))
    return Bunch(X=X, Y=Y, groups=None)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["MTRN", "trees"])
def test_models_trained_once_go_on_working_on_kept_axes(monkeypatch, stage):
    monkeypatch.setattr(retraining, "load_real", _table)
    monkeypatch.setattr(retraining, "_TABLES", {"small": retraining._Source("small", 1200, 2)})
    if stage == "MTRN":
        monkeypatch.setattr(retraining, "_stage", lambda cell: MTRN(hidden_sizes=(16,), max_epochs=20, n_replicates=1))
    cell = {"table": "small", "stage one": stage, "quick": False, "seed": 1}
    rows = retraining._measure(cell).rows
    ratio = {(row["head"], row["method"]): row["ratio"] for row in rows if "ratio" in row}
    assert len(ratio) == 12
    kept = ratio["linear", "kept axes"]
    assert kept < 1.1
    assert kept <= ratio["linear", "latents as they come"] + 0.01
    assert rows[-1]["axes_kept"] == 1.0
    assert rows[-1]["worst"] > 0.9


def test_quick_cells_need_no_data_of_others():
    experiment = load_experiment("retraining")
    cells = experiment.cells(True, None)
    assert {cell["table"] for cell in cells} == {"superconductivity"}
    assert len(experiment.cells(False, 5)) % 10 == 0


def test_ratios_are_drawn_where_they_are():
    rows = [
        {"table": "a", "stage one": "trees", "head": "linear", "method": "kept axes", "ratio": ratio}
        for ratio in (1.02, 1.9)
    ]
    axes = retraining._figure([*rows, {"table": "a", "stage one": "trees", "axes_kept": 1.0}]).axes[0]
    assert sorted(x for line in axes.lines[:3] for x in line.get_xdata()) == [1.02, 1.9]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a, trees, linear"]
