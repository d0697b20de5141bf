"""Compiled counts of codes over ranges of rows sorted by (key, time): distinct ones, the most frequent, entropy.

Ranges that all begin at their key's first row are read off running structures. Others are visited in an order in which
neighbours overlap, adding and removing rows at both ends (`travel` returns the cost of an order). The state is a
function of the counts alone and in integers, so results do not depend on the order of visits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.prefix.kernels import jit

__all__ = ["first_seen", "range_distinct", "range_entropy", "range_mode", "running_mode", "travel", "xlogx"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Bits after the point of the first and the second limb of `xlogx`.
_UPPER, _LOWER = 16, 52


@jit
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


@jit
def _bump(tree: Ints, place: int, length: int, change: int) -> None:
    while place <= length:
        tree[place] += change
        place += place & -place


@jit
def _total(tree: Ints, place: int) -> int:
    total = 0
    while place > 0:
        total += tree[place]
        place -= place & -place
    return total


@jit
def range_distinct(codes: Ints, fresh: Flags, size: int, lo: Ints, hi: Ints, by_hi: Ints) -> Ints:
    """Return the number of distinct codes of each range, for any mixture of ranges in O((m + q) log m).

    They are the last occurrences so far that the range holds, counted in a Fenwick tree per key.

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
    start = length = 0
    k = 0
    while k < len(by_hi) and hi[by_hi[k]] <= 0:
        k += 1
    for i in range(m):
        if k >= len(by_hi):
            break
        if fresh[i]:
            tree[: length + 1] = 0
            start = i
            length = 1
            while start + length < m and not fresh[start + length]:
                length += 1
        code = codes[i]
        if code >= 0:
            if latest[code] >= start:
                _bump(tree, latest[code] - start + 1, length, -1)
            latest[code] = i
            _bump(tree, i - start + 1, length, 1)
        while k < len(by_hi) and hi[by_hi[k]] == i + 1:
            query = by_hi[k]
            k += 1
            if lo[query] <= i:
                out[query] = _total(tree, i - start + 1) - _total(tree, lo[query] - start)
    return out


@jit
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


@jit
def travel(lo: Ints, hi: Ints, order: Ints) -> int:
    """Return how many rows are added and removed when ranges are visited in an order.

    Args:
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,); `hi <= lo` is an empty range, which is passed over.
        order: The numbers 0..q-1.
    """
    rows = left = right = 0
    for query in order:
        if hi[query] > lo[query]:
            moved = abs(left - lo[query]) + abs(right - hi[query])
            rows += min(moved, right - left + hi[query] - lo[query])
            left, right = lo[query], hi[query]
    return rows


@jit
def _leaps(left: int, right: int, lo: int, hi: int) -> bool:
    """Whether starting anew is cheaper than moving both ends."""
    return abs(left - lo) + abs(right - hi) >= right - left + hi - lo


@jit
def _count(tree: Ints, count: Ints, code: int, change: int) -> None:
    """Change the count of a code, and which code is the most frequent below each node of a tree over the codes."""
    if code < 0:
        return
    count[code] += change
    node = (len(count) + code) >> 1
    while node > 0:
        left, right = tree[2 * node], tree[2 * node + 1]
        best = right if count[right] > count[left] else left
        if tree[node] == best and best != code:
            return
        tree[node] = best
        node >>= 1


@jit
def range_mode(codes: Ints, size: int, lo: Ints, hi: Ints, order: Ints) -> Ints:
    """Return the most frequent code of each range, the smallest of equals, -1 for none.

    Args:
        codes: Shape (m,), in [-1, size), sorted by (key, time).
        size: Number of possible codes.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,).
        order: The numbers 0..q-1 in the order to visit the ranges.
    """
    out = np.full(len(lo), -1, dtype=np.int64)
    leaves = 2
    while leaves < size:
        leaves *= 2
    count = np.zeros(leaves, dtype=np.int64)
    tree = np.zeros(2 * leaves, dtype=np.int64)
    for node in range(2 * leaves - 1, 0, -1):
        tree[node] = node - leaves if node >= leaves else tree[2 * node]
    left = right = 0
    for query in order:
        a, b = lo[query], hi[query]
        if b <= a:
            continue
        if _leaps(left, right, a, b):
            for i in range(left, right):
                _count(tree, count, codes[i], -1)
            left = right = a
        while right < b:
            _count(tree, count, codes[right], 1)
            right += 1
        while left > a:
            left -= 1
            _count(tree, count, codes[left], 1)
        while right > b:
            right -= 1
            _count(tree, count, codes[right], -1)
        while left < a:
            _count(tree, count, codes[left], -1)
            left += 1
        if count[tree[1]] > 0:
            out[query] = tree[1]
    return out


@jit
def xlogx(most: int) -> tuple[Ints, Ints]:
    """Return x log x for x = 0..most as sums of two integers, over 2 ** 16 and 2 ** 52; each of shape (most + 1,).

    Steps are summed, not values rounded, so that the difference of two neighbours is as exact as a double.
    """
    upper = np.zeros(most + 1, dtype=np.int64)
    lower = np.zeros(most + 1, dtype=np.int64)
    for x in range(1, most):
        step = math.log(x + 1.0) + x * math.log1p(1.0 / x)
        whole = math.floor(step * 2.0**_UPPER)
        upper[x + 1] = upper[x] + int(whole)
        lower[x + 1] = lower[x] + round((step * 2.0**_UPPER - whole) * 2.0 ** (_LOWER - _UPPER))
    return upper, lower


@jit
def range_entropy(codes: Ints, size: int, lo: Ints, hi: Ints, order: Ints, upper: Ints, lower: Ints) -> Floats:
    """Return the entropy in nats of the codes of each range, shape (q,), nan for an empty range.

    n entropy = n log n - sum(c log c) over the counts c, in integers.

    Args:
        codes: Shape (m,), in [-1, size), sorted by (key, time); -1 counts like any other.
        size: Number of possible codes.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,).
        order: The numbers 0..q-1 in the order to visit the ranges.
        upper: From `xlogx` of the longest range.
        lower: From `xlogx`.
    """
    out = np.full(len(lo), np.nan)
    # The last place is that of -1.
    count = np.zeros(size + 1, dtype=np.int64)
    sums = np.zeros(2, dtype=np.int64)
    left = right = 0
    for query in order:
        a, b = lo[query], hi[query]
        if b <= a:
            continue
        if _leaps(left, right, a, b):
            for i in range(left, right):
                count[codes[i]] = 0
            sums[:] = 0
            left = right = a
        while right < b:
            _weigh(count, sums, codes[right], 1, upper, lower)
            right += 1
        while left > a:
            left -= 1
            _weigh(count, sums, codes[left], 1, upper, lower)
        while right > b:
            right -= 1
            _weigh(count, sums, codes[right], -1, upper, lower)
        while left < a:
            _weigh(count, sums, codes[left], -1, upper, lower)
            left += 1
        n = b - a
        rest = (upper[n] - sums[0]) / 2.0**_UPPER + (lower[n] - sums[1]) / 2.0**_LOWER
        out[query] = rest / n
    return out


@jit
def _weigh(count: Ints, sums: Ints, code: int, change: int, upper: Ints, lower: Ints) -> None:
    before = count[code]
    count[code] = before + change
    sums[0] += upper[before + change] - upper[before]
    sums[1] += lower[before + change] - lower[before]
