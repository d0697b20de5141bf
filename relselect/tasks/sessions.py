"""DuckDB sessions in which every table name means what was visible at a moment.

Rows that come later and values that are not known yet are not in the tables, so a query cannot read the future however it
is written. Every question has a connection of its own. What the queries ask is decided in `populations` and
`label_queries`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from relselect.budget import Budget
from relselect.database import Database, Table
from relselect.database.clock import NEVER, ticks_of
from relselect.database.quoting import quote_name
from relselect.database.sources.limits import TimeLimit, TookTooLong
from relselect.database.sources.spool import free_memory
from relselect.errors import BudgetError, TaskError
from relselect.tasks.single_select import check_select

if TYPE_CHECKING:
    import duckdb

__all__ = ["Query", "AsofSession", "cast_like", "open_session"]

#: Relations that the queries read beside the database's tables.
_OWN = ("cutoffs", "population")
#: No file, no network, no further extension, and no variable of the calling Python code.
_LOCKED: dict[str, str | bool | int | float | list[str]] = {
    "threads": "2",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "max_temp_directory_size": "0B",
}
#: The longest time of one question, and what its intermediate results may fill: a share of the free memory, no disk.
_LONGEST_SECONDS = 600.0
_MEMORY_SHARE, _LEAST_MEMORY = 0.5, 256 * 1024**2
#: What a question may let the process grow by, as a multiple of that: DuckDB counts neither lists nor long texts.
_GROWTH = 1.5


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
    """Answers questions about a database, each on a connection of its own.

    The tables stand under a prefix drawn anew for every question, and a query is one SELECT that reads tables by their own
    names, so that it cannot reach the rows that are not visible yet, nor leave anything to the next question.

    Attributes:
        connection: The locked instance; every question opens a further connection to it.
        database: The database.
        tables: Table -> its rows as DuckDB reads them.
        budget: The clock of all questions; each also ends after ten minutes.
        memory: Bytes that the intermediate results of a question may fill.
        checked: The texts that have been found to be one SELECT over the tables.
        given_up: Whether a question did not stop in time: its connection, and so the instance, is left alone.
        spent: Text of a query -> the seconds of each of its questions.
    """

    connection: duckdb.DuckDBPyConnection
    database: Database
    tables: dict[str, pa.Table]
    budget: Budget
    memory: int
    checked: set[str] = field(default_factory=set)
    given_up: bool = False
    spent: dict[str, list[float]] = field(default_factory=dict)

    def moment(self, ticks: int) -> str:
        """Return a point in time as SQL."""
        return str(ticks) if self.database.time_kind == "integer" else f"make_timestamp({ticks})"

    def ask(self, query: Query, *, cutoff: int, asof: int, population: pa.Table | None = None) -> pa.Table:
        """Return the answer to a query.

        Args:
            query: The query.
            cutoff: The one row of the relation `cutoffs`, in ticks.
            asof: Rows and values up to here are visible, in ticks.
            population: The relation `population`; None where the query may not read one.

        Returns:
            The columns of the query, with times as microseconds.

        Raises:
            BudgetError: The budget ended.
            TaskError: The query is not one SELECT over the tables, fails, runs too long, needs too much memory, or returns
                other columns.
        """
        relations = (*self.database.tables, "cutoffs", *(() if population is None else ("population",)))
        if query.text not in self.checked:
            check_select(self.connection, query.argument, query.text, relations)
            self.checked.add(query.text)
        begun, connection = time.monotonic(), self.connection.cursor()
        limit = TimeLimit(
            min(_LONGEST_SECONDS, self.budget.left()), connection.interrupt, memory=int(_GROWTH * self.memory)
        )
        try:
            connection.execute(f"CREATE TEMP TABLE cutoffs AS SELECT {self.moment(cutoff)} AS cutoff")
            self._show(connection, asof)
            if population is not None:
                connection.register("population", population)
            return limit.run(lambda: _fetch(connection, query))
        except TookTooLong:
            raise self._late(query, limit.seconds) from None
        finally:
            self.spent.setdefault(query.text, []).append(time.monotonic() - begun)
            self.given_up = self.given_up or limit.given_up
            if not limit.given_up:
                connection.close()

    def _late(self, query: Query, seconds: float) -> BudgetError | TaskError:
        if self.budget.spent:
            before = self.spent.get(query.text, [])
            took = f"{seconds:.1f} s at its first cutoff"
            if before:
                took = f"{sum(before):.1f} s at the {len(before)} cutoff{'s' if len(before) > 1 else ''} before"
            rule = f"ended while the {query.argument} query was asked, which took {took}"
            fix = "Give a longer one, ask at fewer cutoffs, or bound what the query reads"
            return BudgetError("time_budget", f"{self.budget.seconds:g} s", rule, fix)
        rule = f"ran longer than {seconds:g} s at one cutoff"
        fix = "Bound what it reads, or compute the labels elsewhere and use Task.from_labels"
        return TaskError(query.argument, query.text.strip(), rule, fix)

    def cutoffs(self, cutoff: int) -> pa.Table:
        """Return the relation `cutoffs` as a query sees it."""
        return self.connection.sql(f"SELECT {self.moment(cutoff)} AS cutoff").to_arrow_table()

    def _show(self, connection: duckdb.DuckDBPyConnection, asof: int) -> None:
        """Make every table's name mean what was visible at `asof`."""
        moment, prefix = self.moment(asof), f"{uuid4().hex}_"
        for name, table in self.database.tables.items():
            masked = {column: clock for clock, columns in table.known_at.items() for column in (*columns, clock)}
            replaced = ", ".join(
                f"CASE WHEN {quote_name(clock)} <= {moment} THEN {quote_name(column)} END AS {quote_name(column)}"
                for column, clock in masked.items()
            )
            chosen = f"* REPLACE ({replaced})" if replaced else "*"
            where = f" WHERE {quote_name(table.time)} <= {moment}" if table.time else ""
            _register(connection, prefix, name, self.tables[name])
            connection.execute(
                f"CREATE TEMP VIEW {quote_name(name)} AS SELECT {chosen} FROM {quote_name(prefix + name)}{where}"
            )


def _fetch(connection: duckdb.DuckDBPyConnection, query: Query) -> pa.Table:
    import duckdb

    try:
        relation = connection.sql(query.text)
        table = None if relation is None else relation.to_arrow_table()
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError) as error:
        rule, fix = f"needs more memory than it may use ({_reason(error)})", "Bound what it reads and returns"
        raise TaskError(query.argument, query.text.strip(), rule, fix) from None
    except duckdb.Error as error:
        rule = f"DuckDB refused the query: {_reason(error)}"
        raise TaskError(query.argument, query.text.strip(), rule, "Correct the SQL") from None
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


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _register(connection: duckdb.DuckDBPyConnection, prefix: str, name: str, table: pa.Table) -> None:
    import duckdb

    try:
        connection.register(prefix + name, table)
    except duckdb.Error as error:
        rule = f"DuckDB cannot read it: {_reason(error)}"
        raise TaskError("table", name, rule, "Convert or drop the column") from None


@contextmanager
def open_session(database: Database, budget: Budget | None = None) -> Iterator[AsofSession]:
    """Open a session over a database, locked against files, Python's variables and settings, and close it at the end.

    Times without a zone are UTC, whatever the zone of the machine.

    Args:
        database: The database.
        budget: The clock of all questions, each of which also ends after ten minutes; None for these alone.
    """
    import duckdb

    _check_names(database)
    memory = max(_LEAST_MEMORY, int(_MEMORY_SHARE * free_memory()))
    connection = duckdb.connect(":memory:", config={**_LOCKED, "memory_limit": f"{memory}B"})
    session = AsofSession(connection, database, {}, budget or Budget(None), memory)
    try:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        session.tables.update((name, _readable(table)) for name, table in database.tables.items())
        yield session
    finally:
        if not session.given_up:
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
    for place, own in enumerate(data.schema):
        dtype: Any = own.type
        if own.name in clocks and pa.types.is_timestamp(dtype) and dtype.unit == "ns":
            whole = ticks_of(data[own.name])
            rounded = pa.array(whole, mask=whole == NEVER).cast(pa.timestamp("us"))
            data = data.set_column(place, own.name, rounded)
        elif pa.types.is_timestamp(dtype) and dtype.tz is not None:
            data = data.set_column(place, own.name, pc.cast(data[own.name], pa.timestamp(dtype.unit)))
    return data


def _plain(table: pa.Table) -> pa.Table:
    """Decode enumerations, and bring cutoffs to microseconds."""
    for place, own in enumerate(table.schema):
        dtype: Any = own.type
        if pa.types.is_dictionary(dtype):
            table = table.set_column(place, own.name, pc.cast(table[own.name], dtype.value_type))
    place = table.schema.get_field_index("cutoff")
    if place >= 0 and (pa.types.is_timestamp(table["cutoff"].type) or pa.types.is_date(table["cutoff"].type)):
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
