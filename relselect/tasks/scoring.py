"""A score with its uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.tasks.metrics import bootstrap_scores
from relselect.tasks.rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.problem import Problem

__all__ = ["interval_of"]


def interval_of(
    problem: Problem, rows: Rows, predictions: NDArray[np.float64], *, seed: int = 0, level: float = 0.9
) -> tuple[float, tuple[float, float]]:
    """Return the score of labelled rows and its bootstrap interval, clustered by entity.

    Args:
        problem: Supplies the metric.
        rows: Labelled rows, n of them.
        predictions: Shape (n,) or (n, classes).
        seed: Seed of the bootstrap.
        level: Coverage of the interval.

    Returns:
        The score (higher is better) and (low, high); nan where undefined.
    """
    if rows.label is None:
        return float("nan"), (float("nan"), float("nan"))
    score = problem.task.metric.score(rows.label, predictions)
    clusters = np.where(rows.entity >= 0, rows.entity, -1 - np.arange(len(rows)))
    draws = bootstrap_scores(problem.task.metric, rows.label, predictions, clusters, seed=seed)
    if len(draws) < 10:
        return score, (float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return score, (float(low), float(high))
