"""How labels become what a learner fits, and its outputs predictions: the loss, the scale and the least value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.families.candidate import Config
    from relselect.tasks import Task

__all__ = ["STATISTICS", "LabelScale", "about_median", "constant_of", "fits_median", "weighted_median"]

Floats = NDArray[np.float64]

#: What of a label's distribution a regression predicts: what its metric rewards, the mean, or the median.
STATISTICS = ("auto", "mean", "median")


def fits_median(task: Task, config: Config) -> bool:
    """Return whether a regression fits the median (absolute error) rather than the mean (squared error).

    `config["statistic"]` says so; "auto" (the default) follows the metric, because the median has the least absolute error
    and the mean the least squared error. Sums over rows, such as next month's total revenue, need the mean.

    Raises:
        ConfigError: The option has another value.
    """
    statistic = config.get("statistic", "auto")
    if statistic not in STATISTICS:
        raise ConfigError("statistic", statistic, "is no statistic of a label", f"Use one of: {', '.join(STATISTICS)}")
    return statistic == "median" or (statistic == "auto" and task.metric.name == "neg_mean_absolute_error")


def about_median(task: Task, config: Config, label: Floats) -> str | None:
    """Return what there is to say where the median of the training labels is 0 and is what will be predicted."""
    asked = task.kind == "regression" and config.get("statistic", "auto") == "auto"
    if not asked or not len(label) or not fits_median(task, config) or np.median(label) != 0 or not label.any():
        return None
    return (
        "The median of the label is 0, and the metric (mean absolute error) rewards the median: most predictions will be near 0, "
        "and their sum far below the true one. Where totals matter, ask for the mean: give the task the metric "
        'neg_root_mean_squared_error, or feature synthesis the option statistic="mean".'
    )


def constant_of(task: Task, config: Config, label: Floats, weights: Floats | None = None) -> Floats:
    """Return what is predicted without a model: class shares of shape (classes,), else the median or mean, shape ().

    Args:
        task: The task.
        config: Says whether a regression fits the median.
        label: Training labels, shape (n,).
        weights: Their weights in the loss, shape (n,); None where all are 1.
    """
    if task.kind == "multiclass":
        counts = np.bincount(label.astype(np.int64), weights=weights, minlength=len(task.classes or ()))
        return np.asarray(counts / (counts.sum() or 1), dtype=np.float64)
    if not len(label):
        return np.asarray(0.0)
    median = task.kind == "regression" and fits_median(task, config)
    found = weighted_median(label, weights) if median else np.average(label, weights=weights)
    return np.asarray(found, dtype=np.float64)


def weighted_median(values: Floats, weights: Floats | None) -> float:
    """Return the mean of the least and the greatest value with at least half of the weight on either side, itself included.

    With whole weights this is the median of as many repetitions of each value.
    """
    if weights is None:
        return float(np.median(values))
    order = np.argsort(values, kind="stable")
    below, half = np.cumsum(weights[order]), weights.sum() / 2
    last = len(values) - 1
    low, high = np.searchsorted(below, half, side="left"), np.searchsorted(below, half, side="right")
    return float((values[order[min(low, last)]] + values[order[min(high, last)]]) / 2)


@dataclass(frozen=True)
class LabelScale:
    """The scale on which a regression label y is fitted, z = (y - centre) / scale; the identity for classes.

    Attributes:
        centre: Median of the training labels.
        scale: Their standard deviation; 1 where they do not vary.
        floor: Least prediction: 0 where no training label is negative, else None.

    Example:
        >>> scale = LabelScale(2.0, 4.0, 0.0)
        >>> scale.values(np.array([-1.0, 0.5]))
        array([0., 4.])
    """

    centre: float = 0.0
    scale: float = 1.0
    floor: float | None = None

    @classmethod
    def of(cls, task: Task, label: Floats, weights: Floats | None = None) -> LabelScale:
        """Return the scale of training labels, shape (n,), and of their weights in the loss."""
        if task.kind != "regression" or not len(label):
            return cls()
        mean = np.average(label, weights=weights)
        spread = float(label.std() if weights is None else np.sqrt(np.average((label - mean) ** 2, weights=weights)))
        usable = np.isfinite(spread) and spread > 0
        return cls(weighted_median(label, weights), spread if usable else 1.0, 0.0 if label.min() >= 0 else None)

    def standard(self, label: Floats) -> Floats:
        """Return labels on the fitted scale, of the same shape."""
        return (label - self.centre) / self.scale

    def values(self, fitted: Floats) -> Floats:
        """Return predictions in the unit of the label, of the same shape."""
        found = np.asarray(fitted * self.scale + self.centre, dtype=np.float64)
        return found if self.floor is None else np.maximum(found, self.floor)

    def to_json(self) -> dict[str, Any]:
        """Return the scale as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabelScale:
        """Return the scale that `to_json` wrote.

        Raises:
            KeyError: A value is missing.
            ValueError: A value is no number, or the scale is not positive.
        """
        found = {name: data[name] for name in ("centre", "scale", "floor")}
        for name, value in found.items():
            if isinstance(value, bool) or not (isinstance(value, int | float) or (name == "floor" and value is None)):
                raise ValueError(f"{name} is no number")
        if not found["scale"] > 0:
            raise ValueError("the scale is not positive")
        floor = found["floor"]
        return cls(float(found["centre"]), float(found["scale"]), None if floor is None else float(floor))
