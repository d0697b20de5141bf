"""Hashes: sha256 of content and files, splitmix64 of 64-bit words in NumPy, 64-bit hashes of text.

Stored profiles, sampled trees and fingerprints depend on every number here: none may change. Deliberately not here: the
torch and Numba twins of splitmix64, which import the constants, and the hashes of database keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.serialization import canonical_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FIRST",
    "GOLDEN",
    "SECOND",
    "combine_arrays",
    "digest_of",
    "fingerprint_json",
    "hash_floats",
    "hash_integers",
    "hash_strings",
    "hash_text",
    "mix",
    "sha256_of",
    "sha256_of_file",
    "smallest",
    "splitmix64",
    "uniform",
]

#: 2**64 over the golden ratio, the increment of splitmix64, and the two multipliers of its finaliser.
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def sha256_of(parts: Iterable[str | bytes | memoryview | NDArray[Any]]) -> str:
    """Return the sha256 of parts in order, as hex: text as UTF-8, arrays as their bytes; how they are cut never shows.

    >>> sha256_of(["ab", b"c"]) == sha256_of(["abc"])
    True
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's content as hex, read in blocks.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint_json(value: Any) -> str:
    """Return the sha256 of a JSON-able value, independent of the order of keys."""
    return sha256_of([canonical_json(value)])


def digest_of(data: bytes, size: int) -> bytes:
    """Return a hash of `size` bytes (BLAKE2b): for telling contents apart within a process."""
    return hashlib.blake2b(data, digest_size=size).digest()


def splitmix64(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit words, elementwise, shape kept: a bijection.

    Formula source: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(30))) * np.uint64(FIRST)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(SECOND)
        return np.asarray(words ^ (words >> np.uint64(31)))


def mix(*parts: NDArray[np.uint64] | NDArray[np.int64] | int) -> NDArray[np.uint64]:
    """Return one hash per row of the parts (arrays of shape (n,) or scalars): splitmix64, chained."""
    state = np.asarray(GOLDEN, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            word = np.asarray(part)
            word = word.view(np.uint64) if word.dtype == np.int64 else word.astype(np.uint64)
            state = splitmix64((state ^ word) + np.uint64(GOLDEN))
    return np.atleast_1d(state)


def uniform(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the hashes as numbers in [0, 1), same shape."""
    return np.asarray((hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def smallest(hashes: NDArray[np.uint64], most: int) -> NDArray[np.int64]:
    """Return the places of the `most` smallest hashes, smallest first: a sample that does not depend on other rows.

    Args:
        hashes: Shape (n,).
        most: How many; all of them where there are fewer.
    """
    return np.argsort(hashes, kind="stable")[:most]


def hash_integers(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Scramble int64 values, shape kept."""
    words = np.ascontiguousarray(values, dtype=np.int64).view(np.uint64)
    return splitmix64(words + np.uint64(GOLDEN)).view(np.int64)


def hash_floats(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Hash float64 values by their bits, both zeros and all NaNs alike."""
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)
    return hash_integers(canonical.view(np.int64))


def hash_text(text: str) -> int:
    """Hash one string to an int64 that is the same in every process (BLAKE2b)."""
    return int.from_bytes(digest_of(text.encode(), 8), "little", signed=True)


def hash_strings(values: Iterable[str]) -> NDArray[np.int64]:
    """Hash strings one by one, shape (n,)."""
    return np.fromiter((hash_text(value) for value in values), dtype=np.int64)


def combine_arrays(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hash two arrays of int64 values into one, order mattering; shapes broadcast."""
    return splitmix64(hash_integers(left).view(np.uint64) ^ np.asarray(right).view(np.uint64)).view(np.int64)
