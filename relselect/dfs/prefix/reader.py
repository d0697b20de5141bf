"""Reads features for rows of any table: for the entities of task rows, and for the rows on the path of nested features.

Nested features are exact: the rows of the outer step are materialised as (row, child) pairs, a bounded number at a time; the
inner feature is read for the children at the row's own cutoff and asof, and aggregated per row. The cost is linear in the
pairs. All windows of the outer step share the same pairs, and so do rows with the same (owner, cutoff, asof).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Condition, Feature, Route
from relselect.dfs.plan.window_start import window_start
from relselect.dfs.prefix.index import Index, Spans
from relselect.dfs.prefix.kernels_pairs import distinct_rows
from relselect.dfs.prefix.paths import Paths, pick
from relselect.dfs.prefix.sorted_column import Coded, ColumnValues, SortedColumn
from relselect.tasks import Rows

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["MOST_PAIRS", "Family", "RawValues", "PrefixReader", "at_a_time", "families", "grouped"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: A feature's values, and for categories what its codes stand for.
RawValues = tuple[Floats, list[str] | None]
#: What features of one set of rows share: path, condition, whether they are nested.
Family = tuple[Route, Condition | None, bool]

#: (row, child) pairs materialised at a time.
MOST_PAIRS = 1_000_000
#: A pass over so many rows of a table takes as long as one look-up of a pair or task row in it.
_PASS = 8
#: Equal rows are read once if distinct rows are at most this share of all.
_FEW = 0.75

_CODED = (Aggregate.NUM_UNIQUE, Aggregate.MODE, Aggregate.SHARE, Aggregate.ENTROPY)
_LENGTHS = (Aggregate.STD, Aggregate.TREND)
_EDGES = (Aggregate.FIRST, Aggregate.LAST)
#: Aggregates that are 0 for no rows; the others are missing.
_ZERO = (Aggregate.COUNT, Aggregate.SUM)


def families(features: Iterable[Feature]) -> dict[Family, list[int]]:
    """Return the positions of features by the set of rows that they read."""
    found: dict[Family, list[int]] = {}
    for place, feature in enumerate(features):
        found.setdefault((feature.path, feature.where, feature.base is not None), []).append(place)
    return found


def grouped(features: list[Feature], places: Iterable[int]) -> list[list[int]]:
    """Return positions of features of one family in groups that one pass reads together."""
    groups: dict[str | None, list[int]] = {}
    for place in places:
        groups.setdefault(features[place].column, []).append(place)
    return list(groups.values())


def at_a_time(problem: Problem, features: Iterable[Feature], least: int) -> int:
    """Return how many rows to read features for at a time: enough that passes over the tables do not dominate the cost.

    Args:
        problem: Supplies the tables.
        features: The features read.
        least: The smallest answer.
    """
    tables = {table for feature in features for table in feature.tables}
    return max(least, max((problem.database[table].num_rows for table in tables), default=0) // _PASS)


class PrefixReader:
    """Reads features for one set of rows.

    Args:
        problem: Supplies the database; sorted structures stay in its cache.
        table: The table that `rows.entity` numbers rows of.
        rows: The rows: entity, cutoff, asof.
        check: Called often; may raise to stop.
    """

    def __init__(self, problem: Problem, table: str, rows: Rows, check: Callable[[], None] = lambda: None) -> None:
        self.problem, self.table, self.rows, self.check = problem, table, rows, check
        self.paths = Paths(problem)
        self.unit = DAY if problem.task.time_kind == "timestamp" else 1
        self._above: dict[Route, tuple[PrefixReader, Ints | None]] = {}
        self._ranges: dict[tuple[Index, int | None], Spans] = {}
        self._own: dict[Index, Index] = {}

    def every(self, features: list[Feature]) -> Iterator[tuple[Feature, RawValues]]:
        """Yield each feature with its values, in any order; not features of the task row."""
        for family in families(features).values():
            for places in grouped(features, family):
                mine = [features[place] for place in places]
                yield from zip(mine, self.read(mine), strict=True)
            self._forget()

    def _forget(self) -> None:
        self._ranges.clear()
        self._own.clear()
        for reader, _ in self._above.values():
            reader._forget()

    def read(self, features: list[Feature]) -> Iterator[RawValues]:
        """Yield the values of features of one group, in their order and in the plan's units."""
        up, down, _ = features[0].parts
        if not down:
            return (self._direct(feature) for feature in features)
        if up:
            return self._from_above(up, features)
        return self._nested(features) if features[0].base is not None else self._aggregated(features)

    def age(self, ticks: Floats) -> Floats:
        """Return times (ticks) as ages at the cutoff, in days or units, shape (n,)."""
        return np.asarray((self.rows.cutoff - ticks) / self.unit)

    def _direct(self, feature: Feature) -> RawValues:
        self.check()
        column = feature.column or ""
        table = self.paths.table_at(feature.path, self.table)
        at = self.paths.direct(feature.path, column, self.rows, self.table)
        if feature.type == SemanticType.CATEGORICAL:
            codes, words = self.paths.codes(table, column)
            return pick(codes, at), words
        values = self.paths.floats(table, column, feature.type, at)
        return (self.age(values) if feature.type == SemanticType.TIMESTAMP else values), None

    def _from_above(self, up: Route, features: list[Feature]) -> Iterator[RawValues]:
        """Yield features whose path begins with steps up: the rest of the path, read for the parents."""
        if up not in self._above:
            owners = self.paths.owners(up, self.rows, self.table)
            rows, numbers = _distinct(owners, self.rows)
            self._above[up] = PrefixReader(self.problem, up[-1].table, rows, self.check), numbers
        reader, numbers = self._above[up]
        for values, words in reader.read([replace(feature, path=feature.path[len(up) :]) for feature in features]):
            yield values if numbers is None else values[numbers], words

    def _aggregated(self, features: list[Feature]) -> Iterator[RawValues]:
        first = features[0]
        _, down, then = first.parts
        index = self._own_rows(self.paths.index(self.table, down, then, first.column, first.where))
        spans = {window: self._span(index, window) for window in _windows(features)}
        column = SortedColumn(index, self._values(down[-1].table, then, first.column), spans, self.unit)
        column.expect(features)
        for feature in features:
            self.check()
            yield self._finish(feature, column)

    def _own_rows(self, index: Index) -> Index:
        """Return an index without the rows of other owners than those asked for, where they are most of it.

        What a request for a few rows costs then depends on what belongs to them, not on the size of the tables.
        """
        most = len(index) // _PASS
        if len(self.rows) > most:
            return index
        if index not in self._own:
            self._own[index] = index.of_keys(self._owners, most)
        return self._own[index]

    @cached_property
    def _owners(self) -> Ints:
        return self.paths.owners((), self.rows, self.table)

    def _span(self, index: Index, window: int | None) -> Spans:
        if (index, window) not in self._ranges:
            after = None if window is None else window_start(self.rows.cutoff, self.rows.asof, window)
            self._ranges[index, window] = index.spans(self._owners, self.rows.asof, after)
        return self._ranges[index, window]

    def _values(self, table: str, then: Route, column: str | None) -> ColumnValues:
        end = self.paths.table_at(then, table)

        def floats(rows: Ints, kind: SemanticType) -> Floats:
            return self.paths.floats(end, column or "", kind, self.paths.ascend(table, then, rows))

        def codes(rows: Ints, kind: SemanticType) -> Coded:
            at = self.paths.ascend(table, then, rows)
            if kind == SemanticType.KEY:
                return at, []
            found, words = self.paths.codes(end, column or "")
            return (np.where(at < 0, -1, found[at]) if len(found) else np.full(len(at), -1)), words

        return ColumnValues(floats, codes)

    def _finish(self, feature: Feature, column: SortedColumn) -> RawValues:
        values = column.read(feature)
        if feature.categorical:
            return values, column.words(feature.type)
        since = feature.aggregate in (Aggregate.SINCE_LAST, Aggregate.SINCE_FIRST)
        stamp = feature.type == SemanticType.TIMESTAMP and feature.aggregate not in _CODED
        if stamp and feature.aggregate in _LENGTHS:
            return values / self.unit, None
        return (self.age(values) if since or stamp else values), None

    def _nested(self, features: list[Feature]) -> Iterator[RawValues]:
        """Yield nested features with one outer step and condition."""
        index = self._own_rows(self.paths.index(self.table, features[0].path, where=features[0].where))
        spans = {window: self._span(index, window) for window in _windows(features)}
        lo = np.minimum.reduce([np.minimum(span.lo, span.hi) for span in spans.values()])
        sizes = next(iter(spans.values())).hi - lo
        some = np.flatnonzero(sizes)
        found = [np.full(len(sizes), 0.0 if feature.aggregate in _ZERO else np.nan) for feature in features]
        words: list[list[str] | None] = [None] * len(features)
        for start, stop in _chunks(sizes[some], at_a_time(self.problem, features, MOST_PAIRS)):
            part = some[start:stop]
            pairs = _Pairs(self, index, features, lo[part], sizes[part], self.rows.take(part))
            ranges = {window: Spans(span.lo[part], span.hi[part]) for window, span in spans.items()}
            for place, (values, named) in pairs.read(ranges):
                found[place][part], words[place] = values, named
        yield from zip(found, words, strict=True)


class _Pairs:
    """The (row, child) pairs of a few rows, materialised.

    Args:
        reader: The reader for all rows.
        index: The index of the children.
        features: Nested features with one outer step and condition.
        lo: The place in the index of each row's first child in any window, shape (n,).
        sizes: Children of each row in any window, shape (n,).
        rows: The few rows, n of them.
    """

    def __init__(
        self, reader: PrefixReader, index: Index, features: list[Feature], lo: Ints, sizes: Ints, rows: Rows
    ) -> None:
        self.reader, self.features, self.lo = reader, features, lo
        self.start = np.cumsum(sizes) - sizes
        row = np.repeat(np.arange(len(sizes)), sizes)
        at = np.arange(len(row)) + (lo - self.start)[row]
        ordered = any(feature.aggregate in _EDGES for feature in features)
        children = Rows((index.order if ordered else index.rows)[at], rows.cutoff[row], rows.asof[row])
        self.times = index.times[at]
        self.inner = PrefixReader(reader.problem, features[0].path[-1].table, children, reader.check)

    def read(self, ranges: dict[int | None, Spans]) -> Iterator[tuple[int, RawValues]]:
        """Yield the places of the features and their values for the few rows.

        Args:
            ranges: Places in the index of each row's children, by window.
        """
        wanted: dict[Feature, dict[int | None, list[int]]] = {}
        for place, feature in enumerate(self.features):
            if feature.base is not None:
                wanted.setdefault(feature.base, {}).setdefault(feature.window, []).append(place)
        segments = {window: self._segments(span) for window, span in ranges.items()}
        for base, (values, words) in self.inner.every(list(wanted)):
            for window, places in wanted[base].items():
                index, span, chosen = segments[window]
                mine = [self.features[place] for place in places]
                given = _computed_values(values if chosen is None else values[chosen], words)
                column = SortedColumn(index, given, {window: span}, self.reader.unit)
                column.expect(mine)
                for place, feature in zip(places, mine, strict=True):
                    yield place, (column.read(feature), column.words(feature.type) if feature.categorical else None)

    def _segments(self, span: Spans) -> tuple[Index, Spans, Ints | None]:
        """Return the pairs inside a window as an index of their own, so that other windows do not touch their sums."""
        sizes = np.maximum(span.hi - span.lo, 0)
        chosen = None
        if sizes.sum() < len(self.times):
            first = self.start + np.minimum(span.lo, span.hi) - self.lo - (np.cumsum(sizes) - sizes)
            chosen = np.arange(int(sizes.sum())) + np.repeat(first, sizes)
        index = Index.of_segments(sizes, self.times if chosen is None else self.times[chosen])
        return index, index.segments(sizes), chosen


def _computed_values(values: Floats, words: list[str] | None) -> ColumnValues:
    """Return values that are computed already, in the order of the index."""

    def floats(rows: Ints, kind: SemanticType) -> Floats:
        return values

    def codes(rows: Ints, kind: SemanticType) -> Coded:
        return np.where(np.isnan(values), -1.0, values).astype(np.int64), words or []

    return ColumnValues(floats, codes)


def _windows(features: list[Feature]) -> list[int | None]:
    return list(dict.fromkeys(feature.window for feature in features))


def _distinct(owners: Ints, rows: Rows) -> tuple[Rows, Ints | None]:
    """Return the distinct (owner, cutoff, asof), and the number of each row's among them; None where equal rows are too few.

    Args:
        owners: Row numbers, shape (n,).
        rows: The rows.
    """
    asked = [np.require(values, np.int64, ["C", "W"]) for values in (owners, rows.cutoff, rows.asof)]
    places, numbers = distinct_rows(*asked)
    if len(places) > _FEW * len(owners):
        return Rows(owners, rows.cutoff, rows.asof), None
    return Rows(owners[places], rows.cutoff[places], rows.asof[places]), numbers


def _chunks(sizes: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows with at most so many pairs, one row at least."""
    total, start = np.cumsum(sizes), 0
    while start < len(sizes):
        before = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + most, side="right")))
        yield start, stop
        start = stop
