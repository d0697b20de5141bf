"""Compiled sums: moments of ranges of rows sorted by (key, time), from running sums of each key.

Sums are pairs of doubles around the key's first value, so a difference of two running sums keeps all digits of a double even
for a key around 1e9 with tiny variance. Where a range lies too far from that centre, for its spread, even for pairs, its rows
are read again.

A running sum is kept only for the rows that some range begins after or ends at, so memory grows with the fewer of rows
and ranges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.prefix.kernels import add, jit, multiply, scale, square, two_product, two_sum

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

#: Ranges per block, whose numbers stay in the first-level cache, and numbers kept of each.
_BLOCK, _FIELDS = 256, 13


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
    end = slots[hi - 1]
    high, low = states[end, column], states[end, column + 1]
    if not fresh[lo]:
        before = slots[lo - 1]
        high, low = add(high, low, -states[before, column], -states[before, column + 1])
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

    A block of ranges at a time: what they need is gathered, the arithmetic runs through the block without a branch, so
    that the compiler does several ranges at once, and ranges for which that is not good enough are done again.

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
    work = np.empty(_FIELDS * _BLOCK, dtype=np.float64)
    for start in range(0, len(lo), _BLOCK):
        size = min(_BLOCK, len(lo) - start)
        _gather(states, slots, fresh, lo, hi, start, size, work)
        _arithmetic(work, size)
        _store(out, values, states, slots, fresh, lo, hi, start, size, work)
    return out


@jit
def _gather(
    states: Floats, slots: Slots, fresh: Flags, lo: Ints, hi: Ints, start: int, size: int, work: Floats
) -> None:
    """Fill a block with number of values, centre, sums as pairs, and the running number and squares at the end."""
    for j in range(size):
        first, last = lo[start + j], hi[start + j]
        work[j] = 0.0
        if last <= first:
            continue
        end = slots[last - 1]
        count, squares = states[end, _COUNT], states[end, _SECOND]
        s_high, s_low = states[end, _FIRST], states[end, _FIRST + 1]
        q_high, q_low = squares, states[end, _SECOND + 1]
        work[j] = count
        if not fresh[first]:
            before = slots[first - 1]
            work[j] = count - states[before, _COUNT]
            s_high, s_low = add(s_high, s_low, -states[before, _FIRST], -states[before, _FIRST + 1])
            q_high, q_low = add(q_high, q_low, -states[before, _SECOND], -states[before, _SECOND + 1])
        work[_BLOCK + j] = states[end, _CENTRE]
        work[2 * _BLOCK + j], work[3 * _BLOCK + j] = s_high, s_low
        work[4 * _BLOCK + j], work[5 * _BLOCK + j] = q_high, q_low
        work[6 * _BLOCK + j], work[7 * _BLOCK + j] = count, squares


@jit
def _arithmetic(work: Floats, size: int) -> None:
    """Add to a block sum, deviation, n times the squared deviations, and the smallest sizes at which they are good."""
    for j in range(size):
        n, count, squares = work[j], work[6 * _BLOCK + j], work[7 * _BLOCK + j]
        s_high, s_low = work[2 * _BLOCK + j], work[3 * _BLOCK + j]
        p, r = two_product(work[_BLOCK + j], n)
        high, low = add(p, r, s_high, s_low)
        work[8 * _BLOCK + j] = high + low
        # n times the sum of squared deviations from the mean: n * sum(d ** 2) - sum(d) ** 2.
        a_high, a_low = scale(work[4 * _BLOCK + j], work[5 * _BLOCK + j], n)
        b_high, b_low = square(s_high, s_low)
        high, low = add(a_high, a_low, -b_high, -b_low)
        work[9 * _BLOCK + j] = np.sqrt((high + low) / (n * (n - 1.0)))
        work[10 * _BLOCK + j] = high
        work[11 * _BLOCK + j] = _LOSS * count * np.sqrt(count * squares)
        work[12 * _BLOCK + j] = _LOSS * count * n * squares


@jit
def _store(
    out: Floats,
    values: Floats,
    states: Floats,
    slots: Slots,
    fresh: Flags,
    lo: Ints,
    hi: Ints,
    start: int,
    size: int,
    work: Floats,
) -> None:
    """Write a block's counts, sums, means and deviations; what running sums do not show is computed again from rows."""
    for j in range(size):
        k = start + j
        n, total, mean, deviation = work[j], 0.0, np.nan, np.nan
        end = slots[hi[k] - 1] if n > 0 else 0
        if n > 0 and states[end, _RUN] <= lo[k]:
            mean = states[end, _LAST]
            total = mean * n
            deviation = 0.0 if n > 1 else np.nan
        elif n > 0:
            total, deviation, spread = work[8 * _BLOCK + j], work[9 * _BLOCK + j], work[10 * _BLOCK + j]
            if not np.isfinite(total):  # The halves of numbers beyond 1e300 overflow.
                total = states[end, _CENTRE] * n + work[2 * _BLOCK + j]
            if not fresh[lo[k]] and abs(total) <= work[11 * _BLOCK + j]:
                total = _sum_again(values, lo[k], hi[k])
            mean = total / n
            if not (spread > work[12 * _BLOCK + j] and 1e-200 < spread < 1e200):
                second, _, unit = _again(values, lo[k], hi[k])
                deviation = unit * np.sqrt(second / (n - 1))
        out[0, k], out[1, k], out[2, k], out[3, k] = n, total, mean, deviation


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
