"""Chooses and opens the source for an address, a folder or a file; each source is imported only when it is opened.

Manifests are not read here; see `relselect.database.sources.reading`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relselect.budget import parse_seconds
from relselect.database.sources.catalog import Source
from relselect.database.sources.uri import parse_uri
from relselect.errors import BudgetError, ConfigError

__all__ = ["open_source"]


def open_source(
    uri: str | Path,
    *,
    schema: str | Sequence[str] | None = None,
    statement_timeout: float | str = "10min",
    base: Path | None = None,
) -> Source:
    """Open a database for reading.

    Args:
        uri: The address or path; see `relselect.database.sources.uri.parse_uri`.
        schema: The schema to read, or several; None for the database's default schema.
        statement_timeout: How long one query may take, e.g. 90 (seconds) or "10min".
        base: The folder that relative paths start from.

    Raises:
        ConfigError: The address is not understood.
        DataNotFound: There is no such database, schema or file.
        MissingExtra: The package for this kind of database is not installed.
        SourceError: The database cannot be reached or refuses the connection.
    """
    address = parse_uri(uri, base)
    schemas = (schema,) if isinstance(schema, str) else tuple(schema or ())
    seconds = _seconds(statement_timeout)
    if address.kind == "postgresql":
        from relselect.database.sources.postgres import PostgresSource

        return PostgresSource(address, schemas, seconds)
    if address.kind == "duckdb":
        from relselect.database.sources.duckdb_file import DuckDBSource

        return DuckDBSource(address, schemas, seconds)
    if schemas not in ((), ("main",)):
        fix = "Leave `schema` out"
        raise ConfigError("schema", ", ".join(schemas), "is for databases that have schemas", fix)
    if address.kind == "sqlite":
        from relselect.database.sources.sqlite import SQLiteSource

        return SQLiteSource(address, seconds)
    from relselect.database.sources.file_source import FileSource

    return FileSource(address, seconds)


def _seconds(value: float | str) -> float:
    try:
        return parse_seconds(value)
    except BudgetError as error:
        raise ConfigError("statement_timeout", value, error.rule, error.fix) from None
