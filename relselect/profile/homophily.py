"""Homophily per meta-path: agreement between the labels of entities that the path joins.

It measures association, not causation, and no path longer than four hops.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.database.hashing import key_hashes
from relselect.hashing import mix, smallest
from relselect.profile import readings
from relselect.profile.bootstrap import sums_by_cluster
from relselect.profile.dyads import Estimate, Pairs, draws, estimate
from relselect.profile.measure import Measure
from relselect.profile.paths import MetaPath, find_paths
from relselect.profile.statistics import (
    adjusted,
    agreement,
    agreement_columns,
    insensitive,
    pearson,
    pearson_columns,
)
from relselect.profile.walker import MetaPathWalker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.profile.view import View

__all__ = ["homophily_measures"]

_GROUP = "homophily"
_MOST_SOURCES = 3000
_MOST_PATHS = 24
_LEAST_PAIRS = 30
_KINDS = ("", "raw_", "insensitive_", "aggregated_")
_MEANS = ("homophily_insensitive_mean", "homophily_aggregated_mean")
_AGGREGATES = {
    "min": "The least alike path",
    "max": "The most alike path",
    "mean": "The mean path",
    "weighted_mean": "The mean over paths weighted by pairs",
    "abs_mean": "The mean absolute value over paths",
    "variance": "The variance over paths",
}


@dataclass(frozen=True)
class _Found:
    """The estimates of one path.

    Attributes:
        path: The path.
        pairs: Number of pairs.
        rows: Number of task rows (entities in a static task) in the pairs.
        values: Estimates by kind: "", "raw_", "insensitive_", "aggregated_"; without "insensitive_" for regression, empty
            with fewer than 30 pairs.
        seconds: Wall-clock seconds.
    """

    path: MetaPath
    pairs: int
    rows: int
    values: Mapping[str, Estimate]
    seconds: float


def homophily_measures(view: View, budget: Budget, hops: int = 2) -> list[Measure]:
    """Return the aggregates of homophily over paths, then the homophily of each path.

    A pair (u, v) is a training row u and another entity v that the path reaches from u's entity over rows visible at u's
    `asof`, counted once. Let p be the label of u (one-hot) and q the mean of v's labels that are known at that `asof`. Over the
    pairs of a path, and with the statistics of `relselect.profile.statistics`:

    * `raw_homophily[path]`: h = mean p . q;
    * `homophily[path]`: (h - b) / (1 - b) with b = mean(p) . mean(q) (Platonov et al. 2023);
    * `insensitive_homophily[path]`: sum_c max(0, h_c - q_c) / (C - 1) (Lim et al. 2021);
    * `aggregated_homophily[path]`: as `homophily`, between p and the mean of q over all v that u reaches;
    * `homophily_min`, `max`, `mean`, `weighted_mean` (by pairs), `abs_mean`, `variance`: aggregates of `homophily[path]`
      over paths, and the means over paths of the last two kinds.

    For regression all of these are Pearson correlations of the values. In a static task a pair is an unordered pair of entities
    with training labels. Agreement over two-hop paths, adjusted for chance, is the measure of Relatron (arXiv 2602.22552);
    standard errors are dyad-robust (`relselect.profile.dyads`).

    Args:
        view: The training rows; at most 3,000 are walked from, drawn by hash.
        budget: Paths are measured until it is spent.
        hops: Maximal length of the paths, 2 or 4; at most 24 paths are measured, those equal to their reverse first.
    """
    view = view.visible_entities
    known = find_paths(view.problem.database, view.problem.entity, hops)
    paths = sorted(known, key=lambda path: not path.symmetric)[:_MOST_PATHS]
    why = _why_not(view, paths)
    found = [] if why else _measure(view, paths, budget)
    late = len(paths) - len(found) if not why else 0
    left_out = len(known) - len(paths)
    exist = [f for f in found if f.values]
    why = why or (readings.few_pairs_on_any_path(_LEAST_PAIRS) if not exist else "")
    measures = _aggregates(view, exist, why)
    reading = readings.measured_paths(len(exist), len(paths), late, left_out)
    measures.append(Measure("homophily_paths", float(len(exist)), np.nan, _GROUP, reading))
    pairs = sum(f.pairs for f in exist)
    measures.append(Measure("homophily_pairs", float(pairs), np.nan, _GROUP, readings.compared_pairs(pairs)))
    for f in found:
        measures += _of_path(view, f)
    return measures


def _why_not(view: View, paths: list[MetaPath]) -> str:
    if not paths:
        return readings.no_path(view.problem.entity)
    if not view.problem.task.static and view.history is None:
        return readings.UNKNOWN_TIMES
    return "" if len(view) else readings.NO_JOINED_ENTITY


def _measure(view: View, paths: list[MetaPath], budget: Budget) -> list[_Found]:
    sides = _Static(view) if view.problem.task.static else _Timed(view)
    found = []
    for path in paths:
        if budget.spent:
            break
        begun = time.monotonic()
        row, other = sides.reach.pairs(path)
        pairs, gathered = sides.pairs(row, other)
        found.append(_found(view, path, pairs, gathered, begun))
    return found


def _found(view: View, path: MetaPath, pairs: Pairs, gathered: Pairs, begun: float) -> _Found:
    values: dict[str, Estimate] = {}
    if len(pairs.one) >= _LEAST_PAIRS:
        first = pearson if view.classes == 0 else adjusted
        values[""] = estimate(pairs, first)
        values["raw_"] = estimate(pairs, pearson if view.classes == 0 else agreement)
        values["aggregated_"] = estimate(gathered, first)
        if view.classes:
            values["insensitive_"] = estimate(pairs, insensitive)
    rows = round(float(gathered.total[0])) if len(gathered.one) else 0
    return _Found(path, len(pairs.one), rows, values, time.monotonic() - begun)


def _columns(view: View, p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    columns = pearson_columns(p[:, 0], q[:, 0]) if view.classes == 0 else agreement_columns(p, q)
    return np.column_stack(columns)


def _gathered(
    view: View, row: NDArray[np.int64], p: NDArray[np.float64], q: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the columns of each row against the mean over all it reaches, divided evenly among the row's pairs."""
    source, first, place = np.unique(row, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    count = np.bincount(place, minlength=len(source)).astype(np.float64)
    mean = sums_by_cluster(place, len(source), list(q.T)) / np.maximum(count, 1.0)[:, None]
    return (_columns(view, p[first], mean) / count[:, None])[place]


class _Universe:
    """Numbers of the sources and targets, in the order of the hashes of their keys."""

    def __init__(self, view: View, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        database, entity = view.problem.database, view.problem.entity
        everyone = np.unique(np.concatenate([sources, targets]))
        ordered = everyone[np.argsort(key_hashes(database, entity, everyone), kind="stable")]
        self.number = np.full(database[entity].num_rows, -1, dtype=np.int64)
        self.number[ordered] = np.arange(len(ordered))
        self.size = len(ordered)


class _Timed:
    """Pairs of a task with time: training rows and the labels of other entities known at the rows' `asof`."""

    def __init__(self, view: View) -> None:
        assert view.history is not None
        self.view, self.history = view, view.history
        key = mix(view.key, view.cutoff, view.seed)
        self.rows = np.argsort(key, kind="stable")[:_MOST_SOURCES]
        targets = view.history.entity[np.sort(np.unique(view.history.order[view.history.entity], return_index=True)[1])]
        self.reach = MetaPathWalker(
            view.problem.database, view.problem.entity, view.entity[self.rows], view.asof[self.rows], key[self.rows],
            targets, limit=view.problem.fit_asof,
        )  # fmt: skip
        self.universe = _Universe(view, view.entity[self.rows], targets)
        total = _encoded(view, view.history.label)
        self.total = np.concatenate([np.zeros((1, total.shape[1])), np.cumsum(total, axis=0)])

    def pairs(self, row: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[Pairs, Pairs]:
        """Return the pairs whose target has a known label, and the same pairs with columns of rows against means."""
        begin, end = self.history.known_before(other, self.reach.asof[row])
        known = end > begin
        row, other, begin, end = row[known], other[known], begin[known], end[known]
        q = (self.total[end] - self.total[begin]) / (end - begin)[:, None]
        p = _encoded(self.view, self.view.label[self.rows[row]])
        one = self.universe.number[self.view.entity[self.rows[row]]]
        two, size = self.universe.number[other], self.universe.size
        return (
            Pairs(one, two, _columns(self.view, p, q), size),
            Pairs(one, two, _gathered(self.view, row, p, q), size),
        )


class _Static:
    """Pairs of a static task: unordered pairs of entities, each with its mean training label."""

    def __init__(self, view: View) -> None:
        key, first, place = np.unique(view.key, return_index=True, return_inverse=True)
        place = place.reshape(-1)
        labels = _encoded(view, view.label)
        counts = np.bincount(place)[:, None]
        own = sums_by_cluster(place, len(key), list(labels.T)) / counts
        entity = view.entity[first]
        chosen = smallest(mix(key, view.seed), _MOST_SOURCES)
        self.view, self.own, self.chosen = view, own, chosen
        self.number = np.full(view.problem.database[view.problem.entity].num_rows, -1, dtype=np.int64)
        self.number[entity] = np.arange(len(key))
        self.reach = MetaPathWalker(
            view.problem.database, view.problem.entity, entity[chosen], view.asof[first][chosen],
            mix(key[chosen], view.seed), entity, limit=view.problem.fit_asof,
        )  # fmt: skip

    def pairs(self, row: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[Pairs, Pairs]:
        """Return each unordered pair once, and the ordered pairs with columns of entities against means."""
        # entities are numbered in the order of their keys' hashes already
        one, two, size = self.chosen[row], self.number[other], len(self.own)
        gathered = Pairs(one, two, _gathered(self.view, row, self.own[one], self.own[two]), size)
        _, keep = np.unique(np.minimum(one, two) * size + np.maximum(one, two), return_index=True)
        one, two = one[keep], two[keep]
        return Pairs(one, two, _columns(self.view, self.own[one], self.own[two]), size), gathered


def _encoded(view: View, label: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return labels as rows: one-hot classes, or the centred value."""
    if view.classes == 0:
        return (label - view.label.mean())[:, None]
    return np.eye(view.classes)[label.astype(int)]


def _of_path(view: View, found: _Found) -> list[Measure]:
    name, words = found.path.name, found.path.words
    names = {kind: f"{kind}homophily[{name}]" for kind in _KINDS}
    if not found.values:
        text = readings.few_pairs(found.pairs, words)
        return [Measure.undefined(each, _GROUP, text, found.seconds * (not k)) for k, each in names.items()]
    value, raw = found.values[""], found.values["raw_"]
    if np.isnan(value.value):
        text, absent = readings.constant_joined_labels(words), dict.fromkeys(_KINDS, np.nan) | {"raw_": raw.value}
        return [Measure(names[kind], absent[kind], np.nan, _GROUP, text, found.seconds * (not kind)) for kind in _KINDS]
    mean = found.values["aggregated_"]
    text = readings.homophily(value.value, value.error, words, found.pairs, view.classes)
    mean_text = readings.aggregated_homophily(mean.value, mean.error, words, found.rows)
    return [
        Measure(names[""], value.value, value.error, _GROUP, text, found.seconds),
        Measure(names["raw_"], raw.value, raw.error, _GROUP, readings.NOT_ADJUSTED),
        _insensitive(names["insensitive_"], found),
        Measure(names["aggregated_"], mean.value, mean.error, _GROUP, mean_text),
    ]


def _insensitive(name: str, found: _Found) -> Measure:
    if "insensitive_" not in found.values:
        return Measure.undefined(name, _GROUP, readings.NO_CLASSES)
    value = found.values["insensitive_"]
    text = readings.class_insensitive_homophily(value.value, value.error, found.path.words)
    return Measure(name, value.value, value.error, _GROUP, text)


def _aggregates(view: View, found: list[_Found], why: str) -> list[Measure]:
    names = {f"homophily_{key}": words for key, words in _AGGREGATES.items()}
    drawn = draws([f.values[""] for f in found], view.seed) if found else np.full((1, 1), np.nan)
    exists = np.isfinite(drawn[0])
    if not exists.any():
        text = why or readings.CONSTANT_JOINED_LABELS
        return [Measure.undefined(name, _GROUP, text) for name in (*names, *_MEANS)]
    weights = np.array([f.pairs for f in found], dtype=np.float64)[exists]
    table = np.column_stack(_summaries(drawn[:, exists], weights / weights.sum()))
    errors = table[1:].std(axis=0, ddof=1)
    measures = [
        Measure(name, float(value), float(error), _GROUP, _aggregate_reading(view, name, words, value, error))
        for (name, words), value, error in zip(names.items(), table[0], errors, strict=True)
    ]
    return [*measures, *_means(view, [each for each, defined in zip(found, exists, strict=True) if defined])]


def _aggregate_reading(view: View, name: str, words: str, value: float, error: float) -> str:
    labels = name not in ("homophily_abs_mean", "homophily_variance")
    return readings.aggregate(value, error, words, view.classes, labels=labels)


def _means(view: View, found: list[_Found]) -> list[Measure]:
    """Return the means over paths of class-insensitive and of neighbourhood-aggregated homophily."""
    if view.classes == 0:
        first = Measure.undefined(_MEANS[0], _GROUP, readings.NO_CLASSES)
    else:
        first = _mean(_MEANS[0], draws([f.values["insensitive_"] for f in found], view.seed), "class-insensitive")
    drawn = draws([f.values["aggregated_"] for f in found], view.seed)
    return [first, _mean(_MEANS[1], drawn, "neighbourhood-aggregated")]


def _mean(name: str, drawn: NDArray[np.float64], kind: str) -> Measure:
    drawn = drawn[:, np.isfinite(drawn[0])]
    if not drawn.shape[1]:
        return Measure.undefined(name, _GROUP, readings.CONSTANT_JOINED_LABELS)
    mean = drawn.mean(axis=1)
    value, error = float(mean[0]), float(mean[1:].std(ddof=1))
    return Measure(name, value, error, _GROUP, readings.path_mean(value, error, kind))


def _summaries(drawn: NDArray[np.float64], weights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the aggregates of each row, in the order of `_AGGREGATES`."""
    mean = (drawn * weights).sum(axis=1)
    return [
        drawn.min(axis=1),
        drawn.max(axis=1),
        drawn.mean(axis=1),
        mean,
        np.abs(drawn).mean(axis=1),
        (weights * (drawn - mean[:, None]) ** 2).sum(axis=1),
    ]
