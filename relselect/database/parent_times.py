"""Times that rows take from a parent: `time: order_id.placed_at` is the `placed_at` of the order that `order_id` refers to.

A table's `time` is a column of its own, or a path: the name of a foreign key, a dot, and a column of the parent or a path that
goes on from there (`item_id.order_id.placed_at`). The parent's times become a column of that name, so that everything else
reads a time as it reads any other. A row whose foreign key is NULL or dangling, or whose parent has no time, has no time itself:
it is never visible, and counted. Nothing is said here about which tables should take a parent's time (`relselect.proposal`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from relselect.database.clock import is_time_type
from relselect.database.columns import combine_keys, find_keys
from relselect.database.schema import TableSchema
from relselect.database.table import ForeignKey, Table
from relselect.errors import SchemaProblem

__all__ = ["TimePath", "find_time_paths", "names_path", "reference_keys", "time_path", "with_parent_times"]

Tables = Mapping[str, Table] | Mapping[str, TableSchema]


class TimePath(NamedTuple):
    """The way from a table to the column that its time is taken from.

    Attributes:
        keys: The foreign keys, from the table on.
        column: The column of the last parent.
    """

    keys: tuple[ForeignKey, ...]
    column: str

    @property
    def parent(self) -> str:
        """The table of the column."""
        return self.keys[-1].table


def time_path(table: Table | TableSchema, tables: Tables) -> TimePath | None:
    """Return the path that a table's time names; None where it names a column, or no path that can be followed.

    Args:
        table: The table; a column that has the path's name does not matter, so that a path is found again later.
        tables: All tables by name.
    """
    found = _followed(table, tables)
    return found if isinstance(found, TimePath) else None


def find_time_paths(tables: Mapping[str, Table]) -> tuple[dict[str, TimePath], list[SchemaProblem]]:
    """Return table -> path for every table whose time is a path, and every problem of these paths.

    Foreign keys that refer to nothing are no problems here, as the validation of foreign keys reports them.
    """
    paths: dict[str, TimePath] = {}
    problems: list[SchemaProblem] = []
    for name, table in tables.items():
        if not names_path(table):
            continue
        found = _followed(table, tables)
        if isinstance(found, TimePath):
            parent = tables[found.parent]
            dtype = parent.data[found.column].type
            if is_time_type(dtype):
                paths[name] = found
            else:
                rule = "a time column holds timestamps, dates or integers"
                value = f"{found.parent}.{found.column} is {dtype}"
                problems.append(SchemaProblem(name, str(table.time), value, rule, "Name the parent's time"))
        elif found is not None:
            problems.append(SchemaProblem(name, str(table.time), *found))
    return paths, problems


def names_path(table: Table) -> bool:
    """Whether a table's time is no column of its own but a path."""
    return table.time is not None and table.time not in table.columns and "." in table.time


def with_parent_times(tables: Mapping[str, Table], paths: Mapping[str, TimePath]) -> list[Table]:
    """Return the tables with their parents' times as columns, named by their paths.

    Args:
        tables: Valid tables by name.
        paths: Table -> path, of those that take a parent's time.
    """
    return [_with_time(table, tables, paths[name]) if name in paths else table for name, table in tables.items()]


def _with_time(table: Table, tables: Mapping[str, Table], path: TimePath) -> Table:
    at, rows = table, np.arange(table.num_rows, dtype=np.int64)
    for key in path.keys:
        parent = tables[key.table]
        own = combine_keys([parent.data[column] for column in parent.primary_key])
        found = find_keys(own, reference_keys(at, key, parent))
        rows = np.append(found, -1)[rows]  # -1 stays -1
        at = parent
    source = at.data[path.column].combine_chunks()
    values = source.take(pa.array(rows, pa.int64(), mask=rows < 0))
    return replace(table, data=table.data.append_column(str(table.time), values))


def reference_keys(table: Table, key: ForeignKey, parent: Table) -> pa.Array:
    """Return the values of a foreign key as `combine_keys` returns those of the parent's primary key, shape (rows,)."""
    ordered = {ref: column for column, ref in zip(key.columns, key.ref_columns or parent.primary_key, strict=True)}
    return combine_keys([table.data[ordered[ref]] for ref in parent.primary_key])


def _followed(table: Table | TableSchema, tables: Tables) -> TimePath | tuple[str, str, str] | None:
    """Return the path; or value, rule and way out of what is wrong with it; None where its foreign key refers to nothing."""
    keys: list[ForeignKey] = []
    at, rest = table, table.time or ""
    met = {table.name}
    while True:
        if keys and rest in at.columns and not (rest == at.time and _leading(at.foreign_keys, rest)):
            return TimePath(tuple(keys), rest)
        key = _leading(at.foreign_keys, rest)
        if key is None:
            return _no_step(at, rest, first=not keys)
        keys.append(key)
        parent = tables.get(key.table)
        if parent is None or not parent.primary_key:
            return None
        if key.table in met:
            rule = f"comes back to {key.table}, so that rows would take their time from rows of their own table"
            return str(table.time), rule, "Name a parent that the path has not passed, or the table's own column"
        met.add(key.table)
        at, rest = parent, rest[len(key.name) + 1 :]


def _leading(keys: Iterable[ForeignKey], rest: str) -> ForeignKey | None:
    """Return the foreign key that a path begins with, the one with the longest name where several fit."""
    fitting = [key for key in keys if rest.startswith(f"{key.name}.")]
    return max(fitting, key=lambda key: len(key.name), default=None)


def _no_step(at: Table | TableSchema, rest: str, *, first: bool) -> tuple[str, str, str]:
    known = ", ".join(key.name for key in at.foreign_keys)
    if first:
        rule = f"is no column of {at.name}, and does not begin with one of its foreign keys and a dot"
        return rest, rule, f"Foreign keys: {known}" if known else "Declare the foreign key to the parent"
    columns = ", ".join(list(at.columns)[:12])
    rule = f"is neither a column of {at.name} nor a path from it"
    return rest, rule, f"Columns: {columns}" + (f"; foreign keys: {known}" if known else "")
