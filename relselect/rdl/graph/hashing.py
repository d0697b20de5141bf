"""64-bit content hashes for random draws and tie-breaks.

The sampler reads no shared random stream: every draw is a hash of the seed, the task row and the path to the node. A draw
therefore does not depend on other rows of the batch, on hidden rows or on the order of a table. These hashes are not
cryptographic.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = [
    "GOLDEN",
    "combine",
    "combine_arrays",
    "draw_below",
    "hash_floats",
    "hash_integers",
    "hash_strings",
    "hash_text",
    "mix",
]


def _signed(value: int) -> int:
    """Reinterpret an unsigned 64-bit constant as int64, torch's only 64-bit integer with wrapping arithmetic."""
    return value - (1 << 64) if value >= 1 << 63 else value


#: 2**64 over the golden ratio, which keeps `combine` of zeros from being zero.
GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def mix(value: Tensor) -> Tensor:
    """Hash int64 values elementwise by the finaliser of splitmix64, shape kept.

    With >> as the logical shift and arithmetic modulo 2**64: x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9, then
    x = (x ^ x >> 27) * 0x94D049BB133111EB, then x ^ x >> 31 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014).

    Example:
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


def hash_text(text: str) -> int:
    """Hash one string to an int64 that is the same in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def hash_strings(values: Iterable[str]) -> NDArray[np.int64]:
    """Hash strings one by one, shape (n,)."""
    return np.fromiter((hash_text(value) for value in values), dtype=np.int64)


def hash_integers(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hash int64 values elementwise, shape kept."""
    hashed: NDArray[np.int64] = mix(torch.from_numpy(np.array(values, dtype=np.int64)) + GOLDEN).numpy()
    return hashed


def hash_floats(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Hash float64 values by their bits, shape kept; 0.0 and -0.0 get one hash, and so do all NaNs."""
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)
    return hash_integers(canonical.view(np.int64))


def combine_arrays(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """`combine` for NumPy arrays."""
    combined: NDArray[np.int64] = combine(torch.from_numpy(left), torch.from_numpy(right)).numpy()
    return combined
