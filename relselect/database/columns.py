"""Converts Arrow columns to NumPy: numbers, category codes, and comparable keys.

Missing values stay missing; nothing is imputed or scaled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.clock import NEVER, ticks_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_float", "as_numpy", "as_strings", "as_text", "combine_keys", "is_nested"]


def as_numpy(values: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """Return `values` as one NumPy array of shape (n,), without a copy where Arrow allows."""
    return values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()


def is_nested(dtype: pa.DataType) -> bool:
    """Whether the type holds lists, structs, maps, bytes or calendar intervals, which no engine reads."""
    tests = (pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_interval)
    return any(test(dtype) for test in tests)


def as_float(values: pa.ChunkedArray | pa.Array) -> NDArray[np.float64]:
    """Return numbers, booleans (0 and 1), times (ticks) or durations (microseconds) as floats; NULL becomes nan.

    Returns:
        float64 array of shape (n,); infinities become nan.
    """
    dtype = values.type
    if pa.types.is_dictionary(dtype):
        return as_float(pc.cast(values, dtype.value_type))
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        ticks = ticks_of(values)
        return np.where(ticks == NEVER, np.nan, ticks.astype(np.float64))
    if pa.types.is_duration(dtype):
        values = pc.cast(pc.cast(values, pa.duration("us"), safe=False), pa.int64())
    elif pa.types.is_time(dtype):
        values = pc.cast(pc.cast(values, pa.time64("us"), safe=False), pa.int64())
    if pa.types.is_boolean(dtype):
        values = pc.cast(values, pa.int8())
    out = np.array(as_numpy(pc.cast(values, pa.float64(), safe=False)), dtype=np.float64)
    out[~np.isfinite(out)] = np.nan
    return out


def as_strings(values: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.int64], list[str]]:
    """Return category codes in the order of the values.

    As codes are ordered by value, rows that are not visible never change the order of two visible values.

    Returns:
        Codes of shape (n,), -1 for NULL, and the sorted distinct values as text.
    """
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    if pa.types.is_null(values.type):
        values = pc.cast(values, pa.string())
    chunked = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    encoded = chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)
    encoded = encoded.dictionary_encode()
    if pa.types.is_string(encoded.dictionary.type) or pa.types.is_large_string(encoded.dictionary.type):
        words = encoded.dictionary.to_pylist()
    else:
        words = [as_text(value) for value in encoded.dictionary.to_pylist()]
    distinct = sorted(set(words))
    place = {word: code for code, word in enumerate(distinct)}
    lookup = np.array([place[word] for word in words] or [-1], dtype=np.int64)
    raw = as_numpy(pc.fill_null(pc.cast(encoded.indices, pa.int64()), -1))
    return np.where(raw < 0, -1, lookup[raw]), distinct


def as_text(value: object) -> str:
    """Return the name of a value's category: whole floats as integers, booleans as true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def combine_keys(columns: list[pa.ChunkedArray]) -> pa.Array:
    """Return one comparable key per row, shape (n,): the column itself, or the joined parts of a composite key as text.

    A key with any NULL part is NULL.
    """
    if len(columns) == 1:
        return _comparable(columns[0])
    parts = [pc.cast(_comparable(column), pa.string()) for column in columns]
    escaped = [pc.replace_substring(pc.replace_substring(part, "\\", "\\\\"), "|", "\\|") for part in parts]
    return pc.binary_join_element_wise(*escaped, "|", null_handling="emit_null")


def _comparable(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    dtype = array.type
    if pa.types.is_dictionary(dtype):
        array = pc.cast(array, dtype.value_type)
        dtype = array.type
    if pa.types.is_integer(dtype):
        return pc.cast(array, pa.int64()) if dtype != pa.uint64() else pc.cast(array, pa.string())
    if pa.types.is_floating(dtype):
        # pandas turns integer keys with NULLs into floats; whole floats become integers again.
        whole = pc.and_(pc.equal(pc.floor(array), array), pc.less(pc.abs(array), 2.0**63))
        return pc.cast(array, pa.int64() if pc.all(whole).as_py() is not False else pa.string(), safe=False)
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return _moments(array)
    return array if pa.types.is_string(dtype) else pc.cast(array, pa.string())


def _moments(array: pa.Array) -> pa.Array:
    """Return times as microseconds in UTC whatever their unit and zone; finer ones as nanoseconds in text."""
    if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
        nanos = pc.cast(array, pa.int64())
        whole = pc.all(pc.equal(pc.multiply(pc.divide(nanos, 1000), 1000), nanos)).as_py()
        finer = pc.binary_join_element_wise(pc.cast(nanos, pa.string()), "ns", "")
        return finer if whole is False else pc.divide(nanos, 1000)
    return pc.cast(pc.cast(array, pa.timestamp("us")), pa.int64())
