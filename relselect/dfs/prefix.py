"""The prefix engine: rows sorted once by (key, time), every (key, window) a range found by two binary searches.

`Index` holds the order; `Spans` are the ranges of n task rows in it; the functions below read columns over spans. Rows
are ordered within a key by (time, content), never by row number, so hidden rows and the order of the table cannot change
how visible rows compare. Times become dense ranks: `key * ranks + rank` orders like (key, time) and does not overflow.

What is visible is decided here and nowhere else: a row of `time` t belongs to a span when `after < t <= asof`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from relselect.database.clock import ALWAYS, NEVER
from relselect.dfs import kernels

__all__ = ["Index", "Moments", "Spans", "Ties", "distinct", "edge", "extreme", "mode", "moments", "share"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Ties = Callable[[Ints], list[Ints]]


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
        ties: Given row numbers, sort keys (least significant first) that depend on the rows' content only.
    """

    def __init__(self, keys: Ints, times: Ints, ties: Ties) -> None:
        rows = np.flatnonzero((keys >= 0) & (times < NEVER))
        self._instants, rank = np.unique(times[rows], return_inverse=True)
        place = keys[rows] * np.int64(max(1, len(self._instants))) + rank
        order = np.argsort(place, kind="stable")
        self._place: Ints = place[order]
        self.order: Ints = rows[order]
        self._settle(ties)
        self.times: Ints = times[self.order]
        key = keys[self.order]
        self.fresh: NDArray[np.bool_] = np.ones(len(key), dtype=bool)
        self.fresh[1:] = key[1:] != key[:-1]

    def __len__(self) -> int:
        return len(self.order)

    def _settle(self, ties: Ties) -> None:
        """Order rows of one key and time by their content."""
        same = self._place[1:] == self._place[:-1]
        if not same.any():
            return
        tied = np.zeros(len(self._place), dtype=bool)
        tied[1:] = same
        tied[:-1] |= same
        where = np.flatnonzero(tied)
        rows = self.order[where]
        self.order[where] = rows[np.lexsort([*ties(rows), self._place[where]])]

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
    """Number of values, their sum, mean and standard deviation (ddof 1) per task row, each of shape (n,)."""

    count: Floats
    sum: Floats
    mean: Floats
    std: Floats


def moments(index: Index, values: Floats, spans: list[Spans]) -> list[Moments]:
    """Return the moments of each of several spans; one pass over the rows, then constant time per span.

    Args:
        index: The sorted rows, m of them.
        values: In the order of the index, shape (m,), nan where missing.
        spans: Ranges of task rows.
    """
    running = kernels.moments(values, index.fresh)
    return [Moments(*kernels.range_moments(values, *running, index.fresh, span.lo, span.hi)) for span in spans]


def extreme(index: Index, values: Floats, span: Spans, *, largest: bool) -> Floats:
    """Return the largest or smallest value of each span, shape (n,), nan where there is none."""
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


def _count(flags: NDArray[np.bool_], span: Spans) -> Ints:
    running = np.zeros(len(flags) + 1, dtype=np.int64)
    np.cumsum(flags, out=running[1:])
    return np.where(span.empty, 0, running[span.hi] - running[span.lo])
