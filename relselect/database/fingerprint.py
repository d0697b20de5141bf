"""Fingerprints of content: equal tables have equal sha256 digests, whatever source or file format they come from.

The order of the rows and of the columns counts; chunks, encodings and units do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.columns import as_text
from relselect.database.table import SemanticType, Table
from relselect.hashing import fingerprint_json, sha256_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fingerprint_table"]


def fingerprint_table(table: Table) -> str:
    """Return the sha256 of a table's declarations and values, in row order.

    Sources return the same values in different types: the integer 1 beside a NULL is 1.0 in a CSV file and a decimal in
    some databases. So whole numbers are hashed as integers whatever their type, dates and timestamps as microseconds,
    columns of NULLs alone without a type, and columns declared categorical or text by the names of their categories.
    """
    return sha256_of(_parts(table))


def _parts(table: Table) -> Iterator[str | bytes | memoryview]:
    yield fingerprint_json(
        [
            table.name,
            table.primary_key,
            table.time,
            sorted((k.columns, k.table) for k in table.foreign_keys),
            dict(table.types),
            {clock: sorted(columns) for clock, columns in table.known_at.items()},
        ]
    )
    for column in table.columns:
        yield column
        words = table.types.get(column) in (SemanticType.CATEGORICAL, SemanticType.TEXT)
        yield from _content(_canonical(table.data[column], words))


def _canonical(values: pa.ChunkedArray, words: bool = False) -> pa.ChunkedArray:
    """Return equal values in equal types: one type for numbers, one unit for timestamps, plain text."""
    dtype = values.type
    if values.null_count == len(values):
        return pa.chunked_array([pa.nulls(len(values))])
    if pa.types.is_dictionary(dtype):
        return _canonical(pc.cast(values, dtype.value_type), words)
    if pa.types.is_decimal(dtype):
        return _canonical(_of_decimal(values), words)
    if pa.types.is_floating(dtype):
        values = pc.cast(values, pa.float64())
        values = pc.cast(values, pa.int64(), safe=False) if _whole(values) else values
    elif pa.types.is_integer(dtype):
        beyond = dtype == pa.uint64() and (pc.max(values).as_py() or 0) >= 2**63
        values = pc.cast(values, pa.large_string() if beyond else pa.int64())
    elif pa.types.is_timestamp(dtype) and dtype.unit == "ns":
        nanos = pc.cast(values, pa.int64())
        whole = pc.all(pc.equal(pc.multiply(pc.divide(nanos, 1000), 1000), nanos)).as_py()
        return nanos if whole is False else pc.divide(nanos, 1000)
    elif pa.types.is_date(dtype) or pa.types.is_timestamp(dtype):
        return pc.cast(pc.cast(values, pa.timestamp("us"), safe=False), pa.int64())
    elif not pa.types.is_large_string(dtype) and not is_opaque(dtype):
        values = pc.cast(values, pa.large_string())
    return _words(values) if words and not is_opaque(values.type) else values


def _words(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values as the names of their categories; see `as_text`."""
    if not pa.types.is_floating(values.type):
        return pc.cast(values, pa.large_string())
    distinct = pc.unique(values)
    texts = pa.array([None if value is None else as_text(value) for value in distinct.to_pylist()], pa.large_string())
    return pc.take(texts, pc.index_in(values, value_set=distinct))


def _of_decimal(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return decimals as floats where no digit is lost, else as text without zeros at the end."""
    floats = pc.cast(values, pa.float64())
    try:
        same = pc.all(pc.equal(pc.cast(floats, values.type), values)).as_py() is not False
    except pa.ArrowInvalid:
        same = False
    if same:
        return floats
    texts = pc.cast(values, pa.large_string())
    return pc.replace_substring_regex(texts, r"(\.\d*?)0+$", r"\1") if values.type.scale > 0 else texts


def _whole(values: pa.ChunkedArray) -> bool:
    """Whether all floats are whole numbers of at most 2**53 in absolute value, and none is -0.0."""
    for chunk in values.chunks:
        numbers = chunk.drop_null().to_numpy(zero_copy_only=False)
        whole = (np.floor(numbers) == numbers) & (np.abs(numbers) <= 2.0**53) & ~((numbers == 0) & np.signbit(numbers))
        if not whole.all():
            return False
    return True


def is_opaque(dtype: pa.DataType) -> bool:
    """Whether values of this type are hashed by their text."""
    return bool(
        pa.types.is_nested(dtype)
        or pa.types.is_binary(dtype)
        or pa.types.is_large_binary(dtype)
        or pa.types.is_interval(dtype)
        or pa.types.is_null(dtype)
    )


def _content(values: pa.ChunkedArray) -> Iterator[str | bytes | memoryview]:
    """Yield all NULL masks, then all lengths, then all content, so that the division into chunks has no effect."""
    if pa.types.is_null(values.type):
        yield f"nothing but NULL, {len(values)} times"
        return
    if is_opaque(values.type):
        yield repr(values.to_pylist())
        return
    chunks = [chunk for chunk in values.chunks if len(chunk)]
    for chunk in chunks:
        yield pc.cast(chunk.is_null(), pa.int8()).to_numpy(zero_copy_only=False).tobytes()
    if pa.types.is_large_string(values.type):
        filled = [pc.fill_null(chunk, "") for chunk in chunks]
        for chunk in filled:
            yield np.diff(_bounds(chunk)).tobytes()
        for chunk in filled:
            bounds, text = _bounds(chunk), chunk.buffers()[2]
            if text is not None and len(bounds):
                yield memoryview(text)[bounds[0] : bounds[-1]]
        return
    zero = pa.scalar(0, type=values.type)
    for chunk in chunks:
        yield pc.fill_null(chunk, zero).to_numpy(zero_copy_only=False).tobytes()


def _bounds(chunk: pa.Array) -> NDArray[np.int64]:
    """Return the offsets of a chunk's texts in its buffer, shape (n + 1,)."""
    offsets = chunk.buffers()[1]
    return np.frombuffer(offsets, dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
