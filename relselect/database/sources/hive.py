"""Reads columns from the folder names of hive partitions: `orders/year=2024/month=1/part.parquet`.

No folder is listed here; see `relselect.database.sources.files`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

__all__ = ["partition_of", "partition_types", "with_partition"]

_FOLDER = re.compile(r"^([^=]+)=(.*)$", re.DOTALL)
_MISSING = "__HIVE_DEFAULT_PARTITION__"
_INTEGER = re.compile(r"^(0|-?[1-9]\d{0,17})$")
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def partition_of(path: Path, root: Path) -> dict[str, str | None]:
    """Return the partition columns of a file: column -> value in the names of the folders between `root` and it.

    >>> partition_of(Path("/data/orders/year=2024/a.parquet"), Path("/data"))
    {'year': '2024'}
    """
    parts = path.parent.relative_to(root).parts if path.is_relative_to(root) else ()
    found = [match for part in parts if (match := _FOLDER.match(part))]
    return {unquote(match[1]): None if match[2] in ("", _MISSING) else unquote(match[2]) for match in found}


def partition_types(
    partitions: Sequence[Mapping[str, str | None]], codes: Collection[str] = ()
) -> dict[str, pa.DataType]:
    """Return the types of partition columns: int64, date32 or string, whichever fits the values of all folders.

    Args:
        partitions: Column -> value, per file.
        codes: Columns that are strings whatever their values.
    """
    types: dict[str, pa.DataType] = {}
    for name in dict.fromkeys(name for partition in partitions for name in partition):
        values = [value for partition in partitions if (value := partition.get(name)) is not None]
        if name in codes or not values:
            types[name] = pa.string()
        elif all(_INTEGER.match(value) for value in values):
            types[name] = pa.int64()
        else:
            types[name] = pa.date32() if all(_DATE.match(value) for value in values) else pa.string()
    return types


def with_partition(table: pa.Table, partition: Mapping[str, str | None], types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return the table with its partition columns appended, except those that the file itself has."""
    for name, dtype in types.items():
        if name not in table.column_names:
            value = pa.array([partition.get(name)], pa.string()).cast(dtype)[0]
            table = table.append_column(name, pa.repeat(value, table.num_rows))
    return table
