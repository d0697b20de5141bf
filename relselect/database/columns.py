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

__all__ = [
    "as_float",
    "as_numpy",
    "as_strings",
    "as_text",
    "combine_keys",
    "find_keys",
    "inexact_ids",
    "is_nested",
    "rounding_limit",
]

#: Bits of a floating type -> integers of fewer bits than this are exact.
_EXACT_BITS = {16: 11, 32: 24, 64: 53}


def as_numpy(values: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """Return `values` as one NumPy array of shape (n,), without a copy where Arrow allows."""
    return values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()


def is_nested(dtype: pa.DataType) -> bool:
    """Whether the type holds lists, structs, maps, bytes or calendar intervals, which no engine reads."""
    if pa.types.is_dictionary(dtype):
        return is_nested(dtype.value_type)
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(test(dtype) for test in (pa.types.is_nested, pa.types.is_interval, *binary))


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


def find_keys(own: pa.Array, wanted: pa.Array) -> NDArray[np.int64]:
    """Return the place of each wanted key among keys, shape (wanted,); -1 for NULL and for those that are not there.

    Args:
        own: Distinct keys, as `combine_keys` returns them.
        wanted: Keys to look up; numbers are compared with text by their digits.
    """
    if len(own) == 0 or len(wanted) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    if wanted.type != own.type:
        if pa.types.is_integer(own.type) and pa.types.is_string(wanted.type):
            own = pc.cast(own, pa.string())
        else:
            wanted = pc.cast(wanted, own.type, safe=False)
    found = pc.index_in(wanted, value_set=own, skip_nulls=True)
    return np.asarray(pc.fill_null(pc.cast(found, pa.int64()), -1).to_numpy(zero_copy_only=False), dtype=np.int64)


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
        return _whole_or_text(array)
    if pa.types.is_decimal(dtype):
        return _decimal_key(array)
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return _moments(array)
    return array if pa.types.is_string(dtype) else pc.cast(array, pa.string())


def _whole_or_text(array: pa.Array) -> pa.Array:
    """Return floats as integers where all are whole, as pandas makes floats of integer keys with NULLs; else as text.

    Whole numbers have the text of integers in both cases, so that one broken value does not separate the others from their
    parents.
    """
    array = pc.cast(array, pa.float64())
    whole = pc.and_(pc.equal(pc.floor(array), array), pc.less(pc.abs(array), 2.0**63))
    integers = pc.cast(pc.if_else(whole, array, pa.scalar(None, pa.float64())), pa.int64(), safe=False)
    if pc.all(whole).as_py() is not False:
        return integers
    return pc.if_else(pc.fill_null(whole, True), pc.cast(integers, pa.string()), pc.cast(array, pa.string()))


def _decimal_key(array: pa.Array) -> pa.Array:
    """Return decimals as integers where all are whole and fit, else as text without zeros at the end of the fraction.

    The precision and the scale of a decimal column are often inferred from its values, so equal keys differ in both.
    """
    try:
        return pc.cast(array, pa.int64())
    except pa.ArrowInvalid:
        texts = pc.cast(array, pa.string())
    if array.type.scale <= 0:
        return texts
    return pc.replace_substring_regex(pc.replace_substring_regex(texts, r"(\.\d*?)0+$", r"\1"), r"\.$", "")


def inexact_ids(column: pa.ChunkedArray | pa.Array) -> int:
    """Return how many values of a floating column are too large to be exact as integers; 0 for columns of other types.

    A float of 64 bits holds every integer below 2**53 and one of 32 bits below 2**24; of larger ids, neighbours become one.

    >>> inexact_ids(pa.array([1.0, 2.0**53, None]))
    1
    """
    dtype = column.type
    if pa.types.is_dictionary(dtype):
        column, dtype = pc.cast(column, dtype.value_type), dtype.value_type
    if not pa.types.is_floating(dtype):
        return 0
    limit = 2.0 ** _EXACT_BITS[dtype.bit_width]
    return int(pc.sum(pc.greater_equal(pc.abs(pc.cast(column, pa.float64())), limit)).as_py() or 0)


def rounding_limit(dtype: pa.DataType) -> str:
    """Return from where on integers are rounded as floats of a type, for messages: "2**53"."""
    plain = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    return f"2**{_EXACT_BITS[plain.bit_width]}"


def _moments(array: pa.Array) -> pa.Array:
    """Return times as microseconds in UTC whatever their unit and zone; finer ones as nanoseconds in text."""
    if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
        nanos = pc.cast(array, pa.int64())
        whole = pc.all(pc.equal(pc.multiply(pc.divide(nanos, 1000), 1000), nanos)).as_py()
        finer = pc.binary_join_element_wise(pc.cast(nanos, pa.string()), "ns", "")
        return finer if whole is False else pc.divide(nanos, 1000)
    return pc.cast(pc.cast(array, pa.timestamp("us")), pa.int64())
