"""Missing values, decided once: NaN and infinity become NULL in every column, from whatever frame, file or database.

Infinite times are those of DuckDB. Texts such as "nan" or "" are values and stay. Whether a column may have missing values
is checked elsewhere (`relselect.database.validation`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["batches_without_missing", "null_if_missing", "without_missing"]


def without_missing(table: pa.Table) -> pa.Table:
    """Return the table with NULL in place of NaN and infinity; columns without them are shared, not copied.

    >>> without_missing(pa.table({"x": [1.0, float("nan"), None]}))["x"].null_count
    2
    """
    for place, field in enumerate(table.schema):
        column = table.column(place)
        cleaned = null_if_missing(column)
        if cleaned is not column:
            table = table.set_column(place, pa.field(field.name, cleaned.type), cleaned)
    return table


def null_if_missing(values: pa.ChunkedArray, *, infinity: bool = True) -> pa.ChunkedArray:
    """Return values with NULL in place of NaN and, if asked, of infinity; the values themselves where there is none.

    Dictionary-encoded values are decoded where their dictionary holds NULL, NaN or infinity: its own NULLs are not counted
    by Arrow.

    Args:
        values: A column of any type, n values.
        infinity: Whether infinity is missing too.
    """
    dtype = values.type
    if pa.types.is_dictionary(dtype):
        odd = any(_missing_entry(chunk.dictionary, infinity) for chunk in values.chunks)
        return null_if_missing(pc.cast(values, dtype.value_type), infinity=infinity) if odd else values
    if infinity and (pa.types.is_timestamp(dtype) or pa.types.is_date32(dtype)):
        return _finite_times(values)
    if not pa.types.is_floating(dtype):
        return values
    if _sum_is_finite(values):
        return values
    chunks, found = [], False
    for chunk in values.chunks:
        numbers = chunk.to_numpy(zero_copy_only=False)
        missing = ~np.isfinite(numbers) if infinity else np.isnan(numbers)
        # NULL reads as NaN here: only what is missing without being NULL has to be replaced.
        if int(missing.sum()) > chunk.null_count:
            chunk, found = pa.array(numbers, type=dtype, mask=missing), True
        chunks.append(chunk)
    return pa.chunked_array(chunks, dtype) if found else values


def _sum_is_finite(values: pa.ChunkedArray | pa.Array) -> bool:
    """Whether a sum of floats shows that none is NaN or infinite: one pass without a copy, which NULLs do not enter.

    Finite values with an infinite sum give False.
    """
    if pa.types.is_float16(values.type):  # Arrow has no sum of it
        return False
    total = pc.sum(values).as_py()
    return total is None or math.isfinite(total)


def _finite_times(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times with NULL in place of DuckDB's infinity and -infinity: the largest integer of the type, either sign."""
    plain, bound = (pa.int32(), 2**31 - 1) if pa.types.is_date32(values.type) else (pa.int64(), 2**63 - 1)
    ticks = pc.cast(values, plain)
    bounds = pc.min_max(ticks)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is None or (low > -bound and high < bound):
        return values
    infinite = pc.or_(pc.less_equal(ticks, -bound), pc.greater_equal(ticks, bound))
    return pc.if_else(infinite, pa.scalar(None, values.type), values)


def batches_without_missing(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches with NULL in place of NaN and infinity; types stay, so dictionaries are left to `without_missing`."""
    for batch in batches:
        read = batch.columns
        columns = [
            null_if_missing(pa.chunked_array([column])).chunk(0)
            if pa.types.is_floating(column.type) and not _sum_is_finite(column)
            else column
            for column in read
        ]
        changed = any(new is not old for new, old in zip(columns, read, strict=True))
        yield pa.RecordBatch.from_arrays(columns, schema=batch.schema) if changed else batch


def _missing_entry(dictionary: pa.Array, infinity: bool) -> bool:
    if dictionary.null_count:
        return True
    if not pa.types.is_floating(dictionary.type) or _sum_is_finite(dictionary):
        return False
    numbers = dictionary.to_numpy(zero_copy_only=False)
    return bool((~np.isfinite(numbers) if infinity else np.isnan(numbers)).any())
