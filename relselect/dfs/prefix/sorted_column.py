"""Aggregates of one column, or one nested feature, over the spans of one index, read once for all windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.prefix import index as prefix
from relselect.dfs.prefix.index import Index, Moments, Spans

__all__ = ["Coded", "SortedColumn", "ColumnValues"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Codes (-1 for missing), and the value of each code.
Coded = tuple[Ints, list[str]]

_MOMENTS = (Aggregate.SUM, Aggregate.MEAN, Aggregate.STD, Aggregate.SKEW)
_EDGES = (Aggregate.FIRST, Aggregate.LAST)
_LEVELS = {Aggregate.MEDIAN: 0.5}


@dataclass(frozen=True)
class ColumnValues:
    """The values that the rows of an index have.

    Attributes:
        floats: Given rows of the index (`Index.rows` or `Index.order`) and a type, values as numbers, nan for missing.
        codes: Given rows and a type, values as codes ordered by value (-1 for missing), and the value of each code.
    """

    floats: Callable[[Ints, SemanticType], Floats]
    codes: Callable[[Ints, SemanticType], Coded]


@dataclass
class SortedColumn:
    """Aggregates of one column.

    Rows of one key and time are ordered by content for first and last values only: other aggregates do not depend on their
    order, and read the rows in the cheaper one.

    Attributes:
        index: The sorted rows.
        values: Their values; None where only the rows count.
        spans: Ranges of task rows by window.
        unit: Ticks of a day, or of one unit of integer times.
    """

    index: Index
    values: ColumnValues | None
    spans: Mapping[int | None, Spans]
    unit: int
    _floats: dict[tuple[SemanticType, bool], Floats] = field(default_factory=dict)
    _codes: dict[tuple[SemanticType, bool], Coded] = field(default_factory=dict)
    _moments: dict[bool, dict[int | None, Moments]] = field(default_factory=dict)
    _third: bool = False

    def expect(self, features: list[Feature]) -> None:
        """Announce the features that will be read, so that one pass serves all of them."""
        self._third = any(feature.aggregate == Aggregate.SKEW for feature in features)

    def read(self, feature: Feature) -> Floats:
        """Return one aggregate, shape (n,): times as ticks, categories as the column's own codes, lengths of time in units."""
        span = self.spans[feature.window]
        match feature.aggregate:
            case Aggregate.COUNT:
                return np.where(span.empty, 0, span.hi - span.lo).astype(np.float64)
            case Aggregate.SINCE_LAST | Aggregate.SINCE_FIRST:
                last = feature.aggregate == Aggregate.SINCE_LAST
                return prefix.edge(self.index.times.astype(np.float64), span, last=last)
            case Aggregate.TIME_BETWEEN:
                return self._between(span)
            case Aggregate.NUM_UNIQUE | Aggregate.MODE | Aggregate.ENTROPY | Aggregate.SHARE:
                return self._counted(feature, span)
            case Aggregate.FIRST | Aggregate.LAST if feature.categorical:
                codes = self._coded(feature.type, ordered=True)[0].astype(np.float64)
                return prefix.edge(codes, span, last=feature.aggregate == Aggregate.LAST)
        return self._numeric(feature, span)

    def words(self, kind: SemanticType) -> list[str]:
        """Return the value of each of the column's codes."""
        return self._coded(kind, ordered=False)[1]

    def _between(self, span: Spans) -> Floats:
        times = self.index.times
        number = span.hi - span.lo
        if not len(times):
            return np.full(len(number), np.nan)
        some = number > 1
        first, last = times[np.where(some, span.lo, 0)], times[np.where(some, span.hi - 1, 0)]
        return np.where(some, (last - first) / self.unit / np.maximum(number - 1, 1), np.nan)

    def _counted(self, feature: Feature, span: Spans) -> Floats:
        codes, words = self._coded(feature.type, ordered=False)
        whole = feature.window is None
        match feature.aggregate:
            case Aggregate.NUM_UNIQUE:
                return prefix.distinct(self.index, codes, span, whole=whole)
            case Aggregate.MODE:
                return prefix.mode(self.index, codes, span, whole=whole)
            case Aggregate.ENTROPY:
                return prefix.entropy(self.index, codes, span)
        wanted = words.index(feature.category) if feature.category in words else -2
        return prefix.share(codes == wanted, codes >= 0, span)

    def _numeric(self, feature: Feature, span: Spans) -> Floats:
        if feature.aggregate in _EDGES:
            values = self._read(feature.type, ordered=True)
            return prefix.edge(values, span, last=feature.aggregate == Aggregate.LAST)
        values, whole = self._read(feature.type, ordered=False), feature.window is None
        match feature.aggregate:
            case Aggregate.PERCENT_TRUE:
                return prefix.share(values == 1.0, np.ones(len(values), dtype=bool), span)
            case Aggregate.MIN | Aggregate.MAX:
                largest = feature.aggregate == Aggregate.MAX
                return prefix.extreme(self.index, values, span, largest=largest, whole=whole)
            case Aggregate.MEDIAN | Aggregate.QUANTILE:
                level = _LEVELS.get(feature.aggregate, feature.level)
                return prefix.quantile(self.index, values, span, [0.5 if level is None else level])[0]
            case Aggregate.TREND:
                return prefix.trend(self.index, values, self.index.times, span, self.unit)
        moments = self._moment(feature.type)[feature.window]
        found = (moments.sum, moments.mean, moments.std, moments.skew)
        return found[_MOMENTS.index(feature.aggregate)]

    def _moment(self, kind: SemanticType) -> dict[int | None, Moments]:
        if self._third not in self._moments:
            windows = list(self.spans)
            values = self._read(kind, ordered=False)
            found = prefix.moments(self.index, values, [self.spans[w] for w in windows], third=self._third)
            self._moments[self._third] = dict(zip(windows, found, strict=True))
        return self._moments[self._third]

    def _read(self, kind: SemanticType, *, ordered: bool) -> Floats:
        if (kind, ordered) not in self._floats:
            assert self.values is not None
            rows = self.index.order if ordered else self.index.rows
            self._floats[kind, ordered] = self.values.floats(rows, kind)
        return self._floats[kind, ordered]

    def _coded(self, kind: SemanticType, *, ordered: bool) -> Coded:
        if (kind, ordered) not in self._codes:
            assert self.values is not None
            rows = self.index.order if ordered else self.index.rows
            self._codes[kind, ordered] = self.values.codes(rows, kind)
        return self._codes[kind, ordered]
