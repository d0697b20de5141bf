"""64-bit hashes for draws and tie-breaks: the same number for the same content, wherever the row stands.

Nothing random in a sampled tree comes from a shared stream. Every draw is a hash of what identifies it, so neither other
rows of the batch, nor hidden rows, nor the order of a table can move it.
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


def hash_text(text: str) -> int:
    """Hash one string to an int64 that is the same in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def hash_strings(values: Iterable[str]) -> NDArray[np.int64]:
    """Hash strings one by one, shape (n,)."""
    return np.fromiter((hash_text(value) for value in values), dtype=np.int64)


def hash_integers(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Scramble int64 values, shape kept."""
    hashed: NDArray[np.int64] = mix(torch.from_numpy(np.array(values, dtype=np.int64)) + GOLDEN).numpy()
    return hashed


def hash_floats(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Hash float64 values by their bits, both zeros and all NaNs alike."""
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)
    return hash_integers(canonical.view(np.int64))


def combine_arrays(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Do what `combine` does, for NumPy arrays."""
    combined: NDArray[np.int64] = combine(torch.from_numpy(left), torch.from_numpy(right)).numpy()
    return combined
