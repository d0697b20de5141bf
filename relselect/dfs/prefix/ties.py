"""Orders rows of one key and time by their content, never by their position in the table.

The order is that of the primary key. Without one it is that of all columns except masked ones, whose values may not be known
yet. Rows that are equal in all of these are interchangeable, except for a masked value that is read: it orders them last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from relselect.database import Database
from relselect.database.columns import as_numpy, is_nested

__all__ = ["content_columns", "content_keys", "value_ranks"]

Ints = NDArray[np.int64]


def content_keys(database: Database, table: str) -> list[Callable[[Ints], Ints]]:
    """Return the sort keys of a table's rows, one function of row numbers per column, the most significant column first."""
    return [partial(value_ranks, database, table, column) for column in content_columns(database, table)]


def content_columns(database: Database, table: str) -> list[str]:
    """Return the columns that order a table's rows by content, the most significant first."""
    declared = database[table]
    if declared.primary_key:
        return list(declared.primary_key)
    return [c for c in declared.columns if declared.clock_of(c) is None and not is_nested(declared.data[c].type)]


def value_ranks(database: Database, table: str, column: str, rows: Ints) -> Ints:
    """Return numbers that order a column's values at `rows`; missing values, and rows of -1, share the last one."""
    values = database[table].data[column]
    if pa.types.is_signed_integer(values.type) and not values.null_count and not (rows < 0).any():
        return as_numpy(values)[rows].astype(np.int64)  # integers are their own ranks
    taken = values.take(pa.array(rows, mask=rows < 0))
    if pa.types.is_dictionary(taken.type):
        taken = pc.cast(taken, taken.type.value_type)
    ranks = as_numpy(pc.rank(taken, sort_keys="ascending", tiebreaker="dense")).astype(np.int64)
    missing = as_numpy(taken.is_null(nan_is_null=True)).astype(bool)
    return np.where(missing, np.int64(len(rows) + 1), ranks)
