"""Prediction intervals of a regression: split conformal prediction with the residuals of rows of a similar prediction.

They do not know of drift: coverage is promised for rows that are exchangeable with the select rows, and measured on later ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.errors import ConfigError, TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Coverage", "ResidualIntervals"]

#: Rows of a group at least, and groups at most.
_GROUP, _GROUPS = 100, 10


@dataclass(frozen=True)
class Coverage:
    """How often intervals held.

    Attributes:
        level: The promised share.
        share: The share of rows whose label lies within its interval.
        low: Lower end of the 90 % interval of the share (Wilson), were the rows independent.
        high: Its upper end.
        width: Mean width of the intervals, in units of the label.
        rows: Number of rows.
    """

    level: float
    share: float
    low: float
    high: float
    width: float
    rows: int


class ResidualIntervals:
    """Intervals [p + q_lo, p + q_hi] around a prediction p, where q are order statistics of residuals (label minus prediction).

    With m residuals in a group and level 1 - a, q_hi is the ceil((m + 1)(1 - a/2))-th smallest and q_lo the
    floor((m + 1) a/2)-th: a new row exchangeable with them lies below q_lo or above q_hi with probability at most a/2 each (Vovk,
    Gammerman and Shafer 2005; Lei et al. 2018). Rows are grouped by their predictions into at most ten groups of 100 or more
    (Mondrian conformal prediction), because the errors of counts and amounts grow with them. Where no label is negative, no
    interval begins below zero.

    Args:
        labels: Labels of the rows that the intervals rest on, shape (n,); rows without a label (NaN) are left out.
        predictions: Their predictions by a model that has not seen them, shape (n,).

    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=1000)
    >>> low, high = ResidualIntervals(y, np.zeros(1000)).around(np.zeros(1), 0.9)
    >>> bool(-1.9 < low[0] < -1.4 and 1.4 < high[0] < 1.9)
    True
    """

    def __init__(self, labels: NDArray[np.float64], predictions: NDArray[np.float64]) -> None:
        known = np.isfinite(labels)
        labels, predictions = labels[known], predictions[known]
        self._least = 0.0 if len(labels) and labels.min() >= 0 else -math.inf
        #: Predictions at which the groups after the first begin; equal predictions are in one group.
        self._begins = _borders(np.sort(predictions))
        group = np.searchsorted(self._begins, predictions, side="right")
        self._residuals = [
            np.sort(labels[group == place] - predictions[group == place]) for place in range(len(self._begins) + 1)
        ]

    def around(self, predictions: NDArray[np.float64], level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper ends around n predictions, each of shape (n,); a prediction never lies outside.

        Args:
            predictions: Shape (n,).
            level: The share of labels that the intervals are to hold, between 0 and 1.

        Raises:
            ConfigError: The level is none.
            TaskError: There are too few rows for that level.
        """
        level = checked_level(level)
        ends = np.array([_ends(residuals, level) for residuals in self._residuals])
        group = np.searchsorted(self._begins, predictions, side="right")
        low = np.maximum(predictions + ends[group, 0], self._least)
        return np.minimum(low, predictions), np.maximum(predictions + ends[group, 1], predictions)

    def coverage(self, labels: NDArray[np.float64], predictions: NDArray[np.float64], level: float) -> Coverage:
        """Return how often the intervals around predictions hold labels of other rows, both of shape (n,).

        Raises:
            ConfigError: The level is none.
            TaskError: There are too few rows for that level, or no label to compare with.
        """
        known = np.isfinite(labels)
        if not known.any():
            raise TaskError("split", "labels", "holds no label to compare intervals with", "Ask for a labelled split")
        low, high = self.around(predictions[known], level)
        inside = (low <= labels[known]) & (labels[known] <= high)
        rows, share = int(known.sum()), float(inside.mean())
        return Coverage(level, share, *_wilson(share, rows), float((high - low).mean()), rows)


def _borders(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where groups after the first begin: at most ten groups, each of 100 or more of the ordered predictions."""
    share = max(_GROUP, math.ceil(len(ordered) / _GROUPS))
    borders: list[float] = []
    begun = 0
    while begun + share < len(ordered):
        value = ordered[begun + share]
        first = int(np.searchsorted(ordered, value))  # rows equal to it begin the next group
        if first - begun < _GROUP:
            first = int(np.searchsorted(ordered, value, side="right"))
        if first >= len(ordered) or len(ordered) - first < _GROUP:
            break
        borders.append(float(ordered[first]))
        begun = first
    return np.array(borders)


def checked_level(level: object) -> float:
    """Return the level of an interval.

    Raises:
        ConfigError: It is no number between 0 and 1.
    """
    number = isinstance(level, int | float | np.floating) and not isinstance(level, bool)
    if not number or not 0 < float(level) < 1:  # type: ignore[arg-type]
        raise ConfigError("interval", level, "must be a share between 0 and 1", "Write e.g. interval=0.9")
    return float(level)  # type: ignore[arg-type]


def _ends(residuals: NDArray[np.float64], level: float) -> tuple[float, float]:
    count, tail = len(residuals), (1 - level) / 2
    lower, upper = math.floor((count + 1) * tail + 1e-9), math.ceil((count + 1) * (1 - tail) - 1e-9)
    if lower < 1:
        fewest = math.ceil(1 / tail - 1e-9) - 1
        rule = f"rests on {count} select rows, and intervals of {level:g} need {fewest}"
        raise TaskError("interval", level, rule, "Ask for a lower level, or give more validation rows")
    return float(residuals[lower - 1]), float(residuals[upper - 1])


def _wilson(share: float, rows: int, z: float = 1.645) -> tuple[float, float]:
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)
