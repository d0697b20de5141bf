"""The level of the labels that were known last, as something that a regression reads.

Means move over the years, and a network that saw one level in training errs by what they have moved since: on one of two earlier
folds of rel-f1, by one place in the mean of a driver's positions. Where the mean of the labels known at a row's as-of stands
beside the row, the network can follow it. Counting the outputs from it instead made them worse: what rows say of themselves
moves as well.
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
    from relselect.rdl.training.target import Target

__all__ = ["LATEST", "Level", "level_of"]

#: Most labels that make up a level, unless more became known at one time.
LATEST = 500
#: Labels of the mean of training that are added to every level.
_IMAGINED = 10.0


@dataclass(frozen=True)
class Level:
    """Levels by time.

    Attributes:
        since: int64 (g,), ticks from which each is known, rising.
        value: float32 (g + 1,), standardised: before the first of `since`, and from each on.
    """

    since: Tensor
    value: Tensor

    def at(self, asof: Tensor) -> Tensor:
        """Return the level known at each of `asof`, int64 (n,); float32 (n,)."""
        return self.value[torch.searchsorted(self.since, asof, right=True)]

    def to(self, device: torch.device) -> Level:
        """Return the level on `device`."""
        return Level(self.since.to(device), self.value.to(device))


def level_of(problem: Problem, target: Target, most: int = LATEST) -> Level:
    """Return the level of a regression's labels over time.

    A label counts from when it is known, and never before its cutoff has passed. At each such time the level is the mean of
    the latest labels, as many whole times as make up `most`, and of ten more at the mean of training. Without times, or before
    any label is known, it is 0, the mean of training.

    Args:
        problem: The problem; labels that a newer database knows count too.
        target: Mean and deviation that labels are standardised by.
        most: Most labels that make up a level.
    """
    since, label = (np.empty(0, np.int64), np.empty(0)) if problem.task.static else _known(problem)
    order = np.lexsort((label, since))  # by value within one time: sums must not depend on the order of the rows
    since, label = since[order], (label[order] - target.center) / target.scale
    first = np.flatnonzero(np.r_[True, since[1:] != since[:-1]]) if len(since) else np.empty(0, np.int64)
    end = np.append(first, len(since))[1:]
    start = first[np.minimum(np.searchsorted(first, end - most), np.arange(len(first)))]
    sums = np.concatenate([[0.0], np.cumsum(label)])
    value = np.concatenate([[0.0], (sums[end] - sums[start]) / (end - start + _IMAGINED)])
    return Level(torch.from_numpy(since[first]), torch.from_numpy(value.astype(np.float32)))


def _known(problem: Problem) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return when each label is known, and the labels."""
    task = problem.task
    frames = [*task.splits.values(), *([task.later] if task.later is not None else [])]
    cutoff, known, label = (
        np.concatenate([getattr(frame, name) for frame in frames]) for name in ("cutoff", "known_at", "label")
    )
    kept = (known != NEVER) & ~np.isnan(label)
    return np.maximum(known, cutoff + 1)[kept], label[kept].astype(np.float64)
