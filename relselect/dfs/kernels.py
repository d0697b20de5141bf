"""Compiled loops over rows sorted by (key, time).

Every loop restarts at the first row of a key, so no other key's rows touch a bit of a result. Sums are carried as pairs
of doubles ("double-double", Dekker 1971; Shewchuk 1997) around the key's first value: a difference of two prefixes then
loses nothing that a double can show, even for a key at 1e9 with tiny variance or a window far from the key's start.

Nothing here knows about tables, times or features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["first_seen", "moments", "range_distinct", "range_extreme", "range_mode", "range_moments", "running_mode"]

F = TypeVar("F", bound=Callable[..., Any])
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def _jit(function: F) -> F:
    return cast(F, numba.njit(cache=True, nogil=True)(function))


@_jit
def _two_sum(a: float, b: float) -> tuple[float, float]:
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@_jit
def _two_product(a: float, b: float) -> tuple[float, float]:
    p = a * b
    split_a = 134217729.0 * a
    a_high = split_a - (split_a - a)
    a_low = a - a_high
    split_b = 134217729.0 * b
    b_high = split_b - (split_b - b)
    b_low = b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@_jit
def _add(a_high: float, a_low: float, b_high: float, b_low: float) -> tuple[float, float]:
    high, low = _two_sum(a_high, b_high)
    return _two_sum(high, low + (a_low + b_low))


@_jit
def moments(values: Floats, fresh: Flags) -> tuple[Floats, Ints, Floats]:
    """Return running moments of each key.

    Args:
        values: Shape (m,), nan where missing, sorted by (key, time).
        fresh: Shape (m,), true at the first row of a key.

    Returns:
        The centre (first value of the key so far, nan before it), shape (m,); the number of values so far, shape (m,);
        sums of deviations and of their squares up to and including each row as (high, low) pairs, shape (m, 4).
    """
    m = len(values)
    centre = np.empty(m, dtype=np.float64)
    count = np.empty(m, dtype=np.int64)
    sums = np.empty((m, 4), dtype=np.float64)
    c = np.nan
    n = 0
    s_high = s_low = q_high = q_low = 0.0
    for i in range(m):
        if fresh[i]:
            c = np.nan
            n = 0
            s_high = s_low = q_high = q_low = 0.0
        x = values[i]
        if not np.isnan(x):
            if n == 0:
                c = x
            n += 1
            d, e = _two_sum(x, -c)
            s_high, s_low = _add(s_high, s_low, d, e)
            p, r = _two_product(d, d)
            q_high, q_low = _add(q_high, q_low, p, r + 2.0 * d * e)
        centre[i] = c
        count[i] = n
        sums[i, 0] = s_high
        sums[i, 1] = s_low
        sums[i, 2] = q_high
        sums[i, 3] = q_low
    return centre, count, sums


@_jit
def _spread(values: Floats, lo: int, hi: int) -> float:
    """Return the sum of squared deviations from the mean of `values[lo:hi]`, in two passes around the first value."""
    first = np.nan
    total = 0.0
    n = 0
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            if n == 0:
                first = values[i]
            total += values[i] - first
            n += 1
    mean = total / n
    spread = 0.0
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            spread += ((values[i] - first) - mean) ** 2
    return spread


@_jit
def range_moments(
    values: Floats, centre: Floats, count: Ints, sums: Floats, fresh: Flags, lo: Ints, hi: Ints
) -> Floats:
    """Return count of values, sum, mean and standard deviation (ddof 1) of ranges of one key each.

    Args:
        values: As for `moments`.
        centre: From `moments`.
        count: From `moments`.
        sums: From `moments`.
        fresh: As for `moments`.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,); `hi <= lo` is an empty range.

    Returns:
        Shape (4, q); the mean of nothing and the deviation of fewer than two values are nan.
    """
    out = np.empty((4, len(lo)), dtype=np.float64)
    for k in range(len(lo)):
        n = 0
        s_high = s_low = q_high = q_low = 0.0
        c = 0.0
        if hi[k] > lo[k]:
            b = hi[k] - 1
            n = count[b]
            c = centre[b]
            s_high, s_low, q_high, q_low = sums[b, 0], sums[b, 1], sums[b, 2], sums[b, 3]
            if not fresh[lo[k]]:
                a = lo[k] - 1
                n -= count[a]
                s_high, s_low = _add(s_high, s_low, -sums[a, 0], -sums[a, 1])
                q_high, q_low = _add(q_high, q_low, -sums[a, 2], -sums[a, 3])
        out[0, k] = n
        out[1, k] = 0.0
        out[2, k] = np.nan
        out[3, k] = np.nan
        if n > 0:
            p, r = _two_product(c, float(n))
            high, low = _add(p, r, s_high, s_low)
            out[1, k] = high + low
            out[2, k] = out[1, k] / n
        if n > 1:
            p, r = _two_product(s_high, s_high)
            r += 2.0 * s_high * s_low
            # (p + r) / n as a pair, so that the subtraction below cancels exactly.
            quotient = p / n
            back, rest = _two_product(quotient, float(n))
            high, low = _add(q_high, q_low, -quotient, -(((p - back) - rest) + r) / n)
            spread = high + low
            if spread <= 1e-20 * q_high:
                # Nearly equal values far from the centre: what is left of the pairs is too little.
                spread = _spread(values, lo[k], hi[k])
            out[3, k] = np.sqrt(spread / (n - 1))
    return out


@_jit
def range_extreme(values: Floats, fresh: Flags, lo: Ints, hi: Ints, by_hi: Ints) -> Floats:
    """Return the largest value of each range, nan where there is none.

    One pass with a stack of candidates (Gabow, Bentley and Tarjan 1984): O((m + q) log m) time and O(m) memory for any
    mixture of windows. For the smallest, negate values and result.

    Args:
        values: Shape (m,), nan where missing, sorted by (key, time).
        fresh: Shape (m,), true at the first row of a key.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,).
        by_hi: The numbers 0..q-1 ordered by `hi`.
    """
    out = np.full(len(lo), np.nan)
    stack = np.empty(len(values), dtype=np.int64)
    size = 0
    k = 0
    while k < len(by_hi) and hi[by_hi[k]] <= 0:
        k += 1
    for i in range(len(values)):
        if k >= len(by_hi):
            break
        if fresh[i]:
            size = 0
        x = values[i]
        if not np.isnan(x):
            while size > 0 and values[stack[size - 1]] <= x:
                size -= 1
            stack[size] = i
            size += 1
        while k < len(by_hi) and hi[by_hi[k]] == i + 1:
            query = by_hi[k]
            k += 1
            if lo[query] <= i:
                place = np.searchsorted(stack[:size], lo[query])
                if place < size:
                    out[query] = values[stack[place]]
    return out


@_jit
def first_seen(codes: Ints, fresh: Flags, size: int) -> Ints:
    """Return the number of distinct codes of the key up to and including each row, shape (m,); -1 is missing.

    Args:
        codes: Shape (m,), in [-1, size), sorted by (key, time).
        fresh: Shape (m,), true at the first row of a key.
        size: Number of possible codes.
    """
    out = np.empty(len(codes), dtype=np.int64)
    seen = np.full(size, -1, dtype=np.int64)
    start = 0
    n = 0
    for i in range(len(codes)):
        if fresh[i]:
            start = i
            n = 0
        code = codes[i]
        if code >= 0:
            if seen[code] < start:
                n += 1
            seen[code] = i
        out[i] = n
    return out


@_jit
def range_distinct(codes: Ints, fresh: Flags, size: int, lo: Ints, hi: Ints, by_hi: Ints) -> Ints:
    """Return the number of distinct codes of each range: the last occurrences in it, kept in a Fenwick tree.

    Args:
        codes: Shape (m,), in [-1, size), sorted by (key, time).
        fresh: Shape (m,), true at the first row of a key.
        size: Number of possible codes.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,).
        by_hi: The numbers 0..q-1 ordered by `hi`.
    """
    m = len(codes)
    out = np.zeros(len(lo), dtype=np.int64)
    tree = np.zeros(m + 1, dtype=np.int64)
    latest = np.full(size, -1, dtype=np.int64)
    start = 0
    k = 0
    while k < len(by_hi) and hi[by_hi[k]] <= 0:
        k += 1
    for i in range(m):
        if k >= len(by_hi):
            break
        if fresh[i]:
            start = i
        code = codes[i]
        if code >= 0:
            if latest[code] >= start:
                j = latest[code] + 1
                while j <= m:
                    tree[j] -= 1
                    j += j & -j
            latest[code] = i
            j = i + 1
            while j <= m:
                tree[j] += 1
                j += j & -j
        while k < len(by_hi) and hi[by_hi[k]] == i + 1:
            query = by_hi[k]
            k += 1
            if lo[query] <= i:
                total = 0
                j = i + 1
                while j > 0:
                    total += tree[j]
                    j -= j & -j
                j = lo[query]
                while j > 0:
                    total -= tree[j]
                    j -= j & -j
                out[query] = total
    return out


@_jit
def running_mode(codes: Ints, fresh: Flags, size: int) -> Ints:
    """Return the most frequent code of the key up to and including each row, the smallest of equals, -1 for none.

    Args:
        codes: Shape (m,), in [-1, size), sorted by (key, time).
        fresh: Shape (m,), true at the first row of a key.
        size: Number of possible codes.
    """
    out = np.empty(len(codes), dtype=np.int64)
    count = np.zeros(size, dtype=np.int64)
    start = 0
    best = -1
    for i in range(len(codes)):
        if fresh[i]:
            for j in range(start, i):
                if codes[j] >= 0:
                    count[codes[j]] = 0
            start = i
            best = -1
        code = codes[i]
        if code >= 0:
            count[code] += 1
            if best < 0 or count[code] > count[best] or (count[code] == count[best] and code < best):
                best = code
        out[i] = best
    return out


@_jit
def range_mode(codes: Ints, size: int, lo: Ints, hi: Ints) -> Ints:
    """Return the most frequent code of each range, the smallest of equals, -1 for none.

    Reads every row of every range: the cost is linear in the rows of the windows.

    Args:
        codes: Shape (m,), in [-1, size), sorted by (key, time).
        size: Number of possible codes.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,).
    """
    out = np.full(len(lo), -1, dtype=np.int64)
    count = np.zeros(size, dtype=np.int64)
    for k in range(len(lo)):
        best = -1
        for i in range(lo[k], hi[k]):
            code = codes[i]
            if code >= 0:
                count[code] += 1
                if best < 0 or count[code] > count[best] or (count[code] == count[best] and code < best):
                    best = code
        for i in range(lo[k], hi[k]):
            if codes[i] >= 0:
                count[codes[i]] = 0
        out[k] = best
    return out
