"""Compiled least-squares slopes of ranges of rows sorted by (key, time), from running sums of each key."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.prefix.kernels import add, jit, multiply, scale, square, two_sum

__all__ = ["range_slope", "running_products"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Slots = NDArray[np.int32]
Flags = NDArray[np.bool_]

#: Columns of a state: number of values; the row after the last one with another value, or another time; and pairs that
#: sum deviations of times and of values from the key's first, squares of either and products.
_COUNT, _RUN, _RUN_TIME, _T, _Y, _TT, _YY, _TY, _WIDTH = 0, 1, 2, 3, 5, 7, 9, 11, 13

#: Relative error of one addition of pairs, over the error of a slope, in units of its deviations, that is put up with.
_LOSS = 1e-31 / 1e-13


@jit
def _since(tick: int, begun: int) -> tuple[float, float]:
    """Return tick - begun exactly, as a pair, even where it does not fit in 64 bits."""
    return two_sum(
        float((tick >> 32) - (begun >> 32)) * 4294967296.0, float((tick & 0xFFFFFFFF) - (begun & 0xFFFFFFFF))
    )


@jit
def _plus(state: Floats, column: int, a: tuple[float, float]) -> None:
    state[column], state[column + 1] = add(state[column], state[column + 1], a[0], a[1])


@jit
def running_products(values: Floats, times: Ints, fresh: Flags, slots: Slots) -> Floats:
    """Return running sums up to and including each marked row, of rows with a value.

    Args:
        values: Shape (m,), nan where missing, sorted by (key, time).
        times: Shape (m,).
        fresh: Shape (m,), true at the first row of a key.
        slots: From `marks`, shape (m,); becomes each marked row's place in the result.

    Returns:
        States, one per marked row; shape (marked rows, columns).
    """
    states = np.empty((int(np.sum(slots >= 0)), _WIDTH), dtype=np.float64)
    number = seen = 0
    state = np.zeros(_WIDTH, dtype=np.float64)
    centre = last = np.nan
    begun = latest = 0
    for i in range(len(values)):
        if fresh[i]:
            state[:] = 0.0
            state[_RUN] = state[_RUN_TIME] = i
            centre = last = np.nan
        y = values[i] + 0.0
        if not np.isnan(y):
            if state[_COUNT] == 0:
                centre = last = y
                begun = latest = times[i]
            if y != last:
                state[_RUN] = seen + 1
            if times[i] != latest:
                state[_RUN_TIME] = seen + 1
            seen = i
            last = y
            latest = times[i]
            state[_COUNT] += 1
            dt = _since(latest, begun)
            dy = two_sum(y, -centre)
            _plus(state, _T, dt)
            _plus(state, _Y, dy)
            _plus(state, _TT, square(dt[0], dt[1]))
            _plus(state, _YY, square(dy[0], dy[1]))
            _plus(state, _TY, multiply(dt[0], dt[1], dy[0], dy[1]))
        if slots[i] >= 0:
            states[number] = state
            slots[i] = number
            number += 1
    return states


@jit
def _sum(states: Floats, slots: Slots, fresh: Flags, lo: int, hi: int, column: int) -> tuple[float, float]:
    state = states[slots[hi - 1]]
    high, low = state[column], state[column + 1]
    if not fresh[lo]:
        before = states[slots[lo - 1]]
        high, low = add(high, low, -before[column], -before[column + 1])
    return high, low


@jit
def _spread(
    n: int, products: tuple[float, float], a: tuple[float, float], b: tuple[float, float]
) -> tuple[float, float]:
    """Return n * sum(a b) - sum(a) * sum(b) as a pair."""
    left = scale(products[0], products[1], float(n))
    right = multiply(a[0], a[1], b[0], b[1])
    return add(left[0], left[1], -right[0], -right[1])


@jit
def _again(values: Floats, times: Ints, lo: int, hi: int) -> float:
    """Return the slope over `[lo, hi)` per tick, reading its rows three times."""
    first = -1
    n = 0
    time = value = unit = 0.0
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            if n == 0:
                first = i
            n += 1
            time += _since(times[i], times[first])[0]
            value += values[i] - values[first]
            unit = max(unit, abs(_since(times[i], times[first])[0]))
    time /= n
    value /= n
    rest = 0.0
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            rest += _since(times[i], times[first])[0] - time
    time += rest / n
    above = below = 0.0
    for i in range(lo, hi):
        if not np.isnan(values[i]):
            t = (_since(times[i], times[first])[0] - time) / unit
            above += t * ((values[i] - values[first]) - value)
            below += t * t
    return above / below / unit


@jit
def range_slope(values: Floats, times: Ints, states: Floats, slots: Slots, fresh: Flags, lo: Ints, hi: Ints) -> Floats:
    """Return the least-squares slope of values against times, per tick, of ranges of one key each, shape (q,).

    nan for fewer than three values, 0 where all values or all their times are equal.

    Args:
        values: As for `running_products`.
        times: As for `running_products`.
        states: From `running_products`.
        slots: From `running_products`.
        fresh: As for `running_products`.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,).
    """
    out = np.full(len(lo), np.nan)
    for k in range(len(lo)):
        if hi[k] <= lo[k]:
            continue
        state = states[slots[hi[k] - 1]]
        n = state[_COUNT]
        if not fresh[lo[k]]:
            n -= states[slots[lo[k] - 1], _COUNT]
        if n < 3:
            continue
        if state[_RUN] <= lo[k] or state[_RUN_TIME] <= lo[k]:
            out[k] = 0.0
            continue
        t = _sum(states, slots, fresh, lo[k], hi[k], _T)
        y = _sum(states, slots, fresh, lo[k], hi[k], _Y)
        tt = _spread(n, _sum(states, slots, fresh, lo[k], hi[k], _TT), t, t)
        yy = _spread(n, _sum(states, slots, fresh, lo[k], hi[k], _YY), y, y)
        ty = _spread(n, _sum(states, slots, fresh, lo[k], hi[k], _TY), t, y)
        # The error of the products is relative to the running sums of squares.
        part = (tt[0] / (n * state[_TT])) * (yy[0] / (n * state[_YY]))
        if tt[0] > 0 and yy[0] > 0 and part > (_LOSS * state[_COUNT]) ** 2 and 1e-100 < yy[0] < 1e100:
            out[k] = (ty[0] + ty[1]) / (tt[0] + tt[1])
        else:
            out[k] = _again(values, times, lo[k], hi[k])
    return out
