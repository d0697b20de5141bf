"""The sampling error of a difference between two predictions of the same rows, in the metric or in skill.

The two are paired: a bootstrap draws whole entities once and scores both predictions on the same draw, so that what is hard for
both cancels. Nothing here decides anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.tasks.metrics import cluster_draws, clusters_of, skill

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks.metrics import Metric
    from relselect.tasks.rows import Rows

__all__ = ["PairedDifference", "paired_difference", "paired_skill_error"]

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
    parts: list[NDArray[Any]] = [np.asarray(each[:rows]) for each in (label, first, second, clusters)]
    truth, *predicted, groups = parts
    if rows == 0:
        return math.nan
    scorers = [metric.score_of_rows(truth, each) for each in predicted]
    found = []
    for drawn in cluster_draws(groups, seed=seed, draws=draws):
        one, other = (skill(metric, scored(drawn), reference) for scored in scorers)
        found.append(other - one)
    differences = np.array(found)
    differences = differences[np.isfinite(differences)]
    if len(differences) < _FEWEST_DRAWS:
        return math.nan
    return float(differences.std(ddof=1)) * shrink


@dataclass(frozen=True)
class PairedDifference:
    """The score of one prediction less that of another on the same rows, with its interval; nan where undefined."""

    value: float
    low: float
    high: float


def paired_difference(
    metric: Metric,
    rows: Rows,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    seed: int = 0,
    draws: int = 100,
    level: float = 0.9,
) -> PairedDifference:
    """Return score(second) - score(first) and its interval by a paired bootstrap over entities (Field and Welsh 2007).

    Args:
        metric: The metric; its scores are "higher is better".
        rows: n labelled rows.
        first: Predictions, shape (n,) or (n, classes).
        second: Predictions of the same shape.
        seed: Seed of the draws.
        draws: Number of draws.
        level: Coverage of the interval, between 0 and 1.

    >>> from relselect.tasks import Rows
    >>> from relselect.tasks.metrics import metric_named
    >>> y, zero = np.array([0.0, 1.0, 2.0, 3.0]), np.zeros(4, dtype=np.int64)
    >>> rows = Rows(np.arange(4), zero, zero, label=y)
    >>> paired_difference(metric_named("neg_mean_absolute_error"), rows, y, y + 1)
    PairedDifference(value=-1.0, low=-1.0, high=-1.0)
    """
    label = np.empty(0) if rows.label is None else rows.label
    if not len(label):
        return PairedDifference(math.nan, math.nan, math.nan)
    value = metric.score(label, second) - metric.score(label, first)
    of_first, of_second = (metric.score_of_rows(label, each) for each in (first, second))
    drawn_rows = cluster_draws(clusters_of(rows), seed=seed, draws=draws)
    found = np.array([of_second(drawn) - of_first(drawn) for drawn in drawn_rows])
    found = found[np.isfinite(found)]
    if len(found) < _FEWEST_DRAWS:
        return PairedDifference(value, math.nan, math.nan)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return PairedDifference(value, float(low), float(high))
