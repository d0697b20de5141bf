"""A small SVG canvas: escaped, deterministic, styled only through the page's CSS classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = ["NARROW", "WIDE", "Canvas", "FigureLayout", "Scale", "ticks"]


@dataclass(frozen=True)
class FigureLayout:
    """For which width a figure is drawn; a page carries each figure for a wide and for a narrow window.

    Attributes:
        name: "wide" or "narrow"; the CSS class of the picture.
        width: Width of the view box in its own units (about CSS pixels).
        labels: Width of the column of labels at the left.
        values: Width of the column of values at the right.
        letters: Letters that fit into the column of labels.
        line: Letters that fit into a line of the whole width.
        ticks: Ticks of a horizontal axis, about.
    """

    name: str
    width: float
    labels: float
    values: float
    letters: int
    line: int
    ticks: int


WIDE = FigureLayout("wide", 760.0, 190.0, 76.0, 26, 104, 5)
NARROW = FigureLayout("narrow", 360.0, 108.0, 64.0, 13, 52, 3)


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] linearly to positions from `start` to `end`; an empty range maps to its middle."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The position of `value`."""
        span = self.high - self.low
        return self.start + (self.end - self.start) * ((value - self.low) / span if span else 0.5)


class Canvas:
    """Collects shapes and gives one accessible `<svg>`.

    Args:
        name: Unique within the page for a layout; links the title and description to the picture.
        title: What the picture is, read by screen readers.
        description: What it shows, in words.
        layout: The layout; gives the width of the view box.
        height: Height of the view box.
    """

    def __init__(self, name: str, title: str, description: str, layout: FigureLayout, height: float) -> None:
        link = f"{name}-{layout.name}"
        self._head = (
            f'<svg role="img" aria-labelledby="{escape(link)}-t {escape(link)}-d" '
            f'viewBox="0 0 {_n(layout.width)} {_n(height)}" style="min-width:{_n(layout.width * 0.72)}px" '
            f'class="figure {escape(layout.name)}">'
            f'<title id="{escape(link)}-t">{escape(title)}</title>'
            f'<desc id="{escape(link)}-d">{escape(description)}</desc>'
        )
        self._parts: list[str] = []

    def rect(self, x: float, y: float, width: float, height: float, css: str, radius: float = 2) -> None:
        """Draws a rectangle; a negative width extends to the left."""
        left, wide = (x, width) if width >= 0 else (x + width, -width)
        self._parts.append(
            f'<rect x="{_n(left)}" y="{_n(y)}" width="{_n(wide)}" height="{_n(height)}" rx="{_n(radius)}" '
            f'class="{escape(css)}"/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """Draws a straight line."""
        self._parts.append(f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="{escape(css)}"/>')

    def circle(self, x: float, y: float, radius: float, css: str, tip: str = "") -> None:
        """Draws a disc, with an optional tool tip."""
        inner = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" class="{escape(css)}">{inner}</circle>')

    def diamond(self, x: float, y: float, radius: float, css: str) -> None:
        """Draws a square standing on its corner."""
        points = [(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)]
        self._parts.append(f'<polygon points="{_points(points)}" class="{escape(css)}"/>')

    def polyline(self, points: Sequence[tuple[float, float]], css: str) -> None:
        """Draws connected line segments."""
        self._parts.append(f'<polyline points="{_points(points)}" class="{escape(css)}"/>')

    def text(self, x: float, y: float, text: str, css: str = "", anchor: str = "start", tip: str = "") -> None:
        """Writes text with its baseline at `y`; `anchor` is "start", "middle" or "end"."""
        inner = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{escape(anchor)}" class="{escape(css)}">'
            f"{escape(text)}{inner}</text>"
        )

    def markup(self) -> Markup:
        """The finished picture, safe to put into a page."""
        return Markup(self._head + "".join(self._parts) + "</svg>")


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers within [low, high], about `wanted` of them; one number when the range is empty."""
    span = high - low
    if not span > 0:
        return [low]
    power = 1.0
    while power * 10 <= span:
        power *= 10
    while power > span:
        power /= 10
    step = min((power * factor for factor in (0.1, 0.2, 0.25, 0.5, 1, 2, 5)), key=lambda s: abs(span / s - wanted))
    first = -(-low // step)
    values = [(first + index) * step for index in range(int(span / step) + 2)]
    return [round(value, 12) + 0.0 for value in values if low - 1e-9 * span <= value <= high + 1e-9 * span]


def _n(value: float) -> str:
    """A coordinate with at most one decimal and no trailing zero."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
