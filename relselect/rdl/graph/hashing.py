"""Torch twin of `relselect.hashing`: splitmix64 of int64 tensors, for draws and tie-breaks.

Nothing random in a sampled tree comes from a shared stream. Every draw is a hash of what identifies it, so neither other
rows of the batch, nor hidden rows, nor the order of a table can move it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relselect import hashing

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GOLDEN", "combine", "draw_below", "mix"]


def _signed(value: int) -> int:
    """Reinterpret an unsigned 64-bit constant as int64, torch's only 64-bit integer with wrapping arithmetic."""
    return value - (1 << 64) if value >= 1 << 63 else value


#: 2**64 over the golden ratio, which keeps `combine` of zeros from being zero.
GOLDEN = _signed(hashing.GOLDEN)
_FIRST, _SECOND = _signed(hashing.FIRST), _signed(hashing.SECOND)


def mix(value: Tensor) -> Tensor:
    """Scramble int64 values by the finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014), elementwise."""
    # ">>" keeps the sign of int64, the masks turn it into the logical shift the finaliser asks for
    value = (value ^ ((value >> 30) & 0x3FFFFFFFF)) * _FIRST
    value = (value ^ ((value >> 27) & 0x1FFFFFFFFF)) * _SECOND
    return value ^ ((value >> 31) & 0x1FFFFFFFF)


def combine(left: Tensor, right: Tensor | int) -> Tensor:
    """Hash two int64 values into one, order mattering; shapes broadcast."""
    return mix(mix(left + GOLDEN) ^ right)


def draw_below(state: Tensor, bound: Tensor) -> Tensor:
    """Draw one integer per element, uniform in [0, bound), from hashed `state`; bounds below 2**31."""
    return (((state >> 32) & 0x7FFFFFFF) * bound) >> 31
