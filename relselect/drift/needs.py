"""The tables and columns that a predictor reads.

The answer is static: from the model's features, the task's queries and the declarations. No data is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from relselect.database.parent_times import time_path
from relselect.database.schema import TableSchema
from relselect.families.candidate import Candidate
from relselect.families.protocol import Family, columns_read

if TYPE_CHECKING:
    from relselect.tasks import Task

__all__ = ["Needs", "needs_of"]

#: Table -> its schema restricted to the columns that predicting reads, in the order of training.
Needs = Mapping[str, TableSchema]


def needs_of(task: Task, family: Family, candidate: Candidate, schemas: Mapping[str, TableSchema]) -> Needs:
    """Return the tables and columns that predicting reads.

    These are the columns that the model reads and the task's queries mention, and the keys, times, clocks and foreign keys
    of their tables: joins and visibility must be the same as on the whole database.

    Args:
        task: The task.
        family: The family of the model.
        candidate: The fitted model.
        schemas: Table -> its schema in training.
    """
    read: dict[str, set[str]] = {task.entity: set()}
    known = columns_read(family, candidate)
    reads = {name: set(schema.columns) for name, schema in schemas.items()} if known is None else known
    for name, columns in reads.items():
        read.setdefault(name, set()).update(columns)
    for query in (task.population, task.label_query):
        for name, columns in _mentioned(query, schemas).items():
            read.setdefault(name, set()).update(columns)
    _add_parents(read, schemas)
    tables = [name for name in schemas if name in read]
    return {name: _narrowed(schemas[name], read[name], tables) for name in tables}


def _add_parents(read: dict[str, set[str]], schemas: Mapping[str, TableSchema]) -> None:
    """Add the parents that tables take their times from, and theirs, with the columns that hold these times."""
    waiting = list(read)
    while waiting:
        name = waiting.pop()
        path = time_path(schemas[name], schemas) if name in schemas and schemas[name].time is not None else None
        for key in path.keys if path is not None else ():
            if key.table not in read:
                read[key.table] = set()
                waiting.append(key.table)
        if path is not None:
            read[path.parent].add(path.column)


def _narrowed(schema: TableSchema, columns: Iterable[str], tables: Iterable[str]) -> TableSchema:
    """Return a schema with some of its columns, its structural columns, and its foreign keys to `tables`."""
    keys = tuple(key for key in schema.foreign_keys if key.table in tables)
    schema = replace(schema, foreign_keys=keys)
    kept = {*columns, *schema.structural, *_identity(schema)}
    return replace(
        schema,
        columns={name: dtype for name, dtype in schema.columns.items() if name in kept},
        known_at={clock: tuple(c for c in masked if c in kept) for clock, masked in schema.known_at.items()},
        types={name: kind for name, kind in schema.types.items() if name in kept},
        formats={name: text for name, text in schema.formats.items() if name in kept},
    )


def _identity(schema: TableSchema) -> set[str]:
    """Return the columns that identify a row where there is no primary key: all that are not masked."""
    masked = {column for columns in schema.known_at.values() for column in columns}
    return set() if schema.primary_key else set(schema.columns) - masked


def _mentioned(query: str | None, schemas: Mapping[str, TableSchema]) -> dict[str, set[str]]:
    """Return the tables and columns that a query may read: a superset where the text leaves it open."""
    if query is None:
        return {}
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(query, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return {name: set(schema.columns) for name, schema in schemas.items()}
    words = {node.name.lower() for node in tree.find_all(exp.Identifier)}
    stars = [node for node in tree.find_all(exp.Star) if not isinstance(node.parent, exp.Count)]
    functions = {node.name.lower() for node in tree.find_all(exp.Anonymous)} | {
        type(node).__name__.lower() for node in tree.find_all(exp.Func)
    }
    whole_rows = {node.name.lower() for node in tree.find_all(exp.Column) if not node.table} & _sources(tree)
    natural = any(join.method for join in tree.find_all(exp.Join))
    everything = bool(stars or whole_rows or natural or "columns" in functions)
    return {
        name: {column for column in schema.columns if everything or column.lower() in words}
        for name, schema in schemas.items()
        if name.lower() in words or everything
    }


def _sources(tree: object) -> set[str]:
    """Return the names and aliases of the relations that a query reads, in lower case."""
    from sqlglot import exp

    assert isinstance(tree, exp.Expression)
    return {name.lower() for node in tree.find_all(exp.Table) for name in (node.name, node.alias) if name}
