"""Reads DuckDB files: read-only, one transaction, rows streamed as Arrow batches.

Types are mapped as for the other databases: numbers wider than 64 bits and decimals become floats (in keys text, which
is exact), intervals seconds, infinite dates and timestamps NULL, times with a zone UTC, enumerations, UUIDs and bits text.
Lists and structs keep their types. Bytes are read only when a column is named. No extension is loaded or downloaded, no
other file is read, and functions are called by their full name, because a file may define its own under any short one.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.quoting import quote_name
from relselect.database.sources.catalog import Catalog, CatalogColumn, CatalogTable, Source, Stream, TableScan
from relselect.database.sources.keys import groups_of, usable_keys
from relselect.database.sources.limits import TimeLimit, TookTooLong, check_predicate, memory_limit
from relselect.database.sources.uri import Address
from relselect.database.table import ForeignKey
from relselect.errors import ConfigError, DataNotFound, SourceError, UserError

__all__ = ["DuckDBSource"]

T = TypeVar("T")

_ROWS = 1 << 17
_DIGITS = 18
#: A file may come from a stranger: its views read no other file, and no query changes a setting.
_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "enable_external_access": "false",
    "lock_configuration": "true",
    "max_temp_directory_size": "64GiB",
}
_FINITE = "CASE WHEN system.main.isfinite({0}) THEN {0} END"
_PLAIN: dict[str, tuple[str, pa.DataType]] = {
    "BOOLEAN": ("{0}", pa.bool_()),
    "TINYINT": ("{0}", pa.int8()),
    "SMALLINT": ("{0}", pa.int16()),
    "INTEGER": ("{0}", pa.int32()),
    "BIGINT": ("{0}", pa.int64()),
    "UTINYINT": ("{0}", pa.uint8()),
    "USMALLINT": ("{0}", pa.uint16()),
    "UINTEGER": ("{0}", pa.uint32()),
    "UBIGINT": ("{0}", pa.uint64()),
    "HUGEINT": ("{0}::DOUBLE", pa.float64()),
    "UHUGEINT": ("{0}::DOUBLE", pa.float64()),
    "BIGNUM": ("{0}::DOUBLE", pa.float64()),
    "VARINT": ("{0}::DOUBLE", pa.float64()),
    "FLOAT": ("{0}", pa.float32()),
    "DOUBLE": ("{0}", pa.float64()),
    "VARCHAR": ("{0}", pa.string()),
    "DATE": (_FINITE, pa.date32()),
    "TIMESTAMP": (_FINITE, pa.timestamp("us")),
    "TIMESTAMP_S": ("{0}", pa.timestamp("s")),
    "TIMESTAMP_MS": ("{0}", pa.timestamp("ms")),
    "TIMESTAMP_NS": ("{0}", pa.timestamp("ns")),
    "TIMESTAMP WITH TIME ZONE": (_FINITE, pa.timestamp("us", "UTC")),
    "TIME": ("{0}", pa.time64("us")),
    "TIME WITH TIME ZONE": ("system.main.timezone('UTC', {0})::TIME", pa.time64("us")),
    "INTERVAL": ("system.main.epoch({0})", pa.float64()),
    "BLOB": ("{0}", pa.binary()),
}
_WIDE = ("HUGEINT", "UHUGEINT", "BIGNUM", "VARINT")
_COLUMNS = """
SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM system.main.duckdb_columns()
WHERE NOT internal AND database_name = system.main.current_database() ORDER BY schema_name, table_name, column_index
"""
_TABLES = """
SELECT schema_name, table_name, 'table' AS kind, estimated_size, comment FROM system.main.duckdb_tables()
WHERE NOT internal AND database_name = system.main.current_database()
UNION ALL
SELECT schema_name, view_name, 'view', NULL, comment FROM system.main.duckdb_views()
WHERE NOT internal AND database_name = system.main.current_database() ORDER BY 1, 2
"""
_CONSTRAINTS = """
SELECT schema_name, table_name, constraint_type AS kind, constraint_column_names AS columns,
       referenced_table AS parent, referenced_column_names AS parents
FROM system.main.duckdb_constraints() WHERE database_name = system.main.current_database()
AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY') ORDER BY schema_name, table_name, constraint_index
"""


class DuckDBSource(Source):
    """A DuckDB file; see `relselect.database.sources.catalog.Source`.

    Args:
        address: Where it is.
        schemas: The schemas to read; `main` if there are none.
        timeout: Seconds that one query may take.

    Raises:
        SourceError: The file cannot be opened.
    """

    def __init__(self, address: Address, schemas: tuple[str, ...] = (), timeout: float = 600.0) -> None:
        import duckdb

        super().__init__(address)
        self._schemas = schemas or ("main",)
        self._places: dict[str, tuple[str, str]] = {}
        self._queries: dict[str, dict[str, tuple[str, pa.DataType]]] = {}
        memory = memory_limit()
        config = {**_CONFIG, "memory_limit": f"{memory >> 20}MiB"}
        try:
            self._connection = duckdb.connect(str(address.path), read_only=True, config=config)
            self._connection.execute("BEGIN TRANSACTION READ ONLY")
            # DuckDB counts neither lists nor long texts
            self._limit = TimeLimit(timeout, self._connection.interrupt, memory=2 * memory)
        except duckdb.Error as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """End the transaction and the connection; one whose query did not stop is left alone."""
        if not self._limit.given_up:
            self._connection.close()

    def stream(self, scan: TableScan) -> Stream:
        """Return rows batch by batch; see `Source.stream`."""
        self.catalog()
        queries = self._queries[scan.table]
        asked = [(name, *queries[name]) for name in scan.columns]
        selected = ", ".join(f"{sql.replace('{0}', quote_name(name))} AS {quote_name(name)}" for name, sql, _ in asked)
        query = f"SELECT {selected} FROM {quote_name(*self._places[scan.table])}"
        if scan.where:
            check_predicate(f"where[{scan.table!r}]", scan.where, "DuckDB")
            query += f" WHERE ({scan.where}\n)"
        query += "" if scan.limit is None else f" LIMIT {int(scan.limit)}"
        schema = pa.schema([(name, dtype) for name, _, dtype in asked])
        return Stream(schema, self._batches(query, schema, scan))

    def _batches(self, query: str, schema: pa.Schema, scan: TableScan) -> Iterator[pa.RecordBatch]:
        begun = time.monotonic()
        reader = self._timed(lambda: self._reader(query), scan)
        spent = time.monotonic() - begun
        while True:
            begun = time.monotonic()
            batch = self._timed(lambda: next(reader, None), scan, spent)
            spent += time.monotonic() - begun
            if batch is None:
                return
            columns = [_as(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _reader(self, query: str) -> Iterator[pa.RecordBatch]:
        relation = self._connection.sql(query)
        fetch = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        return iter(fetch(_ROWS))

    def _timed(self, work: Callable[[], T], scan: TableScan | None = None, spent: float = 0.0) -> T:
        """Run a part of a query in the time that is left, and raise errors of the driver with a way out."""
        import duckdb

        try:
            return self._limit.run(work, spent)
        except TookTooLong:
            raise self._late(scan) from None
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise self._failure(error, scan) from None

    def _ask(self, query: str) -> list[dict[str, Any]]:
        return self._timed(lambda: list(self._connection.sql(query).to_arrow_table().to_pylist()))

    def schemas(self) -> list[str]:
        """Return the schemas that have tables; see `Source.schemas`."""
        return sorted({row["schema_name"] for row in self._ask(_TABLES)})

    def _read_catalog(self) -> Catalog:
        found = self._ask(_TABLES)
        tables = [row for row in found if row["schema_name"] in self._schemas]
        missing = set(self._schemas) - {row["schema_name"] for row in tables}
        if missing:
            others = ", ".join(self.schemas()) or "none"
            rule = "holds no tables"
            raise DataNotFound("schema", ", ".join(sorted(missing)), rule, f"Pass schema= with one of: {others}")
        columns: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
        for row in self._ask(_COLUMNS):
            columns[row["schema_name"], row["table_name"]][row["column_name"]] = row
        constraints = self._ask(_CONSTRAINTS)
        exact = _key_columns(constraints, columns)
        entries = {}
        for row in tables:
            place = (row["schema_name"], row["table_name"])
            name = self._called(*place)
            self._places[name] = place
            self._queries[name] = self._read_as(place, columns[place], exact)
            entries[name] = self._table(name, row, columns[place], [c for c in constraints if _place(c) == place])
        usable, notes = usable_keys(entries)
        return Catalog(usable, tuple(notes))

    def _table(
        self, name: str, row: dict[str, Any], columns: dict[str, dict[str, Any]], constraints: list[dict[str, Any]]
    ) -> CatalogTable:
        keys = defaultdict(list)
        for each in constraints:
            keys[each["kind"]].append(each)
        types = {column: dtype for column, (_, dtype) in self._queries[name].items()}
        return CatalogTable(
            columns={column: CatalogColumn(types[column], each["data_type"]) for column, each in columns.items()},
            primary_key=next((tuple(each["columns"]) for each in keys["PRIMARY KEY"]), ()),
            foreign_keys=tuple(
                ForeignKey(
                    tuple(each["columns"]), self._called(each["schema_name"], each["parent"]), tuple(each["parents"])
                )
                for each in keys["FOREIGN KEY"]
            ),
            unique_keys=tuple(tuple(each["columns"]) for each in keys["UNIQUE"]),
            nullable=frozenset(column for column, each in columns.items() if each["is_nullable"]),
            row_estimate=row["estimated_size"],
            comment=row["comment"] or "",
            comments={column: each["comment"] for column, each in columns.items() if each["comment"]},
            kind=row["kind"],
            left_out={column: "holds bytes" for column, dtype in types.items() if dtype == pa.binary()},
        )

    def _read_as(
        self, place: tuple[str, str], columns: dict[str, dict[str, Any]], exact: dict[tuple[str, str, str], bool]
    ) -> dict[str, tuple[str, pa.DataType]]:
        """Return column -> SQL expression and Arrow type; nested types are those of a query without rows."""
        found = {column: _query_of(each["data_type"], exact.get((*place, column))) for column, each in columns.items()}
        nested = [column for column, (_, dtype) in found.items() if dtype is None]
        if nested:
            query = f"SELECT {', '.join(map(quote_name, nested))} FROM {quote_name(*place)} LIMIT 0"
            schema = self._timed(lambda: self._connection.sql(query).to_arrow_table().schema)
            found.update({column: ("{0}", dtype) for column, dtype in zip(nested, schema.types, strict=True)})
        return found

    def _called(self, schema: str, table: str) -> str:
        return table if len(self._schemas) == 1 else f"{schema}.{table}"

    def _late(self, scan: TableScan | None) -> UserError:
        rule, fix = "it took longer than the time allowed", "Raise statement_timeout=, or read less with where="
        return SourceError("uri" if scan is None else "table", self.uri if scan is None else scan.table, rule, fix)

    def _failure(self, error: Exception, scan: TableScan | None = None) -> UserError:
        message = " ".join(str(error).split("\n\nLINE")[0].split())
        name = type(error).__name__
        if "interrupt" in message.lower() or name == "InterruptException":
            return self._late(scan)
        if "checksum" in message or "corrupt" in message.lower() or "not a valid DuckDB" in message:
            rule, fix = f"is damaged or no DuckDB file ({message})", "Restore it from a copy"
        elif "set lock" in message or "different configuration" in message:
            rule, fix = f"is open in another program ({message})", "Close it there, or read a copy of the file"
        elif name in ("ParserException", "BinderException", "ConversionException") and scan is not None and scan.where:
            fix = "Correct the predicate; it is SQL in DuckDB's dialect over the table's own columns"
            return ConfigError(f"where[{scan.table!r}]", scan.where, f"DuckDB refuses it: {message}", fix)
        else:
            rule, fix = (
                f"DuckDB says: {message}",
                "Check the file, and that this DuckDB is as new as the one that wrote it",
            )
        return SourceError("uri" if scan is None else "table", self.uri if scan is None else scan.table, rule, fix)


def _place(row: dict[str, Any]) -> tuple[str, str]:
    return row["schema_name"], row["table_name"]


def _key_columns(constraints: list[dict[str, Any]], columns: Any) -> dict[tuple[str, str, str], bool]:
    """Return key column -> whether it is read as text, which is exact, as are all that it is compared with."""
    links = []
    for row in constraints:
        if row["kind"] == "UNIQUE":
            continue
        parent = row["parent"] or row["table_name"]
        for mine, theirs in zip(row["columns"], row["parents"] or row["columns"], strict=True):
            links.append(((*_place(row), mine), (row["schema_name"], parent, theirs)))
    found = {}
    for group in groups_of(links):
        types = [columns[schema, table][column]["data_type"] for schema, table, column in group]
        wide = any(dtype in _WIDE or (dtype.startswith("DECIMAL") and not _whole(dtype)) for dtype in types)
        found.update(dict.fromkeys(group, wide))
    return found


def _query_of(declared: str, exact: bool | None) -> tuple[str, Any]:
    """Return the SQL expression of a column and its Arrow type, which is None for a nested type."""
    if exact and not declared.endswith("]"):
        trimmed = (
            r"system.main.regexp_replace(system.main.regexp_replace({0}::VARCHAR, '(\.\d*?)0+$', '\1'), '\.$', '')"
        )
        return (trimmed if declared.startswith("DECIMAL") else "{0}::VARCHAR"), pa.string()
    if exact is not None and declared == "BLOB":
        return "system.main.lower(system.main.hex({0}))", pa.string()
    if declared in _PLAIN:
        return _PLAIN[declared]
    if declared.startswith("DECIMAL"):
        return ("{0}::BIGINT", pa.int64()) if _whole(declared) else ("{0}::DOUBLE", pa.float64())
    if declared.endswith("]") or declared.startswith(("STRUCT", "MAP")):
        return "{0}", None
    return "{0}::VARCHAR", pa.string()


def _whole(declared: str) -> bool:
    found = re.match(r"DECIMAL\((\d+),\s*(\d+)\)", declared)
    return found is not None and int(found[1]) <= _DIGITS and int(found[2]) == 0


def _as(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    return column if column.type == dtype else pc.cast(column, dtype)
