"""The rows that the search looks at: a sample of training rows, and forward folds of it. Nothing is computed here.

A fold is fitted on early rows and judged on the rows of the next stretch of time. Rows whose labels were not known when that
stretch began are left out of the fit (purging, Lopez de Prado 2018, section 7.4): their label windows reach into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.database.clock import NEVER

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["Fold", "forward_folds", "time_sample"]

Ints = NDArray[np.int64]

#: Folds, and the share of the rows before the first of them.
_FOLDS, _FIRST = 3, 0.4
#: Fewest rows to fit and to judge.
_LEAST = 50
#: With fewer distinct dates, folds hold entities instead of stretches of time.
_DATES = 4


@dataclass(frozen=True)
class Fold:
    """Row numbers to fit on and to judge on."""

    fit: Ints
    held: Ints


def time_sample(rows: Rows, most: int, seed: int) -> Rows:
    """Return at most so many rows, evenly spread over their dates; equally dated ones are drawn by the seed.

    Args:
        rows: Training rows.
        most: Rows at most.
        seed: Seed of the draw.
    """
    if len(rows) <= most:
        return rows
    draw = np.random.default_rng(seed).permutation(len(rows))
    order = draw[np.argsort(rows.cutoff[draw], kind="stable")]
    return rows.take(np.sort(order[np.linspace(0, len(rows) - 1, most).astype(np.int64)]))


def forward_folds(problem: Problem, rows: Rows) -> list[Fold]:
    """Return forward folds of training rows, the earliest first; folds of entities where the rows have few dates.

    Args:
        problem: Says how long after its cutoff a label is known.
        rows: Training rows.
    """
    dates = np.unique(rows.cutoff)
    found = _by_entity(rows) if problem.task.static or len(dates) < _DATES else _by_time(problem, rows)
    return [fold for fold in found if min(len(fold.fit), len(fold.held)) >= _LEAST]


def _by_time(problem: Problem, rows: Rows) -> Iterator[Fold]:
    ordered = np.sort(rows.cutoff)
    levels = _FIRST + (1 - _FIRST) * np.arange(_FOLDS + 1) / _FOLDS
    starts = np.unique(ordered[np.minimum((levels[:-1] * len(ordered)).astype(np.int64), len(ordered) - 1)])
    known = rows.cutoff + _until_known(problem)
    for start, end in zip(starts, (*starts[1:], ordered[-1] + 1), strict=True):
        yield Fold(np.flatnonzero(known <= start), np.flatnonzero((rows.cutoff >= start) & (rows.cutoff < end)))


def _until_known(problem: Problem) -> int:
    """Return the ticks from a cutoff until its label is known, the longest where they differ."""
    if problem.task.horizon is not None:
        return int(problem.task.horizon)
    frame = problem.task.splits["train"]
    known = frame.known_at != NEVER
    return int((frame.known_at[known] - frame.cutoff[known]).max()) if known.any() else 0


def _by_entity(rows: Rows) -> Iterator[Fold]:
    """Yield folds of entities: every row of an entity is on one side."""
    _, part = np.unique(rows.entity, return_inverse=True)
    part = np.random.default_rng(0).permutation(int(part.max(initial=0)) + 1)[part] % _FOLDS
    for number in range(_FOLDS):
        yield Fold(np.flatnonzero(part != number), np.flatnonzero(part == number))
