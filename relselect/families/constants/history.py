"""Every entity's past labels, ordered by when they became known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.database.clock import NEVER
from relselect.database.columns import as_float, as_strings
from relselect.problem import LABELS, Problem
from relselect.tasks import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LabelHistory"]


class LabelHistory:
    """The label table sorted by (entity, known); a row's history is a range of it.

    Args:
        problem: A problem whose database holds the table `LABELS`.
    """

    def __init__(self, problem: Problem) -> None:
        known = problem.database.times(LABELS)
        entity = problem.database.parents(LABELS)[0]
        values = _values(problem)
        cutoff = as_float(problem.database[LABELS].data["cutoff"])
        keep = (entity >= 0) & (known != NEVER)
        order = np.lexsort((cutoff[keep], known[keep], entity[keep]))
        self.entity, self.known, self.values = entity[keep][order], known[keep][order], values[keep][order]
        self.starts = np.searchsorted(self.entity, np.arange(problem.database[problem.entity].num_rows + 1))

    def lengths(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where each row's known labels begin and how many there are; two arrays of shape (n,)."""
        entity = np.maximum(rows.entity, 0)
        begin = self.starts[entity]
        times = np.unique(self.known)
        rank = np.searchsorted(times, self.known)
        limit = np.searchsorted(times, rows.asof, side="right")
        stride = len(times) + 1
        end = np.searchsorted(self.entity * stride + rank, entity * stride + limit, side="left")
        return begin, np.where(rows.entity < 0, 0, np.maximum(end - begin, 0))

    def constants(
        self, rows: Rows, constant: NDArray[np.float64], *, prior: float, median: bool
    ) -> NDArray[np.float64]:
        """Return each row's constant: its known labels' mean (or median), drawn to `constant` with weight `prior`.

        Returns:
            Shape (n,), or (n, classes) for multiclass tasks.
        """
        begin, count = self.lengths(rows)
        width = self.values.shape[1]
        base = np.broadcast_to(constant.reshape(1, -1), (len(rows), width))
        centre = np.zeros((len(rows), width))
        for row in np.flatnonzero(count):
            known = self.values[begin[row] : begin[row] + count[row]]
            centre[row] = np.median(known, axis=0) if median else known.mean(axis=0)
        weight = (count / (count + prior))[:, None]
        mixed = weight * centre + (1 - weight) * base
        return mixed if constant.ndim else mixed[:, 0]


def _values(problem: Problem) -> NDArray[np.float64]:
    column = problem.database[LABELS].data["label"]
    if problem.task.kind != "multiclass":
        return as_float(column)[:, None]
    codes, words = as_strings(column)
    place = np.array([(problem.task.classes or ()).index(word) for word in words])
    return np.eye(len(problem.task.classes or ()))[place[codes]]
