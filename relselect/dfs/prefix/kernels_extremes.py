"""Compiled order statistics of ranges of rows sorted by (key, time): largest values and quantiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.prefix.kernels import jit

__all__ = ["range_largest", "range_nth", "running_largest"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Slots = NDArray[np.int32]
Flags = NDArray[np.bool_]


@jit
def running_largest(values: Floats, sign: float, fresh: Flags) -> Floats:
    """Return the largest value (the smallest for sign -1) of the key up to and including each row, nan for none.

    Args:
        values: Shape (m,), nan where missing, sorted by (key, time).
        sign: 1 or -1.
        fresh: Shape (m,), true at the first row of a key.
    """
    out = np.empty(len(values), dtype=np.float64)
    best = np.nan
    for i in range(len(values)):
        # Zero is added so that minus zero is zero: equals must not differ by a bit.
        x = values[i] + 0.0
        if fresh[i] or np.isnan(best) or sign * x > sign * best:
            best = x
        out[i] = best
    return out


@jit
def _first_from(stack: Ints, size: int, least: int) -> int:
    """Return the first place of the ascending `stack[:size]` that holds `least` or more, `size` for none."""
    low, high = 0, size
    while low < high:
        middle = (low + high) >> 1
        if stack[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def range_largest(values: Floats, sign: float, fresh: Flags, lo: Ints, hi: Ints, by_hi: Ints) -> Floats:
    """Return the largest value (the smallest for sign -1) of each range, nan where there is none.

    One pass with a stack of candidates (Gabow, Bentley and Tarjan 1984): O((m + q) log m) time and O(m) memory for any
    mixture of ranges.

    Args:
        values: Shape (m,), nan where missing, sorted by (key, time).
        sign: 1 or -1.
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
        x = sign * values[i]
        if not np.isnan(x):
            while size > 0 and sign * values[stack[size - 1]] <= x:
                size -= 1
            stack[size] = i
            size += 1
        while k < len(by_hi) and hi[by_hi[k]] == i + 1:
            query = by_hi[k]
            k += 1
            if lo[query] <= i:
                place = _first_from(stack, size, lo[query])
                if place < size:
                    out[query] = values[stack[place]] + 0.0
    return out


@jit
def range_nth(codes: Slots, bits: int, lo: Ints, hi: Ints, nth: Ints) -> Ints:
    """Return the nth smallest code of each range, counted from 0; shape (q,). The inputs are overwritten.

    The descent of a wavelet matrix (Claude, Navarro and Ordonez 2015), all ranges together and bit by bit, so that only
    one level is ever in memory: O((m + q) * bits) time and O(m + q) memory for any mixture of ranges.

    Args:
        codes: Shape (m,), in [0, 2 ** bits).
        bits: Of the codes.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,).
        nth: Shape (q,), in [0, hi - lo); results of others mean nothing.
    """
    m = len(codes)
    found = np.zeros(len(lo), dtype=np.int64)
    zeros = np.zeros(m + 1, dtype=np.int32)
    other = np.empty_like(codes)
    for bit in range(bits - 1, -1, -1):
        for i in range(m):
            zeros[i + 1] = zeros[i] + 1 - ((codes[i] >> bit) & 1)
        total = zeros[m]
        for i in range(m):
            ones = (codes[i] >> bit) & 1
            other[(total + i - zeros[i]) if ones else zeros[i]] = codes[i]
        codes, other = other, codes
        for k in range(len(lo)):
            a, b = zeros[lo[k]], zeros[hi[k]]
            if nth[k] < b - a:
                lo[k], hi[k] = a, b
            else:
                nth[k] -= b - a
                lo[k] += total - a
                hi[k] += total - b
                found[k] |= 1 << bit
    return found
