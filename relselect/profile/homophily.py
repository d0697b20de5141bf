"""Homophily per self-loop meta-path: do entities that are joined have like labels?

A pair is (train row u, another entity v) reached over rows visible at u's `asof`, counted once; it compares
u's label with the mean of v's labels known by then. Classification: h is the mean dot product of the two
label distributions, b the dot product of the two sides' mean distributions, adjusted h is (h - b) / (1 - b).
Regression: Pearson correlation, where b is 0. For static tasks a pair is two entities with train labels,
unordered.

The idea (agreement over two-hop paths, adjusted for chance) is Relatron's; pairs, time order and errors are
ours. Errors come from a bootstrap of u's entities, the same draws for all paths, so that aggregates over
paths have errors too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.profile.bootstrap import clusters_of, draw_weights, sums_by_cluster
from relselect.profile.hashing import mix
from relselect.profile.measure import Measure
from relselect.profile.paths import MetaPath, find_paths
from relselect.profile.reach import Reach
from relselect.profile.statistics import adjusted, agreement, agreement_columns, pearson, pearson_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.profile.view import View

__all__ = ["homophily_measures"]

_GROUP = "homophily"
_MOST_SOURCES = 3000
_MOST_PATHS = 24
_LEAST_PAIRS = 30
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
    """A path's sums per cluster, shape (clusters, k), and what it took."""

    path: MetaPath
    sums: NDArray[np.float64]
    seconds: float

    @property
    def pairs(self) -> int:
        """How many pairs were compared."""
        return int(self.sums[:, 0].sum())


def homophily_measures(view: View, budget: Budget) -> list[Measure]:
    """Return the aggregates over paths, then two measures (adjusted and raw) per path.

    Args:
        view: The train rows.
        budget: Paths are measured while there is time.
    """
    known = find_paths(view.problem.database, view.problem.entity)
    paths = sorted(known, key=lambda path: not path.symmetric)[:_MOST_PATHS]
    why = _why_not(view, paths)
    found = [] if why else _measure(view, paths, budget)
    late = len(paths) - len(found) if not why else 0
    left_out = len(known) - len(paths)
    exist = [f for f in found if f.pairs >= _LEAST_PAIRS]
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
    return "" if len(view) else "No training row belongs to a known entity."


def _measure(view: View, paths: list[MetaPath], budget: Budget) -> list[_Found]:
    sides = _Static(view) if view.problem.task.static else _Timed(view)
    found = []
    for path in paths:
        if budget.spent:
            break
        begun = time.monotonic()
        row, other = sides.reach.pairs(path)
        row, p, q = sides.compared(row, other)
        columns = pearson_columns(p[:, 0], q[:, 0]) if view.classes == 0 else agreement_columns(p, q)
        sums = sums_by_cluster(sides.clusters[row], int(sides.clusters.max(initial=-1)) + 1, columns)
        found.append(_Found(path, sums, time.monotonic() - begun))
    return found


class _Timed:
    """Sources are train rows, compared with the labels of others known by their `asof`."""

    def __init__(self, view: View) -> None:
        assert view.history is not None
        self.view, self.history = view, view.history
        key = mix(view.key, view.cutoff, view.seed)
        self.rows = np.argsort(key, kind="stable")[:_MOST_SOURCES]
        self.clusters = clusters_of(view.key[self.rows])
        targets = view.history.entity[np.sort(np.unique(view.history.order[view.history.entity], return_index=True)[1])]
        self.reach = Reach(
            view.problem.database, view.problem.entity, view.entity[self.rows], view.asof[self.rows], key[self.rows],
            targets, limit=view.problem.fit_asof,
        )  # fmt: skip
        total = _encoded(view, view.history.label)
        self.total = np.concatenate([np.zeros((1, total.shape[1])), np.cumsum(total, axis=0)])

    def compared(
        self, row: NDArray[np.int64], other: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the pairs that have a known label: source number and the two sides, each (pairs, width)."""
        begin, end = self.history.known_before(other, self.reach.asof[row])
        known = end > begin
        row, begin, end = row[known], begin[known], end[known]
        mean = (self.total[end] - self.total[begin]) / (end - begin)[:, None]
        return row, _encoded(self.view, self.view.label[self.rows[row]]), mean


class _Static:
    """Sources are entities with their mean train label; pairs are unordered."""

    def __init__(self, view: View) -> None:
        key, first, place = np.unique(view.key, return_index=True, return_inverse=True)
        place = place.reshape(-1)
        labels = _encoded(view, view.label)
        counts = np.bincount(place)[:, None]
        own = sums_by_cluster(place, len(key), list(labels.T)) / counts
        entity = view.entity[first]
        chosen = np.argsort(mix(key, view.seed), kind="stable")[:_MOST_SOURCES]
        self.own, self.chosen = own, chosen
        self.number = np.full(view.problem.database[view.problem.entity].num_rows, -1, dtype=np.int64)
        self.number[entity] = np.arange(len(key))
        self.clusters = clusters_of(key[chosen])
        self.reach = Reach(
            view.problem.database, view.problem.entity, entity[chosen], view.asof[first][chosen],
            mix(key[chosen], view.seed), entity, limit=view.problem.fit_asof,
        )  # fmt: skip

    def compared(
        self, row: NDArray[np.int64], other: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return each unordered pair once: source number and the two sides, each (pairs, width)."""
        one, two = self.chosen[row], self.number[other]
        code = np.minimum(one, two) * len(self.own) + np.maximum(one, two)
        _, keep = np.unique(code, return_index=True)
        return row[keep], self.own[one[keep]], self.own[two[keep]]


def _encoded(view: View, label: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return labels as rows: one-hot classes, or the centred value."""
    if view.classes == 0:
        return (label - view.label.mean())[:, None]
    return np.eye(view.classes)[label.astype(int)]


def _of_path(view: View, found: _Found) -> list[Measure]:
    names = f"homophily[{found.path.name}]", f"raw_homophily[{found.path.name}]"
    if found.pairs < _LEAST_PAIRS:
        text = f"Only {found.pairs} pairs of {found.path.words} have labels."
        return [Measure(name, np.nan, np.nan, _GROUP, text, found.seconds * (name == names[0])) for name in names]
    value, stderr = (float(v[0]) for v in _values(view, [found.sums]))
    raw, raw_error = (float(v[0]) for v in _values(view, [found.sums], raw=True))
    if np.isnan(value):
        text = f"Labels of {found.path.words} do not vary."
        return [Measure(n, v, np.nan, _GROUP, text) for n, v in zip(names, (value, raw), strict=True)]
    kind = "correlate at" if view.classes == 0 else "agree, beyond chance, at"
    text = f"Labels of {found.path.words} {kind} {value:.3f} (± {stderr:.3f}; {found.pairs:,} pairs)."
    raw_text = "The same without adjustment." if view.classes else "The same; a correlation needs no adjustment."
    return [
        Measure(names[0], value, stderr, _GROUP, text, found.seconds),
        Measure(names[1], raw, raw_error, _GROUP, raw_text),
    ]


def _values(
    view: View, sums: list[NDArray[np.float64]], *, raw: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the homophily of each path and its standard error, two arrays of shape (paths,)."""
    drawn = _drawn(view, sums, raw=raw)
    return drawn[0], _error(drawn[1:])


def _drawn(view: View, sums: list[NDArray[np.float64]], *, raw: bool = False) -> NDArray[np.float64]:
    """Return the homophily of each path: on the data (first row), then on every draw; shape (1 + draws, paths)."""
    statistic = pearson if view.classes == 0 else agreement if raw else adjusted
    weights = draw_weights(len(sums[0]), view.seed)
    weights = np.concatenate([np.ones((1, weights.shape[1])), weights])
    return np.column_stack([statistic(weights @ s) for s in sums])


def _error(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    defined = np.isfinite(drawn).sum(axis=0)
    error = np.array([np.nanstd(d, ddof=1) if n > 10 else np.nan for d, n in zip(drawn.T, defined, strict=True)])
    return error


def _aggregates(view: View, found: list[_Found], why: str) -> list[Measure]:
    names = {f"homophily_{key}": words for key, words in _AGGREGATES.items()}
    drawn = _drawn(view, [f.sums for f in found]) if found else np.full((1, 1), np.nan)
    exists = np.isfinite(drawn[0])
    if not exists.any():
        text = why or "Labels of the entities that paths join do not vary."
        return [Measure(name, np.nan, np.nan, _GROUP, text) for name in names]
    weights = np.array([f.pairs for f in found], dtype=np.float64)[exists]
    table = np.column_stack(_summaries(drawn[:, exists], weights / weights.sum()))
    errors = _error(table[1:])
    verb = "correlate at" if view.classes == 0 else "agree, beyond chance, at"
    return [
        Measure(name, float(value), float(error), _GROUP, _aggregate_text(name, words, verb, value, error))
        for (name, words), value, error in zip(names.items(), table[0], errors, strict=True)
    ]


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
