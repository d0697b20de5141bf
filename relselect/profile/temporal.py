"""How a label follows from the same entity's earlier labels, and whether labels drift.

lag-k autocorrelation: Pearson correlation of an entity's label with its k-th last one (rows in the order of
their cutoffs); for more than two classes the agreement of the two, adjusted for chance. Drift: mean label in
the last fifth of the cutoffs minus the mean before, in standard deviations of the label; for classes beyond
two the total variation distance between the two label distributions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.profile.bootstrap import clusters_of, spread, sums_by_cluster
from relselect.profile.measure import Measure
from relselect.profile.statistics import adjusted, agreement_columns, pearson, pearson_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.profile.view import View

__all__ = ["last_fifth", "temporal_measures"]

_GROUP = "temporal"
_LAGS = (1, 2, 3)


def temporal_measures(view: View) -> list[Measure]:
    """Return the autocorrelations and the drift of the label."""
    if view.problem.task.static:
        text = "The task has no time, so labels have no order."
        names = [*(f"lag{k}_autocorrelation" for k in _LAGS), "label_drift"]
        return [Measure(name, np.nan, np.nan, _GROUP, text) for name in names]
    return [*(_autocorrelation(view, k) for k in _LAGS), _drift(view)]


def last_fifth(cutoff: NDArray[np.int64]) -> int | None:
    """Return the first cutoff of the last fifth of the distinct cutoffs; None with fewer than two of them."""
    distinct = np.unique(cutoff)
    if len(distinct) < 2:
        return None
    return int(distinct[-max(1, round(len(distinct) / 5))])


def _autocorrelation(view: View, lag: int) -> Measure:
    # The view is sorted by entity and cutoff, so the k-th last row of an entity stands k places before.
    later = np.flatnonzero(view.key[lag:] == view.key[:-lag]) + lag if len(view) > lag else np.empty(0, np.int64)
    name = f"lag{lag}_autocorrelation"
    if len(later) < 2:
        return Measure(name, np.nan, np.nan, _GROUP, f"No entity has {lag + 1} train rows.")
    now, before = view.label[later], view.label[later - lag]
    if view.classes > 2:
        eye = np.eye(view.classes)
        columns, statistic = agreement_columns(eye[now.astype(int)], eye[before.astype(int)]), adjusted
    else:
        middle = view.label.mean()
        columns, statistic = pearson_columns(now - middle, before - middle), pearson
    clusters = clusters_of(view.key[later])
    value, stderr = spread(sums_by_cluster(clusters, clusters.max() + 1, columns), statistic, view.seed + lag)
    which = {1: "last one", 2: "last but one", 3: "last but two"}[lag]
    if np.isnan(value):
        return Measure(name, value, stderr, _GROUP, "The label does not vary among entities with several rows.")
    text = (
        f"An entity's label correlates at {value:.2f} (± {stderr:.2f}) with its {which}, {len(later):,} pairs of rows."
    )
    return Measure(name, value, stderr, _GROUP, text)


def _drift(view: View) -> Measure:
    name, start = "label_drift", last_fifth(view.cutoff)
    if start is None:
        return Measure(name, np.nan, np.nan, _GROUP, "All train rows share one cutoff.")
    late = (view.cutoff >= start).astype(np.float64)
    clusters = clusters_of(view.key)
    if view.classes > 2:
        hot = np.eye(view.classes)[view.label.astype(int)]
        columns = [late, 1 - late, *(late[:, None] * hot).T, *((1 - late)[:, None] * hot).T]
        value, stderr = spread(sums_by_cluster(clusters, clusters.max() + 1, columns), _variation, view.seed)
        text = (
            f"The label's distribution moved by {value:.2f} (total variation) into the last fifth of the train dates."
        )
        return Measure(name, value, stderr, _GROUP, text)
    y = view.label - view.label.mean()
    columns = [late, 1 - late, late * y, (1 - late) * y, y * y]
    value, stderr = spread(sums_by_cluster(clusters, clusters.max() + 1, columns), _shift, view.seed)
    if np.isnan(value):
        return Measure(name, value, stderr, _GROUP, "The label is constant in training.")
    text = f"In the last fifth of the train dates the mean label lies {value:+.2f} standard deviations from before."
    return Measure(name, value, stderr, _GROUP, text)


def _shift(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    late, early, late_sum, early_sum, squares = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        n = late + early
        variance = squares / n - ((late_sum + early_sum) / n) ** 2
        deviation = np.sqrt(np.where(variance > 1e-12 * (squares / n), variance, np.nan))
        return np.asarray((late_sum / late - early_sum / early) / deviation)


def _variation(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    classes = (sums.shape[1] - 2) // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        late, early = sums[:, 2 : 2 + classes] / sums[:, :1], sums[:, 2 + classes :] / sums[:, 1:2]
        return np.asarray(np.abs(late - early).sum(axis=1) / 2)
