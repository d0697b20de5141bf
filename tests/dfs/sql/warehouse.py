"""A problem's tables in a database, asked by the statements that `to_sql` writes."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.clock import EVERYTHING
from relselect.database.columns import as_float, as_strings
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.problem import Problem
from relselect.tasks import Rows

__all__ = ["answers", "copy_table", "in_duckdb", "in_postgres", "targets_of"]


def targets_of(problem: Problem, rows: Rows) -> pa.Table:
    """The table of task rows that a statement reads; an entity that is not there has no key."""
    entity = problem.database[problem.entity]
    keys = entity.data.select(list(entity.primary_key)).take(pa.array(rows.entity, mask=rows.entity < 0))
    integer = problem.task.time_kind == "integer"

    def moments(ticks: np.ndarray) -> pa.Array:
        whole = pa.array(ticks, mask=ticks == EVERYTHING)
        return whole if integer else whole.cast(pa.timestamp("us"))

    given = {"row_id": pa.array(np.arange(len(rows))), "cutoff": moments(rows.cutoff), "asof": moments(rows.asof)}
    for name in () if rows.features is None else rows.features.column_names:
        values = rows.features[name]
        given[name] = pc.cast(values, pa.int64()) if pa.types.is_boolean(values.type) else values
    return pa.table({**given, **dict(zip(keys.column_names, keys.columns, strict=True))})


def answers(plan: Plan, vocabulary: Vocabulary, result: pa.Table) -> np.ndarray:
    """What a statement returned, as a feature matrix."""
    values = np.full((result.num_rows, len(plan)), np.nan)
    at = result["row_id"].to_numpy()
    assert sorted(at) == list(range(len(at)))
    for place, feature in enumerate(plan):
        column = result.column(place + 1)
        if feature.categorical:
            codes, words = as_strings(column)
            values[at, place] = vocabulary.encode(feature.source(plan.entity), codes.astype(np.float64), words)
        else:
            values[at, place] = as_float(column)
    return values


def in_duckdb(problem: Problem, rows: Rows, statement: str, **renamed: str) -> pa.Table:
    """What DuckDB answers to a statement; tables may be called otherwise."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        for name, table in problem.database.tables.items():
            connection.register(renamed.get(name, name), table.data)
        connection.register(renamed.get("targets", "targets"), targets_of(problem, rows))
        return connection.sql(statement).to_arrow_table()


def in_postgres(uri: str, problem: Problem, rows: Rows, statement: str) -> pa.Table:
    """What PostgreSQL answers to a statement; the tables are gone afterwards."""
    import psycopg

    with psycopg.connect(uri) as connection:
        for name, table in problem.database.tables.items():
            copy_table(connection, name, table.data)
        copy_table(connection, "targets", targets_of(problem, rows))
        connection.execute("ANALYZE")
        cursor = connection.execute(statement)
        found = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(cursor.description)
        connection.rollback()
    return pa.table([pa.array(values) for values in found], [column.name for column in cursor.description])


_TYPES = {
    "int64": "bigint",
    "int32": "integer",
    "double": "double precision",
    "float": "real",
    "bool": "boolean",
    "date32[day]": "date",
}


def copy_table(connection: Any, name: str, table: pa.Table) -> None:
    """Create a table of PostgreSQL and fill it."""
    from psycopg import sql

    columns = [
        sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(_type(str(field.type)))) for field in table.schema
    ]
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), sql.SQL(", ").join(columns)))
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy:
        for row in zip(*(_plain(column) for column in table.columns), strict=True):
            copy.write_row(row)


def _type(dtype: str) -> str:
    return "timestamp" if dtype.startswith("timestamp") else _TYPES.get(dtype, "text")


def _plain(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # PostgreSQL knows no nanoseconds; rounded up, as the engines do.
        ticks = [None if value is None else -(-value // 1000) for value in column.cast(pa.int64()).to_pylist()]
        column = pa.chunked_array([pa.array(ticks, pa.int64()).cast(pa.timestamp("us"))])
    return column.to_pylist()
