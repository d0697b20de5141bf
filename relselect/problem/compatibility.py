"""Schema compatibility: whether a database can be predicted on by what was trained on another one.

It compares tables, columns, declared keys and times, and whether numbers became text. It does not compare values: for
drift see the room `drift`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from relselect.database import Database, ForeignKey, SemanticType
from relselect.errors import TaskError

__all__ = ["Types", "check_schema", "declarations", "describe_declarations"]

#: Semantic type per table and column.
Types = Mapping[str, Mapping[str, SemanticType]]


def declarations(database: Database) -> dict[str, list[str]]:
    """Return, table by table and as text, what is declared of keys and times: what decides who belongs to whom, and when."""
    return {
        name: describe_declarations(table.primary_key, table.time, table.foreign_keys, table.known_at)
        for name, table in database.tables.items()
    }


def describe_declarations(
    primary_key: Sequence[str],
    time: str | None,
    foreign_keys: Sequence[ForeignKey],
    known_at: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return the declarations of one table as text."""
    words = [f"primary key {'+'.join(primary_key)}"] if primary_key else []
    words += [f"time {time}"] if time else []
    words += [f"foreign key {key.name} to {key.table}" for key in foreign_keys]
    return words + [f"known_at {clock} of {column}" for clock, columns in known_at.items() for column in columns]


def check_schema(
    trained: Mapping[str, Sequence[str]],
    database: Database,
    declared: Mapping[str, Sequence[str]] | None = None,
    types: Types | None = None,
) -> None:
    """Check that a database has every table and column that training saw, under the same declarations.

    A time that is no longer declared would show the future; a foreign key that is not would hide the past.

    Args:
        trained: Table -> columns.
        database: The database to predict on.
        declared: Table -> `declarations` of the database trained on.
        types: Column types that training resolved.

    Raises:
        TaskError: Something is missing; names all of it.
    """
    tables = [name for name in trained if name not in database.tables]
    columns = [
        f"{name}.{column}"
        for name, had in trained.items()
        if name in database.tables
        for column in had
        if column not in database[name].columns
    ]
    if tables or columns:
        rule = "lacks tables or columns that the predictor was trained on"
        raise TaskError("database", [*tables, *columns], rule, "Add them, null where unknown, or train again")
    now = declarations(database)
    lost = [f"{name}: {each}" for name, had in (declared or {}).items() for each in had if each not in now[name]]
    if lost:
        raise TaskError(
            "database", lost, "lacks declarations that the predictor was trained under", "Declare them again"
        )
    text = [
        f"{name}.{column} ({database[name].data[column].type})"
        for name, kinds in (types or {}).items()
        if name in database.tables
        for column, kind in kinds.items()
        if column in database[name].columns and not _readable(database[name].data[column].type, kind)
    ]
    if text:
        raise TaskError("database", text, "holds text where training saw numbers or times", "Convert these columns")


def _readable(dtype: pa.DataType, kind: SemanticType) -> bool:
    plain = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    text = pa.types.is_string(plain) or pa.types.is_large_string(plain)
    return not text or kind not in (SemanticType.NUMERICAL, SemanticType.TIMESTAMP, SemanticType.BOOLEAN)
