"""The label level: the mean of the labels that became known last, an input of regressions.

The mean label drifts over the years, and a network that has seen one level in training is biased by the drift since: on one of
two earlier folds of rel-f1, by one place in the mean of a driver's positions. With the mean of the labels known at a row's as-of
among its inputs, the network can follow the drift. The level is not subtracted from the labels: that made predictions worse,
because the features drift along with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.database.clock import NEVER

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from relselect.problem import Problem
    from relselect.rdl.network.target import Target

__all__ = ["LATEST", "LabelLevel", "fit_label_level"]

#: Most labels in the mean, unless more became known at one time.
LATEST = 500
#: Number of labels equal to the training mean that are added to every level (shrinkage).
_IMAGINED = 10.0


@dataclass(frozen=True)
class LabelLevel:
    """The label level as a step function of time.

    Attributes:
        since: int64 (g,), ticks at which the level changes, ascending.
        value: float32 (g + 1,), standardised level: before the first of `since`, and from each of them on.
    """

    since: Tensor
    value: Tensor

    def at(self, asof: Tensor) -> Tensor:
        """Return the level, float32 (n,), known at each of `asof`, int64 (n,) ticks."""
        return self.value[torch.searchsorted(self.since, asof, right=True)]

    def to(self, device: torch.device) -> LabelLevel:
        """Return the level on `device`."""
        return LabelLevel(self.since.to(device), self.value.to(device))


def fit_label_level(problem: Problem, target: Target, most: int = LATEST) -> LabelLevel:
    """Compute the level of a regression's labels over time.

    With y_i the standardised labels and K(t) the labels known latest at time t, the level is the sum of y_i over K(t), divided
    by |K(t)| + 10: a mean shrunk towards the training mean, which is 0. A label is known from its `known_at` on, and never
    before its cutoff has passed. K(t) holds all labels of the latest times at which labels became known: as many whole times as
    have at most `most` labels together, but at least one. The level is 0 before any label is known, and in static tasks.

    Args:
        problem: The problem; labels that a newer database knows are included.
        target: The mean and standard deviation by which labels are standardised.
        most: Most labels in K(t).
    """
    since, label = (np.empty(0, np.int64), np.empty(0)) if problem.task.static else _known(problem)
    order = np.lexsort((label, since))  # by value within one time: the sums must not depend on row order
    since, label = since[order], (label[order] - target.center) / target.scale
    first = np.flatnonzero(np.r_[True, since[1:] != since[:-1]]) if len(since) else np.empty(0, np.int64)
    end = np.append(first, len(since))[1:]
    start = first[np.minimum(np.searchsorted(first, end - most), np.arange(len(first)))]
    sums = np.concatenate([[0.0], np.cumsum(label)])
    value = np.concatenate([[0.0], (sums[end] - sums[start]) / (end - start + _IMAGINED)])
    return LabelLevel(torch.from_numpy(since[first]), torch.from_numpy(value.astype(np.float32)))


def _known(problem: Problem) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the ticks from which each label is known, and the labels, both (labels,)."""
    task = problem.task
    frames = [*task.splits.values(), *([task.later] if task.later is not None else [])]
    cutoff, known, label = (
        np.concatenate([getattr(frame, name) for frame in frames]) for name in ("cutoff", "known_at", "label")
    )
    kept = (known != NEVER) & ~np.isnan(label)
    return np.maximum(known, cutoff + 1)[kept], label[kept].astype(np.float64)
