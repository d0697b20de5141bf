"""Reads PostgreSQL through ADBC: one read-only transaction, rows streamed as Arrow batches.

All tables are read inside one REPEATABLE READ transaction, so they are as of one moment. Columns, predicate and row limit
are part of the query; names are quoted. Nothing is ever written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.quoting import quote_name
from relselect.database.sources.catalog import Catalog, Source, Stream, TableScan
from relselect.database.sources.limits import check_predicate
from relselect.database.sources.postgres_catalog import PgTable, read_catalog, schemas_with_tables
from relselect.database.sources.postgres_errors import as_source_error
from relselect.database.sources.uri import Address
from relselect.errors import DataNotFound, MissingExtra

__all__ = ["PostgresSource", "with_defaults"]

#: Connection parameters that are added unless the address sets them; times in seconds.
_CONNECTION = {
    "application_name": "relselect",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
_LOCK_SECONDS = 10
#: Settings of the transaction; without synchronised or parallel scans, equal reads return rows in equal order.
_SETTINGS = {
    "statement_timeout": "{milliseconds}ms",
    "lock_timeout": f"{_LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": "0",
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
    "enable_indexonlyscan": "off",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
}
#: PostgreSQL's longest timeout, about 24 days.
_LONGEST = 2**31 - 1


class PostgresSource(Source):
    """A PostgreSQL database; see `relselect.database.sources.catalog.Source`.

    Args:
        address: Where it is.
        schemas: The schemas to read; the first of the search path if there are none.
        timeout: Seconds that one query may take.

    Raises:
        MissingExtra: The driver is not installed.
        SourceError: The server cannot be reached or refuses the connection.
        DataNotFound: There is no such database or schema.
    """

    def __init__(self, address: Address, schemas: tuple[str, ...] = (), timeout: float = 600.0) -> None:
        super().__init__(address)
        self._tables: dict[str, PgTable] = {}
        self._timeout = timeout
        self._cursor: Any = None
        self._connection = self._connect()
        try:
            self._begin()
            self._schemas = self._checked(schemas)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the transaction and the connection."""
        for each in (self._cursor, self._connection):
            with suppress(Exception):  # the connection may be gone already
                each.close()

    def schemas(self) -> list[str]:
        """Return the schemas that have tables, without those of the server; see `Source.schemas`."""
        return schemas_with_tables(self._ask)

    def stream(self, scan: TableScan) -> Stream:
        """Return rows batch by batch; see `Source.stream`."""
        self.catalog()
        place = self._tables[scan.table]
        schema = pa.schema([(name, place.queries[name].type) for name in scan.columns])
        return Stream(schema, self._batches(scan, self._query(scan, place), schema))

    def _query(self, scan: TableScan, place: PgTable) -> str:
        columns = ", ".join(
            f"{place.queries[name].select(quote_name(name))} AS {quote_name(name)}" for name in scan.columns
        )
        query = f"SELECT {columns} FROM {quote_name(place.schema, place.name)}"
        if scan.where:
            check_predicate(f"where[{scan.table!r}]", scan.where, "PostgreSQL")
            query += f" WHERE ({scan.where}\n)"  # the line break ends a comment at the end of the predicate
        return query if scan.limit is None else f"{query} LIMIT {int(scan.limit)}"

    def _batches(self, scan: TableScan, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            self._cursor.execute(query)
            for batch in self._cursor.fetch_record_batch():
                yield _as(batch, schema)
        except self._failures() as error:
            raise as_source_error(error, self.address, scan) from None

    def _read_catalog(self) -> Catalog:
        catalog, self._tables = read_catalog(self._ask, self._schemas)
        if not catalog.tables:
            others = ", ".join(self.schemas()) or "none"
            rule = f"schema {', '.join(self._schemas)} holds no tables that this user may read"
            raise DataNotFound("schema", self.uri, rule, f"Pass schema= with one of: {others}")
        return catalog

    def _checked(self, schemas: tuple[str, ...]) -> tuple[str, ...]:
        """Return the schemas to read; refuse those that do not exist."""
        current = self._ask("SELECT current_schema()::text AS name")[0]["name"]
        asked = schemas or ((current,) if current else ())
        query = "SELECT nspname::text AS name FROM pg_namespace WHERE nspname IN (SELECT json_array_elements_text($1::json))"
        known = {row["name"] for row in self._ask(query, list(asked))}
        missing = [name for name in asked if name not in known]
        if missing or not asked:
            others = ", ".join(self.schemas()) or "none"
            rule = "is no schema of the database" if missing else "the search path names no schema"
            raise DataNotFound("schema", ", ".join(missing) or None, rule, f"Pass schema= with one of: {others}")
        return asked

    def _ask(self, query: str, parameter: Any = None) -> list[dict[str, Any]]:
        try:
            self._cursor.execute(query, None if parameter is None else [json.dumps(parameter)])
            return list(self._cursor.fetch_arrow_table().to_pylist())
        except self._failures() as error:
            raise as_source_error(error, self.address) from None

    def _connect(self) -> Any:
        try:
            from adbc_driver_postgresql import dbapi
        except ImportError:
            raise MissingExtra("adbc_driver_postgresql", "postgres") from None
        try:
            return dbapi.connect(with_defaults(self.address.secret_uri), autocommit=True)
        except self._failures() as error:
            raise as_source_error(error, self.address) from None

    def _begin(self) -> None:
        milliseconds = int(min(max(self._timeout * 1000, 1), _LONGEST))
        settings = {name: value.format(milliseconds=milliseconds) for name, value in _SETTINGS.items()}
        try:
            self._cursor = self._connection.cursor()
            self._cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._cursor.execute(
                "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
            )
            self._cursor.fetchall()
        except self._failures() as error:
            raise as_source_error(error, self.address) from None

    @staticmethod
    def _failures() -> tuple[type[BaseException], ...]:
        """Return what the driver raises: its own errors, and those of Arrow and Python while rows are streamed."""
        from adbc_driver_manager import Error

        return (Error, pa.ArrowException, OSError)


def with_defaults(uri: str) -> str:
    """Return an address with the connection parameters that it does not set itself."""
    place, _, query = uri.partition("?")
    present = {part.partition("=")[0] for part in query.split("&")}
    extra = [f"{name}={value}" for name, value in _CONNECTION.items() if name not in present]
    return f"{place}?{'&'.join(filter(None, [query, *extra]))}"


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Cast a batch to its schema; extension types become their storage type."""
    columns = []
    for column, field in zip(batch.columns, schema, strict=True):
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        columns.append(column if column.type == field.type else pc.cast(column, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
