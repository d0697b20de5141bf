"""Content fingerprints: equal tables have equal fingerprints, wherever and however they are stored."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.table import Table

__all__ = ["fingerprint_json", "fingerprint_table"]


def fingerprint_json(value: Any) -> str:
    """Return the sha256 of a JSON-able value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def fingerprint_table(table: Table) -> str:
    """Return the sha256 of a table's declarations and values, in row order."""
    digest = hashlib.sha256()
    digest.update(
        fingerprint_json(
            [
                table.name,
                table.primary_key,
                table.time,
                [(k.columns, k.table) for k in table.foreign_keys],
                dict(table.types),
                {clock: list(columns) for clock, columns in table.known_at.items()},
            ]
        ).encode()
    )
    for column in table.columns:
        digest.update(column.encode())
        _update(digest, pa.concat_arrays(_canonical(table.data[column]).chunks or [pa.array([])]))
    return digest.hexdigest()


def _canonical(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Store equal values equally: one integer width, one timestamp unit, plain text."""
    dtype = values.type
    if pa.types.is_dictionary(dtype):
        return _canonical(pc.cast(values, dtype.value_type))
    if pa.types.is_integer(dtype):
        beyond = dtype == pa.uint64() and (pc.max(values).as_py() or 0) >= 2**63
        return pc.cast(values, pa.large_string() if beyond else pa.int64())
    if pa.types.is_floating(dtype):
        return pc.cast(values, pa.float64())
    if pa.types.is_timestamp(dtype) and dtype.unit == "ns":
        nanos = pc.cast(values, pa.int64())
        whole = pc.all(pc.equal(pc.multiply(pc.divide(nanos, 1000), 1000), nanos)).as_py()
        return nanos if whole is False else pc.divide(nanos, 1000)
    if pa.types.is_date(dtype) or pa.types.is_timestamp(dtype):
        return pc.cast(pc.cast(values, pa.timestamp("us"), safe=False), pa.int64())
    return values if pa.types.is_large_string(dtype) or is_opaque(dtype) else pc.cast(values, pa.large_string())


def is_opaque(dtype: pa.DataType) -> bool:
    """Whether values of this type are hashed by their text."""
    return bool(
        pa.types.is_nested(dtype)
        or pa.types.is_binary(dtype)
        or pa.types.is_large_binary(dtype)
        or pa.types.is_interval(dtype)
        or pa.types.is_null(dtype)
    )


def _update(digest: Any, chunk: pa.Array) -> None:
    if is_opaque(chunk.type):
        digest.update(repr(chunk.to_pylist()).encode())
        return
    digest.update(pc.cast(chunk.is_null(), pa.int8()).to_numpy(zero_copy_only=False).tobytes())
    if pa.types.is_large_string(chunk.type):
        filled = pc.fill_null(chunk, "")
        _, offsets, text = filled.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int64)[filled.offset : filled.offset + len(filled) + 1]
        digest.update(np.diff(bounds).tobytes())
        if text is not None and len(bounds):
            digest.update(memoryview(text)[bounds[0] : bounds[-1]])
    else:
        zero = pa.scalar(0, type=chunk.type)
        digest.update(pc.fill_null(chunk, zero).to_numpy(zero_copy_only=False).tobytes())
