"""Compiled sorting of rows by (key, time), and searching of times in the sorted rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.prefix.kernels import jit

__all__ = ["arrange", "locate", "marks", "places", "sort_ties"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Slots = NDArray[np.int32]
Flags = NDArray[np.bool_]

#: Bits sorted by in one pass: 2048 write streams stay in the second-level cache.
_DIGIT = 11
#: Values sorted by insertion before they are merged.
_RUN = 24


@jit
def _length(word: int) -> int:
    """Return the number of bits of a word read as unsigned."""
    if word < 0:
        return 64
    bits = 0
    while word > 0:
        word >>= 1
        bits += 1
    return bits


@jit
def _radix(words: Ints, rows: Ints, low: int, bits: int) -> tuple[Ints, Ints]:
    """Return words and rows stably sorted by `bits` bits of the words from bit `low` on; the inputs are overwritten."""
    passes = (bits + _DIGIT - 1) // _DIGIT
    if passes == 0 or len(words) < 2:
        return words, rows
    width = (bits + passes - 1) // passes
    other_words = np.empty_like(words)
    other_rows = np.empty_like(rows)
    for number in range(passes):
        shift = low + number * width
        mask = (1 << min(width, low + bits - shift)) - 1
        place = np.zeros(mask + 2, dtype=np.int64)
        for word in words:
            place[((word >> shift) & mask) + 1] += 1
        if place[((words[0] >> shift) & mask) + 1] == len(words):
            continue
        for digit in range(mask):
            place[digit + 1] += place[digit]
        for i in range(len(words)):
            digit = (words[i] >> shift) & mask
            to = place[digit]
            place[digit] = to + 1
            other_words[to] = words[i]
            other_rows[to] = rows[i]
        words, other_words = other_words, words
        rows, other_rows = other_rows, rows
    return words, rows


@jit
def _survey(keys: Ints, times: Ints, never: int) -> tuple[int, int, int, int, int, bool]:
    """Return of the rows that count: their number, largest key, first and last time, bits that vary, whether sorted."""
    m = 0
    most = 0
    first = last = previous = anchor = 0
    varying = 0
    ascending = True
    for i in range(len(keys)):
        if keys[i] < 0 or times[i] >= never:
            continue
        t = times[i]
        if m == 0:
            first = last = previous = anchor = t
        m += 1
        most = max(most, keys[i])
        first = min(first, t)
        last = max(last, t)
        varying |= t ^ anchor
        ascending &= previous <= t
        previous = t
    return m, most, first, last, varying, ascending


@jit
def arrange(keys: Ints, times: Ints, never: int) -> Ints:
    """Return the rows with a key and a time, stably sorted by (key, time), shape (m,).

    A radix sort of the bits that vary: linear, and one pass or two where the table already lies in order of time.

    Args:
        keys: Shape (rows,); negative is none.
        times: Shape (rows,).
        never: This time and later ones are none.
    """
    m, most, first, last, varying, ascending = _survey(keys, times, never)
    shift = 0
    while varying != 0 and shift < 63 and (varying >> shift) & 1 == 0:
        shift += 1
    # Differences wrap around like unsigned numbers, so they are right even where they do not fit.
    time_bits = 0 if ascending else _length(last - first) - shift
    time_mask = -1 if time_bits > 62 else (1 << time_bits) - 1
    key_bits = _length(most)
    together = time_bits + key_bits <= 63
    words = np.empty(m, dtype=np.int64)
    rows = np.empty(m, dtype=np.int64)
    to = 0
    for i in range(len(keys)):
        if keys[i] < 0 or times[i] >= never:
            continue
        words[to] = ((times[i] - first) >> shift) & time_mask
        if together:
            words[to] |= keys[i] << time_bits
        rows[to] = i
        to += 1
    if together:
        return _radix(words, rows, 0, time_bits + key_bits)[1]
    words, rows = _radix(words, rows, 0, time_bits)
    for i in range(m):
        words[i] = keys[rows[i]]
    return _radix(words, rows, 0, key_bits)[1]


@jit
def places(keys: Ints, rows: Ints, times: Ints) -> tuple[Ints, Flags, Flags]:
    """Return the times of sorted rows, which of them are the first of a key, and which share key and time with the last.

    Args:
        keys: Shape (table rows,).
        rows: Sorted rows, shape (m,).
        times: Shape (table rows,).
    """
    m = len(rows)
    at = np.empty(m, dtype=np.int64)
    fresh = np.empty(m, dtype=np.bool_)
    tied = np.empty(m, dtype=np.bool_)
    key = np.int64(-1)
    for i in range(m):
        at[i] = times[rows[i]]
        fresh[i] = keys[rows[i]] != key
        key = keys[rows[i]]
        tied[i] = not fresh[i] and at[i] == at[i - 1]
    return at, fresh, tied


@jit
def locate(present: Ints, lookup: Slots, starts: Ints, times: Ints, keys: Ints, moments: Ints) -> Ints:
    """Return how many rows stand before or at each moment within its key, plus the place of the key's first row.

    The search starts from the last one's result where the key is the same, so task rows sorted by key and time read
    memory in order; any other order costs a binary search each.

    Args:
        present: The keys that have rows, ascending, shape (p,).
        lookup: Key -> its place in `present`, -1 for none; empty where keys are too sparse for it.
        starts: The place of each present key's first row, and the number of rows, shape (p + 1,).
        times: Ascending within each key, shape (m,).
        keys: Shape (n,); unknown keys get 0.
        moments: Shape (n,); empty for the place of the key's first row alone.
    """
    out = np.zeros(len(keys), dtype=np.int64)
    key = slot = -1
    low = high = 0
    for i in range(len(keys)):
        if keys[i] != key:
            key = keys[i]
            slot = _slot(present, lookup, key)
            low = starts[slot] if slot >= 0 else 0
        if slot < 0:
            continue
        if len(moments) == 0:
            out[i] = starts[slot]
            continue
        moment = moments[i]
        end = starts[slot + 1]
        if low > starts[slot] and times[low - 1] > moment:
            high = low
            low = starts[slot]
        else:
            step = 1
            high = low
            while high < end and times[high] <= moment:
                low = high + 1
                high = min(end, high + step)
                step *= 2
        while low < high:
            middle = (low + high) >> 1
            if times[middle] <= moment:
                low = middle + 1
            else:
                high = middle
        out[i] = low
    return out


@jit
def _slot(present: Ints, lookup: Slots, key: int) -> int:
    if key < 0 or len(present) == 0 or key > present[-1]:
        return -1
    if len(lookup) > 0:
        return int(lookup[key])
    low, high = 0, len(present) - 1
    while low < high:
        middle = (low + high) >> 1
        if present[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low if present[low] == key else -1


@jit
def marks(slots: Slots, fresh: Flags, lo: Ints, hi: Ints) -> None:
    """Mark with 0 the rows that ranges need a running total of: their last, and the one before their first.

    Args:
        slots: Shape (m,), changed in place.
        fresh: Shape (m,), true at the first row of a key.
        lo: First rows, shape (q,).
        hi: One past the last rows, shape (q,).
    """
    for k in range(len(lo)):
        if hi[k] > lo[k]:
            slots[hi[k] - 1] = 0
            if not fresh[lo[k]]:
                slots[lo[k] - 1] = 0


@jit
def sort_ties(values: Floats, tied: Flags) -> Floats:
    """Return values with those of one key and time in ascending order, missing ones last, shape (m,).

    What is summed in this order depends on the sets of values alone.

    Args:
        values: Shape (m,), nan where missing.
        tied: Whether a row has the key and time of the row before, shape (m,).
    """
    out = values.copy()
    other = np.empty(0, dtype=np.float64)
    m = len(values)
    i = 1
    while i < m:
        if not tied[i]:
            i += 1
            continue
        start = i - 1
        while i < m and tied[i]:
            i += 1
        for first in range(start, i, _RUN):
            _insert(out, first, min(first + _RUN, i))
        if i - start > _RUN:
            if len(other) == 0:
                other = np.empty(m, dtype=np.float64)
            _merge(out, other, start, i)
    return out


# NumPy's own sort would do, but takes seconds to compile.
@jit
def _insert(out: Floats, start: int, stop: int) -> None:
    """Sort a few values in place, missing ones last."""
    for j in range(start + 1, stop):
        x = out[j]
        k = j
        if not np.isnan(x):
            while k > start and not out[k - 1] <= x:
                out[k] = out[k - 1]
                k -= 1
            out[k] = x


@jit
def _merge(out: Floats, other: Floats, start: int, stop: int) -> None:
    """Sort values in place of which every `_RUN` are sorted, missing ones last; `other` is as long as `out`."""
    width = _RUN
    while width < stop - start:
        for left in range(start, stop, 2 * width):
            a = left
            b = middle = min(left + width, stop)
            right = min(left + 2 * width, stop)
            for k in range(left, right):
                if b >= right or (a < middle and (out[a] <= out[b] or np.isnan(out[b]))):
                    other[k] = out[a]
                    a += 1
                else:
                    other[k] = out[b]
                    b += 1
        for k in range(start, stop):
            out[k] = other[k]
        width *= 2
