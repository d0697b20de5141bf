"""Content hashes of rows, which orders and draws use in place of row numbers so that row order does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.hashing import combine_arrays, hash_floats, hash_integers, hash_strings, hash_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Table

__all__ = ["row_identities"]

_NULL = hash_text("null")


def row_identities(table: Table) -> NDArray[np.int64]:
    """Hash every row's primary key, or all its columns where it has none, shape (rows,).

    Columns that `known_at` masks, and the columns that say when they become known, are left out of the hash: their values may
    be hidden, and a hidden value must change no tree. Rows that are equal in the hashed columns get equal hashes.
    """
    masked = {column for columns in table.known_at.values() for column in columns} | set(table.known_at)
    names = table.primary_key or tuple(sorted(name for name in table.data.column_names if name not in masked))
    identity = np.full(table.num_rows, hash_text("row"), dtype=np.int64)
    for name in names:
        hashed = _hash_column(table.data[name])
        if hashed is not None:
            identity = combine_arrays(identity, hashed)
    return identity


def _hash_column(column: pa.ChunkedArray) -> NDArray[np.int64] | None:
    """Hash each value of a column, int64 (rows,); None for nested columns, which no part of the package reads."""
    if pa.types.is_nested(column.type) or pa.types.is_interval(column.type):
        return None
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_floating(kind):
        return hash_floats(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if pa.types.is_integer(kind) or pa.types.is_temporal(kind) or pa.types.is_boolean(kind):
        return _hash_integer_like(column)
    encoded = pc.dictionary_encode(column.cast(pa.string())).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    values = np.append(hash_strings(encoded.dictionary.to_pylist()), _NULL)
    return values[encoded.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)]


def _hash_integer_like(column: pa.ChunkedArray) -> NDArray[np.int64]:
    kind = column.type
    # dates and times of day of 32 bits reach int64 only through their own integers
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        column = column.cast(pa.int32())
    integers = column.cast(pa.int64(), safe=False)
    valid = column.is_valid().to_numpy()
    return np.where(valid, hash_integers(integers.fill_null(0).to_numpy()), _NULL)
