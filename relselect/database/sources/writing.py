"""Appends rows to one named table of a database, all of them or none; nothing else in a database is ever written.

The connection is separate from those that read. A table that does not exist is created; one whose columns do not fit
is refused. No column is added and no row is changed; rows that an earlier run wrote for the same time are replaced on request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from relselect.database.manifest import load_manifest
from relselect.database.quoting import split_name
from relselect.database.sources.reading import parse_manifest_uri
from relselect.database.sources.uri import Address, parse_uri
from relselect.database.sources.writers import DuckDBWriter, PostgresWriter, SQLiteWriter, TargetColumn, Writer
from relselect.errors import ConfigError, SchemaError, SchemaProblem

__all__ = ["Written", "append_rows", "parse_target", "writable"]

_WRITERS: dict[str, Callable[[Address, tuple[str, ...], float], Writer]] = {
    "postgresql": PostgresWriter,
    "sqlite": SQLiteWriter,
    "duckdb": DuckDBWriter,
}
_KINDS = {
    "text": r"text|char|character|varchar|bpchar|string|clob|citext|name|uuid|enum",
    "boolean": r"bool",
    "whole": r"(u?(tiny|small|big|huge)?int|integer|serial|bigserial|int[248])",
    "number": r"numeric|decimal|real|double|float|money",
    "time": r"timestamp|date",
}


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        table: The name of the table, as the caller gave it.
        rows: The number of rows appended.
        created: Whether the table was created.
        replaced: The number of rows of earlier runs that were deleted.
    """

    table: str
    rows: int
    created: bool
    replaced: int = 0


def append_rows(
    uri: str | Path,
    table: str,
    rows: pa.Table,
    *,
    replaces: tuple[str, str | None] | None = None,
    statement_timeout: float = 600.0,
) -> Written:
    """Append rows to a table of a PostgreSQL, SQLite or DuckDB database, all of them or none.

    Args:
        uri: The address, or a manifest that names one.
        table: `table` or `schema.table`; parts in double quotes may contain any character.
        rows: The rows; an existing table must have a column for each of theirs.
        replaces: The column that names the run, the same in all rows, and one such as the cutoff: rows of other runs that have
            one of its new values are deleted in the same transaction (all rows of other runs, if that column is None). Rows
            that name no run stay.
        statement_timeout: Seconds that one statement may take.

    Raises:
        ConfigError: The address is of a kind that is not written to, or `table` is no name of a table.
        SchemaError: With every column that does not fit.
        SourceError: The database cannot be reached or refuses to write.
    """
    address, place, rows = writable(uri), parse_target(table), _plain(rows)
    with _WRITERS[address.kind](address, place, statement_timeout) as writer:
        columns = writer.columns()
        if columns is None:
            writer.create(rows.schema)
        else:
            _refuse_misfits(table, columns, rows.schema)
        writer.append(rows, {column.name: column.declared for column in columns or ()})
        replaced = 0
        if replaces is not None and columns is not None and rows.num_rows:
            replaced = writer.delete_other_runs(*replaces, rows[replaces[0]][0].as_py())
        writer.commit()
    return Written(table, rows.num_rows, columns is None, replaced)


def writable(uri: str | Path) -> Address:
    """Return the address of a database that can be written to.

    Args:
        uri: The address, or a manifest that names one.

    Raises:
        ConfigError: It is a folder or a file of another kind.
        DataNotFound: There is no such file, or a variable in the address is not set.
    """
    address = parse_uri(uri)
    path = address.path
    if address.kind == "file" and path is not None and (path / "database.yaml").is_file():
        path = path / "database.yaml"
    if path is not None and path.suffix in (".yaml", ".yml"):
        manifest = load_manifest(path)
        if manifest.uri is not None:
            address = parse_manifest_uri(manifest.uri, path.resolve().parent)
    if address.kind not in _WRITERS:
        rule = "is a place of files, in which no table is written"
        raise ConfigError(
            "uri", address.shown, rule, "Write the predictions to a file, such as --out predictions.parquet"
        )
    return address


def parse_target(name: str) -> tuple[str, ...]:
    """Return the parts of a table's name: the table, or schema and table.

    Raises:
        ConfigError: It is no name of a table.

    >>> parse_target('public."my scores"')
    ('public', 'my scores')
    """
    parts = split_name(name)
    if parts is None:
        fix = 'Write scores, public.scores or public."any name"'
        raise ConfigError("table", name, "is no name of a table", fix)
    return parts


def _plain(rows: pa.Table) -> pa.Table:
    """Return the rows cast to the types that every database has."""
    return rows.cast(pa.schema([(field.name, _simple(field.type)) for field in rows.schema]))


def _simple(dtype: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(dtype):
        return _simple(dtype.value_type)
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us", "UTC" if dtype.tz else None)
    if pa.types.is_boolean(dtype) or pa.types.is_date32(dtype):
        return dtype
    if pa.types.is_integer(dtype):
        return pa.int64()
    return pa.float64() if pa.types.is_floating(dtype) or pa.types.is_decimal(dtype) else pa.string()


def _refuse_misfits(table: str, columns: Sequence[TargetColumn], schema: pa.Schema) -> None:
    """Refuse a table that lacks a column, has one of another kind, or requires one that the rows lack.

    Raises:
        SchemaError: With every such column.
    """
    there = {column.name: column for column in columns}
    way_out = "Give another table name, one that does not exist yet is created; or change the table"
    problems = [
        SchemaProblem(table, field.name, str(field.type), "the table has no such column", way_out)
        for field in schema
        if field.name not in there
    ]
    problems += [
        SchemaProblem(table, field.name, there[field.name].declared, f"cannot hold {field.type}", way_out)
        for field in schema
        if field.name in there and not _fits(field.type, there[field.name].declared)
    ]
    problems += [
        SchemaProblem(table, column.name, column.declared, "must have a value, and predictions have none", way_out)
        for column in columns
        if column.required and column.name not in schema.names
    ]
    if problems:
        raise SchemaError(problems)


def _fits(dtype: pa.DataType, declared: str) -> bool:
    """Whether a column of a declared type can hold an Arrow type; unknown declared types are accepted."""
    kinds = [kind for kind, words in _KINDS.items() if re.match(rf"\s*({words})", declared, re.IGNORECASE)]
    if not kinds:
        return True
    if pa.types.is_string(dtype):
        return kinds[0] == "text"
    if pa.types.is_boolean(dtype):
        return kinds[0] in ("boolean", "whole")
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return kinds[0] in ("time", "text")
    return kinds[0] in ("number", "whole") if pa.types.is_integer(dtype) else kinds[0] == "number"
