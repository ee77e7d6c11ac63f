"""Pairs of fits: which are compared, and that fits to disjoint rows have none in common."""

import numpy as np
import pytest

from identirep.experiments.experiment import Measured
from identirep.experiments.pairs import compare_fits, disjoint_share
from identirep.experiments.registry import load_experiment


def test_halves_are_disjoint_and_hold_whole_groups():
    groups = np.random.default_rng(0).integers(100, size=1000)
    halves = [disjoint_share(groups, seed) for seed in (1, 2, 3, 4)]
    for one, two in (halves[:2], halves[2:]):
        np.testing.assert_array_equal(np.sort(np.concatenate([one, two])), np.arange(1000))
        assert not set(groups[one]) & set(groups[two])
        assert 300 < len(one) < 700
    assert not np.array_equal(halves[0], halves[2])


@pytest.mark.parametrize("disjoint", [False, True])
def test_only_fits_without_a_row_in_common_count_as_disjoint(disjoint):
    rng = np.random.default_rng(0)
    finished = [
        ({"protocol": "x", "seed": seed}, Measured([], {"2/MTLCM": rng.normal(size=(40, 2))})) for seed in (1, 2, 3, 4)
    ]
    split = lambda cell, n: (np.arange(n // 2), np.arange(n // 2, n))  # noqa: E731
    rows = compare_fits(finished, setting=("protocol",), split=split, disjoint=lambda cell: disjoint)
    pairs = [row["pair"] for row in rows if "mcc" in row]
    assert pairs == (["1 and 2", "3 and 4"] if disjoint else pairs)
    assert len(pairs) == (2 if disjoint else 6)


@pytest.mark.parametrize("name", ["superconductivity", "qm9"])
def test_pages_of_real_data_have_fits_to_disjoint_rows(name):
    for quick in (True, False):
        cells = [cell for cell in load_experiment(name).cells(quick, None) if cell["protocol"] == "disjoint"]
        assert len({cell["seed"] for cell in cells}) == (2 if quick else 10)
