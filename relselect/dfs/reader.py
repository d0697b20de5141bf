"""Reads features of rows of any table: of the entities asked about, and of the rows in between for nested features.

Nested features are exact: the rows of the outer step are written out as (row, child) pairs, a bounded number at a time,
the inner feature is read for the children at the row's own cutoff and asof, and aggregated per row. The cost is linear in
the pairs; rows that ask the same (owner, cutoff, asof) share theirs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.column import Coded, Column, Values
from relselect.dfs.feature import Aggregate, Condition, Feature, Route
from relselect.dfs.paths import Paths, pick
from relselect.dfs.prefix import Index, Spans
from relselect.tasks import Rows

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["MOST_PAIRS", "OWN", "Group", "Raw", "Reader", "grouped"]

T = TypeVar("T")
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: A feature's values, and for categories what its codes stand for.
Raw = tuple[Floats, list[str] | None]
#: What is read in one pass: path, column, condition, nested feature.
Group = tuple[Route, str | None, Condition | None, bool, bool]

#: (row, child) pairs written out at a time.
MOST_PAIRS = 2_000_000
#: Owners and spans of the task rows that are kept for the groups to come: 16 bytes a row each.
_RECENT = 8

_CODED = (Aggregate.NUM_UNIQUE, Aggregate.MODE, Aggregate.SHARE, Aggregate.ENTROPY)
_LENGTHS = (Aggregate.STD, Aggregate.TREND)
_EDGES = (Aggregate.FIRST, Aggregate.LAST)
#: What is 0 of nothing; everything else is missing.
_ZERO = (Aggregate.COUNT, Aggregate.SUM)
OWN = (Aggregate.CALENDAR, Aggregate.DELAY, Aggregate.ROW)


def grouped(features: list[Feature]) -> dict[Group, list[int]]:
    """Return the places of the features that one pass reads, by what it reads."""
    groups: dict[Group, list[int]] = {}
    for place, feature in enumerate(features):
        own, nested = feature.aggregate in OWN, feature.base is not None
        column = str(feature.window) if nested else feature.column
        groups.setdefault((feature.path, column, feature.where, nested, own), []).append(place)
    return groups


@dataclass
class _Shared:
    """Something that one thread builds and others wait for."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    value: Any = None


class Reader:
    """Reads features of one set of rows, for several threads at once.

    Args:
        problem: Supplies the database; sorted structures stay in its cache.
        table: The table that `rows.entity` numbers rows of.
        rows: Who, and when.
    """

    def __init__(self, problem: Problem, table: str, rows: Rows) -> None:
        self.problem, self.table, self.rows = problem, table, rows
        self.paths = Paths(problem)
        self.unit = DAY if problem.task.time_kind == "timestamp" else 1
        self._recent: OrderedDict[Hashable, _Shared] = OrderedDict()
        self._guard = threading.Lock()

    def read(self, features: list[Feature]) -> list[Raw]:
        """Return the values of features of one group, in their order; numbers as the plan means them."""
        first = features[0]
        if not first.parts[1]:
            return [self._direct(feature) for feature in features]
        if first.base is not None:
            return self._nested(features)
        return self._aggregated(features)

    def every(self, features: list[Feature]) -> list[Raw]:
        """Return the values of any features but those of the task row."""
        found: dict[int, Raw] = {}
        for places in grouped(features).values():
            found.update(zip(places, self.read([features[place] for place in places]), strict=True))
        return [found[place] for place in range(len(features))]

    def age(self, ticks: Floats) -> Floats:
        """Return how long before the cutoffs some times lie, in units, shape (n,)."""
        return np.asarray((self.rows.cutoff - ticks) / self.unit)

    def _direct(self, feature: Feature) -> Raw:
        column = feature.column or ""
        table = self.paths.table_at(feature.path, self.table)
        at = self.paths.direct(feature.path, column, self.rows, self.table)
        if feature.type == SemanticType.CATEGORICAL:
            codes, words = self.paths.codes(table, column)
            return pick(codes.astype(np.float64), at), words
        values = pick(self.paths.floats(table, column, feature.type), at)
        return (self.age(values) if feature.type == SemanticType.TIMESTAMP else values), None

    def _aggregated(self, features: list[Feature]) -> list[Raw]:
        first = features[0]
        up, down, then = first.parts
        index = self.paths.index(down, then, first.column, first.where)
        spans = self._spans(index, up, features)
        column = Column(index, self._values(down[-1].table, then, first.column), spans, self.unit)
        column.expect(features)
        return [self._finish(feature, column, self.rows) for feature in features]

    def _spans(self, index: Index, up: Route, features: list[Feature]) -> dict[int | None, Spans]:
        return {window: self._span(index, up, window) for window in dict.fromkeys(each.window for each in features)}

    def _span(self, index: Index, up: Route, window: int | None) -> Spans:
        def find() -> Spans:
            after = None if window is None else self.rows.cutoff - window
            return index.spans(self._owners(up), self.rows.asof, after)

        return self._shared((id(index), up, window), find)

    def _owners(self, up: Route) -> Ints:
        return self._shared(up, lambda: self.paths.owners(up, self.rows, self.table))

    def _shared(self, key: Hashable, build: Callable[[], T]) -> T:
        """Return what several groups need, built by one of their threads; only the most recent are kept."""
        with self._guard:
            entry = self._recent.setdefault(key, _Shared())
            self._recent.move_to_end(key)
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
        with entry.lock:
            if entry.value is None:
                entry.value = build()
        return cast(T, entry.value)

    def _values(self, table: str, then: Route, column: str | None) -> Values:
        end = then[-1].table if then else table

        def at(rows: Ints) -> Ints:
            return self.paths.ascend(table, then)[rows] if then else rows

        def floats(rows: Ints, kind: SemanticType) -> Floats:
            values = self.paths.floats(end, column or "", kind)
            return pick(values, at(rows)) if then else values[rows]

        def codes(rows: Ints, kind: SemanticType) -> Coded:
            if kind == SemanticType.KEY:
                return at(rows), []
            found, words = self.paths.codes(end, column or "")
            return pick(found.astype(np.float64), at(rows), -1.0).astype(np.int64), words

        return Values(floats, codes)

    def _finish(self, feature: Feature, column: Column, rows: Rows) -> Raw:
        values = column.read(feature)
        if feature.categorical:
            return values, column.words(feature.type)
        since = feature.aggregate in (Aggregate.SINCE_LAST, Aggregate.SINCE_FIRST)
        stamp = feature.type == SemanticType.TIMESTAMP and feature.aggregate not in _CODED
        if stamp and feature.aggregate in _LENGTHS:
            return values / self.unit, None
        return (np.asarray((rows.cutoff - values) / self.unit) if since or stamp else values), None

    def _nested(self, features: list[Feature]) -> list[Raw]:
        """Return nested features of one path, condition and window."""
        up, down, _ = features[0].parts
        index = self.paths.index(down, (), None, features[0].where)
        owners = self._owners(up)
        asked, place = _distinct(owners, self.rows, worth=bool(up))
        window = features[0].window
        after = None if window is None else asked.cutoff - window
        span = index.spans(asked.entity, asked.asof, after)
        some = np.flatnonzero(~span.empty)
        sizes = (span.hi - span.lo)[some]
        found = [np.full(len(asked), 0.0 if feature.aggregate in _ZERO else np.nan) for feature in features]
        words: list[list[str] | None] = [None] * len(features)
        for start, stop in _chunks(sizes):
            part = some[start:stop]
            chunk = Spans(span.lo[part], span.hi[part])
            for number, (values, named) in enumerate(
                self._pairs(features, index, chunk, sizes[start:stop], asked.take(part), down[0].table)
            ):
                found[number][part], words[number] = values, named
        return [(values[place], named) for values, named in zip(found, words, strict=True)]

    def _pairs(
        self, features: list[Feature], index: Index, span: Spans, sizes: Ints, rows: Rows, table: str
    ) -> list[Raw]:
        """Return nested features of a few rows by writing out their pairs."""
        row = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + span.lo[row]
        ordered = any(feature.aggregate in _EDGES for feature in features)
        children = Rows((index.order if ordered else index.rows)[place], rows.cutoff[row], rows.asof[row])
        bases = list(dict.fromkeys(feature.base for feature in features if feature.base is not None))
        inner = dict(zip(bases, Reader(self.problem, table, children).every(bases), strict=True))
        segments = Index.of_segments(sizes, index.times[place])
        spans = {features[0].window: segments.segments(sizes)}
        told: dict[Feature, Raw] = {}
        for base, (values, words) in inner.items():
            mine = [feature for feature in features if feature.base == base]
            column = Column(segments, _given(values, words), spans, self.unit)
            column.expect(mine)
            told.update({feature: self._finish(feature, column, rows) for feature in mine})
        return [told[feature] for feature in features]


def _given(values: Floats, words: list[str] | None) -> Values:
    """Return values that are there already, in the order of the index."""

    def floats(rows: Ints, kind: SemanticType) -> Floats:
        return values

    def codes(rows: Ints, kind: SemanticType) -> Coded:
        return np.where(np.isnan(values) | (values < 0), -1.0, values).astype(np.int64), words or []

    return Values(floats, codes)


def _distinct(owners: Ints, rows: Rows, *, worth: bool) -> tuple[Rows, Ints]:
    """Return the distinct (owner, cutoff, asof), and which of them each row asks.

    Args:
        owners: Row numbers, shape (n,).
        rows: The rows.
        worth: Whether several rows may ask the same; else all are returned.
    """
    if not worth or not len(owners):
        return Rows(owners, rows.cutoff, rows.asof), np.arange(len(owners))
    order = np.lexsort((rows.asof, rows.cutoff, owners))
    new = np.ones(len(order), dtype=bool)
    for key in (owners, rows.cutoff, rows.asof):
        same = key[order][1:] == key[order][:-1]
        new[1:] = same if key is owners else new[1:] & same
    new[1:] = ~new[1:]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(new) - 1
    first = order[new]
    return Rows(owners[first], rows.cutoff[first], rows.asof[first]), place


def _chunks(sizes: Ints) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows with at most `MOST_PAIRS` pairs, one row at least."""
    total, start = np.cumsum(sizes), 0
    while start < len(sizes):
        before = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + MOST_PAIRS, side="right")))
        yield start, stop
        start = stop
