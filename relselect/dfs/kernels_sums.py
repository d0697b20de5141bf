"""Compiled sums: moments of ranges of rows sorted by (key, time), from running sums of each key.

Sums are pairs of doubles around the key's first value, so a difference of two running sums loses nothing that a double
can show even for a key at 1e9 with tiny variance. Where a range lies so far from the centre, for its spread, that the
pairs lose too, its rows are read again.

A running sum is kept only for the rows that some range begins after or ends at, so memory grows with the fewer of rows
and ranges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.kernels import add, jit, multiply, scale, square, two_product, two_sum

__all__ = ["range_moments", "range_skew", "running_moments"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Slots = NDArray[np.int32]
Flags = NDArray[np.bool_]

#: Columns of a state: number of values; the key's first value; its last one; the row after the last one with another;
#: and pairs that sum deviations from the first value, their squares and their cubes.
_COUNT, _CENTRE, _LAST, _RUN, _FIRST, _SECOND, _THIRD, _WIDTH = 0, 1, 2, 3, 4, 6, 8, 10

#: Relative error of one addition of pairs, over the relative error of a result that is put up with.
_LOSS = 1e-31 / 1e-12


@jit
def running_moments(values: Floats, fresh: Flags, slots: Slots, third: bool) -> Floats:
    """Return running sums up to and including each marked row.

    Args:
        values: Shape (m,), nan where missing, sorted by (key, time).
        fresh: Shape (m,), true at the first row of a key.
        slots: From `marks`, shape (m,); becomes each marked row's place in the result.
        third: Whether to sum cubes too.

    Returns:
        States, one per marked row; shape (marked rows, columns).
    """
    states = np.empty((int(np.sum(slots >= 0)), _WIDTH if third else _THIRD), dtype=np.float64)
    number = 0
    c = last = np.nan
    n = run = seen = 0
    s_high = s_low = q_high = q_low = t_high = t_low = 0.0
    for i in range(len(values)):
        if fresh[i]:
            n = 0
            run = i
            c = last = np.nan
            s_high = s_low = q_high = q_low = t_high = t_low = 0.0
        x = values[i] + 0.0
        if not np.isnan(x):
            if n == 0:
                c = last = x
            if x != last:
                run = seen + 1
                last = x
            seen = i
            n += 1
            d, e = two_sum(x, -c)
            s_high, s_low = add(s_high, s_low, d, e)
            p, r = two_product(d, d)
            r += 2.0 * d * e
            q_high, q_low = add(q_high, q_low, p, r)
            if third:
                p, r = multiply(p, r, d, e)
                t_high, t_low = add(t_high, t_low, p, r)
        if slots[i] >= 0:
            state = states[number]
            state[_COUNT], state[_CENTRE], state[_LAST], state[_RUN] = n, c, last, run
            state[_FIRST], state[_FIRST + 1] = s_high, s_low
            state[_SECOND], state[_SECOND + 1] = q_high, q_low
            if third:
                state[_THIRD], state[_THIRD + 1] = t_high, t_low
            slots[i] = number
            number += 1
    return states


@jit
def _sum(states: Floats, slots: Slots, fresh: Flags, lo: int, hi: int, column: int) -> tuple[float, float]:
    """Return one sum over the range `[lo, hi)`, not empty, as a pair."""
    state = states[slots[hi - 1]]
    high, low = state[column], state[column + 1]
    if not fresh[lo]:
        before = states[slots[lo - 1]]
        high, low = add(high, low, -before[column], -before[column + 1])
    return high, low


@jit
def _number(states: Floats, slots: Slots, fresh: Flags, lo: int, hi: int) -> int:
    if hi <= lo:
        return 0
    n = states[slots[hi - 1], _COUNT]
    return int(n if fresh[lo] else n - states[slots[lo - 1], _COUNT])


@jit
def _spread(n: int, s: tuple[float, float], q: tuple[float, float]) -> tuple[float, float]:
    """Return n times the sum of squared deviations from the mean, n * sum(d ** 2) - sum(d) ** 2, as a pair."""
    a_high, a_low = scale(q[0], q[1], float(n))
    b_high, b_low = square(s[0], s[1])
    return add(a_high, a_low, -b_high, -b_low)


@jit
def _sum_again(values: Floats, lo: int, hi: int) -> float:
    high = low = 0.0
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            high, low = add(high, low, values[i], 0.0)
    return high + low


@jit
def _again(values: Floats, lo: int, hi: int) -> tuple[float, float, float]:
    """Return the sums of squared and cubed deviations from the mean of `values[lo:hi]`, and the unit they are in.

    Reads the rows four times; the unit is the largest deviation from the first value, so nothing overflows.
    """
    first = np.nan
    unit = 0.0
    n = 0
    total = 0.0
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            if n == 0:
                first = values[i]
            n += 1
            unit = max(unit, abs(values[i] - first))
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            total += (values[i] - first) / unit
    mean = total / n
    # What the rounded mean leaves: "corrected two-pass", Chan, Golub and LeVeque 1983.
    rest = 0.0
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            rest += (values[i] - first) / unit - mean
    mean += rest / n
    second = third = 0.0
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            d = (values[i] - first) / unit - mean
            second += d * d
            third += d * d * d
    return second, third, unit


@jit
def range_moments(values: Floats, states: Floats, slots: Slots, fresh: Flags, lo: Ints, hi: Ints) -> Floats:
    """Return count of values, sum, mean and standard deviation (ddof 1) of ranges of one key each.

    Args:
        values: As for `running_moments`.
        states: From `running_moments`.
        slots: From `running_moments`.
        fresh: As for `running_moments`.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,); `hi <= lo` is an empty range.

    Returns:
        Shape (4, q); the mean of nothing and the deviation of fewer than two values are nan.
    """
    out = np.empty((4, len(lo)), dtype=np.float64)
    for k in range(len(lo)):
        n = _number(states, slots, fresh, lo[k], hi[k])
        total, mean, deviation = 0.0, np.nan, np.nan
        if n > 0:
            state = states[slots[hi[k] - 1]]
            if state[_RUN] <= lo[k]:
                mean = state[_LAST]
                total = mean * n
                deviation = 0.0 if n > 1 else np.nan
            else:
                s = _sum(states, slots, fresh, lo[k], hi[k], _FIRST)
                total = _total(n, state, s)
                if not fresh[lo[k]] and abs(total) <= _LOSS * state[_COUNT] * np.sqrt(state[_COUNT] * state[_SECOND]):
                    total = _sum_again(values, lo[k], hi[k])
                mean = total / n
                q = _sum(states, slots, fresh, lo[k], hi[k], _SECOND)
                high, low = _spread(n, s, q)
                if high > _LOSS * state[_COUNT] * n * state[_SECOND] and 1e-200 < high < 1e200:
                    deviation = np.sqrt((high + low) / (float(n) * (n - 1)))
                else:
                    second, _, unit = _again(values, lo[k], hi[k])
                    deviation = unit * np.sqrt(second / (n - 1))
        out[0, k], out[1, k], out[2, k], out[3, k] = n, total, mean, deviation
    return out


@jit
def _total(n: int, state: Floats, s: tuple[float, float]) -> float:
    p, r = two_product(state[_CENTRE], float(n))
    high, low = add(p, r, s[0], s[1])
    # The halves of numbers beyond 1e300 overflow.
    return high + low if np.isfinite(high + low) else state[_CENTRE] * n + s[0]


@jit
def range_skew(values: Floats, states: Floats, slots: Slots, fresh: Flags, lo: Ints, hi: Ints) -> Floats:
    """Return the bias-corrected skewness G1 (Joanes and Gill 1998) of ranges of one key each, shape (q,).

    nan for fewer than three values, 0 where all are equal.

    Args:
        values: As for `running_moments`.
        states: From `running_moments` with cubes.
        slots: From `running_moments`.
        fresh: As for `running_moments`.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,).
    """
    out = np.full(len(lo), np.nan)
    for k in range(len(lo)):
        n = _number(states, slots, fresh, lo[k], hi[k])
        if n < 3:
            continue
        state = states[slots[hi[k] - 1]]
        if state[_RUN] <= lo[k]:
            out[k] = 0.0
            continue
        s = _sum(states, slots, fresh, lo[k], hi[k], _FIRST)
        q = _sum(states, slots, fresh, lo[k], hi[k], _SECOND)
        high, low = _spread(n, s, q)
        factor = np.sqrt(float(n) * (n - 1)) / (n - 2)
        # The error of cubes is relative to the power 3/2 of the running sum of squares.
        part = high / (n * state[_SECOND])
        if part > 0 and part**3 > n * (_LOSS * state[_COUNT]) ** 2 and 1e-100 < high < 1e100:
            t = _sum(states, slots, fresh, lo[k], hi[k], _THIRD)
            out[k] = factor * (_third(n, s, q, t) / (high + low)) / np.sqrt(high + low)
        else:
            second, third, _ = _again(values, lo[k], hi[k])
            out[k] = factor * np.sqrt(float(n)) * third / second / np.sqrt(second)
    return out


@jit
def _third(n: int, s: tuple[float, float], q: tuple[float, float], t: tuple[float, float]) -> float:
    """Return n ** 2 times the sum of cubed deviations from the mean: n ** 2 t - 3 n s q + 2 s ** 3."""
    a = scale(t[0], t[1], float(n) * n)
    b = multiply(s[0], s[1], q[0], q[1])
    b = scale(b[0], b[1], -3.0 * n)
    c = square(s[0], s[1])
    c = multiply(c[0], c[1], 2.0 * s[0], 2.0 * s[1])
    a = add(a[0], a[1], b[0], b[1])
    a = add(a[0], a[1], c[0], c[1])
    return a[0] + a[1]
