"""Pictures as small SVG, whose colours are those of the page they stand in, light or dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from identirep._typing import Array

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Axis", "Svg", "cut", "readable_number"]

# Width of a character at 12 pixels, on average.
_PIXELS = 6.6


def cut(text: str, most: int) -> str:
    """Cut a text to so many characters."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def readable_number(value: float) -> str:
    """Write a number of an axis, with a minus sign instead of a hyphen."""
    return f"{value:g}".replace("-", "\u2212")


class Axis:
    """A scale from values to pixels."""

    def __init__(self, values: tuple[float, float], pixels: tuple[float, float]) -> None:
        (self.low, high), (self.start, end) = values, pixels
        self.slope = (end - self.start) / (high - self.low)

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (value - self.low) * self.slope


class Svg:
    """A drawing that grows as wide as its place lets it; `alt` is what it says to those who do not see it.

    Without it the drawing repeats numbers that stand beside it.
    """

    def __init__(self, width: float, height: float, alt: str) -> None:
        self.width, self.height, self.alt = width, height, alt
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str, style: str = "", anchor: str = "start") -> None:
        """Write a text, as it is."""
        from markupsafe import escape

        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._parts.append(f'<text{_class(style)} x="{_px(x)}" y="{_px(y)}"{place}>{escape(text)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """Draw a straight line."""
        self.path(f"M{_px(x1)} {_px(y1)}L{_px(x2)} {_px(y2)}", style)

    def lines(self, x: Array, y: Array, style: str) -> None:
        """Draw a line through points."""
        points = " ".join(f"{_px(a)} {_px(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
        self.path(f"M{points}", style)

    def points(self, x: Array, y: Array, style: str) -> None:
        """Draw points: lines of no length with round ends, which take the fewest bytes."""
        pairs = zip(x.tolist(), y.tolist(), strict=True)
        self.path("".join(f"M{_px(a)} {_px(b)}h0" for a, b in pairs), style)

    def bar(self, x: float, y: float, width: float, height: float, style: str) -> None:
        """Draw a rectangle."""
        size = f'width="{_px(max(width, 0.0))}" height="{_px(max(height, 0.0))}"'
        self._parts.append(f'<rect{_class(style)} x="{_px(x)}" y="{_px(y)}" {size}/>')

    def path(self, path: str, style: str) -> None:
        """Draw a path."""
        self._parts.append(f'<path{_class(style)} d="{path}"/>')

    def markup(self) -> Markup:
        """Return the drawing."""
        from markupsafe import Markup, escape

        box = f'viewBox="0 0 {_px(self.width)} {_px(self.height)}"'
        says = f'role="img" aria-label="{escape(self.alt)}"' if self.alt else 'aria-hidden="true"'
        return Markup(f"<svg {says} {box}>{''.join(self._parts)}</svg>")


def label_width(labels: list[str], most: float) -> float:
    """Return the room that labels need, in pixels."""
    return min(most, max((len(label) for label in labels), default=0) * _PIXELS + 6)


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""


def _px(value: float) -> str:
    return f"{np.round(value, 1):g}"
