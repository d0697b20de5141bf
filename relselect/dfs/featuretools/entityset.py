"""Builds EntitySets of a problem's database: with all rows to compute from, or empty to enumerate from."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import featuretools as ft

from relselect.dfs.featuretools.frames import column_types, featuretools_table
from relselect.dfs.featuretools.layout import INDEX, TABLE, Edge, Layout, Node, layout_of
from relselect.dfs.plan.routes import check_depth
from relselect.dfs.plan.schema import Schema
from relselect.hashing import digest_of

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["entityset", "filled", "identifier"]


def entityset(problem: Problem, depth: int = 2, *, data: bool = False, unrolled: bool | None = None) -> Any:
    """Return an EntitySet of a problem's database, past labels included, with every type declared.

    Indexes are row numbers (`__row__`), whatever the primary keys; foreign keys keep their names and hold these numbers.
    Columns known after their row are masked by secondary time indexes. `calculate_feature_matrix` with an `asof` as its
    cutoff time then sees what this package sees.

    Args:
        problem: The problem.
        depth: Steps from the entity within which tables are there.
        data: Whether the rows are filled in; without, features can be enumerated and written but not computed.
        unrolled: Whether every step from the entity leads to a dataframe of its own, a copy of the table. None for only
            where foreign keys form a cycle, which featuretools would follow for ever.

    Returns:
        The `featuretools.EntitySet`; the entity's dataframe has the name of its table.

    Raises:
        ConfigError: The depth is not supported, or unrolls into too many dataframes.
    """
    check_depth(depth)
    return filled(problem, layout_of(problem, depth, unrolled=unrolled), data=data)


def filled(
    problem: Problem, layout: Layout, columns: Mapping[str, Collection[str]] | None = None, *, data: bool = True
) -> Any:
    """Return the EntitySet of a layout.

    Args:
        problem: The problem.
        layout: Dataframes and relationships.
        columns: Dataframe -> columns that are read; None for all columns of all dataframes.
        data: Whether the rows are filled in.
    """
    found = ft.EntitySet(identifier(problem, layout, columns, data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for node in layout.nodes:
            wanted = None if columns is None else columns.get(node.name, ())
            _add(found, problem, node, wanted, [edge for edge in layout.edges if edge.child == node.name], data)
        parents = {node.name: node.index for node in layout.nodes}
        for edge in layout.edges:
            found.add_relationship(edge.parent, parents[edge.parent], edge.child, edge.column)
    return found


def _add(
    found: Any, problem: Problem, node: Node, wanted: Collection[str] | None, edges: list[Edge], data: bool
) -> None:
    table = featuretools_table(problem, node.table, wanted, data=data)
    keys = {edge.column for edge in edges}
    spare = [column for column in table.keys if column not in keys]
    names = {INDEX: node.index}
    found.add_dataframe(
        dataframe=table.frame.drop(columns=spare).rename(columns=names),
        dataframe_name=node.name,
        index=node.index,
        time_index=table.time,
        logical_types={names.get(name, name): kind for name, kind in table.types.items() if name not in spare},
    )
    clocks = {clock: [name for name in masked if name not in spare] for clock, masked in table.clocks.items()}
    found[node.name].ww.metadata[TABLE] = node.table
    if clocks:
        found.set_secondary_time_index(node.name, clocks)


def identifier(problem: Problem, layout: Layout, columns: Mapping[str, Collection[str]] | None, data: bool) -> str:
    """Return a name that is different for different EntitySets: featuretools looks them up by name."""
    types = {table: dict(column_types(problem, table)) for table in sorted(set(layout.tables.values()))}
    read = sorted((name, sorted(kept)) for name, kept in (columns or {}).items())
    content = f"{Schema.of(problem)} {types} {layout} {read} {data}"
    return f"{problem.database.name} {digest_of(content.encode(), 6).hex()}"
