"""Schema compatibility: whether a predictor that was trained on one database can predict on another.

It compares tables, columns, declared keys and times, and whether numbers became text. It does not compare values: for
that see the room `drift`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from relselect.database import Database, SemanticType
from relselect.errors import TaskError

__all__ = ["Types", "check_schema", "declarations"]

#: Semantic type per table and column.
Types = Mapping[str, Mapping[str, SemanticType]]


def declarations(database: Database) -> dict[str, list[str]]:
    """Return the declared keys, times and clocks of each table as text: what decides which rows belong together, and when."""
    return {name: table.describe() for name, table in database.tables.items()}


def check_schema(
    trained: Mapping[str, Sequence[str]],
    database: Database,
    declared: Mapping[str, Sequence[str]] | None = None,
    types: Types | None = None,
) -> None:
    """Check that a database has every table and column that training saw, under the same declarations.

    Without a time that was declared in training the future would be visible; without a foreign key the past would be missing.

    Args:
        trained: Table -> columns.
        database: The database to predict on.
        declared: Table -> `declarations` of the database trained on.
        types: Column types that training resolved.

    Raises:
        TaskError: Names every table, column, declaration and type that does not fit.
    """
    problems = [
        (_missing(trained, database), "lacks tables or columns that the predictor was trained on",
         "Add them, null where unknown, or train again"),
        (_undeclared(declared or {}, database), "lacks declarations that the predictor was trained under",
         "Declare them again"),
        (_texts(types or {}, database), "holds text where training saw numbers or times", "Convert these columns"),
    ]  # fmt: skip
    problems = [problem for problem in problems if problem[0]]
    if problems:
        found = [each for values, _, _ in problems for each in values]
        rules, fixes = (list(dict.fromkeys(column)) for column in list(zip(*problems, strict=True))[1:])
        raise TaskError("database", found, "; ".join(rules), "; ".join(fixes))


def _missing(trained: Mapping[str, Sequence[str]], database: Database) -> list[str]:
    tables = [name for name in trained if name not in database.tables]
    return tables + [
        f"{name}.{column}"
        for name, columns in trained.items()
        if name in database.tables
        for column in columns
        if column not in database[name].columns
    ]


def _undeclared(declared: Mapping[str, Sequence[str]], database: Database) -> list[str]:
    """Return the lost declarations of the tables that are there."""
    now = declarations(database)
    return [f"{name}: {each}" for name, had in declared.items() if name in now for each in had if each not in now[name]]


def _texts(types: Types, database: Database) -> list[str]:
    return [
        f"{name}.{column} ({database[name].data[column].type})"
        for name, kinds in types.items()
        if name in database.tables
        for column, kind in kinds.items()
        if column in database[name].columns and not _readable(database[name].data[column].type, kind)
    ]


def _readable(dtype: pa.DataType, kind: SemanticType) -> bool:
    plain = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    text = pa.types.is_string(plain) or pa.types.is_large_string(plain)
    return not text or kind not in (SemanticType.NUMERICAL, SemanticType.TIMESTAMP, SemanticType.BOOLEAN)
