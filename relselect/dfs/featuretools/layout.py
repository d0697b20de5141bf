"""Decides the dataframes and relationships of an EntitySet for a problem. It holds no rows.

featuretools follows foreign keys until they end, and without end where they form a cycle. A database without cycles keeps
its tables. Any other is unrolled into a tree: its root is the entity, every step from a dataframe leads to a copy of the
next table, and the tree ends at the depth asked for. A copy holds all rows of its table, so a definition on it means what the
same steps mean in the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from relselect.dfs.plan.feature import Hop
from relselect.dfs.plan.routes import down_from
from relselect.dfs.plan.schema import Schema
from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["INDEX", "TABLE", "Edge", "Layout", "Node", "key_columns", "layout_of", "layout_within"]

#: The index of every dataframe: the position of a row in the order of its table's content.
INDEX = "__row__"
#: The key in a dataframe's metadata that names the table that it is a copy of.
TABLE = "relselect_table"
#: Copies of tables at most.
_MOST = 400


@dataclass(frozen=True)
class Node:
    """A dataframe: its name, the table whose rows it holds, and the name of its index."""

    name: str
    table: str
    index: str = INDEX


@dataclass(frozen=True)
class Edge:
    """A relationship: `column` of the dataframe `child` holds the index of `parent`, by the table's foreign key `key`."""

    parent: str
    child: str
    key: str
    column: str


@dataclass(frozen=True)
class Layout:
    """The dataframes of an EntitySet.

    Attributes:
        entity: The dataframe of the entity.
        nodes: All dataframes.
        edges: All relationships.
    """

    entity: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @cached_property
    def tables(self) -> dict[str, str]:
        """Dataframe -> table."""
        return {node.name: node.table for node in self.nodes}

    @cached_property
    def _steps(self) -> dict[tuple[str, Hop], Edge]:
        found = {}
        for edge in self.edges:
            found[edge.child, Hop(self.tables[edge.parent], edge.key, down=False)] = edge
            found[edge.parent, Hop(self.tables[edge.child], edge.key, down=True)] = edge
        return found

    def step(self, node: str, hop: Hop) -> Edge | None:
        """Return the relationship that a hop from a dataframe follows, None if there is none."""
        return self._steps.get((node, hop))

    def hop(self, edge: Edge, *, down: bool) -> Hop:
        """Return the hop along a relationship."""
        return Hop(self.tables[edge.child if down else edge.parent], edge.key, down)


def key_columns(schema: Schema, table: str) -> list[str]:
    """Return the columns that hold a table's foreign keys: the keys' names, with the parent's where keys share one."""
    keys = schema.tables[table].foreign_keys
    names = [key.name for key in keys]
    return [key.name if names.count(key.name) == 1 else f"{key.name} -> {key.table}" for key in keys]


def layout_of(problem: Problem, depth: int, *, unrolled: bool | None = None) -> Layout:
    """Return the layout of a problem's database around its entity.

    Args:
        problem: The problem.
        depth: Steps from the entity at most.
        unrolled: Whether every step leads to a copy; None for only where foreign keys form a cycle.

    Raises:
        ConfigError: There would be too many copies.
    """
    near = _within(problem, depth)
    if unrolled or (unrolled is None and _has_cycle(problem, near)):
        return _unrolled(problem, depth)
    schema = Schema.of(problem)
    edges = [
        Edge(key.table, child, key.name, column)
        for child in near
        for key, column in zip(schema.tables[child].foreign_keys, key_columns(schema, child), strict=True)
        if key.table in near
    ]
    return Layout(problem.entity, tuple(Node(table, table) for table in near), tuple(edges))


def layout_within(schema: Schema, entityset: Any, entity: str) -> Layout:
    """Return the layout of an EntitySet: one made here, or another whose dataframes have the names of the tables.

    Dataframes and relationships that the schema does not have are left out.

    Args:
        schema: The database's.
        entityset: The EntitySet.
        entity: The dataframe of the entity.
    """
    named = {frame.ww.name: frame.ww.metadata.get(TABLE, frame.ww.name) for frame in entityset.dataframes}
    nodes = [Node(name, table, entityset[name].ww.index) for name, table in named.items() if table in schema.tables]
    known = {node.name for node in nodes}
    edges = []
    for link in entityset.relationships:
        parent, child = link._parent_dataframe_name, link._child_dataframe_name
        key = _key(schema, named[child], named[parent], link._child_column_name) if {parent, child} <= known else None
        if key is not None:
            edges.append(Edge(parent, child, key, link._child_column_name))
    return Layout(entity, tuple(nodes), tuple(edges))


def _key(schema: Schema, child: str, parent: str, column: str) -> str | None:
    keys = zip(schema.tables[child].foreign_keys, key_columns(schema, child), strict=True)
    return next((key.name for key, held in keys if key.table == parent and column in (key.name, held)), None)


def _within(problem: Problem, depth: int) -> list[str]:
    """Return the tables at most `depth` steps from the entity, the nearer first."""
    found = level = [problem.entity]
    for _ in range(depth):
        ahead = dict.fromkeys(hop.table for table in level for hop in _hops(problem, table))
        level = [table for table in ahead if table not in found]
        found = found + level
    return found


def _hops(problem: Problem, table: str) -> Iterator[Hop]:
    for key in problem.database[table].foreign_keys:
        yield Hop(key.table, key.name, down=False)
    yield from down_from(problem, table)


def _has_cycle(problem: Problem, tables: list[str]) -> bool:
    """Whether foreign keys of the tables form a cycle: found by removing tables that refer to no table left."""
    left = set(tables)
    while left:
        ends = {table for table in left if not any(key.table in left for key in problem.database[table].foreign_keys)}
        if not ends:
            return True
        left -= ends
    return False


def _unrolled(problem: Problem, depth: int) -> Layout:
    schema = Schema.of(problem)
    nodes, edges = [Node(problem.entity, problem.entity)], []
    level: list[tuple[Node, tuple[str, Hop] | None]] = [(nodes[0], None)]
    for _ in range(depth):
        ahead: list[tuple[Node, tuple[str, Hop] | None]] = []
        for node, back in level:
            for hop in _hops(problem, node.table):
                if back == (node.table, hop):
                    continue
                step = f"{hop.table}[{hop.key}]" if hop.down else f"{hop.table}({hop.key})"
                copy = Node(f"{node.name}/{step}", hop.table)
                ahead.append((copy, (hop.table, Hop(node.table, hop.key, not hop.down))))
                edges.append(_edge(schema, node, copy, hop))
        nodes += [node for node, _ in ahead]
        level = ahead
        if len(nodes) > _MOST:
            rule = f"would unroll {problem.database.name} into more than {_MOST} dataframes"
            raise ConfigError("depth", depth, rule, "Ask for fewer steps")
    return Layout(problem.entity, tuple(nodes), tuple(edges))


def _edge(schema: Schema, node: Node, copy: Node, hop: Hop) -> Edge:
    parent, child = (node, copy) if hop.down else (copy, node)
    keys = zip(schema.tables[child.table].foreign_keys, key_columns(schema, child.table), strict=True)
    column = next(held for key, held in keys if key.name == hop.key and key.table == parent.table)
    return Edge(parent.name, child.name, hop.key, column)
