"""The sampling error of a difference in skill between two predictions of the same rows.

The two are paired: a bootstrap draws whole entities once and scores both predictions on the same draw, so that what is hard for
both cancels. Nothing here decides anything.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from relselect.tasks.metrics import skill

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks.metrics import Metric

__all__ = ["paired_skill_error"]

#: Rows that are drawn from; the error of more rows follows from theirs.
_MOST_ROWS = 4_000
_FEWEST_DRAWS = 10


def paired_skill_error(
    metric: Metric,
    label: NDArray[np.floating],
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    clusters: NDArray[np.integer],
    reference: float,
    *,
    seed: int = 0,
    draws: int = 60,
) -> float:
    """Return the standard error of skill(second) - skill(first) by a paired bootstrap over clusters (Field and Welsh 2007).

    Args:
        metric: The metric.
        label: Shape (n,).
        first: Predictions, shape (n,) or (n, classes).
        second: Predictions of the same shape.
        clusters: Shape (n,): rows with equal numbers are drawn together.
        reference: Score of a constant prediction on these rows, from which skill is counted.
        seed: Seed of the draws.
        draws: Number of draws.

    Returns:
        The standard error; nan where there are fewer than two clusters or the metric is undefined on most draws.

    >>> from relselect.tasks.metrics import metric_named
    >>> y = np.array([0.0, 1.0, 2.0, 3.0])
    >>> paired_skill_error(metric_named("neg_mean_absolute_error"), y, y, y, np.arange(4), -1.0)
    0.0
    """
    rows = min(len(label), _MOST_ROWS)
    shrink = math.sqrt(rows / len(label)) if len(label) else 1.0
    label, first, second, clusters = (np.asarray(each[:rows]) for each in (label, first, second, clusters))
    _, group = np.unique(clusters, return_inverse=True)
    if rows == 0 or group.max() == 0:
        return math.nan
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 2))
    members = [order[a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        drawn = np.concatenate([members[k] for k in generator.integers(len(members), size=len(members))])
        one, other = (skill(metric, metric.score(label[drawn], each[drawn]), reference) for each in (first, second))
        found.append(other - one)
    differences = np.array(found)
    differences = differences[np.isfinite(differences)]
    if len(differences) < _FEWEST_DRAWS:
        return math.nan
    return float(differences.std(ddof=1)) * shrink
