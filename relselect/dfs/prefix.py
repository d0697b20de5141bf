"""The prefix engine: rows sorted once by (key, time), every (key, window) a range found by two binary searches.

`Index` holds the order; `Spans` are the ranges of n task rows in it; the functions below read columns over spans. Rows
are ordered within a key by (time, content), never by row number, so hidden rows and the order of the table cannot change
how visible rows compare. Times become dense ranks: `key * ranks + rank` orders like (key, time) and does not overflow.

What is visible is decided here and nowhere else: a row of `time` t belongs to a span when `after < t <= asof`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from relselect.database.clock import ALWAYS, NEVER
from relselect.dfs import kernels

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
#: Given row numbers, sort keys (least significant first); or one function per sort key, the most significant first,
#: of which the later ones are asked only about rows that the earlier ones left tied. A primary key of integers is
#: `[lambda rows: key[rows]]`. Keys are int64 and depend on what rows say, never on where they stand.
Ties = Callable[[Ints], list[Ints]] | Sequence[Callable[[Ints], Ints]]


@dataclass(frozen=True)
class Spans:
    """Ranges `[lo, hi)` of an index, one per task row; empty where `hi <= lo`; both int64 of shape (n,)."""

    lo: Ints
    hi: Ints

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Whether nothing is visible, shape (n,)."""
        return self.hi <= self.lo

    @cached_property
    def by_hi(self) -> Ints:
        """The task rows ordered by `hi`, shape (n,)."""
        return np.argsort(self.hi, kind="stable")


class Index:
    """The rows of one table that belong to a key, sorted by (key, time, content).

    Args:
        keys: The key of each row, shape (rows,), -1 for none.
        times: When each row (or the value read from it) came to exist, shape (rows,); `NEVER` leaves it out.
        ties: What orders rows of one key and time; asked only when `order` is.

    Attributes:
        rows: Row numbers by (key, time), rows of one key and time in any order: enough for all that is taken of a set,
            which is all but first and last values. Shape (m,).
        times: Times in the order of the index, shape (m,).
        fresh: Which places hold the first row of a key, shape (m,).
        tied: Which places hold the key and time of the place before, shape (m,).
    """

    def __init__(self, keys: Ints, times: Ints, ties: Ties = ()) -> None:
        rows = np.flatnonzero((keys >= 0) & (times < NEVER))
        self._instants, rank = np.unique(times[rows], return_inverse=True)
        place = keys[rows] * np.int64(max(1, len(self._instants))) + rank
        order = np.argsort(place, kind="stable")
        self._place: Ints = place[order]
        self._ties = ties
        self.rows: Ints = rows[order]
        self.times: Ints = times[self.rows]
        key = keys[self.rows]
        self.fresh: NDArray[np.bool_] = np.ones(len(key), dtype=bool)
        self.fresh[1:] = key[1:] != key[:-1]
        self.tied = _tied(self.times, self.fresh)

    @classmethod
    def of_segments(cls, sizes: Ints, times: Ints) -> Index:
        """Return an index over rows that already lie in order, key after key: `rows` is 0, 1, ..., m - 1.

        Args:
            sizes: The number of rows of each key 0, 1, ..., shape (n,); may be 0.
            times: Of each row, ascending within a key, shape (m,), the sum of the sizes.
        """
        return cls(np.repeat(np.arange(len(sizes), dtype=np.int64), sizes), times)

    def segments(self, sizes: Ints) -> Spans:
        """Return the spans of all rows of each key, given the sizes that `of_segments` was."""
        hi = np.cumsum(sizes, dtype=np.int64)
        return Spans(hi - sizes, hi)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def order(self) -> Ints:
        """Row numbers by (key, time, content), shape (m,)."""
        around = self.tied.copy()
        around[:-1] |= self.tied[1:]
        where = np.flatnonzero(around)
        order = self.rows.copy()
        if not len(where):
            return order
        rows = order[where]
        keys = self._ties(rows) if callable(self._ties) else [step(rows) for step in reversed(self._ties)]
        order[where] = rows[np.lexsort([*keys, self._place[where]])]
        return order

    def spans(self, keys: Ints, asof: Ints, after: Ints | None = None) -> Spans:
        """Return the rows of each key with `after < time <= asof`.

        Args:
            keys: Shape (n,), -1 for none.
            asof: Shape (n,).
            after: Shape (n,), or None for all history.
        """
        known = keys >= 0
        hi = np.where(known, self._find(keys, asof), 0)
        lo = np.where(known, self._find(keys, np.full(len(keys), ALWAYS) if after is None else after, after is None), 0)
        return Spans(lo, hi)

    def _find(self, keys: Ints, moment: Ints, before: bool = False) -> Ints:
        rank = np.searchsorted(self._instants, moment, side="left" if before else "right")
        return np.searchsorted(self._place, keys * np.int64(max(1, len(self._instants))) + rank, side="left")


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
    running = kernels.moments(values, index.fresh)
    found = []
    for span in spans:
        count, total, mean, std = kernels.range_moments(values, *running, index.fresh, span.lo, span.hi)
        skew = _each(values, span, _skew) if third else np.full(len(span.lo), np.nan)
        found.append(Moments(count, total, mean, std, skew))
    return found


def extreme(index: Index, values: Floats, span: Spans, *, largest: bool, whole: bool = False) -> Floats:
    """Return the largest or smallest value of each span, shape (n,), nan where there is none.

    Args:
        index: The sorted rows, m of them.
        values: In the order of the index, shape (m,), nan where missing.
        span: Ranges of task rows.
        largest: Or the smallest.
        whole: Whether every span starts at its key's first row, which is faster.
    """
    sign = 1.0 if largest else -1.0
    return sign * kernels.range_extreme(sign * values, index.fresh, span.lo, span.hi, span.by_hi)


def edge(values: Floats, span: Spans, *, last: bool) -> Floats:
    """Return the value of each span's last (or first) row, shape (n,); missing if that row's value is."""
    if not len(values):
        return np.full(len(span.lo), np.nan)
    where = np.where(span.empty, 0, span.hi - 1 if last else span.lo)
    return np.where(span.empty, np.nan, values[where])


def distinct(index: Index, codes: Ints, span: Spans, *, whole: bool) -> Floats:
    """Return the number of distinct codes of each span, shape (n,); nan for an empty span.

    Args:
        index: The sorted rows.
        codes: In the order of the index, -1 for missing.
        span: Ranges of task rows.
        whole: Whether every span starts at its key's first row, which allows the faster count of first occurrences.
    """
    size = int(codes.max(initial=-1)) + 1
    if whole:
        return edge(kernels.first_seen(codes, index.fresh, size).astype(np.float64), span, last=True)
    number = kernels.range_distinct(codes, index.fresh, size, span.lo, span.hi, span.by_hi)
    return np.where(span.empty, np.nan, number.astype(np.float64))


def mode(index: Index, codes: Ints, span: Spans, *, whole: bool) -> Floats:
    """Return the most frequent code of each span, the smallest of equals, shape (n,); nan where there is none."""
    size = int(codes.max(initial=-1)) + 1
    if whole:
        found = edge(kernels.running_mode(codes, index.fresh, size).astype(np.float64), span, last=True)
    else:
        found = kernels.range_mode(codes, size, span.lo, span.hi).astype(np.float64)
    return np.where(found < 0, np.nan, found)


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
    """Return quantiles of each span by linear interpolation, one array of shape (n,) per level; nan for no values."""
    return [_each(values, span, partial(np.quantile, q=level)) for level in levels]


def entropy(index: Index, codes: Ints, span: Spans) -> Floats:
    """Return the entropy of the codes of each span in nats, shape (n,), nan for an empty span.

    Args:
        index: The sorted rows.
        codes: In the order of the index, -1 for missing, which counts as one more value.
        span: Ranges of task rows.
    """

    def one(x: Floats) -> float:
        shares = np.unique(x, return_counts=True)[1] / len(x)
        return float(-(shares * np.log(shares)).sum())

    return _each(codes.astype(np.float64), span, one)


def trend(index: Index, values: Floats, times: Floats | Ints, span: Spans, unit: int) -> Floats:
    """Return the least-squares slope of values against times, shape (n,).

    nan for fewer than three values; 0 where all values have one time.

    Args:
        index: The sorted rows.
        values: In the order of the index, shape (m,), nan where missing: such rows are left out.
        times: In the order of the index, in ticks, shape (m,).
        span: Ranges of task rows.
        unit: Ticks of one unit of time of the slope.
    """
    out = np.full(len(span.lo), np.nan)
    for i, (lo, hi) in enumerate(zip(span.lo, span.hi, strict=True)):
        y, t = values[lo:hi], (times[lo:hi] - (times[lo] if hi > lo else 0)) / unit
        y, t = y[~np.isnan(y)], t[~np.isnan(y)]
        if len(y) > 2:
            t = t - t.mean()
            spread = (t**2).sum()
            out[i] = (t * (y - y.mean())).sum() / spread if spread > 0 else 0.0
    return out


def _each(values: Floats, span: Spans, function: Callable[[Floats], float]) -> Floats:
    out = np.full(len(span.lo), np.nan)
    for i, (lo, hi) in enumerate(zip(span.lo, span.hi, strict=True)):
        x = values[lo:hi]
        x = x[~np.isnan(x)]
        if len(x):
            out[i] = function(x)
    return out


def _skew(x: Floats) -> float:
    if len(x) < 3:
        return np.nan
    d = x - x.mean()
    second, third = (d**2).mean(), (d**3).mean()
    return float(np.sqrt(len(x) * (len(x) - 1)) / (len(x) - 2) * third / second**1.5) if second > 0 else 0.0


def _tied(times: Ints, fresh: NDArray[np.bool_]) -> NDArray[np.bool_]:
    tied = ~fresh
    tied[1:] &= times[1:] == times[:-1]
    return tied


def _count(flags: NDArray[np.bool_], span: Spans) -> Ints:
    running = np.zeros(len(flags) + 1, dtype=np.int64)
    np.cumsum(flags, out=running[1:])
    return np.where(span.empty, 0, running[span.hi] - running[span.lo])
