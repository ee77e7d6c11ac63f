"""The picture of the demo's story keeps inside its edges whatever the axis is called."""

from types import SimpleNamespace

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from identirep.cli.story_picture import _carried


def test_long_names_are_not_cut_off():
    Z = np.random.default_rng(0).normal(size=(50, 1))
    name = "wtd_entropy_ThermalConductivity"
    story = SimpleNamespace(
        named=SimpleNamespace(latent=0, name=name),
        before=Z,
        after=2 * Z,
        retrained=SimpleNamespace(comparison_=SimpleNamespace(kept=[True])),
    )
    # As wide as the panel is.
    figure = Figure(figsize=(3.0, 3.4), layout="constrained")
    axes = figure.add_subplot()
    _carried(axes, story)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
    assert name in [text.get_text() for text in texts]
    for text in texts:
        extent = text.get_window_extent(canvas.get_renderer())
        assert 0 <= extent.x0 < extent.x1 <= figure.bbox.x1, text.get_text()
