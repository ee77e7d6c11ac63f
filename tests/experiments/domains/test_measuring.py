"""A cell: both fits, every method by the same rules, and what is false among what was said."""

from dataclasses import replace

import numpy as np
import pytest

from identirep.experiments import load_experiment
from identirep.experiments.domains import catalogue, measuring
from identirep.experiments.domains.domain import Domain, draw_observed
from identirep.experiments.methods import OURS, REFERENCE
from identirep.experiments.trust import Drawn


@pytest.fixture
def plain(monkeypatch):
    """Make a domain whose inputs are the latents, turned: a network reads them easily."""

    def draw(rng, quick):
        return draw_observed(rng, 30, 40, 3, lambda Z, rng: Z @ np.linalg.qr(rng.normal(size=(3, 3)))[0])

    network = {"hidden_sizes": (16,), "n_replicates": 1, "max_epochs": 60}
    domain = Domain(draw, 3, network, quick_epochs=60, factors=("a", "b", "c"))
    monkeypatch.setitem(catalogue.DOMAINS, "plain", domain)
    return {"domain": "plain", "quick": False, "seed": 0}


@pytest.mark.slow
def test_cell_has_every_method_against_both(plain):
    rows = measuring.measure(plain).rows
    against = {(row["against"], row["method"]): row for row in rows if "against" in row}
    ours, best = against["the truth", OURS], against["the truth", REFERENCE]
    assert best["mcc"] > 0.97
    assert ours["mcc"] > 0.9
    # Turned inputs have no axes that components could find.
    assert against["the truth", "PCA of inputs"]["mcc"] < ours["mcc"]
    # A linear map of all three inputs says as much of the targets as any other.
    assert against["the truth", "PCA of inputs"]["says"] == pytest.approx(ours["says"], abs=0.1)
    assert {method for kind, method in against if kind == "the truth"} - {REFERENCE} == {
        method for kind, method in against if kind == "a fit to other rows"
    }
    axes = [row for row in rows if "axis" in row]
    assert len(axes) == 3
    assert np.mean([row["truth"] for row in axes]) == pytest.approx(ours["mcc"])
    factors = {row["factor"]: row for row in rows if "factor" in row}
    assert list(factors) == ["a", "b", "c"]
    assert np.mean([row["found"] for row in factors.values()]) == pytest.approx(ours["mcc"], abs=0.02)


def test_halves_keep_groups_whole():
    unseen, groups = np.arange(10, 40), np.repeat(np.arange(8), 5)
    drawn = Drawn(np.zeros((40, 1)), np.zeros((40, 1)), np.arange(5), np.arange(5, 10), unseen, groups=groups)
    choose, score = measuring._halves(drawn)
    assert set(choose) | set(score) == set(unseen)
    assert not set(groups[choose]) & set(groups[score])
    rows = measuring._halves(replace(drawn, groups=None))
    assert [len(part) for part in rows] == [15, 15]


def test_r2_of_targets_is_of_rows_unseen_and_labels_known():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(300, 2))
    y = np.column_stack([Z @ [1.0, 2.0], rng.normal(size=300), np.full(300, np.nan)])
    y[::2, 0] = np.nan
    drawn = Drawn(Z, y, np.arange(100), np.arange(100, 200), np.arange(200, 300))
    assert measuring._r2_of_targets(Z, drawn) == pytest.approx(0.5, abs=0.05)
    long = replace(drawn, y=Z @ [1.0, 2.0], tasks=np.arange(300) % 3)
    assert measuring._r2_of_targets(Z, long) == pytest.approx(1.0)


def test_what_is_not_installed_is_skipped_by_name(monkeypatch):
    domain = replace(catalogue.DOMAINS["topics"], needs=("no_such_package",))
    monkeypatch.setitem(catalogue.DOMAINS, "of nowhere", domain)
    experiment = load_experiment("domains")
    assert "of nowhere" not in {cell["domain"] for cell in experiment.cells(False, None)}
    states = {row["name"]: row["state"] for row in experiment.combine([]) if "state" in row}
    assert states["of nowhere"] == "needs no_such_package of the extra domains"
    assert states["topics"] == "not run"


def test_false_axes_are_counted():
    from identirep.experiments.experiment import Measured

    said = {
        "domain": "topics",
        "axis": 0,
        "certified": 1,
        "identified": 1,
        "false_again": 0,
        "false_truth": 1,
        "truth": 0.8,
    }
    other = {**said, "axis": 1, "certified": 0, "identified": 0, "false_truth": 0}
    counted = load_experiment("domains").combine([({"domain": "topics"}, Measured([said, other]))])[0]
    assert counted == {"of": "topics", "axes": 2, "certified": 1, "false_again": 0, "identified": 1, "false_truth": 1}
