"""Writers for PostgreSQL, SQLite and DuckDB: one connection, one transaction, one table.

Names are quoted and values are never part of a statement. Whether the table fits the rows is checked in
`relselect.database.sources.writing`.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple, Self
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.quoting import quote_name
from relselect.database.sources.postgres import with_defaults
from relselect.database.sources.postgres_errors import as_source_error
from relselect.database.sources.uri import Address
from relselect.errors import DataNotFound, MissingExtra, SourceError, UserError

__all__ = ["TargetColumn", "DuckDBWriter", "PostgresWriter", "SQLiteWriter", "Writer"]

_WAIT_SECONDS = 10
_STAGED = "relselect_rows"
_WAY_OUT = "Give another table name, or let this user write there"


class TargetColumn(NamedTuple):
    """A column of the table written to; a `required` one is NOT NULL without a default."""

    name: str
    declared: str
    required: bool


class Writer(ABC):
    """A transaction that writes to one table; as a context manager it rolls back what is not committed.

    Args:
        address: The database.
        place: The table, or schema and table.
        timeout: Seconds that one statement may take.

    Raises:
        SourceError: The database cannot be opened for writing.
    """

    #: Name of an Arrow type -> type of the column in a new table.
    types: ClassVar[Mapping[str, str]]

    def __init__(self, address: Address, place: tuple[str, ...], timeout: float) -> None:
        self.address, self.place, self.timeout = address, place, timeout
        self._table = quote_name(*place)
        self._connection: Any = None
        with _Translated(self):
            self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(Exception):  # the connection may be gone already
            self._rollback()
        with suppress(Exception):
            self._connection.close()

    def columns(self) -> list[TargetColumn] | None:
        """Return the columns of the table, or None where there is no such table.

        Raises:
            SourceError: The name belongs to a view or another relation.
        """
        with _Translated(self):
            return self._columns()

    def create(self, schema: pa.Schema) -> None:
        """Create the table."""
        words = ", ".join(f"{quote_name(field.name)} {self._word(field.type)}" for field in schema)
        with _Translated(self):
            self._execute(f"CREATE TABLE {self._table} ({words})")

    def append(self, rows: pa.Table, declared: Mapping[str, str]) -> None:
        """Append rows; `declared` is column -> database type of an existing table, else empty."""
        with _Translated(self):
            self._append(rows, declared)

    def delete_other_runs(self, run: str, period: str | None, name: str) -> int:
        """Delete the rows of other runs than `name` whose period one row of this run has; return how many.

        Args:
            run: The column that names the run.
            period: The column of the period; None for rows of any.
            name: The run, of letters and digits alone.
        """
        if not name.isalnum():
            raise ValueError(f"a run is named by letters and digits, not {name!r}")
        column, where = quote_name(run), f"{quote_name(run)} <> '{name}'"
        if period is not None:
            when = quote_name(period)
            where += f" AND {when} IN (SELECT {when} FROM {self._table} WHERE {column} = '{name}')"
        with _Translated(self):
            count = self._count(f"SELECT count(*) AS n FROM {self._table} WHERE {where}")
            self._execute(f"DELETE FROM {self._table} WHERE {where}")
        return count

    def commit(self) -> None:
        """Commit the transaction."""
        with _Translated(self):
            self._execute("COMMIT")

    def _word(self, dtype: pa.DataType) -> str:
        zoned = pa.types.is_timestamp(dtype) and dtype.tz is not None
        return self.types["timestamptz" if zoned else str(dtype).partition("[")[0]]

    def _rollback(self) -> None:
        self._execute("ROLLBACK")

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _columns(self) -> list[TargetColumn] | None: ...

    @abstractmethod
    def _execute(self, statement: str) -> None: ...

    @abstractmethod
    def _append(self, rows: pa.Table, declared: Mapping[str, str]) -> None: ...

    @abstractmethod
    def _count(self, query: str) -> int: ...

    @abstractmethod
    def as_user_error(self, error: Exception) -> UserError | None:
        """Return the error to raise for an error of the driver; None for any other error."""

    def _refused(self, message: object) -> SourceError:
        line = " ".join(str(message).split())
        return SourceError("table", ".".join(self.place), f"cannot be written ({line})", _WAY_OUT)


class _Translated:
    """Raises errors of the driver as errors with a way out."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        translated = self._writer.as_user_error(error) if isinstance(error, Exception) else None
        if translated is not None:
            raise translated from None


class PostgresWriter(Writer):
    """Copies rows into a temporary table, from which the server converts and inserts them."""

    types: ClassVar[Mapping[str, str]] = {
        "int64": "bigint", "double": "double precision", "string": "text", "bool": "boolean", "timestamp": "timestamp",
        "timestamptz": "timestamptz", "date32": "date",
    }  # fmt: skip

    def _open(self) -> None:
        try:
            from adbc_driver_postgresql import dbapi
        except ImportError:
            raise MissingExtra("adbc_driver_postgresql", "postgres") from None
        self._connection = dbapi.connect(with_defaults(self.address.secret_uri), autocommit=True)
        self._cursor = self._connection.cursor()
        self._execute("BEGIN")
        for name, value in (("statement_timeout", self.timeout), ("lock_timeout", _WAIT_SECONDS)):
            self._execute(f"SET LOCAL {name} = '{int(value * 1000)}ms'")
        self._execute("SET LOCAL TimeZone = 'UTC'")

    def _columns(self) -> list[TargetColumn] | None:
        if len(self.place) == 2 and not self._ask("SELECT 1 AS x FROM pg_namespace WHERE nspname = $1", self.place[0]):
            fix = "Create the schema, or write to another one"
            raise DataNotFound("schema", self.place[0], "is no schema of the database", fix)
        found = self._ask(
            "SELECT oid::bigint AS id, relkind::text AS kind FROM pg_class WHERE oid = to_regclass($1)", self._table
        )
        if not found:
            return None
        if found[0]["kind"] not in ("r", "p"):
            raise self._refused("it is no table")
        query = (
            "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS declared, "
            "attnotnull AND NOT atthasdef AND attidentity = '' AS required FROM pg_attribute "
            "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        return [TargetColumn(**row) for row in self._ask(query, self._table)]

    def _append(self, rows: pa.Table, declared: Mapping[str, str]) -> None:
        self._cursor.adbc_ingest(_STAGED, rows, mode="create", temporary=True)
        names = ", ".join(quote_name(name) for name in rows.column_names)
        values = ", ".join(
            f"{quote_name(field.name)}::{declared.get(field.name, self._word(field.type))}" for field in rows.schema
        )
        self._execute(f"INSERT INTO {self._table} ({names}) SELECT {values} FROM pg_temp.{quote_name(_STAGED)}")
        self._execute(f"DROP TABLE pg_temp.{quote_name(_STAGED)}")

    def _execute(self, statement: str) -> None:
        self._cursor.execute(statement)

    def _count(self, query: str) -> int:
        self._cursor.execute(query)
        return int(self._cursor.fetch_arrow_table()["n"][0].as_py())

    def _ask(self, query: str, value: str) -> list[dict[str, Any]]:
        self._cursor.execute(query, [value])
        return list(self._cursor.fetch_arrow_table().to_pylist())

    def as_user_error(self, error: Exception) -> UserError | None:
        """See `Writer.as_user_error`."""
        from adbc_driver_manager import Error

        if not isinstance(error, Error | pa.ArrowException | OSError):
            return None
        known = as_source_error(error, self.address)
        if (getattr(error, "sqlstate", None) or "")[:2] in ("22", "23", "25", "42"):
            return self._refused(known.rule)
        return known


class SQLiteWriter(Writer):
    """Inserts row by row, which is fast inside one SQLite transaction."""

    types: ClassVar[Mapping[str, str]] = {
        "int64": "INTEGER", "double": "REAL", "string": "TEXT", "bool": "BOOLEAN", "timestamp": "TIMESTAMP",
        "timestamptz": "TIMESTAMP", "date32": "DATE",
    }  # fmt: skip

    def _open(self) -> None:
        place = f"file:{quote(str(self.address.path))}?mode=rw"
        self._connection = sqlite3.connect(place, uri=True, isolation_level=None, timeout=_WAIT_SECONDS)
        self._execute("BEGIN IMMEDIATE")

    def _columns(self) -> list[TargetColumn] | None:
        if len(self.place) == 2 and self.place[0].lower() != "main":
            raise self._refused("SQLite files have no schemas")
        query = "SELECT type FROM sqlite_schema WHERE lower(name) = lower(?)"
        found = self._connection.execute(query, [self.place[-1]]).fetchone()
        if found is None:
            return None
        if found[0] != "table":
            raise self._refused("it is no table")
        rows = self._connection.execute(f"PRAGMA table_info({quote_name(self.place[-1])})").fetchall()
        # an INTEGER PRIMARY KEY fills itself
        return [
            TargetColumn(name, kind, bool(must) and default is None and not key)
            for _, name, kind, must, default, key in rows
        ]

    def _append(self, rows: pa.Table, declared: Mapping[str, str]) -> None:
        columns = [_as_stored(column).to_pylist() for column in rows.columns]
        names = ", ".join(quote_name(name) for name in rows.column_names)
        marks = ", ".join("?" * rows.num_columns)
        self._connection.executemany(
            f"INSERT INTO {self._table} ({names}) VALUES ({marks})", zip(*columns, strict=True)
        )

    def _count(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def as_user_error(self, error: Exception) -> UserError | None:
        """See `Writer.as_user_error`."""
        return self._refused(error) if isinstance(error, sqlite3.Error | sqlite3.Warning) else None


class DuckDBWriter(Writer):
    """Inserts by one statement that reads the Arrow table from memory."""

    types: ClassVar[Mapping[str, str]] = {
        "int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "bool": "BOOLEAN", "timestamp": "TIMESTAMP",
        "timestamptz": "TIMESTAMPTZ", "date32": "DATE",
    }  # fmt: skip

    def _open(self) -> None:
        import duckdb

        config = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "enable_external_access": "false",  # what the file defines reaches nothing outside
        }
        self._connection = duckdb.connect(str(self.address.path), config=config)
        self._execute("BEGIN")

    def _columns(self) -> list[TargetColumn] | None:
        schema, table = self.place if len(self.place) == 2 else ("main", self.place[0])
        known = [row[0] for row in self._connection.execute(
            "SELECT schema_name FROM system.main.duckdb_schemas() "
            "WHERE database_name = system.main.current_database()").fetchall()]  # fmt: skip
        if schema not in known:
            fix = "Create the schema, or write to another one"
            raise DataNotFound("schema", schema, "is no schema of the database", fix)
        place = (
            "database_name = system.main.current_database() AND schema_name = ? "
            "AND system.main.lower({0}) = system.main.lower(?)"
        )
        views = f"SELECT 1 FROM system.main.duckdb_views() WHERE {place.format('view_name')}"
        if self._connection.execute(views, [schema, table]).fetchall():
            raise self._refused("it is no table")
        query = (
            "SELECT column_name, data_type, NOT is_nullable AND column_default IS NULL FROM system.main.duckdb_columns() "
            f"WHERE {place.format('table_name')} ORDER BY column_index"
        )
        return [TargetColumn(*row) for row in self._connection.execute(query, [schema, table]).fetchall()] or None

    def _append(self, rows: pa.Table, declared: Mapping[str, str]) -> None:
        names = ", ".join(quote_name(name) for name in rows.column_names)
        self._connection.register(_STAGED, rows)
        self._execute(f"INSERT INTO {self._table} ({names}) SELECT {names} FROM {_STAGED}")
        self._connection.unregister(_STAGED)

    def _count(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def as_user_error(self, error: Exception) -> UserError | None:
        """See `Writer.as_user_error`."""
        import duckdb

        return self._refused(str(error).splitlines()[0]) if isinstance(error, duckdb.Error) else None


def _as_stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times as text in the format of SQLite's date functions."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%d %H:%M:%S")
    return pc.cast(column, pa.string()) if pa.types.is_date(column.type) else column
