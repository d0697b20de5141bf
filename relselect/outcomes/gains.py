"""The top tenth and the gain curve: what lies in the rows with the highest predictions.

Rows with equal predictions are in no order: a part of them captures the same part of what they hold. With weights w and labels
y in the order of falling predictions, the rows up to the share q of the weight capture sum(w y) there over sum(w y) of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.outcomes.draws import intervals, ranged, statistics
from relselect.outcomes.outcome import GainPoint, TopTenth

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["gain_curve", "top_tenth"]

_TENTH = 0.1
#: Steps of the gain curve.
_STEPS = 20


def gain_curve(predicted: NDArray[np.float64], label: NDArray[np.float64]) -> tuple[GainPoint, ...]:
    """Return the gain curve in steps of a twentieth, (0, 0) first; empty where no positive amount can be captured.

    Args:
        predicted: Shape (n,).
        label: Shape (n,): 0 and 1, or amounts.

    >>> [round(point.captured, 2) for point in gain_curve(np.array([3.0, 2.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0]))][:6]
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    """
    if not len(label) or (label < 0).any() or not label.sum() > 0:
        return ()
    ordered = _Ordered(predicted, label)
    weight = np.ones(len(label))
    shares = np.arange(_STEPS + 1) / _STEPS
    return tuple(
        GainPoint(float(share), float(min(ordered.sum_to(share, weight) / label.sum(), 1.0))) for share in shares
    )


def top_tenth(
    predicted: NDArray[np.float64],
    label: NDArray[np.float64],
    sample: NDArray[np.int64],
    clusters: NDArray[np.int64],
    *,
    seed: int,
) -> TopTenth | None:
    """Return the tenth of the rows with the highest predictions; None for fewer than ten rows.

    Args:
        predicted: Shape (n,).
        label: Shape (n,).
        sample: Numbers of the rows that the intervals come from.
        clusters: Shape (n,): rows with equal numbers are drawn together.
        seed: Seed of the bootstrap.
    """
    if len(label) * _TENTH < 1:
        return None
    shares = bool((label >= 0).all() and label.sum() > 0)
    value = _Ordered(predicted, label).of_tenth(np.ones(len(label)))
    ordered = _Ordered(predicted[sample], label[sample])
    drawn = statistics(ordered.of_tenth, clusters[sample][ordered.order], seed=seed)
    centre = ordered.of_tenth(np.ones(len(sample)))
    # the spread of a draw of rows is larger than that of all of them by the root of the ratio of their numbers
    low, high = intervals(value + (drawn - centre) * np.sqrt(len(sample) / len(label)))
    mean, captured, lift = (ranged(*each) for each in zip(value, low, high, strict=True))
    undefined = ranged(np.nan)
    return TopTenth(
        rows=round(len(label) * _TENTH),
        mean=mean,
        captured=captured if shares else undefined,
        lift=lift if shares else undefined,
    )


class _Ordered:
    """Rows in the order of falling predictions, with the groups of equal ones."""

    def __init__(self, predicted: NDArray[np.float64], label: NDArray[np.float64]) -> None:
        self.order = np.argsort(-predicted, kind="stable")
        falling = predicted[self.order]
        self.label = label[self.order]
        self.starts = np.flatnonzero(np.r_[True, falling[1:] != falling[:-1]])

    def sum_to(self, share: float, weight: NDArray[np.float64]) -> float:
        """Return the sum of the weighted labels of the rows with a share of the weight; `weight` is in the order of the rows."""
        heights = np.concatenate([[0.0], np.cumsum(np.add.reduceat(weight, self.starts))])
        sums = np.concatenate([[0.0], np.cumsum(np.add.reduceat(weight * self.label, self.starts))])
        return float(np.interp(share * heights[-1], heights, sums))

    def of_tenth(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return mean label, captured part and lift of the top tenth."""
        total, whole = float(weight.sum()), float((weight * self.label).sum())
        inside = self.sum_to(_TENTH, weight)
        captured = inside / whole if whole else np.nan
        return np.array([inside / (_TENTH * total), captured, captured / _TENTH])
