"""The picture of the demo's story, four panels from what it has found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from identirep.cli.story import AGREES, N_LABELLED, Story, Trainings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

_BLUE, _ORANGE, _GREY = "#1f6fb4", "#d9731a", "#8a8f98"


def draw(story: Story) -> Figure:
    """Draw two trainings, the named axis before and after, the target learnt from few rows, and what has moved."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.8), layout="constrained")
    grid = figure.add_gridspec(2, 6)
    features, latents = (figure.add_subplot(grid[0, columns]) for columns in (slice(0, 2), slice(2, 4)))
    image = _matrix(features, story.features, "raw features of the network")
    _matrix(latents, story.latents, "latents")
    figure.colorbar(image, ax=latents, label="|correlation|", shrink=0.7)
    _carried(figure.add_subplot(grid[0, 4:]), story)
    _learnt(figure.add_subplot(grid[1, :3]), story)
    _watched(figure.add_subplot(grid[1, 3:]), story)
    return figure


def _matrix(axes: Axes, trainings: Trainings, name: str) -> Any:
    n = len(trainings.correlation)
    image = axes.imshow(trainings.correlation, vmin=0, vmax=1, cmap="viridis")
    axes.set(title=f"1. {trainings.n_agreeing} of {n} {name}\ncome back ({AGREES} or more)")
    axes.set(xlabel="second training", ylabel="first training", xticks=[], yticks=[])
    return image


def _carried(axes: Axes, story: Story) -> None:
    if story.named is None:
        axes.set(title="2, 3. No axis has a name", xticks=[], yticks=[])
        return
    i = story.named.latent
    first, second = story.before[:, i], story.after[:, i]
    found: Any = story.retrained.comparison_
    kept = found.kept[i]
    axes.plot(first, second, ".", color=_BLUE, markersize=2, alpha=0.4, rasterized=True)
    r = np.corrcoef(first, second)[0, 1]
    after = "the model trained on other rows"
    axes.set(title=f"2, 3. The axis with a name:\n{'kept' if kept else 'not kept'}, correlation {r:.3f}")
    # Names of targets may be longer than a title.
    axes.annotate(story.named.name, (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=8)
    axes.set(xlabel="first model", ylabel=after)


def _learnt(axes: Axes, story: Story) -> None:
    found = story.few_rows
    groups = {
        "latents": ("latents", "latents_after"),
        "raw features": ("features", "features_after"),
        "inputs": ("inputs", None),
    }
    for k, (before, after) in enumerate(groups.values()):
        for which, shift, colour in ((before, -0.2, _BLUE), (after, 0.2, _ORANGE)):
            if which is None:
                continue
            values = getattr(found, which)
            axes.plot(np.full(len(values), k + shift), values, ".", color=colour, alpha=0.35)
            axes.plot([k + shift - 0.15, k + shift + 0.15], [np.median(values)] * 2, color=colour, linewidth=3)
    # Whatever is below is no better than a constant by far.
    low = -1.0
    axes.set(ylim=(low, 1.0), xlim=(-0.5, len(groups) - 0.5))
    axes.axhline(0, color=_GREY, linewidth=0.8)
    for k, (_, after) in enumerate(groups.values()):
        if after is not None and np.median(getattr(found, after)) < low:
            axes.annotate(
                f"median {np.median(getattr(found, after)):.0f}", (k + 0.2, low + 0.05), ha="center", color=_ORANGE
            )
    axes.set_xticks(range(len(groups)), list(groups))
    axes.plot([], [], color=_BLUE, linewidth=3, label="on the model it was learnt on (median)")
    axes.plot([], [], color=_ORANGE, linewidth=3, label="applied to the model trained on other rows")
    axes.legend(loc="lower left", fontsize=8)
    axes.set(title=f"4. {story.target} learnt from {N_LABELLED} rows", ylabel="R² on other rows")


def _watched(axes: Axes, story: Story) -> None:
    latents = story.drift[story.element].latents
    n_all, n_moved = (int(story.drift[rows].latents.moved.sum()) for rows in ("all", story.element))
    i = int(np.argmax(np.abs(latents.shift)))
    name, by, Z = latents.names[i], latents.shift[i], story.before[:, i]
    bins = np.histogram_bin_edges(Z, bins=60).tolist()
    axes.hist(Z, bins, density=True, color=_GREY, alpha=0.6, label=f"all held-out rows: {n_all} axes have moved")
    label = f"those with {story.element}: {n_moved} axes have moved"
    axes.hist(Z[story.has_element], bins, density=True, histtype="step", color=_ORANGE, linewidth=2, label=label)
    axes.legend(fontsize=8)
    axes.set(
        title="5. Watching new rows",
        xlabel=f"{name} (moved by {by:+.1f} deviations)",
        ylabel="share of rows",
        yticks=[],
    )
