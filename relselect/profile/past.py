"""Agreement of a label with its entity's earlier labels: by the time between them, and with the mean of all of them.

Lags by rows (`relselect.profile.temporal`) combine short and long times where an entity's rows are unevenly spaced; the
gaps measured here do not.
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

    from relselect.profile.view import History, View

__all__ = ["PAST_NAMES", "past_measures"]

_GROUP = "temporal"
_GAPS = (1, 2, 4, 8)
#: The measures of `past_measures`, in their order.
PAST_NAMES = (*(f"gap{gap}_autocorrelation" for gap in _GAPS), "past_agreement", "same_label_ratio", "new_entity_share")
_LEAST = 30


def past_measures(view: View) -> list[Measure]:
    """Return the autocorrelations by gap, the agreement with all past labels and the share of new entities.

    With s(y, z) the Pearson correlation of two labels, or for more than two classes their agreement adjusted for chance
    (`relselect.profile.statistics.adjusted`):

    * `gap1_autocorrelation`, and with gaps g of 2, 4 and 8: s(y, z), z being the latest label of the same entity whose cutoff
      is at least g and less than 2g horizons earlier and that is known at the row's `asof`. A task without a horizon takes
      the median time between two cutoffs for it;
    * `past_agreement`: s(y, mean of all labels of the entity that are known at the row's `asof`);
    * `same_label_ratio`: share of these past labels that equal y, averaged over rows (classification only);
    * `new_entity_share`: rows that are the first of their entity, among the rows after the first cutoff.

    Agreements over fewer than 30 rows are undefined. Standard errors are from a bootstrap of entities.

    Args:
        view: The training rows.
    """
    if view.problem.task.static:
        return _undefined(PAST_NAMES, readings.STATIC)
    if view.history is None:
        return [*_undefined(PAST_NAMES[:-1], readings.UNKNOWN_TIMES), _new_entities(view)]
    unit, visible = _unit(view), view.visible_entities
    if unit is None:
        gaps = _undefined(PAST_NAMES[: len(_GAPS)], readings.ONE_CUTOFF)
    else:
        gaps = [_by_gap(visible, view.history, gap, unit) for gap in _GAPS]
    return [*gaps, *_against_past(visible, view.history), _new_entities(view)]


def _undefined(names: tuple[str, ...], why: str) -> list[Measure]:
    return [Measure.undefined(name, _GROUP, why) for name in names]


def _unit(view: View) -> int | None:
    """Return the horizon in ticks, or without one the median time between two cutoffs; None with a single cutoff."""
    if view.problem.task.horizon:
        return int(view.problem.task.horizon)
    distinct = np.unique(view.cutoff)
    return int(np.median(np.diff(distinct))) or 1 if len(distinct) > 1 else None


def _by_gap(view: View, history: History, gap: int, unit: int) -> Measure:
    name = f"gap{gap}_autocorrelation"
    rank = history.order[history.entity]
    order = np.lexsort((history.label, history.known, history.cutoff, rank))
    moments = np.unique(history.cutoff)
    stride = len(moments) + 1
    place = rank[order] * stride + np.searchsorted(moments, history.cutoff[order])
    latest = np.searchsorted(moments, view.cutoff - gap * unit, side="right")
    found = np.searchsorted(place, history.order[view.entity] * stride + latest) - 1
    other = order[np.maximum(found, 0)] if len(order) else np.zeros(len(view), dtype=np.int64)
    if len(order):
        same = (found >= 0) & (history.entity[other] == view.entity)
        same &= (history.cutoff[other] > view.cutoff - 2 * gap * unit) & (history.known[other] <= view.asof)
    else:
        same = np.zeros(len(view), dtype=bool)
    apart = readings.span(gap * unit, 2 * gap * unit, integer=view.problem.task.time_kind == "integer")
    if same.sum() < _LEAST:
        return Measure.undefined(name, _GROUP, readings.few_earlier_labels(_LEAST, apart))
    row = np.flatnonzero(same)
    value, error = _statistic(view, row, _encoded(view, history.label[other[row]]))
    if np.isnan(value):
        return Measure(name, value, error, _GROUP, readings.CONSTANT_WITHIN_ENTITIES)
    reading = readings.gap_autocorrelation(value, error, apart, len(row), view.classes)
    return Measure(name, value, error, _GROUP, reading)


def _encoded(view: View, label: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return labels as rows: one-hot beyond two classes, else the centred value."""
    if view.classes > 2:
        return np.eye(view.classes)[label.astype(int)]
    return (label - view.label.mean())[:, None]


def _statistic(view: View, row: NDArray[np.int64], past: NDArray[np.float64]) -> tuple[float, float]:
    """Return the agreement of the labels of rows, shape (m,), with past labels, shape (m, width), and its standard error."""
    now = _encoded(view, view.label[row])
    columns = agreement_columns(now, past) if view.classes > 2 else pearson_columns(now[:, 0], past[:, 0])
    clusters = clusters_of(view.key[row])
    sums = sums_by_cluster(clusters, int(clusters.max()) + 1, columns)
    return spread(sums, adjusted if view.classes > 2 else pearson, view.seed)


def _against_past(view: View, history: History) -> list[Measure]:
    names = ("past_agreement", "same_label_ratio")
    begin, end = history.known_before(view.entity, view.asof)
    row = np.flatnonzero(end > begin)
    if len(row) < _LEAST:
        return _undefined(names, readings.few_earlier_labels(_LEAST))
    begin, end = begin[row], end[row]
    encoded = _encoded(view, history.label)
    total = np.concatenate([np.zeros((1, encoded.shape[1])), np.cumsum(encoded, axis=0)])
    mean = (total[end] - total[begin]) / (end - begin)[:, None]
    value, error = _statistic(view, row, mean)
    reading = readings.past_agreement(value, error, view.classes)
    if np.isnan(value):
        reading = readings.CONSTANT_WITHIN_ENTITIES
    return [Measure(names[0], value, error, _GROUP, reading), _same_label(view, row, begin, end, history)]


def _same_label(
    view: View, row: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64], history: History
) -> Measure:
    name = "same_label_ratio"
    if view.classes == 0:
        return Measure.undefined(name, _GROUP, readings.NO_CLASSES)
    same = np.zeros(len(row))
    for number in range(view.classes):
        total = np.concatenate([[0], np.cumsum(history.label == number)])
        chosen = view.label[row] == number
        same[chosen] = (total[end[chosen]] - total[begin[chosen]]) / (end[chosen] - begin[chosen])
    clusters = clusters_of(view.key[row])
    sums = sums_by_cluster(clusters, int(clusters.max()) + 1, [np.ones(len(row)), same])
    value, error = spread(sums, lambda each: each[:, 1] / each[:, 0], view.seed)
    return Measure(name, value, error, _GROUP, readings.same_label(value, error))


def _new_entities(view: View) -> Measure:
    name = "new_entity_share"
    first = view.cutoff.min() if len(view) else 0
    later = view.cutoff > first
    if not later.any():
        return Measure.undefined(name, _GROUP, readings.ONE_CUTOFF)
    # the view is sorted by entity and cutoff: a row is its entity's first where the row before has another entity
    fresh = np.ones(len(view), dtype=bool)
    fresh[1:] = view.key[1:] != view.key[:-1]
    entry = np.maximum.accumulate(np.where(fresh, np.arange(len(view)), 0))
    new = view.cutoff == view.cutoff[entry]
    clusters = clusters_of(view.key[later])
    columns = [np.ones(int(later.sum())), new[later].astype(np.float64)]
    sums = sums_by_cluster(clusters, int(clusters.max()) + 1, columns)
    value, error = spread(sums, lambda each: each[:, 1] / each[:, 0], view.seed)
    return Measure(name, value, error, _GROUP, readings.new_entities(value))
