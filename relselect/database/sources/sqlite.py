"""Reads SQLite files through the standard library: read-only, one read transaction.

SQLite declares no binding column types; `relselect.database.sources.sqlite_types` derives one per column. Nothing is
ever written.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import pyarrow as pa

from relselect.database.quoting import quote_name
from relselect.database.sources.catalog import Catalog, CatalogColumn, CatalogTable, Source, Stream, TableScan
from relselect.database.sources.keys import usable_keys
from relselect.database.sources.limits import TimeLimit, TookTooLong, check_predicate
from relselect.database.sources.sqlite_types import Family, Stored, Unreadable, arrow_type, convert, family_of
from relselect.database.sources.uri import Address
from relselect.database.table import ForeignKey
from relselect.errors import ConfigError, DataNotFound, SchemaError, SchemaProblem, SourceError, UserError

__all__ = ["SQLiteSource"]

T = TypeVar("T")

_BATCH = 1 << 16
#: Bytes of the longest text or blob, also inside a query.
_LONGEST_VALUE = 1 << 28
_WAIT_SECONDS = 10.0
_COLUMNS_AT_ONCE = 100
_TABLES = """
SELECT name, type FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name
"""
_CLASSES = "min(typeof({0})), max(typeof({0}))"
#: Per column: the number of values of each storage class, the largest number, the longest text and an example.
_STORED = """
sum(typeof({0}) = 'integer'), sum(typeof({0}) = 'real'), sum(typeof({0}) = 'text' AND {0} <> ''),
sum(typeof({0}) = 'text' AND {0} = ''), sum(typeof({0}) = 'blob'),
max(CASE WHEN typeof({0}) IN ('integer', 'real') THEN abs(max({0}, -9223372036854775807)) END),
max(CASE WHEN typeof({0}) = 'text' THEN length({0}) END), min(CASE WHEN typeof({0}) = 'text' AND {0} <> '' THEN {0} END)
"""


class SQLiteSource(Source):
    """An SQLite file; see `relselect.database.sources.catalog.Source`.

    Args:
        address: Where it is.
        timeout: Seconds that one query may take.

    Raises:
        SourceError: The file cannot be opened.
    """

    def __init__(self, address: Address, timeout: float = 600.0) -> None:
        super().__init__(address)
        try:
            place = f"file:{quote(str(address.path))}?mode=ro"
            self._connection = sqlite3.connect(
                place, uri=True, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._limit = TimeLimit(timeout, self._connection.interrupt)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            self._connection.execute("PRAGMA query_only = 1")
            self._connection.execute("PRAGMA trusted_schema = 0")
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """End the transaction and the connection; one whose query did not stop is left alone."""
        if not self._limit.given_up:
            self._connection.close()

    def stream(self, scan: TableScan) -> Stream:
        """Return rows batch by batch; see `Source.stream`."""
        entry = self.catalog().tables[scan.table]
        stored = self._stored(scan, entry)
        types, problems = {}, []
        for name, found in stored.items():
            try:
                types[name] = arrow_type(family_of(entry.columns[name].declared), found)
            except Unreadable as error:
                problems.append(_problem(scan.table, name, found, str(error)))
        if problems:
            raise SchemaError(problems)
        schema = pa.schema([(name, types[name]) for name in scan.columns])
        return Stream(schema, self._batches(scan, schema, stored))

    def _batches(self, scan: TableScan, schema: pa.Schema, stored: Mapping[str, Stored]) -> Iterator[pa.RecordBatch]:
        cursor = self._execute(self._query(scan, ", ".join(map(quote_name, scan.columns))), (), scan)
        spent = 0.0
        while True:
            begun = time.monotonic()
            rows = self._timed(lambda: cursor.fetchmany(_BATCH), scan, spent)
            spent += time.monotonic() - begun
            if not rows:
                return
            yield pa.RecordBatch.from_arrays(_columns(scan, schema, stored, rows), schema=schema)

    def _query(self, scan: TableScan, columns: str) -> str:
        # without an index the rows come in the order of the table, whatever the predicate
        own = " NOT INDEXED" if self.catalog().tables[scan.table].kind == "table" else ""
        query = f"SELECT {columns} FROM {quote_name(scan.table)}{own}"
        if scan.where:
            check_predicate(f"where[{scan.table!r}]", scan.where, "SQLite")
            query += f" WHERE ({scan.where}\n)"
        return query if scan.limit is None else f"{query} LIMIT {int(scan.limit)}"

    def _stored(self, scan: TableScan, entry: CatalogTable) -> dict[str, Stored]:
        """Return what is stored in each column of the scan; columns whose storage classes fit their type are counted once."""
        found: dict[str, Stored] = {}
        odd = []
        for name, (lowest, highest) in self._aggregates(scan, scan.columns, _CLASSES).items():
            stored = _plain(family_of(entry.columns[name].declared), lowest, highest)
            if stored is None:
                odd.append(name)
            else:
                found[name] = stored
        counted = self._aggregates(scan, odd, _STORED)
        return {name: found[name] if name in found else Stored.of(counted[name]) for name in scan.columns}

    def _aggregates(self, scan: TableScan, names: Sequence[str], template: str) -> dict[str, tuple[Any, ...]]:
        found: dict[str, tuple[Any, ...]] = {}
        for start in range(0, len(names), _COLUMNS_AT_ONCE):
            some = names[start : start + _COLUMNS_AT_ONCE]
            asked = ", ".join(template.format(f"c{number}") for number in range(len(some)))
            inner = self._query(scan, ", ".join(f"{quote_name(name)} AS c{n}" for n, name in enumerate(some)))
            (row,) = self._fetch(f"SELECT {asked} FROM ({inner})", (), scan)
            width = len(row) // len(some)
            found.update({name: row[width * n : width * (n + 1)] for n, name in enumerate(some)})
        return found

    def _read_catalog(self) -> Catalog:
        names = {name: kind for name, kind in self._fetch(_TABLES)}
        entries = {name: self._table(name, kind, names) for name, kind in names.items() if not self._virtual(name)}
        entries = {name: entry for name, entry in entries.items() if entry.columns}
        if not entries:
            raise DataNotFound("uri", self.uri, "holds no tables", "Check the path")
        tables, notes = usable_keys(entries)
        return Catalog(tables, tuple(notes))

    def _virtual(self, name: str) -> bool:
        """Whether a table is a shadow table of a virtual one, such as the index of a full-text search."""
        rows = self._fetch("SELECT type FROM pragma_table_list(?) WHERE schema = 'main'", (name,))
        return bool(rows) and rows[0][0] == "shadow"

    def _table(self, name: str, kind: str, names: Mapping[str, str]) -> CatalogTable:
        info = self._fetch('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid', (name,))
        info = [row for row in info if row[4] != 1]
        key = tuple(row[0] for row in sorted((row for row in info if row[3]), key=lambda row: row[3]))
        declared = {row[0]: row[1] for row in info}
        types = {column: arrow_type(family_of(text), Stored()) for column, text in declared.items()}
        return CatalogTable(
            columns={column: CatalogColumn(types[column], text) for column, text in declared.items()},
            primary_key=key,
            foreign_keys=tuple(self._references(name, names)),
            unique_keys=tuple(self._unique_keys(name)),
            nullable=frozenset(row[0] for row in info if not row[2] and row[0] not in key),
            row_estimate=self._rows(name) if kind == "table" else None,
            kind="view" if kind == "view" else "table",
            left_out={column: "holds bytes" for column, dtype in types.items() if pa.types.is_binary(dtype)},
        )

    def _references(self, name: str, names: Mapping[str, str]) -> Iterator[ForeignKey]:
        rows = self._fetch(
            'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq', (name,)
        )
        spelt = {each.lower(): each for each in names}
        by_key: dict[int, list[tuple[str, str, str | None]]] = {}
        for number, parent, column, ref in rows:
            by_key.setdefault(number, []).append((spelt.get(parent.lower(), parent), column, ref))
        for parts in by_key.values():
            parent = parts[0][0]
            refs = tuple(ref for _, _, ref in parts if ref is not None) or self._primary_key(parent)
            mine, theirs = self._spelling(name), self._spelling(parent)
            yield ForeignKey(
                tuple(mine.get(column.lower(), column) for _, column, _ in parts),
                parent,
                tuple(theirs.get(ref.lower(), ref) for ref in refs),
            )

    def _primary_key(self, name: str) -> tuple[str, ...]:
        return tuple(
            row[0] for row in self._fetch("SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (name,))
        )

    def _spelling(self, name: str) -> dict[str, str]:
        return {row[0].lower(): row[0] for row in self._fetch("SELECT name FROM pragma_table_info(?)", (name,))}

    def _unique_keys(self, name: str) -> Iterator[tuple[str, ...]]:
        query = "SELECT name FROM pragma_index_list(?) WHERE \"unique\" AND NOT partial AND origin <> 'pk' ORDER BY seq DESC"
        for (index,) in self._fetch(query, (name,)):
            columns = [row[0] for row in self._fetch("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,))]
            if all(columns):  # an expression has no name
                yield tuple(columns)

    def _rows(self, name: str) -> int | None:
        """Return the approximate number of rows, from the largest rowid; None for a table without rowids."""
        try:
            ((found,),) = self._fetch(f"SELECT max(rowid) FROM {quote_name(name)}")
        except UserError:
            return None
        return found if isinstance(found, int) else 0

    def _fetch(self, query: str, parameters: Sequence[Any] = (), scan: TableScan | None = None) -> list[Any]:
        return self._timed(lambda: self._connection.execute(query, parameters).fetchall(), scan)

    def _execute(self, query: str, parameters: Sequence[Any], scan: TableScan | None) -> sqlite3.Cursor:
        return self._timed(lambda: self._connection.execute(query, parameters), scan)

    def _timed(self, work: Callable[[], T], scan: TableScan | None, spent: float = 0.0) -> T:
        """Run a part of a query in the time that is left, and raise errors of the driver with a way out."""
        try:
            return self._limit.run(work, spent)
        except TookTooLong:
            raise self._late(scan) from None
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            raise self._failure(error, scan) from None

    def _late(self, scan: TableScan | None) -> UserError:
        rule, fix = "it took longer than the time allowed", "Raise statement_timeout=, or read less with where="
        return SourceError("uri" if scan is None else "table", self.uri if scan is None else scan.table, rule, fix)

    def _failure(self, error: Exception, scan: TableScan | None = None) -> UserError:
        message = str(error)
        if "decode to UTF-8" in message and scan is not None:
            fix = "Convert it, or leave the column out with drop="
            return SchemaError([SchemaProblem(scan.table, None, message, "holds text that is not UTF-8", fix)])
        if "interrupted" in message:
            return self._late(scan)
        if "not a database" in message or "malformed" in message:
            rule, fix = f"is damaged or no SQLite file ({message})", "Restore it from a copy"
        elif "locked" in message or "busy" in message:
            rule, fix = "is locked by a program that writes to it", "Run it again when that program is done"
        elif "unable to open" in message or "permission" in message or "readonly" in message:
            rule, fix = f"cannot be opened ({message})", "Check the permissions of the file and its folder"
        elif scan is not None and scan.where:
            fix = "Correct the predicate; it is SQL in SQLite's dialect over the table's own columns"
            return ConfigError(f"where[{scan.table!r}]", scan.where, f"SQLite refuses it: {message}", fix)
        else:
            rule, fix = f"SQLite says: {message}", "Check the file"
        return SourceError("uri" if scan is None else "table", self.uri if scan is None else scan.table, rule, fix)


def _plain(family: Family, lowest: str | None, highest: str | None) -> Stored | None:
    """Return what a column holds, if its first and last storage class by name decide that; else None."""
    classes = {lowest, highest} - {None, "null"}
    if not classes:
        return Stored()
    if family == "text" and classes == {"text"}:
        return Stored(texts=1)
    if family in ("integer", "real", "numeric") and classes <= {"integer", "real"}:
        return Stored(integers=int("integer" in classes), reals=int("real" in classes))
    return None


def _columns(scan: TableScan, schema: pa.Schema, stored: Mapping[str, Stored], rows: Sequence[Any]) -> list[pa.Array]:
    arrays, problems = [], []
    for name, values in zip(scan.columns, zip(*rows, strict=True), strict=True):
        try:
            arrays.append(convert(values, schema.field(name).type, stored[name]))
        except Unreadable as error:
            problems.append(_problem(scan.table, name, stored[name], str(error)))
    if problems:
        raise SchemaError(problems)
    return arrays


def _problem(table: str, column: str, stored: Stored, rule: str) -> SchemaProblem:
    fix = "Repair the values, or leave the column out with drop="
    return SchemaProblem(table, column, str(stored), rule, fix)
