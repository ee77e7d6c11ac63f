"""Figures for notebooks show the numbers of the model."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

from matplotlib import pyplot as plt

from identirep.datasets import make_linear_tasks
from identirep.metrics import stability
from identirep.mtlcm import MTLCM
from identirep.report import plot_certificate, plot_roles, plot_spectrum, plot_stability
from identirep.report.content import Findings


@pytest.fixture(scope="module")
def model():
    data = make_linear_tasks(n_tasks=12, n_samples=60, n_latents=3, random_state=0)
    return MTLCM(random_state=0).fit(data.H, data.y, [f"cost in ${t}$" for t in data.tasks])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("what", ["correlation", "causal_probability"])
def test_roles(model, what):
    ax = plot_roles(model, what=what)
    findings = Findings.of(model)
    order = findings.task_order()
    np.testing.assert_array_equal(ax.images[0].get_array(), getattr(findings, what)[order])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [findings.task_names[t].replace("$", r"\$") for t in order]
    ax.figure.canvas.draw()


def test_unknown_quantity(model):
    with pytest.raises(ValueError, match="what is unknown: got 'roles'"):
        plot_roles(model, what="roles")


def test_certificate(model):
    ax = plot_certificate(model)
    shown = ax.images[0].get_array()
    off_diagonal = ~np.eye(3, dtype=bool)
    np.testing.assert_array_equal(shown[off_diagonal], model.certificate_.separation[off_diagonal])
    assert [label.get_text()[-1] for label in ax.get_yticklabels()] == ["0", "1", "2"]


def test_spectrum_needs_a_first_stage(model):
    with pytest.raises(ValueError, match="model has no spectrum"):
        plot_spectrum(model)


def test_stability_uses_the_axes_given():
    Z = np.random.default_rng(0).normal(size=(50, 3))
    result = stability([Z, Z + 0.1 * Z[:, ::-1]])
    _, ax = plt.subplots()
    assert plot_stability(result, ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), result.per_latent[0])
