"""Which tables and columns a predictor cannot do without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from relselect.drift.snapshot import Shape
from relselect.families.protocol import Candidate, Family, ReadsSome

if TYPE_CHECKING:
    from relselect.tasks import Task

__all__ = ["Needs", "needs_of"]

#: Table -> its shape with the columns that are needed, in the order of training.
Needs = Mapping[str, Shape]


def needs_of(task: Task, family: Family, candidate: Candidate, shapes: Mapping[str, Shape]) -> Needs:
    """Return what predicting reads.

    That is what the model reads, what the task's queries mention, and the keys, times, clocks and references among the
    tables of either: who belongs to whom, and when, must not depend on what is left out.

    Args:
        task: The task.
        family: The family of the model.
        candidate: The fitted model.
        shapes: The tables that training saw.
    """
    wanted: dict[str, set[str]] = {task.entity: set()}
    reads = family.reads(candidate) if isinstance(family, ReadsSome) else {n: set(s.columns) for n, s in shapes.items()}
    for name, columns in reads.items():
        wanted.setdefault(name, set()).update(columns)
    for query in (task.population, task.label_query):
        for name, columns in _mentioned(query, shapes).items():
            wanted.setdefault(name, set()).update(columns)
    tables = [name for name in shapes if name in wanted]
    return {name: _narrowed(shapes[name], wanted[name], tables) for name in tables}


def _narrowed(shape: Shape, columns: Iterable[str], tables: Iterable[str]) -> Shape:
    """Return a shape with some of its columns and the references to tables that are read."""
    keys = tuple(key for key in shape.foreign_keys if key.table in tables)
    shape = replace(shape, foreign_keys=keys)
    kept = {*columns, *shape.structural, *_identity(shape)}
    return replace(
        shape,
        columns={name: dtype for name, dtype in shape.columns.items() if name in kept},
        known_at={clock: tuple(c for c in masked if c in kept) for clock, masked in shape.known_at.items()},
        types={name: kind for name, kind in shape.types.items() if name in kept},
    )


def _identity(shape: Shape) -> set[str]:
    """Return what tells the rows of a table apart: all columns that are not masked, where there is no primary key."""
    masked = {column for columns in shape.known_at.values() for column in columns}
    return set() if shape.primary_key else set(shape.columns) - masked


def _mentioned(query: str | None, shapes: Mapping[str, Shape]) -> dict[str, set[str]]:
    """Return the tables and columns that a query may read; rather too much than too little."""
    if query is None:
        return {}
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(query, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return {name: set(shape.columns) for name, shape in shapes.items()}
    words = {node.name.lower() for node in tree.find_all(exp.Identifier)}
    stars = [node for node in tree.find_all(exp.Star) if not isinstance(node.parent, exp.Count)]
    functions = {node.name.lower() for node in tree.find_all(exp.Anonymous)} | {
        type(node).__name__.lower() for node in tree.find_all(exp.Func)
    }
    whole_rows = {node.name.lower() for node in tree.find_all(exp.Column) if not node.table} & _sources(tree)
    natural = any(join.method for join in tree.find_all(exp.Join))
    everything = bool(stars or whole_rows or natural or "columns" in functions)
    return {
        name: {column for column in shape.columns if everything or column.lower() in words}
        for name, shape in shapes.items()
        if name.lower() in words or everything
    }


def _sources(tree: object) -> set[str]:
    """Return what a query calls the relations it reads."""
    from sqlglot import exp

    assert isinstance(tree, exp.Expression)
    return {name.lower() for node in tree.find_all(exp.Table) for name in (node.name, node.alias) if name}
