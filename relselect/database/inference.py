"""Infers the semantic types of columns from their storage and their values.

Types are fitted on the rows that are visible to training, so later rows cannot change them. Names of columns are not
looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.columns import is_nested
from relselect.database.table import SemanticType, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["infer_types"]

#: Strings with more distinct values than this, and longer than `_LONG` characters on average, are text.
_MANY = 200
_LONG = 30.0
#: The share of distinct values from which strings are identifiers or names, hence text.
_REPEATS = 0.9


def infer_types(
    table: Table,
    visible: NDArray[np.bool_] | None = None,
    known: Mapping[str, NDArray[np.bool_]] | None = None,
) -> dict[str, SemanticType]:
    """Return the semantic type of every column.

    Args:
        table: The table; declared types are kept.
        visible: Mask of the rows that may be used, shape (rows,); None for all.
        known: Masked column -> mask of its values that may be used, shape (rows,).

    Returns:
        Column name -> type. Keys are KEY, the time column and the clocks TIMESTAMP.
    """
    types: dict[str, SemanticType] = {}
    keys = {*table.primary_key, *(column for key in table.foreign_keys for column in key.columns)}
    mask = None if visible is None else pa.array(visible)
    for column in table.columns:
        if column in keys:
            types[column] = SemanticType.KEY
        elif column == table.time or column in table.known_at:
            types[column] = SemanticType.TIMESTAMP
        elif column in table.types:
            types[column] = table.types[column]
        else:
            values = table.data[column]
            seen = pa.array(known[column]) if known is not None and column in known else mask
            types[column] = _infer(values if seen is None else values.filter(seen))
    return types


def _infer(values: pa.ChunkedArray) -> SemanticType:
    dtype = values.type
    if is_nested(dtype) or pa.types.is_null(dtype) or values.null_count == len(values):
        return SemanticType.IGNORED
    if pa.types.is_boolean(dtype):
        return SemanticType.BOOLEAN
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return SemanticType.TIMESTAMP
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_duration, pa.types.is_time)
    if any(test(dtype) for test in numbers):
        return SemanticType.NUMERICAL
    if pa.types.is_dictionary(dtype):
        return _infer(pc.cast(values, dtype.value_type))
    return _infer_text(values)


def _infer_text(values: pa.ChunkedArray) -> SemanticType:
    present = values.drop_null()
    distinct = int(pc.count_distinct(present).as_py())
    if distinct <= _MANY and distinct < _REPEATS * len(present) + 20:
        return SemanticType.CATEGORICAL
    mean_length = float(pc.mean(pc.utf8_length(pc.cast(present, pa.string()))).as_py() or 0.0)
    if mean_length > _LONG or distinct >= _REPEATS * len(present):
        return SemanticType.TEXT
    return SemanticType.CATEGORICAL
