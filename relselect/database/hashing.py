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

__all__ = ["hashes_of", "key_hashes"]


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
