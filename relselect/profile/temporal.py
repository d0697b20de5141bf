"""Autocorrelation of an entity's labels by the number of rows between them, and drift of the label's mean.

`relselect.profile.past` measures autocorrelation by the time between the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.profile import readings
from relselect.profile.bootstrap import clusters_of, spread, sums_by_cluster
from relselect.profile.measure import Measure
from relselect.profile.statistics import adjusted, agreement_columns, pearson, pearson_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.profile.view import View

__all__ = ["TEMPORAL_NAMES", "last_fifth", "temporal_measures"]

_GROUP = "temporal"
_LAGS = (1, 2, 3)
#: The measures of `temporal_measures`, in their order.
TEMPORAL_NAMES = (*(f"lag{lag}_autocorrelation" for lag in _LAGS), "label_drift")


def temporal_measures(view: View) -> list[Measure]:
    """Return `lag1_autocorrelation` to `lag3_autocorrelation` and `label_drift`.

    With y_(e,i) the label of entity e at its i-th training cutoff, the lag-k autocorrelation is the Pearson correlation of
    y_(e,i) and y_(e,i-k) over all entities and rows; for more than two classes it is their agreement adjusted for chance
    (`relselect.profile.statistics.adjusted`). The drift is (mean of y in the last fifth of the cutoffs - mean of y before) /
    standard deviation of y; for more than two classes it is the total variation distance of the two label
    distributions, sum_c |p_c - q_c| / 2. Standard errors are from a bootstrap of entities.

    Args:
        view: The training rows.
    """
    if view.problem.task.static:
        return [Measure.undefined(name, _GROUP, readings.STATIC) for name in TEMPORAL_NAMES]
    return [*(_autocorrelation(view, k) for k in _LAGS), _drift(view)]


def last_fifth(cutoff: NDArray[np.int64]) -> int | None:
    """Return the first cutoff of the last fifth of the distinct cutoffs; None with fewer than two of them.

    Args:
        cutoff: Ticks, shape (n,).

    >>> last_fifth(np.arange(10))
    8
    """
    distinct = np.unique(cutoff)
    if len(distinct) < 2:
        return None
    return int(distinct[-max(1, round(len(distinct) / 5))])


def _autocorrelation(view: View, lag: int) -> Measure:
    # the view is sorted by entity and cutoff, so the k-th last row of an entity is k places before
    later = np.flatnonzero(view.key[lag:] == view.key[:-lag]) + lag if len(view) > lag else np.empty(0, np.int64)
    name = f"lag{lag}_autocorrelation"
    if len(later) < 2:
        return Measure.undefined(name, _GROUP, readings.no_lag(lag))
    now, before = view.label[later], view.label[later - lag]
    if view.classes > 2:
        eye = np.eye(view.classes)
        columns, statistic = agreement_columns(eye[now.astype(int)], eye[before.astype(int)]), adjusted
    else:
        middle = view.label.mean()
        columns, statistic = pearson_columns(now - middle, before - middle), pearson
    clusters = clusters_of(view.key[later])
    value, stderr = spread(sums_by_cluster(clusters, clusters.max() + 1, columns), statistic, view.seed + lag)
    if np.isnan(value):
        return Measure(name, value, stderr, _GROUP, readings.CONSTANT_WITHIN_ENTITIES)
    return Measure(name, value, stderr, _GROUP, readings.autocorrelation(value, stderr, lag, len(later)))


def _drift(view: View) -> Measure:
    name, start = "label_drift", last_fifth(view.cutoff)
    if start is None:
        return Measure.undefined(name, _GROUP, readings.ONE_CUTOFF)
    late = (view.cutoff >= start).astype(np.float64)
    clusters = clusters_of(view.key)
    if view.classes > 2:
        hot = np.eye(view.classes)[view.label.astype(int)]
        columns = [late, 1 - late, *(late[:, None] * hot).T, *((1 - late)[:, None] * hot).T]
        value, stderr = spread(sums_by_cluster(clusters, clusters.max() + 1, columns), _variation, view.seed)
        return Measure(name, value, stderr, _GROUP, readings.label_variation(value))
    y = view.label - view.label.mean()
    columns = [late, 1 - late, late * y, (1 - late) * y, y * y]
    value, stderr = spread(sums_by_cluster(clusters, clusters.max() + 1, columns), _shift, view.seed)
    if np.isnan(value):
        return Measure(name, value, stderr, _GROUP, readings.CONSTANT_LABEL)
    return Measure(name, value, stderr, _GROUP, readings.label_shift(value))


def _shift(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the difference of means in standard deviations, shape (m,), from sums of shape (m, 5)."""
    late, early, late_sum, early_sum, squares = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        n = late + early
        variance = squares / n - ((late_sum + early_sum) / n) ** 2
        deviation = np.sqrt(np.where(variance > 1e-12 * (squares / n), variance, np.nan))
        return np.asarray((late_sum / late - early_sum / early) / deviation)


def _variation(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the total variation distance, shape (m,), from sums of shape (m, 2 + 2 classes)."""
    classes = (sums.shape[1] - 2) // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        late, early = sums[:, 2 : 2 + classes] / sums[:, :1], sums[:, 2 + classes :] / sums[:, 1:2]
        return np.asarray(np.abs(late - early).sum(axis=1) / 2)
