"""Tables for people, and margins."""

import pytest

from identirep.experiments.experiment import Column, Table
from identirep.experiments.margins import margins
from identirep.experiments.summary import markdown_table

_ROWS = [
    {"D": D, "method": method, "seed": seed, "mcc": mcc + 0.02 * seed}
    for D, method, mcc in ((5, "ours", 0.9), (5, "PCA", 0.5), (5, "ICA", 0.7), (10, "ours", 0.8))
    for seed in (0, 1)
]


def test_entries_are_mean_deviation_and_worst():
    assert Column("mcc", "", 2).text([0.9, 0.92]) == "0.91 ± 0.01 (0.90)"
    assert Column("s", "", 1, "max").text([1.0, 3.0]) == "2.0 ± 1.4 (3.0)"
    assert Column("s", "", 1, None).text([1.0, 3.0]) == "2.0"
    assert Column("s", "").text([None, float("nan")]) == "–"


def test_table_side_by_side_counts_runs():
    lines = markdown_table(Table("", ("D", "method"), (Column("mcc", "MCC", 2, None),)), _ROWS).splitlines()
    assert lines[0] == "| D | method | MCC | runs |"
    assert lines[2] == "| 5 | ours | 0.91 | 2 |"
    assert len(lines) == 6


def test_table_across_shows_what_was_not_run():
    lines = markdown_table(Table("", ("D",), (Column("mcc", "MCC", 2, None),), across="method"), _ROWS).splitlines()
    assert lines[0] == "| D | ours | PCA | ICA |"
    assert lines[3] == "| 10 | 0.81 | – | – |"


def test_table_without_rows_is_empty():
    assert markdown_table(Table("", ("D",), (Column("mcc", "MCC"),), where={"D": 7}), _ROWS) == ""


def test_margin_is_over_the_best_baseline_of_each_setting():
    found = margins(_ROWS, setting=("D",), ours="ours", not_baselines=())
    assert [row["best_baseline"] for row in found] == ["ICA", "ICA"]
    assert [row["mcc_margin"] for row in found] == pytest.approx([0.2, 0.2])
    (best,) = {row["best_baseline"] for row in margins(_ROWS, setting=("D",), ours="ours", not_baselines={"ICA"})}
    assert best == "PCA"
