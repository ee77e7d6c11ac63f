"""The pictures of the report as SVG, each from what `pictures` says that it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from identirep._typing import Array
from identirep.report import pictures
from identirep.report.style import VERDICT_SYMBOLS
from identirep.report.svg import Axis, Svg, cut, label_width, readable_number

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = [
    "draw_agreement",
    "draw_returns",
    "draw_scatter",
    "draw_scores",
    "draw_separation",
    "draw_share",
    "draw_spectrum",
    "draw_training",
]

# Pixels of a picture in a phone's width; wider places enlarge it.
_WIDTH = 420.0
_ROW = 24.0


def draw_returns(shown: pictures.Returns) -> Markup:
    """One row for each axis: marks where fits have its partner, a bar for 90% of fits to other rows."""
    labels = [f"{VERDICT_SYMBOLS[v]} {cut(name, 20)}" for name, v in zip(shown.labels, shown.verdicts, strict=True)]
    left, top = label_width(labels, 130.0) + 8, 34.0
    height = top + _ROW * len(labels) + 8
    svg = Svg(_WIDTH, height, _returns_in_words(shown))
    # Losses run from right to left.
    place = Axis((float(pictures.loss(shown.lowest)), 0.0), (left, _WIDTH - 14))

    def x(correlation: float) -> float:
        return place(float(pictures.loss(max(correlation, shown.lowest))))

    for tick in shown.ticks:
        is_threshold = abs(tick - shown.threshold) < 1e-9
        svg.line(x(tick), top - 6, x(tick), height - 8, "limit" if is_threshold else "grid")
        svg.text(x(tick), top - 12, readable_number(tick), "tick", "middle")
    for i, (label, verdict) in enumerate(zip(labels, shown.verdicts, strict=True)):
        y, colour = top + _ROW * (i + 0.5), f"c-{verdict.replace(' ', '-')}"
        svg.text(0, y + 4, label, f"label {colour}")
        low, high = shown.interval[i]
        if not np.isnan(low):
            svg.line(x(low), y, x(high), y, f"range {colour}")
        for number, series in enumerate(shown.series):
            if not np.isnan(series.values[i]):
                _mark(svg, series.name, x(float(series.values[i])), y, colour, number)
    return svg.markup()


def _mark(svg: Svg, name: str, x: float, y: float, colour: str, number: int) -> None:
    """Draw a ring for the same rows, a diamond for others, a cross for other targets."""
    if name == "other rows":
        svg.path(f"M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z", f"diamond {colour}")
    elif number == 0:
        svg.path(f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", f"ring {colour}")
    else:
        svg.path(f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8", f"cross {colour}")


def _returns_in_words(shown: pictures.Returns) -> str:
    parts = []
    for series in shown.series:
        known = series.values[~np.isnan(series.values)]
        parts.append(f"{series.name} {known.min():.2f} to {known.max():.2f}")
    return f"Correlation of each of {len(shown.labels)} axes with its partner in other fits: {'; '.join(parts)}."


def draw_spectrum(shown: pictures.Spectrum) -> Markup:
    """Bars of signal, with a step line at the level of shuffled targets."""
    n, height, left, top, bottom = len(shown.values), 220.0, 46.0, 12.0, 34.0
    above = int((shown.values > shown.threshold).sum())
    alt = f"Signal of {n} directions: {above} above shuffled targets, the first {int(shown.kept.sum())} kept as axes."
    svg = Svg(_WIDTH, height, alt)
    values, level, highest = shown.values, shown.threshold, float(max(shown.values.max(), shown.threshold.max()))
    # Where inputs say nothing at all there is no signal to scale by.
    highest = highest or 1.0
    ticks = pictures.nice_ticks(0.0, highest, 4)
    low = 0.0
    if shown.logarithmic:
        least = float(level.min())
        low, floor = np.log10(least / 5), least / 5
        values, level = np.log10(np.maximum(values, floor)), np.log10(np.maximum(level, floor))
        highest = float(np.log10(highest))
        ticks = np.arange(np.ceil(low), highest + 1e-9)
    y = Axis((float(low), highest + 0.04 * (highest - low)), (height - bottom, top))
    for tick in ticks:
        svg.line(left, y(tick), _WIDTH, y(tick), "grid")
        svg.text(left - 6, y(tick) + 4, readable_number(10.0**tick if shown.logarithmic else tick), "tick", "end")
    width = (_WIDTH - left - 6) / n
    for i, value in enumerate(values):
        x = left + 3 + width * i
        svg.bar(x + 0.12 * width, y(value), 0.76 * width, y(float(low)) - y(value), "fill" if shown.kept[i] else "rest")
        if n <= 24 or (i + 1) % (5 if n <= 60 else 20) == 0 or i == 0:
            svg.text(x + width / 2, height - bottom + 15, str(i + 1), "tick", "middle")
    edges = left + 3 + width * np.repeat(np.arange(n + 1.0), 2)[1:-1]
    svg.lines(np.asarray(edges, dtype=np.float64), np.repeat([y(value) for value in level], 2), "level")
    svg.text((left + _WIDTH) / 2, height - 4, "direction of the features, by falling signal", "title", "middle")
    return svg.markup()


def draw_scatter(shown: pictures.Scatter) -> Markup:
    """Points in a frame."""
    width, height, left, top, bottom = 320.0, 236.0, 50.0, 10.0, 36.0
    cloud = shown.cloud
    r = f"correlation {cloud.correlation:.2f}" if cloud.correlation == cloud.correlation else "no correlation"
    svg = Svg(width, height, f"{cut(cloud.target, 80)} against axis {cut(shown.axis, 80)}, {cloud.n_rows:,} rows: {r}.")
    x, y = Axis(shown.x, (left, width - 4)), Axis(shown.y, (height - bottom, top))
    for tick in pictures.nice_ticks(*shown.y):
        svg.line(left, y(tick), width - 4, y(tick), "grid")
        svg.text(left - 6, y(tick) + 4, readable_number(tick), "tick", "end")
    for tick in pictures.nice_ticks(*shown.x):
        svg.line(x(tick), top, x(tick), height - bottom, "grid")
        svg.text(x(tick), height - bottom + 15, readable_number(tick), "tick", "middle")
    place = _clipped(cloud.latent, shown.x), _clipped(cloud.values, shown.y)
    svg.points(np.array([x(value) for value in place[0]]), np.array([y(value) for value in place[1]]), "dots")
    svg.text((left + width) / 2, height - 4, cut(f"axis {shown.axis}", 40), "title", "middle")
    return svg.markup()


def _clipped(values: Array, ends: tuple[float, float]) -> Array:
    return np.clip(values, *ends)


def draw_share(shown: pictures.Shares, k: int) -> Markup:
    """Bar of the share of one input, with the interval that holds it; shares beyond 1 end at 1."""
    x = Axis((0.0, 1.0), (0.0, 100.0))
    share, (low, high) = float(shown.shares[k]), np.minimum(shown.interval[k], 1.0).tolist()
    svg = Svg(101, 10, "")
    svg.bar(0, 1.5, 100, 7, "bed")
    svg.bar(0, 1.5, x(min(share, 1.0)), 7, "fill")
    svg.path(f"M{x(low):.1f} 5H{x(high):.1f}M{x(low):.1f} 2V8M{x(high):.1f} 2V8", "whisker")
    return svg.markup()


def draw_agreement(shown: pictures.Agreement) -> Markup:
    """Strong MCC of each pair of fits."""
    low = float(min(0.9, shown.strong.min()))
    matrix = pictures.Matrix(shown.fits, shown.fits, shown.strong, low, 1.0, np.arange(len(shown.fits)))
    return _matrix(matrix, f"Strong MCC of {len(shown.fits)} fits, pair by pair: mean {shown.score:.3f}.")


def draw_separation(shown: pictures.Matrix) -> Markup:
    """Separation of each pair of axes."""
    return _matrix(shown, f"Separation of {len(shown.rows)} axes, pair by pair; 1 is not told apart.")


def _matrix(shown: pictures.Matrix, alt: str) -> Markup:
    """Square cells whose strength is their value, with numbers where there is room for them."""
    n_rows, n_columns = shown.values.shape
    labels = [cut(name, 18) for name in shown.rows]
    columns = [name.removeprefix("fit ").split(" ")[0] for name in shown.columns]
    left, top = label_width(labels, 130.0) + 4, 20.0
    cell = float(np.clip((_WIDTH - left - 4) / max(n_columns, 1), 4.0, 38.0))
    svg = Svg(_WIDTH, top + cell * n_rows + 4, alt)
    span = shown.high - shown.low
    every = 1 if cell >= 14 else int(np.ceil(14 / cell))
    for j in range(0, n_columns, every):
        svg.text(left + cell * (j + 0.5), top - 6, columns[j], "tick", "middle")
    for i in range(n_rows):
        if i % every == 0:
            svg.text(left - 6, top + cell * (i + 0.5) + 4, labels[i], "tick", "end")
        for j in range(n_columns):
            value = shown.values[i, j]
            if np.isnan(value):
                continue
            step = round(9 * float(np.clip((value - shown.low) / span, 0.0, 1.0)))
            # Under numbers colours are paler, so that these can be read.
            form = f"n{step}" if cell >= 30 else f"s{step}"
            svg.bar(left + cell * j + 0.5, top + cell * i + 0.5, cell - 1, cell - 1, form)
            if cell >= 30:
                number = f"{value:.2f}".lstrip("0") if value < 1 else "1"
                svg.text(left + cell * (j + 0.5), top + cell * (i + 0.5) + 4, number, "", "middle")
    return svg.markup()


def draw_scores(shown: pictures.Scores) -> Markup:
    """Scores from the best target to the worst."""
    n, height, left, top, bottom = len(shown.values), 190.0, 40.0, 10.0, 34.0
    q = np.quantile(shown.values, [1.0, 0.5, 0.0])
    svg = Svg(_WIDTH, height, f"R² of {n} {shown.kind}: best {q[0]:.2f}, median {q[1]:.2f}, lowest {q[2]:.2f}.")
    y = Axis((min(shown.low, 0.0), 1.02), (height - bottom, top))
    for tick in pictures.nice_ticks(min(shown.low, 0.0), 1.0):
        svg.line(left, y(tick), _WIDTH, y(tick), "limit" if tick == 0 and shown.low < 0 else "grid")
        svg.text(left - 6, y(tick) + 4, readable_number(tick), "tick", "end")
    x = left + 6 + (_WIDTH - left - 12) * (np.arange(n) + 0.5) / n
    place = np.array([y(max(value, shown.low)) for value in shown.values])
    (svg.points if n <= 150 else svg.lines)(x, place, "dots" if n <= 150 else "curve")
    svg.text((left + _WIDTH) / 2, height - 6, f"{n:,} {shown.kind}, best first", "title", "middle")
    return svg.markup()


def draw_training(shown: pictures.Training) -> Markup:
    """A curve for each network, their mean, and the epoch that is kept."""
    height, left, top, bottom = 170.0, 56.0, 10.0, 34.0
    kept = f"the mean is least at epoch {shown.epochs[shown.best]:g} of {shown.epochs[-1]:g}"
    svg = Svg(_WIDTH, height, f"Validation loss of {len(shown.curves)} networks: {kept}.")
    # The first epochs are far above all others, and say nothing of how it ended.
    high = float(np.quantile(shown.curves, 0.95))
    low = float(shown.curves.min())
    high = high if high > low else low + 1.0
    x = Axis((float(shown.epochs[0]) - 0.5, float(shown.epochs[-1]) + 0.5), (left, _WIDTH - 4))
    y = Axis((low - 0.05 * (high - low), high), (height - bottom, top))
    for tick in pictures.nice_ticks(low, high, 4):
        svg.line(left, y(tick), _WIDTH, y(tick), "grid")
        svg.text(left - 6, y(tick) + 4, readable_number(tick), "tick", "end")
    for tick in pictures.nice_ticks(float(shown.epochs[0]), float(shown.epochs[-1])):
        svg.text(x(tick), height - bottom + 15, readable_number(tick), "tick", "middle")
    at = np.array([x(epoch) for epoch in shown.epochs])
    for curve in shown.curves:
        svg.lines(at, np.array([y(value) for value in np.minimum(curve, high)]), "thin")
    svg.lines(at, np.array([y(value) for value in np.minimum(shown.mean, high)]), "curve")
    svg.path(f"M{at[shown.best]:.1f} {y(float(shown.mean[shown.best])) - 5:.1f}l5 5l-5 5l-5 -5z", "best")
    svg.text((left + _WIDTH) / 2, height - 6, "epoch", "title", "middle")
    return svg.markup()
