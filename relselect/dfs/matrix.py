"""Computes a plan for task rows: one pass per column read, whatever the number of windows and aggregates.

Ages and times since are days in a timestamp database and plain units in an integer-time one, counted back from the
cutoff. The matrix is column-major, so a trial that uses fewer features takes a view's cost, not a new computation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.database.clock import DAY, ticks_of
from relselect.database.columns import as_float, as_strings
from relselect.database.table import SemanticType
from relselect.dfs import prefix
from relselect.dfs.encoding import Vocabulary, source_of
from relselect.dfs.feature import Aggregate, Feature, Route, split_path
from relselect.dfs.paths import Paths
from relselect.dfs.plan import Plan
from relselect.dfs.prefix import Index, Moments, Spans

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["FeatureMatrix", "compute"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MOMENTS = (Aggregate.SUM, Aggregate.MEAN, Aggregate.STD)
_CODED = (Aggregate.NUM_UNIQUE, Aggregate.MODE, Aggregate.SHARE)


@dataclass(frozen=True)
class FeatureMatrix:
    """Features of n task rows.

    Attributes:
        values: float64 of shape (n, k), column-major; nan is missing, categories are numbers of a vocabulary.
        names: The features' names, k of them.
        categorical: Which columns hold categories, k flags.
    """

    values: Floats
    names: tuple[str, ...]
    categorical: tuple[bool, ...]

    def take(self, places: Sequence[int]) -> FeatureMatrix:
        """Return the matrix with only those columns, in that order."""
        return FeatureMatrix(
            np.asfortranarray(self.values[:, list(places)]),
            tuple(self.names[place] for place in places),
            tuple(self.categorical[place] for place in places),
        )


def compute(
    problem: Problem, plan: Plan, rows: Rows, vocabulary: Vocabulary, check: Callable[[], None] = lambda: None
) -> FeatureMatrix:
    """Return the features of task rows.

    Args:
        problem: Supplies the database; sorted structures stay in its cache.
        plan: k features.
        rows: n task rows.
        vocabulary: The categories, as fitted.
        check: Called between columns; may raise to stop.
    """
    reader = _Reader(problem, rows, vocabulary)
    values = np.full((len(rows), len(plan)), np.nan, order="F")
    groups: dict[tuple[Route, str | None, bool], list[int]] = {}
    for place, feature in enumerate(plan):
        groups.setdefault((feature.path, feature.column, _is_own(feature)), []).append(place)
    for (route, column, own), places in groups.items():
        check()
        features = [plan.features[place] for place in places]
        if own:
            found = [reader.own(feature) for feature in features]
        elif not split_path(route)[1]:
            found = [reader.direct(feature) for feature in features]
        else:
            found = reader.aggregated(route, column, features)
        for place, result in zip(places, found, strict=True):
            values[:, place] = result
    return FeatureMatrix(values, plan.names, tuple(feature.categorical for feature in plan))


def _is_own(feature: Feature) -> bool:
    return feature.aggregate in (Aggregate.CALENDAR, Aggregate.DELAY, Aggregate.ROW)


class _Reader:
    """Reads features of one set of task rows."""

    def __init__(self, problem: Problem, rows: Rows, vocabulary: Vocabulary) -> None:
        self.problem, self.rows, self.vocabulary = problem, rows, vocabulary
        self.paths = Paths(problem)
        self.unit = DAY if problem.task.time_kind == "timestamp" else 1
        self._owners: dict[Route, Ints] = {}
        self._spans: dict[tuple[str, Route, int | None], Spans] = {}

    def own(self, feature: Feature) -> Floats:
        """Return what the task row itself says."""
        if feature.aggregate == Aggregate.DELAY:
            return self.rows.delay / self.unit
        if feature.aggregate == Aggregate.CALENDAR:
            return _calendar(feature.column or "", self.rows.cutoff)
        if self.rows.features is None:
            return np.full(len(self.rows), np.nan)
        column = self.rows.features[feature.column]
        if feature.type == SemanticType.CATEGORICAL:
            codes, words = as_strings(column)
            return self.vocabulary.encode(source_of(feature, self.problem.entity), codes.astype(np.float64), words)
        if feature.type == SemanticType.TIMESTAMP:
            return self._age(np.where(column.is_null().to_numpy(), np.nan, ticks_of(column).astype(np.float64)))
        return as_float(column)

    def direct(self, feature: Feature) -> Floats:
        """Return a column of the entity's row or of a row above it."""
        table, column = source_of(feature, self.problem.entity)
        at = self.paths.direct(feature.path, column, self.rows)
        if feature.type == SemanticType.CATEGORICAL:
            codes, words = self.paths.codes(table, column)
            return self.vocabulary.encode((table, column), _pick(codes.astype(np.float64), at), words)
        values = _pick(self.paths.floats(table, column, feature.type), at)
        return self._age(values) if feature.type == SemanticType.TIMESTAMP else values

    def aggregated(self, route: Route, column: str | None, features: list[Feature]) -> list[Floats]:
        """Return features that read one column of one relation."""
        up, down, then = split_path(route)
        name, index = self.paths.index(down, then, column)
        if up not in self._owners:
            self._owners[up] = self.paths.owners(up, self.rows)
        for feature in features:
            key = (name, up, feature.window)
            if key not in self._spans:
                after = None if feature.window is None else self.rows.cutoff - feature.window
                self._spans[key] = index.spans(self._owners[up], self.rows.asof, after)
        spans = {feature.window: self._spans[name, up, feature.window] for feature in features}
        reading = _Column(self.paths, index, down[-1].table, then, column, spans)
        return [self._finish(feature, reading.read(feature)) for feature in features]

    def _finish(self, feature: Feature, values: Floats) -> Floats:
        if feature.categorical:
            source = source_of(feature, self.problem.entity)
            return self.vocabulary.encode(source, values, self.paths.codes(*source)[1])
        since = feature.aggregate in (Aggregate.SINCE_LAST, Aggregate.SINCE_FIRST)
        stamp = feature.type == SemanticType.TIMESTAMP and feature.aggregate not in _CODED
        return self._age(values) if since or stamp else values

    def _age(self, ticks: Floats) -> Floats:
        return np.asarray((self.rows.cutoff - ticks) / self.unit)


class _Column:
    """One column over the spans of one index: reads the values once for all aggregates."""

    def __init__(
        self, paths: Paths, index: Index, table: str, then: Route, column: str | None, spans: dict[int | None, Spans]
    ) -> None:
        self.paths, self.index, self.column, self.spans = paths, index, column, spans
        self.at = index.order if not then else paths.ascend(table, then)[index.order]
        self.table = then[-1].table if then else table
        self._floats: dict[SemanticType, Floats] = {}
        self._codes: tuple[Ints, list[str]] | None = None
        self._moments: dict[int | None, Moments] | None = None

    def read(self, feature: Feature) -> Floats:
        """Return one aggregate, shape (n,): times as ticks, categories as the column's own codes."""
        span = self.spans[feature.window]
        whole = feature.window is None
        match feature.aggregate:
            case Aggregate.COUNT:
                return np.where(span.empty, 0, span.hi - span.lo).astype(np.float64)
            case Aggregate.SINCE_LAST | Aggregate.SINCE_FIRST:
                return prefix.edge(
                    self.index.times.astype(np.float64), span, last=feature.aggregate == Aggregate.SINCE_LAST
                )
            case Aggregate.NUM_UNIQUE:
                return prefix.distinct(self.index, self._coded(feature)[0], span, whole=whole)
            case Aggregate.MODE:
                return prefix.mode(self.index, self._coded(feature)[0], span, whole=whole)
            case Aggregate.SHARE:
                codes, words = self._coded(feature)
                wanted = words.index(feature.category) if feature.category in words else -2
                return prefix.share(codes == wanted, codes >= 0, span)
            case Aggregate.FIRST | Aggregate.LAST if feature.categorical:
                return prefix.edge(
                    self._coded(feature)[0].astype(np.float64), span, last=feature.aggregate == Aggregate.LAST
                )
        return self._numeric(feature, span)

    def _numeric(self, feature: Feature, span: Spans) -> Floats:
        values = self._values(feature.type)
        match feature.aggregate:
            case Aggregate.PERCENT_TRUE:
                return prefix.share(values == 1.0, np.ones(len(values), dtype=bool), span)
            case Aggregate.FIRST | Aggregate.LAST:
                return prefix.edge(values, span, last=feature.aggregate == Aggregate.LAST)
            case Aggregate.MIN | Aggregate.MAX:
                return prefix.extreme(self.index, values, span, largest=feature.aggregate == Aggregate.MAX)
        if self._moments is None:
            windows = list(self.spans)
            found = prefix.moments(self.index, values, [self.spans[window] for window in windows])
            self._moments = dict(zip(windows, found, strict=True))
        moments = self._moments[feature.window]
        return {Aggregate.SUM: moments.sum, Aggregate.MEAN: moments.mean, Aggregate.STD: moments.std}[feature.aggregate]

    def _values(self, kind: SemanticType) -> Floats:
        if kind not in self._floats:
            self._floats[kind] = _pick(self.paths.floats(self.table, self.column or "", kind), self.at)
        return self._floats[kind]

    def _coded(self, feature: Feature) -> tuple[Ints, list[str]]:
        if feature.type == SemanticType.KEY:
            return self.at, []
        if self._codes is None:
            codes, words = self.paths.codes(self.table, self.column or "")
            self._codes = _pick(codes.astype(np.float64), self.at, -1.0).astype(np.int64), words
        return self._codes


def _pick(values: Floats, at: Ints, missing: float = np.nan) -> Floats:
    """Return `values[at]`, and `missing` where `at` is -1."""
    if not len(values):
        return np.full(len(at), missing)
    return np.where(at >= 0, values[np.maximum(at, 0)], missing)


_PARTS: dict[str, Callable[[NDArray[np.datetime64]], Floats]] = {
    "month": lambda moment: (moment.astype("datetime64[M]").astype(np.int64) % 12 + 1).astype(np.float64),
    "day_of_year": lambda moment: (
        (moment.astype("datetime64[D]") - moment.astype("datetime64[Y]")).astype(np.float64) + 1
    ),
    "weekday": lambda moment: ((moment.astype("datetime64[D]").astype(np.int64) + 3) % 7).astype(np.float64),
    "hour": lambda moment: (moment.astype("datetime64[h]").astype(np.int64) % 24).astype(np.float64),
}


def _calendar(part: str, cutoff: Ints) -> Floats:
    """Return a calendar part of the cutoffs in UTC: month 1-12, day_of_year 1-366, weekday 0-6 (Monday 0), hour 0-23."""
    return _PARTS[part](cutoff.astype("datetime64[us]"))
