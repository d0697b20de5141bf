"""Homophily per self-loop meta-path: do entities that are joined have like labels?

A pair is (train row u, another entity v) reached over rows visible at u's `asof`, counted once; it compares
u's label with the mean of v's labels known by then. Classification: h is the mean dot product of the two
label distributions, b the dot product of the two sides' mean distributions, adjusted h is (h - b) / (1 - b).
Regression: Pearson correlation, where b is 0. For static tasks a pair is two entities with train labels,
unordered.

The idea (agreement over two-hop paths, adjusted for chance) is Relatron's; pairs, time order and errors are
ours. Errors know that pairs share entities (`relselect.profile.dyads`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.database.hashing import key_hashes
from relselect.hashing import mix, smallest
from relselect.profile.bootstrap import sums_by_cluster
from relselect.profile.dyads import Estimate, Pairs, draws, estimate
from relselect.profile.measure import Measure
from relselect.profile.paths import MetaPath, find_paths
from relselect.profile.reach import Reach
from relselect.profile.statistics import (
    adjusted,
    agreement,
    agreement_columns,
    insensitive,
    pearson,
    pearson_columns,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.profile.view import View

__all__ = ["homophily_measures"]

_GROUP = "homophily"
_MOST_SOURCES = 3000
_MOST_PATHS = 24
_LEAST_PAIRS = 30
#: Two standard errors of this size leave room for a connection worth having.
_WIDE = 0.1
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
    """A path's pairs measured.

    Attributes:
        path: The path.
        pairs: How many pairs were compared.
        rows: How many rows took part.
        values: Estimates by kind: "", "raw_", "insensitive_", "aggregated_"; without the third for regression.
        seconds: Time it took.
    """

    path: MetaPath
    pairs: int
    rows: int
    values: Mapping[str, Estimate]
    seconds: float


def homophily_measures(view: View, budget: Budget, hops: int = 2) -> list[Measure]:
    """Return the aggregates over paths, then adjusted, raw, class-insensitive and aggregated homophily per path.

    Args:
        view: The train rows.
        budget: Paths are measured while there is time.
        hops: 2, or 4 for longer paths as well.
    """
    view = view.there
    known = find_paths(view.problem.database, view.problem.entity, hops)
    paths = sorted(known, key=lambda path: not path.symmetric)[:_MOST_PATHS]
    why = _why_not(view, paths)
    found = [] if why else _measure(view, paths, budget)
    late = len(paths) - len(found) if not why else 0
    left_out = len(known) - len(paths)
    exist = [f for f in found if f.values]
    why = why or (f"No path has {_LEAST_PAIRS} pairs of labelled rows." if not exist else "")
    measures = _aggregates(view, exist, why)
    measures.append(
        Measure(
            "homophily_paths",
            float(len(exist)),
            np.nan,
            _GROUP,
            _paths_text(len(exist), len(paths), late, left_out),
        )
    )
    pairs = sum(f.pairs for f in exist)
    measures.append(Measure("homophily_pairs", float(pairs), np.nan, _GROUP, f"{pairs:,} pairs were compared."))
    for f in found:
        measures += _of_path(view, f)
    return measures


def _why_not(view: View, paths: list[MetaPath]) -> str:
    if not paths:
        return f"No path of two hops leads from {view.problem.entity} back to it."
    if not view.problem.task.static and view.history is None:
        return "It is not known when labels become known, so there are no earlier labels to compare with."
    return "" if len(view) else "No training row asks about an entity that is there at its date."


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
    """Return the columns of rows against the mean over all they reach, an even share of them on each pair."""
    source, first, place = np.unique(row, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    count = np.bincount(place, minlength=len(source)).astype(np.float64)
    mean = sums_by_cluster(place, len(source), list(q.T)) / np.maximum(count, 1.0)[:, None]
    return (_columns(view, p[first], mean) / count[:, None])[place]


class _Universe:
    """The entities that take part, numbered in the order of their keys' hashes."""

    def __init__(self, view: View, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        database, entity = view.problem.database, view.problem.entity
        everyone = np.unique(np.concatenate([sources, targets]))
        ordered = everyone[np.argsort(key_hashes(database, entity, everyone), kind="stable")]
        self.number = np.full(database[entity].num_rows, -1, dtype=np.int64)
        self.number[ordered] = np.arange(len(ordered))
        self.size = len(ordered)


class _Timed:
    """Sources are train rows, compared with the labels of others known by their `asof`."""

    def __init__(self, view: View) -> None:
        assert view.history is not None
        self.view, self.history = view, view.history
        key = mix(view.key, view.cutoff, view.seed)
        self.rows = np.argsort(key, kind="stable")[:_MOST_SOURCES]
        targets = view.history.entity[np.sort(np.unique(view.history.order[view.history.entity], return_index=True)[1])]
        self.reach = Reach(
            view.problem.database, view.problem.entity, view.entity[self.rows], view.asof[self.rows], key[self.rows],
            targets, limit=view.problem.fit_asof,
        )  # fmt: skip
        self.universe = _Universe(view, view.entity[self.rows], targets)
        total = _encoded(view, view.history.label)
        self.total = np.concatenate([np.zeros((1, total.shape[1])), np.cumsum(total, axis=0)])

    def pairs(self, row: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[Pairs, Pairs]:
        """Return the pairs that have a known label, and the rows against the means over theirs."""
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
    """Sources are entities with their mean train label; pairs are unordered."""

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
        self.reach = Reach(
            view.problem.database, view.problem.entity, entity[chosen], view.asof[first][chosen],
            mix(key[chosen], view.seed), entity, limit=view.problem.fit_asof,
        )  # fmt: skip

    def pairs(self, row: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[Pairs, Pairs]:
        """Return each unordered pair once, and the entities against the means over theirs."""
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
        text = f"Only {found.pairs} pairs of {words} have labels."
        return [Measure(each, np.nan, np.nan, _GROUP, text, found.seconds * (not k)) for k, each in names.items()]
    value, raw = found.values[""], found.values["raw_"]
    if np.isnan(value.value):
        text, absent = f"Labels of {words} do not vary.", dict.fromkeys(_KINDS, np.nan) | {"raw_": raw.value}
        return [Measure(names[kind], absent[kind], np.nan, _GROUP, text, found.seconds * (not kind)) for kind in _KINDS]
    mean = found.values["aggregated_"]
    text = f"{_sentence(view, words, value.value, value.error)} ({found.pairs:,} pairs)."
    mean_text = f"A label and the mean over {words}: {mean.value:.3f} (± {mean.error:.3f}; {found.rows:,} rows)."
    if np.isnan(mean.value):
        mean_text = f"Means over {words} do not vary."
    raw_text = "The same without adjustment for chance."
    return [
        Measure(names[""], value.value, value.error, _GROUP, text, found.seconds),
        Measure(names["raw_"], raw.value, raw.error, _GROUP, raw_text),
        _insensitive(names["insensitive_"], found),
        Measure(names["aggregated_"], mean.value, mean.error, _GROUP, mean_text),
    ]


def _sentence(view: View, words: str, value: float, error: float) -> str:
    """Say how joined entities' labels go together, in the words of somebody who knows the data."""
    if not np.isfinite(error) or abs(value) > 2 * error:
        strength = "strongly " if abs(value) >= 0.5 else "" if abs(value) >= 0.1 else "slightly "
        verb = {(True, True): "agree {}more than chance", (True, False): "agree {}less than chance"}
        if view.classes == 0:
            verb = {(False, True): "go {}together", (False, False): "go {}against one another"}
        said = verb[(view.classes > 0, value > 0)].format(strength)
    else:
        close = "agree no more than chance" if view.classes else "have nothing to do with one another"
        said = close if 2 * error < _WIDE else "cannot be told from unrelated ones"
    kind = "adjusted homophily" if view.classes else "correlation"
    return f"Labels of {words} {said}: {kind} {value:.3f} ± {error:.3f}"


def _insensitive(name: str, found: _Found) -> Measure:
    if "insensitive_" not in found.values:
        return Measure(name, np.nan, np.nan, _GROUP, "A regression task has no classes.")
    value = found.values["insensitive_"]
    text = f"Averaged over classes, {found.path.words} agree beyond chance at {value.value:.3f} (± {value.error:.3f})."
    return Measure(name, value.value, value.error, _GROUP, text)


def _aggregates(view: View, found: list[_Found], why: str) -> list[Measure]:
    names = {f"homophily_{key}": words for key, words in _AGGREGATES.items()}
    drawn = draws([f.values[""] for f in found], view.seed) if found else np.full((1, 1), np.nan)
    exists = np.isfinite(drawn[0])
    if not exists.any():
        text = why or "Labels of the entities that paths join do not vary."
        return [Measure(name, np.nan, np.nan, _GROUP, text) for name in (*names, *_MEANS)]
    weights = np.array([f.pairs for f in found], dtype=np.float64)[exists]
    table = np.column_stack(_summaries(drawn[:, exists], weights / weights.sum()))
    errors = table[1:].std(axis=0, ddof=1)
    verb = "correlate at" if view.classes == 0 else "agree, beyond chance, at"
    measures = [
        Measure(name, float(value), float(error), _GROUP, _aggregate_text(name, words, verb, value, error))
        for (name, words), value, error in zip(names.items(), table[0], errors, strict=True)
    ]
    return [*measures, *_means(view, [f for f, there in zip(found, exists, strict=True) if there])]


def _means(view: View, found: list[_Found]) -> list[Measure]:
    """Return the means over paths of class-insensitive and of neighbourhood-aggregated homophily."""
    if view.classes == 0:
        first = Measure(_MEANS[0], np.nan, np.nan, _GROUP, "A regression task has no classes.")
    else:
        first = _mean(_MEANS[0], draws([f.values["insensitive_"] for f in found], view.seed), "class-insensitive")
    drawn = draws([f.values["aggregated_"] for f in found], view.seed)
    return [first, _mean(_MEANS[1], drawn, "neighbourhood-aggregated")]


def _mean(name: str, drawn: NDArray[np.float64], kind: str) -> Measure:
    drawn = drawn[:, np.isfinite(drawn[0])]
    if not drawn.shape[1]:
        return Measure(name, np.nan, np.nan, _GROUP, "Labels of the entities that paths join do not vary.")
    mean = drawn.mean(axis=1)
    value, error = float(mean[0]), float(mean[1:].std(ddof=1))
    return Measure(
        name, value, error, _GROUP, f"The mean over paths of {kind} homophily is {value:.3f} (± {error:.3f})."
    )


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


def _aggregate_text(name: str, words: str, verb: str, value: float, error: float) -> str:
    if name in ("homophily_abs_mean", "homophily_variance"):
        return f"{words} of the homophily is {value:.3f} (± {error:.3f})."
    return f"{words}: labels of joined entities {verb} {value:.3f} (± {error:.3f})."


def _paths_text(exist: int, paths: int, late: int, left_out: int) -> str:
    missed = f"; the time ended before {late} of them" if late else ""
    more = f"; {left_out} further paths that mix two ways were left out" if left_out else ""
    return f"{exist} of {paths} paths between entities have labelled pairs{missed}{more}."
