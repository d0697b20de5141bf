"""Compiled loops over (row, child) pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.prefix.kernels import jit

__all__ = ["distinct_rows"]

Ints = NDArray[np.int64]

#: Odd multipliers that scatter bits: those of SplitMix64 (Steele, Lea and Flood 2014) as signed numbers.
_FIRST, _SECOND, _THIRD = -7046029254386353131, -4658895280553007687, -7723592293110705685


@jit
def distinct_rows(owner: Ints, cutoff: Ints, asof: Ints) -> tuple[Ints, Ints]:
    """Return the first place of each distinct (owner, cutoff, asof), and which of them each row is.

    A hash table with open addressing: linear, and nothing is sorted.

    Args:
        owner: Shape (n,).
        cutoff: Shape (n,).
        asof: Shape (n,).

    Returns:
        Places of shape (distinct,) and numbers of shape (n,), so that `owner[places][numbers]` is `owner`.
    """
    size = 8
    while size < 2 * len(owner):
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    places = np.empty(len(owner), dtype=np.int64)
    numbers = np.empty(len(owner), dtype=np.int64)
    count = 0
    for i in range(len(owner)):
        word = (owner[i] * _FIRST) ^ (cutoff[i] * _SECOND) ^ (asof[i] * _THIRD)
        word = (word ^ (word >> 31)) * _FIRST
        slot = (word ^ (word >> 29)) & (size - 1)
        while True:
            number = table[slot]
            if number < 0:
                table[slot] = count
                places[count] = i
                numbers[i] = count
                count += 1
                break
            first = places[number]
            if owner[first] == owner[i] and cutoff[first] == cutoff[i] and asof[first] == asof[i]:
                numbers[i] = number
                break
            slot = (slot + 1) & (size - 1)
    return places[:count].copy(), numbers
