"""DuckDB sessions in which every table name means what was visible at a moment.

Rows that come later and values that are not known yet are not in the tables, so a query cannot read the future however it
is written. What the queries ask is decided in `populations` and `label_queries`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from relselect.database import Database, Table
from relselect.database.clock import NEVER, ticks_of
from relselect.database.quoting import quote_name
from relselect.errors import TaskError

if TYPE_CHECKING:
    import duckdb

__all__ = ["Query", "AsofSession", "cast_like", "open_session"]

#: Relations that the queries read beside the database's tables.
_OWN = ("cutoffs", "population")


@dataclass(frozen=True)
class Query:
    """A query and what it has to return.

    Attributes:
        argument: The argument of the user that holds it, for errors.
        text: One SELECT.
        columns: The columns it has to return.
    """

    argument: str
    text: str
    columns: tuple[str, ...]


@dataclass
class AsofSession:
    """A connection whose table names mean the rows and values visible at the moment last given to `show`.

    The full tables stand under a prefix drawn anew for every session, so that no query can name them.
    """

    connection: duckdb.DuckDBPyConnection
    database: Database
    prefix: str

    def moment(self, ticks: int) -> str:
        """Return a point in time as SQL."""
        return str(ticks) if self.database.time_kind == "integer" else f"make_timestamp({ticks})"

    def show(self, asof: int) -> None:
        """Make every table's name mean what was visible at `asof`."""
        moment = self.moment(asof)
        for name, table in self.database.tables.items():
            masked = {column: clock for clock, columns in table.known_at.items() for column in (*columns, clock)}
            replaced = ", ".join(
                f"CASE WHEN {quote_name(clock)} <= {moment} THEN {quote_name(column)} END AS {quote_name(column)}"
                for column, clock in masked.items()
            )
            chosen = f"* REPLACE ({replaced})" if replaced else "*"
            where = f" WHERE {quote_name(table.time)} <= {moment}" if table.time else ""
            self.connection.execute(
                f"CREATE OR REPLACE TEMP VIEW {quote_name(name)} AS SELECT {chosen} FROM {quote_name(self.prefix + name)}{where}"
            )

    def fetch(self, query: Query) -> pa.Table:
        """Return the result of a query: its columns, times as microseconds.

        Raises:
            TaskError: The query fails or returns other columns.
        """
        import duckdb

        try:
            relation = self.connection.sql(query.text)
            table = None if relation is None else relation.to_arrow_table()
        except duckdb.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise TaskError(
                query.argument, query.text.strip(), f"DuckDB refused the query: {reason}", "Correct the SQL"
            ) from None
        names = [] if table is None else list(table.column_names)
        missing = [column for column in query.columns if column not in names]
        if table is None or missing:
            raise TaskError(
                query.argument,
                names or query.text.strip(),
                f"must return the columns {list(query.columns)}",
                f"Add {', '.join(missing)} to the SELECT",
            )
        twice = [column for column in query.columns if names.count(column) > 1]
        if twice:
            raise TaskError(
                query.argument, names, f"returns {', '.join(twice)} more than once", "Name the columns in the SELECT"
            )
        return _plain(table.select(list(query.columns)))


@contextmanager
def open_session(database: Database) -> Iterator[AsofSession]:
    """Open a session over a database, locked against files and settings, and close it at the end."""
    import duckdb

    _check_names(database)
    connection = duckdb.connect(":memory:", config={"threads": "2", "enable_external_access": "false"})
    session = AsofSession(connection, database, f"{uuid4().hex}_")
    try:
        connection.execute("SET lock_configuration = true")
        for name, table in database.tables.items():
            try:
                connection.register(session.prefix + name, _readable(table))
            except duckdb.Error as error:
                reason = str(error).strip().splitlines()[0]
                raise TaskError(
                    "table", name, f"DuckDB cannot read it: {reason}", "Convert or drop the column"
                ) from None
        yield session
    finally:
        connection.close()


def _check_names(database: Database) -> None:
    """SQL compares names without case: two names that differ by it alone would mean one table or column."""
    for kind, names in [
        ("table", list(database.tables)),
        *((name, table.columns) for name, table in database.tables.items()),
    ]:
        seen: dict[str, str] = {}
        for name in names:
            other = seen.setdefault(name.lower(), name)
            if other != name:
                raise TaskError(
                    kind, name, f"differs from {other} by case alone, which SQL ignores", "Rename one of them"
                )
    for name in database.tables:
        if name.lower() in _OWN:
            rule = "is what the queries call a relation of their own"
            raise TaskError("table", name, rule, "Rename the table, or use Task.from_labels")


def _readable(table: Table) -> pa.Table:
    """SQL sees UTC without a zone, whatever the session's time zone, and clocks rounded up as everywhere else."""
    data, clocks = table.data, {table.time, *table.known_at}
    for place, field in enumerate(data.schema):
        dtype: Any = field.type
        if field.name in clocks and pa.types.is_timestamp(dtype) and dtype.unit == "ns":
            whole = ticks_of(data[field.name])
            rounded = pa.array(whole, mask=whole == NEVER).cast(pa.timestamp("us"))
            data = data.set_column(place, field.name, rounded)
        elif pa.types.is_timestamp(dtype) and dtype.tz is not None:
            data = data.set_column(place, field.name, pc.cast(data[field.name], pa.timestamp(dtype.unit)))
    return data


def _plain(table: pa.Table) -> pa.Table:
    """Decode enumerations, and bring cutoffs to microseconds."""
    for place, field in enumerate(table.schema):
        dtype: Any = field.type
        if pa.types.is_dictionary(dtype):
            table = table.set_column(place, field.name, pc.cast(table[field.name], dtype.value_type))
    if pa.types.is_timestamp(table["cutoff"].type) or pa.types.is_date(table["cutoff"].type):
        place = table.column_names.index("cutoff")
        table = table.set_column(place, "cutoff", pc.cast(table["cutoff"], pa.timestamp("us")))
    return table


def cast_like(table: pa.Table, other: pa.Table, query: Query) -> pa.Table:
    """Return a query's result with the columns that `other` has too cast to its types.

    Raises:
        TaskError: A column cannot be cast.
    """
    for place, name in enumerate(table.column_names):
        if name in other.column_names and table[name].type != other[name].type:
            wanted = other[name].type
            try:
                table = table.set_column(place, name, pc.cast(table[name], wanted))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                place_of = f"{query.argument}.{name}"
                raise TaskError(place_of, str(table[name].type), f"must be {wanted}", "CAST the column") from None
    return table
