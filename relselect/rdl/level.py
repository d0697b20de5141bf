"""The level of the labels that were known last: what a network's outputs are counted from.

Rates and means move over the years. A network learns one level, that of its training rows, and errs by what they have moved
since; counted from the level of the labels known at each row's as-of, it only has to learn who lies above and who below.
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
    from relselect.rdl.target import Target

__all__ = ["LATEST", "Level", "level_of"]

#: Most labels that make up a level, unless more became known at one time.
LATEST = 500


@dataclass(frozen=True)
class Level:
    """Levels by time.

    Attributes:
        since: int64 (g,), ticks from which each is known, rising.
        outputs: float32 (g + 1, outputs), what outputs are counted from: before the first of `since`, and from each on.
    """

    since: Tensor
    outputs: Tensor

    def at(self, asof: Tensor) -> Tensor:
        """Return the level known at each of `asof`, int64 (n,); float32 (n, outputs)."""
        return self.outputs[torch.searchsorted(self.since, asof, right=True)]

    def to(self, device: torch.device) -> Level:
        """Return the level on `device`."""
        return Level(self.since.to(device), self.outputs.to(device))


def level_of(problem: Problem, target: Target, most: int = LATEST) -> Level:
    """Return the level of a problem's labels over time.

    A label counts from when it is known, and never before its cutoff has passed. At each such time the level is that of the
    latest labels: as many whole times as make up `most`, drawn a little to what training saw (`Target.level`). Without times,
    or before any label is known, it is that of training.

    Args:
        problem: The problem; labels that a newer database knows count too.
        target: What the outputs mean.
        most: Most labels that make up a level.
    """
    since, label = (np.empty(0, np.int64), np.empty(0)) if problem.task.static else _known(problem)
    order = np.lexsort((label, since))  # by value within one time: sums must not depend on the order of the rows
    since, values = since[order], target.counted(label[order])
    first = np.flatnonzero(np.r_[True, since[1:] != since[:-1]]) if len(since) else np.empty(0, np.int64)
    end = np.append(first, len(since))[1:]
    start = first[np.minimum(np.searchsorted(first, end - most), np.arange(len(first)))]
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    sums, counts = sums[end] - sums[start], (end - start).astype(np.float64)
    outputs = np.concatenate([target.level(sums[:0].sum(0, keepdims=True), np.zeros(1)), target.level(sums, counts)])
    return Level(torch.from_numpy(since[first]), torch.from_numpy(outputs.astype(np.float32)))


def _known(problem: Problem) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return when each label is known, and the labels."""
    task = problem.task
    frames = [*task.splits.values(), *([task.later] if task.later is not None else [])]
    cutoff, known, label = (
        np.concatenate([getattr(frame, name) for frame in frames]) for name in ("cutoff", "known_at", "label")
    )
    kept = (known != NEVER) & ~np.isnan(label)
    return np.maximum(known, cutoff + 1)[kept], label[kept].astype(np.float64)
