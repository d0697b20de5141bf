"""How much an entity's own past says: agreement with earlier labels by the time between them, and who has a past at all.

* gap-g autocorrelation: a train row's label against the same entity's latest label that is at least g and less than 2g
  horizons older and was known at the row's asof. Pearson correlation; for more than two classes the agreement beyond
  chance (h - b) / (1 - b). Lags by rows (`relselect.profile.temporal`) mix near and far where entities are asked
  about at uneven dates, gaps do not.
* past agreement: the same statistic against the mean of all the entity's labels known at the row's asof.
* same-label ratio: the mean share of those past labels that equal the row's (classification).
* new entity share: rows whose entity was asked about at no earlier cutoff, among rows after the first cutoff.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.database.clock import DAY
from relselect.profile.bootstrap import clusters_of, spread, sums_by_cluster
from relselect.profile.measure import Measure
from relselect.profile.statistics import adjusted, agreement_columns, pearson, pearson_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.profile.view import History, View

__all__ = ["past_measures"]

_GROUP = "temporal"
_GAPS = (1, 2, 4, 8)
_NAMES = (*(f"gap{gap}_autocorrelation" for gap in _GAPS), "past_agreement", "same_label_ratio", "new_entity_share")
_LEAST = 30


def past_measures(view: View) -> list[Measure]:
    """Return the autocorrelations by gap, the agreement with all past labels and the share of new entities."""
    if view.problem.task.static:
        return _missing(_NAMES, "The task has no time, so no label is earlier than another.")
    if view.history is None:
        text = "It is not known when labels become known, so there are no earlier labels to compare with."
        return [*_missing(_NAMES[:-1], text), _new_entities(view)]
    unit, there = _unit(view), view.there
    if unit is None:
        gaps = _missing(_NAMES[: len(_GAPS)], "All train rows share one cutoff, so no time lies between them.")
    else:
        gaps = [_by_gap(there, view.history, gap, unit) for gap in _GAPS]
    return [*gaps, *_against_past(there, view.history), _new_entities(view)]


def _missing(names: tuple[str, ...], why: str) -> list[Measure]:
    return [Measure(name, np.nan, np.nan, _GROUP, why) for name in names]


def _unit(view: View) -> int | None:
    """Return the horizon, or without one the median time between two cutoffs; None where there is but one cutoff."""
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
    apart = f"{_span(gap * unit, view)} apart, and less than twice that,"
    if same.sum() < _LEAST:
        text = f"Fewer than {_LEAST} rows have an earlier label of their entity {apart}."
        return Measure(name, np.nan, np.nan, _GROUP, text)
    row = np.flatnonzero(same)
    value, error = _statistic(view, row, _encoded(view, history.label[other[row]]))
    if np.isnan(value):
        return Measure(name, value, error, _GROUP, "The label does not vary among entities with several rows.")
    text = f"Labels of one entity {apart} {_verb(view)} at {value:.2f} (± {error:.2f}; {len(row):,} pairs)."
    return Measure(name, value, error, _GROUP, text)


def _span(ticks: int, view: View) -> str:
    if view.problem.task.time_kind == "integer":
        return f"{ticks:,} time units"
    return f"{ticks / DAY:,.0f} days" if ticks >= DAY else f"{ticks / DAY * 24:,.1f} hours"


def _verb(view: View) -> str:
    return "agree, beyond chance," if view.classes > 2 else "correlate"


def _encoded(view: View, label: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return labels as rows: one-hot beyond two classes, else the centred value."""
    if view.classes > 2:
        return np.eye(view.classes)[label.astype(int)]
    return (label - view.label.mean())[:, None]


def _statistic(view: View, row: NDArray[np.int64], past: NDArray[np.float64]) -> tuple[float, float]:
    """Return the agreement of rows with what is known of their past, shape (m, width), and its standard error."""
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
        return _missing(names, f"Fewer than {_LEAST} rows have an earlier label of their entity.")
    begin, end = begin[row], end[row]
    encoded = _encoded(view, history.label)
    total = np.concatenate([np.zeros((1, encoded.shape[1])), np.cumsum(encoded, axis=0)])
    mean = (total[end] - total[begin]) / (end - begin)[:, None]
    value, error = _statistic(view, row, mean)
    text = f"A label and the mean of its entity's past labels {_verb(view)} at {value:.2f} (± {error:.2f})."
    if np.isnan(value):
        text = "The label does not vary among entities with several rows."
    return [Measure(names[0], value, error, _GROUP, text), _same_label(view, row, begin, end, history)]


def _same_label(
    view: View, row: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64], history: History
) -> Measure:
    name = "same_label_ratio"
    if view.classes == 0:
        return Measure(name, np.nan, np.nan, _GROUP, "A regression task has no classes.")
    same = np.zeros(len(row))
    for number in range(view.classes):
        total = np.concatenate([[0], np.cumsum(history.label == number)])
        wanted = view.label[row] == number
        same[wanted] = (total[end[wanted]] - total[begin[wanted]]) / (end[wanted] - begin[wanted])
    clusters = clusters_of(view.key[row])
    sums = sums_by_cluster(clusters, int(clusters.max()) + 1, [np.ones(len(row)), same])
    value, error = spread(sums, lambda each: each[:, 1] / each[:, 0], view.seed)
    text = f"On average {value:.0%} (± {error:.1%}) of an entity's past labels equal the present one."
    return Measure(name, value, error, _GROUP, text)


def _new_entities(view: View) -> Measure:
    name = "new_entity_share"
    first = view.cutoff.min() if len(view) else 0
    later = view.cutoff > first
    if not later.any():
        return Measure(name, np.nan, np.nan, _GROUP, "All train rows share one cutoff, so nobody is new.")
    # sorted by entity and cutoff: a row is its entity's first where another entity stands before it
    fresh = np.ones(len(view), dtype=bool)
    fresh[1:] = view.key[1:] != view.key[:-1]
    entry = np.maximum.accumulate(np.where(fresh, np.arange(len(view)), 0))
    new = view.cutoff == view.cutoff[entry]
    clusters = clusters_of(view.key[later])
    columns = [np.ones(int(later.sum())), new[later].astype(np.float64)]
    sums = sums_by_cluster(clusters, int(clusters.max()) + 1, columns)
    value, error = spread(sums, lambda each: each[:, 1] / each[:, 0], view.seed)
    text = f"{value:.1%} of the rows after the first train date ask about an entity for the first time."
    return Measure(name, value, error, _GROUP, text)
