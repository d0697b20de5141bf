"""Task rows from SQL: who is asked about (population) and what came of it (label), in DuckDB.

Each cutoff is asked on the database as it was then: later rows and values not yet known are not there, so a population
query cannot read the future however it is written. The label query sees the database until its label is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from relselect.database import Database
from relselect.errors import TaskError

if TYPE_CHECKING:
    import duckdb

__all__ = ["Query", "ask", "ask_labels"]


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
    with _connection(database) as connection:
        parts = [_population(connection, database, population, cutoff) for cutoff in cutoffs]
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
    with _connection(database) as connection:
        for cutoff in cutoffs:
            people = _population(connection, database, population, cutoff)
            asked += people.num_rows
            _show(connection, database, cutoff + window)
            connection.register("population", people)
            answers = _fetch(connection, label)
            _unique(answers, keys, label)
            parts.append(people.join(answers, keys=keys, join_type="inner").select(list(label.columns)))
    found = pa.concat_tables(parts)
    found = found.filter(found[label.columns[-1]].is_valid())
    return found, asked - found.num_rows


def _population(connection: duckdb.DuckDBPyConnection, database: Database, query: Query, cutoff: int) -> pa.Table:
    integer = database.time_kind == "integer"
    moment = str(cutoff) if integer else f"make_timestamp({cutoff})"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE cutoffs AS SELECT {moment} AS cutoff")
    _show(connection, database, cutoff)
    found = _fetch(connection, query)
    return found.group_by(list(query.columns), use_threads=False).aggregate([])


def _fetch(connection: duckdb.DuckDBPyConnection, query: Query) -> pa.Table:
    import duckdb

    try:
        found = connection.execute(query.text).arrow()
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise TaskError(
            query.argument, query.text.strip(), f"DuckDB refused the query: {reason}", "Correct the SQL"
        ) from None
    table = found.read_all() if isinstance(found, pa.RecordBatchReader) else found
    missing = [column for column in query.columns if column not in table.column_names]
    if missing:
        raise TaskError(
            query.argument,
            list(table.column_names),
            f"must return the columns {list(query.columns)}",
            f"Add {', '.join(missing)} to the SELECT",
        )
    table = table.select(list(query.columns))
    if pa.types.is_timestamp(table["cutoff"].type) or pa.types.is_date(table["cutoff"].type):
        place = table.column_names.index("cutoff")
        table = table.set_column(place, "cutoff", pc.cast(table["cutoff"], pa.timestamp("us")))
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


@contextmanager
def _connection(database: Database) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": "2", "enable_external_access": "false"})
    try:
        connection.execute("SET lock_configuration = true")
        for name, table in database.tables.items():
            connection.register(f"__all_{name}", _without_zones(table.data))
        yield connection
    finally:
        connection.close()


def _show(connection: duckdb.DuckDBPyConnection, database: Database, asof: int) -> None:
    """Make every table's name mean its rows and values visible at `asof`."""
    integer = database.time_kind == "integer"
    moment = str(asof) if integer else f"make_timestamp({asof})"
    for name, table in database.tables.items():
        masked = [(column, clock) for clock, columns in table.known_at.items() for column in (*columns, clock)]
        replaced = ", ".join(
            f"CASE WHEN {_quote(clock)} <= {moment} THEN {_quote(column)} END AS {_quote(column)}"
            for column, clock in masked
        )
        chosen = f"* REPLACE ({replaced})" if replaced else "*"
        where = f" WHERE {_quote(table.time)} <= {moment}" if table.time else ""
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {_quote(name)} AS SELECT {chosen} FROM {_quote('__all_' + name)}{where}"
        )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _without_zones(data: pa.Table) -> pa.Table:
    """SQL sees UTC without a zone, whatever the session's time zone."""
    for place, field in enumerate(data.schema):
        dtype: Any = field.type
        if pa.types.is_timestamp(dtype) and dtype.tz is not None:
            data = data.set_column(place, field.name, pc.cast(data[field.name], pa.timestamp(dtype.unit)))
    return data
