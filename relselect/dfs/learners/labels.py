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

__all__ = ["STATISTICS", "LabelScale", "about_median", "constant_of", "fits_median"]

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


def constant_of(task: Task, config: Config, label: Floats) -> Floats:
    """Return what is predicted without a model: class shares of shape (classes,), else the median or mean, shape ()."""
    if task.kind == "multiclass":
        counts = np.bincount(label.astype(np.int64), minlength=len(task.classes or ()))
        return np.asarray(counts / max(1, counts.sum()), dtype=np.float64)
    if not len(label):
        return np.asarray(0.0)
    median = task.kind == "regression" and fits_median(task, config)
    return np.asarray(np.median(label) if median else label.mean(), dtype=np.float64)


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
    def of(cls, task: Task, label: Floats) -> LabelScale:
        """Return the scale of training labels, shape (n,)."""
        if task.kind != "regression" or not len(label):
            return cls()
        spread = float(label.std())
        usable = np.isfinite(spread) and spread > 0
        return cls(float(np.median(label)), spread if usable else 1.0, 0.0 if label.min() >= 0 else None)

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
