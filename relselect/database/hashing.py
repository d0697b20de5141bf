"""Hashes of primary keys, for orders and random draws that depend neither on row numbers nor on invisible rows.

The hashes are fast and stable, not cryptographic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.columns import combine_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Database

__all__ = ["hashes_of", "key_hashes", "mix", "uniform"]


def mix(*parts: NDArray[np.uint64] | NDArray[np.int64] | int) -> NDArray[np.uint64]:
    """Return one hash per row of the parts (arrays of shape (n,) or scalars).

    Formula source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014), chained.
    """
    with np.errstate(over="ignore"):
        state = np.asarray(0x9E3779B97F4A7C15, dtype=np.uint64)
        for part in parts:
            word = np.asarray(part)
            word = word.view(np.uint64) if word.dtype == np.int64 else word.astype(np.uint64)
            state = (state ^ word) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return np.atleast_1d(state)


def uniform(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the hashes as numbers in [0, 1), same shape."""
    return np.asarray((hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def hashes_of(keys: pa.Array) -> NDArray[np.uint64]:
    """Return a hash of each key that `combine_keys` made, shape (n,)."""
    from pandas.util import hash_array

    whole = pa.types.is_integer(keys.type)
    values = keys.fill_null(0 if whole else "").to_numpy(zero_copy_only=False)
    if not whole:
        values = np.asarray(values, dtype=object)
    return np.asarray(hash_array(values, categorize=False).astype(np.uint64))


def key_hashes(database: Database, table: str, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a hash of the primary key of each row in `rows`, shape (n,)."""
    distinct, place = np.unique(rows, return_inverse=True)
    columns = [database[table].data[name].take(pa.array(distinct)) for name in database[table].primary_key]
    return hashes_of(combine_keys(columns))[place.reshape(-1)]
