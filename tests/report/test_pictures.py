"""Pictures show the numbers of the fit, all of them, the same in SVG and in Matplotlib."""

import re
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

from matplotlib import pyplot as plt

from identirep.describing import Axis, Cloud
from identirep.report import pictures, plot_axis, plot_inputs, plot_returns, plot_scores, plot_spectrum
from identirep.report.content import Findings
from identirep.report.drawn import draw_returns, draw_scatter, draw_scores, draw_spectrum, draw_training
from identirep.report.svg import Svg


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def _cloud(latent, values):
    return Axis(0, "axis", [], cloud=Cloud("target", latent, values, 0.5, len(latent), False))


def test_returns_stand_at_their_distance_from_one(of_size, stage_two, monkeypatch):
    found, evaluation, _ = of_size(12, 4)
    shown = pictures.returns(found, evaluation)
    assert [series.name for series in shown.series] == [
        "trained again, same rows",
        "other rows",
        "other targets, an estimate",
    ]
    drawn = str(draw_returns(shown))
    places = [float(x) for x in re.findall(r'class="diamond [^"]*" d="M([\d.]+)', drawn)]
    loss = -np.log10(1 - shown.series[1].values)
    np.testing.assert_allclose(np.corrcoef(places, loss)[0, 1], 1.0, atol=1e-6)
    assert drawn.count('class="ring') == drawn.count('class="cross') == drawn.count('class="range') == 4
    monkeypatch.setattr(Findings, "of", lambda _: found)
    ax = plot_returns(stage_two)
    offsets = np.concatenate([marks.get_offsets()[:, 0] for marks in ax.collections[1:2]])
    np.testing.assert_allclose(offsets, -pictures.loss(shown.series[1].values))


def test_nothing_measured_is_no_picture(of_size, stage_two, monkeypatch):
    found, _, _ = of_size(12, 2)
    unknown = np.full(2, np.nan)
    back = replace(
        found.certificate.comes_back, same_rows=unknown, other_rows=unknown, other_rows_interval=np.full((2, 2), np.nan)
    )
    found = replace(found, certificate=replace(found.certificate, comes_back=back))
    assert pictures.returns(found, None) is None
    monkeypatch.setattr(Findings, "of", lambda _: found)
    with pytest.raises(ValueError, match="model was not checked"):
        plot_returns(stage_two)


def test_outliers_of_a_cloud_stand_on_the_edge_and_are_counted():
    rng = np.random.default_rng(0)
    latent, values = rng.normal(size=200), rng.normal(size=200)
    shown = pictures.scatter(_cloud(latent, values), "0")
    assert shown.n_beyond == 0
    assert shown.x[0] < latent.min() < latent.max() < shown.x[1]
    values[3] = 1e4
    shown = pictures.scatter(_cloud(latent, values), "0")
    assert shown.n_beyond == 1
    assert shown.y[1] < 100
    points = re.findall(r"M([\d.]+) ([\d.]+)h0", str(draw_scatter(shown)))
    assert len(points) == 200
    assert float(points[3][1]) == min(float(y) for _, y in points)
    np.testing.assert_allclose(np.corrcoef([float(x) for x, _ in points], latent)[0, 1], 1.0, atol=1e-5)


def test_constant_labels_have_a_frame():
    shown = pictures.scatter(_cloud(np.arange(20.0), np.full(20, 3.0)), "0")
    assert shown.y[0] < 3.0 < shown.y[1]
    assert "nan" not in str(draw_scatter(shown))


def test_spectrum_has_a_bar_for_each_direction_and_the_axes_apart(of_size, stage_two, monkeypatch):
    found, _, _ = of_size(12, 3)
    shown = pictures.spectrum(found)
    assert (len(shown.values), int(shown.kept.sum()), shown.n_left_out) == (30, 3, 0)
    drawn = str(draw_spectrum(shown))
    assert (drawn.count('<rect class="fill"'), drawn.count('<rect class="rest"')) == (3, 27)
    heights = [float(height) for height in re.findall(r'<rect class="(?:fill|rest)".*?height="([\d.]+)"', drawn)]
    np.testing.assert_allclose(heights, shown.values / shown.values[0] * heights[0], atol=0.1)
    monkeypatch.setattr(Findings, "of", lambda _: found)
    np.testing.assert_allclose([bar.get_height() for bar in plot_spectrum(stage_two).patches], shown.values)


def test_a_spectrum_without_any_signal_is_drawn(of_size):
    found, _, _ = of_size(12, 3)
    nothing = np.zeros(len(found.spectrum))
    drawn = str(draw_spectrum(pictures.spectrum(replace(found, spectrum=nothing, threshold=nothing))))
    assert "0 above shuffled targets" in drawn
    assert set(re.findall(r'<rect class="(?:fill|rest)".*?height="([\d.]+)"', drawn)) == {"0"}


def test_scores_are_sorted_and_end_where_they_say_little(of_size, stage_two, monkeypatch):
    found, evaluation, _ = of_size(5, 2)
    evaluation = replace(evaluation, r2=np.array([0.5, np.nan, -7.0, 0.9, 0.0]))
    shown = pictures.scores(found, evaluation)
    assert shown.values.tolist() == [0.9, 0.5, 0.0, -7.0]
    assert [name[-1] for name in shown.names] == ["3", "0", "4", "2"]
    assert shown.low == -1.0
    assert "best 0.90, median 0.25, lowest -7.00" in str(draw_scores(shown))
    monkeypatch.setattr(Findings, "of", lambda _: found)
    assert plot_scores(stage_two, evaluation).lines[0].get_ydata().tolist() == [0.9, 0.5, 0.0, -1.0]
    with pytest.raises(ValueError, match="evaluation has no scores"):
        plot_scores(stage_two, replace(evaluation, r2=np.full(5, np.nan)))


def test_training_keeps_the_epoch_with_the_least_mean(of_size):
    found, _, _ = of_size(5, 2)
    shown = pictures.training(found)
    assert shown.curves.shape == (4, 30)
    assert shown.epochs[shown.best] == 29
    assert "the mean is least at epoch 29 of 29" in str(draw_training(shown))


def test_figures_of_one_axis_show_its_inputs_and_rows(of_size):
    _, _, description = of_size(5, 2)
    ax = plot_inputs(description, 1)
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [0.5 / (k + 1) for k in range(5)])
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"input number {k}" for k in range(5)]
    ax = plot_axis(description, 1)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), description.axes[1].cloud.latent)
    bare = replace(description, axes=[replace(axis, cloud=None) for axis in description.axes])
    with pytest.raises(ValueError, match="description has no targets: got none for axis 1"):
        plot_axis(bare, 1)


def test_texts_of_drawings_are_no_markup():
    svg = Svg(10, 10, 'a "picture" <b>')
    svg.text(1, 1, "<script>")
    drawn = str(svg.markup())
    assert 'aria-label="a &#34;picture&#34; &lt;b&gt;"' in drawn
    assert "&lt;script&gt;" in drawn
    assert 'aria-hidden="true"' in str(Svg(1, 1, "").markup())
