"""Figures: every run is a dot, and better is further right."""

import pytest

from identirep.experiments import NAMES, load_experiment
from identirep.experiments.figures import dots, predictions

_ROWS = [
    {"method": method, "D": D, "mcc": score, "seed": seed}
    for method, score in (("ours", 0.999), ("PCA", 0.5))
    for D in (5, 10)
    for seed in (0, 1)
]


def test_one_panel_a_size_one_dot_a_run():
    figure = dots([*_ROWS, {"method": "ours"}], value="mcc", label="MCC", by="method", panel="D")
    first, second = figure.axes
    assert [ax.get_title(loc="left") for ax in (first, second)] == ["D = 5", "D = 10"]
    assert [len(line.get_xdata()) for line in first.lines if line.get_marker() == "o"] == [2, 2]
    assert [label.get_text() for label in first.get_yticklabels()] == ["ours", "PCA"]


def test_lines_and_panels_may_be_texts_and_rows_may_be_chosen():
    figure = dots(
        [*_ROWS, {"mcc": 0.1, "seed": 0}],
        value="mcc",
        label="MCC",
        by=lambda row: f"{row['method']}, {row['D']}",
        panel=lambda row: f"seed {row['seed']}",
        where={"seed": 0},
    )
    (ax,) = figure.axes
    assert ax.get_title(loc="left") == "seed 0"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ours, 5", "ours, 10", "PCA, 5", "PCA, 10"]


def test_better_is_further_right_and_methods_read_downwards():
    for n_panels in (1, 2):
        rows = [row for row in _ROWS if row["D"] <= 5 * n_panels]
        ax = dots(rows, value="mcc", label="MCC", by="method", panel="D").axes[0]
        left, right = ax.get_xlim()
        assert left > right
        bottom, top = ax.get_ylim()
        assert bottom > top


def test_nothing_to_draw_is_an_empty_figure():
    assert dots([], value="mcc", label="MCC", by="method", panel="D").axes


def test_predictions_tell_trusted_fits_from_others():
    rows = [
        {"p": 0.1, "a": 0.2, "ok": True},
        {"p": 0.3, "a": 0.1, "ok": False},
        {"p": 0.2, "a": 0.2, "ok": True},
        {"p": 0.5},
    ]
    ax = predictions(rows, predicted="p", actual="a", label="loss", trusted="ok").axes[0]
    trusted, others = ax.lines[:2]
    assert [list(trusted.get_xdata()), list(trusted.get_ydata())] == [[0.1, 0.2], [0.2, 0.2]]
    assert [list(others.get_xdata()), list(others.get_ydata())] == [[0.3], [0.1]]


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_has_a_figure(name):
    assert load_experiment(name).figures
