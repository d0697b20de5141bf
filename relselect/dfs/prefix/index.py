"""Sorts rows by (key, time) and aggregates columns over ranges of them; a (key, window) is a range found by two searches.

`Index` holds the order; `Spans` are the ranges of n task rows in it; the functions below aggregate columns over spans. Rows
are ordered within a key by (time, content), never by row number, so hidden rows and the order of the table cannot change
how visible rows compare. A span holds all rows of one key and time or none, so only first and last values need the order
by content; any other aggregate does not depend, in a single bit, on the order of rows with one key and time.

A row of `time` t belongs to a span when `after < t <= asof`, as `problem.visibility` defines it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relselect.database.clock import NEVER
from relselect.dfs.prefix import kernels_codes, kernels_extremes, kernels_sort, kernels_sums, kernels_trend

__all__ = [
    "Index",
    "Moments",
    "Spans",
    "Ties",
    "distinct",
    "edge",
    "entropy",
    "extreme",
    "mode",
    "moments",
    "quantile",
    "share",
    "trend",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Slots = NDArray[np.int32]
Flags = NDArray[np.bool_]
#: One function per sort key, the most significant first: given row numbers, numbers that order these rows by content. Later
#: functions are called only for rows that are equal by the earlier ones.
Ties = Sequence[Callable[[Ints], Ints]]

#: With more than this many times as many possible keys as rows, keys are found by search instead of in a table.
_SPARSE = 4


@dataclass(frozen=True)
class Spans:
    """Ranges `[lo, hi)` of an index, one per task row; empty where `hi <= lo`; both int64 of shape (n,)."""

    lo: Ints
    hi: Ints

    @cached_property
    def empty(self) -> NDArray[np.bool_]:
        """Whether nothing is visible, shape (n,)."""
        return self.hi <= self.lo

    @cached_property
    def last(self) -> Ints:
        """The place of each span's last row, 0 for an empty span, shape (n,)."""
        return np.where(self.empty, 0, self.hi - 1)

    @cached_property
    def by_hi(self) -> Ints:
        """The task rows ordered by `hi`, shape (n,)."""
        return np.argsort(self.hi, kind="stable")


class Index:
    """The rows of one table that belong to a key, sorted by (key, time, content).

    Args:
        keys: The key of each row, shape (rows,), -1 for none.
        times: The time from which each row (or the value read from it) exists, shape (rows,); `NEVER` leaves the row out.
        ties: Orders rows of one key and time, used only for `order`; without it such rows are interchangeable.

    Attributes:
        rows: Row numbers by (key, time), rows of one key and time in any order, shape (m,). Enough for all aggregates but
            first and last values.
        times: Times in the order of the index, shape (m,).
        fresh: Which places hold the first row of a key, shape (m,).
        tied: Which places hold the key and time of the place before, shape (m,).
    """

    def __init__(self, keys: Ints, times: Ints, ties: Ties = ()) -> None:
        keys, times = _plain(keys, np.int64), _plain(times, np.int64)
        rows = kernels_sort.arrange(keys, times, NEVER)
        self._fill(rows, *kernels_sort.places(keys, rows, times), ties)
        self._present: Ints = keys[self.rows[self.fresh]]
        self._starts: Ints = np.append(np.flatnonzero(self.fresh), len(rows))
        most = int(self._present[-1]) + 1 if len(rows) else 0
        dense = most <= _SPARSE * len(rows) + 1024
        self._lookup = np.full(most if dense else 0, -1, dtype=np.int32)
        if dense:
            self._lookup[self._present] = np.arange(len(self._present), dtype=np.int32)

    def _fill(self, rows: Ints, times: Ints, fresh: Flags, tied: Flags, ties: Ties) -> None:
        self.rows, self.times, self.fresh, self.tied, self._ties = rows, times, fresh, tied, ties

    @classmethod
    def of_segments(cls, sizes: Ints, times: Ints) -> Index:
        """Return an index over rows that already lie in order, key after key: `rows` is 0, 1, ..., m - 1.

        Nothing is sorted, and it has no `spans` but `segments`.

        Args:
            sizes: The number of rows of each key, shape (n,); may be 0.
            times: Of each row, ascending within a key, shape (m,), m the sum of the sizes.
        """
        index = cls.__new__(cls)
        fresh = np.zeros(len(times), dtype=bool)
        fresh[(np.cumsum(sizes) - sizes)[sizes > 0]] = True
        rows = np.arange(len(times), dtype=np.int64)
        index._fill(rows, times, fresh, _tied(times, fresh), ())
        return index

    def segments(self, sizes: Ints) -> Spans:
        """Return the spans of all rows of each key, given the sizes that `of_segments` was."""
        hi = np.cumsum(sizes, dtype=np.int64)
        return Spans(hi - sizes, hi)

    def of_keys(self, keys: Ints, most: int) -> Index:
        """Return an index over all rows of some keys, which answers for these keys what this one does, to the last bit.

        Args:
            keys: The keys, in any order, repeated or not; -1 for none.
            most: Above so many rows, this index itself is returned.
        """
        wanted = np.unique(keys)
        at = np.searchsorted(self._present, wanted)
        there = at < len(self._present)
        there[there] = self._present[at[there]] == wanted[there]
        at = at[there]
        begin, sizes = self._starts[at], self._starts[at + 1] - self._starts[at]
        if sizes.sum() > most:
            return self
        ends = np.cumsum(sizes, dtype=np.int64)
        places = np.arange(int(sizes.sum())) + np.repeat(begin - (ends - sizes), sizes)
        few = Index.__new__(Index)
        few._fill(self.rows[places], self.times[places], self.fresh[places], self.tied[places], self._ties)
        few._present, few._starts = self._present[at], np.append(ends - sizes, ends[-1:])
        few._lookup = np.empty(0, dtype=np.int32)
        return few

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def order(self) -> Ints:
        """Row numbers by (key, time, content), shape (m,)."""
        around = self.tied.copy()
        around[:-1] |= self.tied[1:]
        where = np.flatnonzero(around)
        if not len(where) or not self._ties:
            return self.rows
        order = self.rows.copy()
        order[where] = _by_content(order[where], np.cumsum(~self.tied[where], dtype=np.int64), self._ties)
        return order

    def spans(self, keys: Ints, asof: Ints, after: Ints | None = None) -> Spans:
        """Return the rows of each key with `after < time <= asof`.

        Args:
            keys: Shape (n,), -1 for none.
            asof: Shape (n,).
            after: Shape (n,), or None for all history.
        """
        table = (self._present, self._lookup, self._starts, self.times, _plain(keys, np.int64))
        begin = np.empty(0, dtype=np.int64) if after is None else _plain(after, np.int64)
        return Spans(kernels_sort.locate(*table, begin), kernels_sort.locate(*table, _plain(asof, np.int64)))


def _by_content(rows: Ints, group: Ints, ties: Ties) -> Ints:
    """Return tied rows, group after group, in the order of their content.

    Args:
        rows: Shape (r,).
        group: The group of each, ascending, shape (r,).
        ties: See `Ties`.
    """
    rows, open_ = rows.copy(), np.arange(len(rows))
    for step in ties:
        key = step(rows[open_])
        by = np.lexsort([key, group])
        rows[open_], key, group = rows[open_][by], key[by], group[by]
        new = np.ones(len(by), dtype=bool)
        new[1:] = (group[1:] != group[:-1]) | (key[1:] != key[:-1])
        alone = new.copy()
        alone[:-1] &= new[1:]
        open_, group = open_[~alone], np.cumsum(new)[~alone]
        if not len(open_):
            break
    return rows


@dataclass(frozen=True)
class Moments:
    """Number of values, sum, mean, standard deviation (ddof 1) and skewness per task row, each of shape (n,).

    Skewness is the bias-corrected G1 of Joanes and Gill (1998); nan throughout unless asked for.
    """

    count: Floats
    sum: Floats
    mean: Floats
    std: Floats
    skew: Floats


def moments(index: Index, values: Floats, spans: list[Spans], *, third: bool = False) -> list[Moments]:
    """Return the moments of each of several spans; one pass over the rows, then constant time per span.

    Args:
        index: The sorted rows, m of them.
        values: In the order of the index, shape (m,), nan where missing.
        spans: Ranges of task rows.
        third: Whether to compute the skewness too.
    """
    values = _plain(values, np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        finite = moments(index, np.where(infinite, np.nan, values), spans, third=third)
        return [_with_infinities(values, span, found) for span, found in zip(spans, finite, strict=True)]
    values = kernels_sort.sort_ties(values, index.tied)
    slots = _slots(index, spans)
    states = kernels_sums.running_moments(values, index.fresh, slots, third)
    return [_moments(values, states, slots, index.fresh, span, third) for span in spans]


def _moments(values: Floats, states: Floats, slots: Slots, fresh: Flags, span: Spans, third: bool) -> Moments:
    count, total, mean, std = kernels_sums.range_moments(values, states, slots, fresh, span.lo, span.hi)
    if not third:
        return Moments(count, total, mean, std, np.broadcast_to(np.nan, len(count)))
    return Moments(count, total, mean, std, kernels_sums.range_skew(values, states, slots, fresh, span.lo, span.hi))


def _with_infinities(values: Floats, span: Spans, finite: Moments) -> Moments:
    """Return moments of values some of which are infinite, given those of the others."""
    up, down = _count(values == np.inf, span), _count(values == -np.inf, span)
    some = up + down > 0
    total = np.where(some, np.where(up > 0, np.where(down > 0, np.nan, np.inf), -np.inf), finite.sum)
    return Moments(
        finite.count + up + down,
        total,
        np.where(some, total, finite.mean),
        np.where(some, np.nan, finite.std),
        np.where(some, np.nan, finite.skew),
    )


def _slots(index: Index, spans: list[Spans]) -> Slots:
    """Return 0 for rows that a running total is needed of, else -1, shape (m,)."""
    slots = np.full(len(index), -1, dtype=np.int32)
    for span in spans:
        kernels_sort.marks(slots, index.fresh, span.lo, span.hi)
    return slots


def extreme(index: Index, values: Floats, span: Spans, *, largest: bool, whole: bool = False) -> Floats:
    """Return the largest or smallest value of each span, shape (n,), nan where there is none.

    Args:
        index: The sorted rows, m of them.
        values: In the order of the index, shape (m,), nan where missing.
        span: Ranges of task rows.
        largest: Or the smallest.
        whole: Every span is known to start at its key's first row; looked up otherwise. It is faster.
    """
    values, sign = _plain(values, np.float64), 1.0 if largest else -1.0
    if whole or _is_whole(index, span):
        return edge(kernels_extremes.running_largest(values, sign, index.fresh), span, last=True)
    return kernels_extremes.range_largest(values, sign, index.fresh, span.lo, span.hi, span.by_hi)


def edge(values: Floats, span: Spans, *, last: bool) -> Floats:
    """Return the value of each span's last (or first) row, shape (n,); missing if that row's value is."""
    if not len(values):
        return np.full(len(span.lo), np.nan)
    found = values[span.last if last else np.where(span.empty, 0, span.lo)]
    found[span.empty] = np.nan
    return found


def distinct(index: Index, codes: Ints, span: Spans, *, whole: bool = False) -> Floats:
    """Return the number of distinct codes of each span, shape (n,); nan for an empty span.

    Args:
        index: The sorted rows.
        codes: In the order of the index, -1 for missing.
        span: Ranges of task rows.
        whole: As for `extreme`.
    """
    codes, size = _plain(codes, np.int64), int(codes.max(initial=-1)) + 1
    if whole or _is_whole(index, span):
        return edge(kernels_codes.first_seen(codes, index.fresh, size).astype(np.float64), span, last=True)
    number = kernels_codes.range_distinct(codes, index.fresh, size, span.lo, span.hi, span.by_hi)
    return np.where(span.empty, np.nan, number.astype(np.float64))


def mode(index: Index, codes: Ints, span: Spans, *, whole: bool = False) -> Floats:
    """Return the most frequent code of each span, the smallest of equals, shape (n,); nan where there is none.

    Args:
        index: The sorted rows.
        codes: In the order of the index, -1 for missing.
        span: Ranges of task rows.
        whole: As for `extreme`.
    """
    codes, size = _plain(codes, np.int64), int(codes.max(initial=-1)) + 1
    if whole or _is_whole(index, span):
        found = edge(kernels_codes.running_mode(codes, index.fresh, size).astype(np.float64), span, last=True)
    else:
        found = kernels_codes.range_mode(codes, size, span.lo, span.hi, _visits(span, len(index))).astype(np.float64)
    return np.where(found < 0, np.nan, found)


def _is_whole(index: Index, span: Spans) -> bool:
    return bool(index.fresh[span.lo[~span.empty]].all())


def share(hits: NDArray[np.bool_], among: NDArray[np.bool_], span: Spans) -> Floats:
    """Return hits / candidates of each span, shape (n,), nan where there is no candidate.

    Counts are integers, so one running total over all keys is exact.

    Args:
        hits: Shape (m,).
        among: Which rows are candidates, shape (m,).
        span: Ranges of task rows.
    """
    total = _count(among, span)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, _count(hits & among, span) / total, np.nan)


def quantile(index: Index, values: Floats, span: Spans, levels: Sequence[float]) -> list[Floats]:
    """Return quantiles of each span by linear interpolation, one array of shape (n,) per level; nan for no values.

    Args:
        index: The sorted rows.
        values: In the order of the index, shape (m,), nan where missing.
        span: Ranges of task rows.
        levels: From 0 to 1.
    """
    valid = ~np.isnan(values)
    before = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(valid, out=before[1:])
    lo, hi = before[np.where(span.empty, 0, span.lo)], before[np.where(span.empty, 0, span.hi)]
    some = hi > lo
    lo, hi = lo[some], hi[some]
    # Minus zero becomes zero: which of the two stands for both must not depend on other rows.
    distinct, codes = np.unique(values[valid] + 0.0, return_inverse=True)
    small: Slots = codes.astype(np.int32)
    bits = max(1, (len(distinct) - 1).bit_length())
    lo, hi, size = np.tile(lo, 2), np.tile(hi, 2), hi - lo
    found = []
    for level in levels:
        place = (size - 1) * level
        below = np.floor(place).astype(np.int64)
        nth = np.concatenate([below, np.minimum(below + 1, size - 1)])
        at = kernels_extremes.range_nth(small.copy(), bits, lo.copy(), hi.copy(), nth)
        lower, upper = np.split(distinct[at], 2)
        out = np.full(len(some), np.nan)
        with np.errstate(invalid="ignore"):
            between = lower + (upper - lower) * (place - below)
        # Steps between infinities are no numbers.
        out[some] = np.where((lower == upper) | (place == below) | np.isinf(lower), lower, between)
        found.append(out)
    return found


def entropy(index: Index, codes: Ints, span: Spans) -> Floats:
    """Return the entropy of the codes of each span in nats, shape (n,), nan for an empty span.

    Args:
        index: The sorted rows.
        codes: In the order of the index, -1 for missing, which counts as one more value.
        span: Ranges of task rows.
    """
    codes, size = _plain(codes, np.int64), int(codes.max(initial=-1)) + 1
    table = kernels_codes.xlogx(int((span.hi - span.lo).max(initial=0)))
    return kernels_codes.range_entropy(codes, size, span.lo, span.hi, _visits(span, len(index)), *table)


def _visits(span: Spans, rows: int) -> Ints:
    """Return the order in which to visit ranges so that neighbours overlap: the task rows, shape (n,).

    By last row, which for all history and for windows of one length costs the rows once or twice. Ranges of all lengths
    mixed are visited in the order of Mo's algorithm where that is cheaper, at most about rows * sqrt(n).
    """
    cost = kernels_codes.travel(span.lo, span.hi, span.by_hi)
    if cost <= 4 * (rows + len(span.lo)):
        return span.by_hi
    block = span.lo // max(1, int(rows / np.sqrt(len(span.lo))))
    other = np.lexsort([np.where(block % 2 == 0, span.hi, -span.hi), block])
    return other if kernels_codes.travel(span.lo, span.hi, other) < cost else span.by_hi


def trend(index: Index, values: Floats, times: Floats | Ints, span: Spans, unit: int) -> Floats:
    """Return the least-squares slope of values against times, shape (n,).

    nan for fewer than three values or an infinite one; 0 where all values have one time.

    Args:
        index: The sorted rows.
        values: In the order of the index, shape (m,), nan where missing: such rows are left out.
        times: In the order of the index, in whole ticks, shape (m,).
        span: Ranges of task rows.
        unit: Ticks of one unit of time of the slope.
    """
    values, ticks = _plain(values, np.float64), _plain(times, np.int64)
    infinite = np.isinf(values)
    if infinite.any():
        slope = trend(index, np.where(infinite, np.nan, values), times, span, unit)
        return np.where(_count(infinite, span) > 0, np.nan, slope)
    values = kernels_sort.sort_ties(values, index.tied if ticks is index.times else _tied(ticks, index.fresh))
    slots = _slots(index, [span])
    states = kernels_trend.running_products(values, ticks, index.fresh, slots)
    return kernels_trend.range_slope(values, ticks, states, slots, index.fresh, span.lo, span.hi) * unit


def _plain(values: Any, dtype: Any) -> Any:
    """Return values as the one kind of array that the loops are compiled for: contiguous, writable, of the type."""
    return np.require(values, dtype, ["C", "W"])


def _tied(times: Ints, fresh: Flags) -> Flags:
    tied = ~fresh
    tied[1:] &= times[1:] == times[:-1]
    return tied


def _count(flags: NDArray[np.bool_], span: Spans) -> Ints:
    running = np.zeros(len(flags) + 1, dtype=np.int64)
    np.cumsum(flags, out=running[1:])
    return np.where(span.empty, 0, running[span.hi] - running[span.lo])
