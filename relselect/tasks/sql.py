"""Task rows from SQL: who is asked about (population) and what came of it (label), in DuckDB.

Each cutoff is asked on the database as it was then: later rows and values not yet known are not there, so a population
query cannot read the future however it is written. The label query sees the database until its label is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

__all__ = ["Query", "ask", "ask_labels"]

#: Relations that the queries read beside the database's tables.
_OWN = ("cutoffs", "population")


@dataclass(frozen=True)
class Query:
    """A query and the columns it has to return."""

    argument: str
    text: str
    columns: tuple[str, ...]


def ask(database: Database, population: Query, cutoffs: Sequence[int]) -> pa.Table:
    """Return who is asked about at each cutoff.

    Args:
        database: Read only as of each cutoff.
        population: Returns `cutoff` and the entity key columns; duplicates are merged.
        cutoffs: Ticks.

    Raises:
        TaskError: The query fails or returns other columns.
    """
    with _opened(database) as session:
        parts = [_population(session, population, cutoff) for cutoff in cutoffs]
    return pa.concat_tables(parts) if parts else pa.table({})


def ask_labels(
    database: Database, population: Query, label: Query, cutoffs: Sequence[int], window: int
) -> tuple[pa.Table, int]:
    """Return labelled rows at each cutoff.

    Args:
        database: The population reads it as of the cutoff, the label as of `cutoff + window`.
        population: See `ask`.
        label: Returns `cutoff`, the key columns and the target (its last column); may read the relation `population`.
        cutoffs: Ticks.
        window: Ticks after the cutoff that the label may read.

    Returns:
        The labelled rows, and how many of the population had no label.
    """
    keys = list(population.columns)
    parts, asked = [], 0
    with _opened(database) as session:
        for cutoff in cutoffs:
            people = _population(session, population, cutoff)
            asked += people.num_rows
            session.show(cutoff + window)
            session.connection.register("population", people)
            answers = _like(_fetch(session, label), people, label)
            _unique(answers, keys, label)
            parts.append(people.join(answers, keys=keys, join_type="inner").select(list(label.columns)))
    found = pa.concat_tables(parts)
    found = found.filter(found[label.columns[-1]].is_valid())
    # Neither DuckDB nor the join keeps an order.
    return found.sort_by([(key, "ascending") for key in keys]), asked - found.num_rows


def _population(session: _Session, query: Query, cutoff: int) -> pa.Table:
    session.connection.execute(f"CREATE OR REPLACE TEMP TABLE cutoffs AS SELECT {session.moment(cutoff)} AS cutoff")
    session.show(cutoff)
    asked = session.connection.sql("SELECT cutoff FROM cutoffs").to_arrow_table()
    found = _like(_fetch(session, query), asked, query)
    if found.num_rows and pc.any(pc.fill_null(pc.not_equal(found["cutoff"], asked["cutoff"][0]), True)).as_py():
        raise TaskError(query.argument, query.text.strip(), "returns other cutoffs than it was asked at",
                        "SELECT the column `cutoff` of the relation `cutoffs` unchanged")  # fmt: skip
    return found.group_by(list(query.columns), use_threads=False).aggregate([])


def _fetch(session: _Session, query: Query) -> pa.Table:
    import duckdb

    try:
        relation = session.connection.sql(query.text)
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


def _like(table: pa.Table, other: pa.Table, query: Query) -> pa.Table:
    """Give the columns that both tables have the types of `other`."""
    for place, name in enumerate(table.column_names):
        if name in other.column_names and table[name].type != other[name].type:
            wanted = other[name].type
            try:
                table = table.set_column(place, name, pc.cast(table[name], wanted))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                place_of = f"{query.argument}.{name}"
                raise TaskError(place_of, str(table[name].type), f"must be {wanted}", "CAST the column") from None
    return table


def _unique(answers: pa.Table, keys: list[str], query: Query) -> None:
    distinct = answers.group_by(keys).aggregate([]).num_rows
    if distinct < answers.num_rows:
        raise TaskError(
            query.argument,
            f"{answers.num_rows - distinct} extra rows",
            "must return one label per cutoff and entity",
            "GROUP BY the cutoff and the key",
        )


@dataclass
class _Session:
    """A connection whose table names mean the rows and values visible at a moment.

    The full tables stand under a prefix drawn anew for every session, which no query can know when it is written.
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


@contextmanager
def _opened(database: Database) -> Iterator[_Session]:
    import duckdb

    _check_names(database)
    connection = duckdb.connect(":memory:", config={"threads": "2", "enable_external_access": "false"})
    session = _Session(connection, database, f"{uuid4().hex}_")
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
