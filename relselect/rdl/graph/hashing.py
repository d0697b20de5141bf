"""Torch twin of `relselect.hashing`: splitmix64 of int64 tensors, for draws and tie-breaks.

The sampler reads no shared random stream: every draw is a hash of the seed, the task row and the path to the node. A draw
therefore does not depend on other rows of the batch, on hidden rows or on the order of a table. These hashes are not
cryptographic.
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
    """Hash int64 values elementwise by the finaliser of splitmix64, shape kept.

    With >> as the logical shift and arithmetic modulo 2**64: x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9, then
    x = (x ^ x >> 27) * 0x94D049BB133111EB, then x ^ x >> 31 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014).

    Example:
        >>> import torch
        >>> mix(torch.tensor([0, 1])).tolist()
        [0, 6238072747940578789]
    """
    # ">>" keeps the sign of int64, the masks turn it into the logical shift the finaliser asks for
    value = (value ^ ((value >> 30) & 0x3FFFFFFFF)) * _FIRST
    value = (value ^ ((value >> 27) & 0x1FFFFFFFFF)) * _SECOND
    return value ^ ((value >> 31) & 0x1FFFFFFFF)


def combine(left: Tensor, right: Tensor | int) -> Tensor:
    """Hash pairs of int64 values into one; `combine(a, b)` differs from `combine(b, a)`. Shapes broadcast."""
    return mix(mix(left + GOLDEN) ^ right)


def draw_below(state: Tensor, bound: Tensor) -> Tensor:
    """Turn hashes into integers uniform in [0, bound): floor(u * bound / 2**31), u the upper 31 bits below the sign.

    Args:
        state: int64 (n,) hashes.
        bound: int64 (n,) upper bounds, below 2**31.

    Returns:
        int64 (n,).
    """
    return (((state >> 32) & 0x7FFFFFFF) * bound) >> 31
