"""Rows of a bank as Parquet tables: flat columns, nested facts as JSON text, null for an unknown number.

Nothing here knows where the tables lie.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from relselect.bank.rows import BankRow
from relselect.serialization import canonical_json

__all__ = ["arrow_schema", "read_rows", "rows_table", "write_rows"]

RowT = TypeVar("RowT", bound=BankRow)
_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


def arrow_schema(kind: type[BankRow]) -> pa.Schema:
    """Return the columns of a table of such rows."""
    return pa.schema([(each.name, _TYPES.get(str(each.type), pa.string())) for each in fields(kind)])


def rows_table(kind: type[RowT], rows: Sequence[RowT]) -> pa.Table:
    """Return rows as a table; mappings become JSON text."""
    nested = _nested(kind)
    listed = [
        {name: canonical_json(value) if name in nested else value for name, value in row.to_json().items()}
        for row in rows
    ]
    return pa.Table.from_pylist(listed, schema=arrow_schema(kind))


def write_rows(path: Path, kind: type[RowT], rows: Sequence[RowT]) -> None:
    """Write rows as one Parquet file, not atomically: the caller hands in a draft."""
    pq.write_table(rows_table(kind, rows), path, compression="zstd")


def read_rows(path: Path, kind: type[RowT]) -> list[RowT]:
    """Return the rows of a file that `write_rows` wrote.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no Parquet file, or a row is none of this kind.
    """
    try:
        table = pq.read_table(path)
        return [kind.from_json(_plain(kind, each)) for each in table.to_pylist()]
    except (pa.ArrowException, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} holds no readable rows ({error})") from error


def _plain(kind: type[BankRow], stored: dict[str, Any]) -> dict[str, Any]:
    nested = _nested(kind)
    return {name: json.loads(value) if name in nested else value for name, value in stored.items()}


def _nested(kind: type[BankRow]) -> set[str]:
    return {each.name for each in fields(kind) if str(each.type).startswith("Mapping")}
