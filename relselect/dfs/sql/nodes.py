"""Short constructors of the sqlglot nodes that statements are built from.

Names and values only ever become identifiers and literals, quoted by the dialect's generator: no text of a database is
pasted into SQL. Every function returns a fresh node; a node belongs to one place of one tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from relselect.database.clock import EVERYTHING, NEVER

__all__ = [
    "ALWAYS_VISIBLE",
    "EVERYTHING",
    "NEVER",
    "Node",
    "alias",
    "at_most",
    "bigint",
    "both",
    "call",
    "case",
    "column",
    "divided",
    "double",
    "equal",
    "every",
    "greatest",
    "inner",
    "integer",
    "later",
    "minus",
    "or_else",
    "ordered",
    "plus",
    "present",
    "real",
    "relation",
    "stored",
    "text",
    "times",
    "timestamp",
    "window",
]

Node = exp.Expression

#: The time of rows without one: the smallest integer whose literal every dialect reads.
ALWAYS_VISIBLE = -(2**63 - 1)


def _name(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def column(of: str, name: str) -> exp.Column:
    """Return `of.name`."""
    return exp.Column(this=_name(name), table=_name(of))


def stored(name: str, known_as: str | None = None, schema: str | None = None) -> exp.Table:
    """Return a table of the database.

    Without `schema`, a name with one dot is schema and table, as sources call tables where several schemas were read:
    `sales.orders` is "sales"."orders".
    """
    parts = name.split(".")
    if schema is not None or len(parts) != 2 or not all(parts):
        return relation(name, known_as, schema)
    # Columns are called by `known_as`, else by the whole name: the alias is needed either way.
    table = relation(parts[1], schema=parts[0])
    table.set("alias", exp.TableAlias(this=_name(name if known_as is None else known_as)))
    return table


def relation(name: str, known_as: str | None = None, schema: str | None = None) -> exp.Table:
    """Return a table or a common table expression, under another name if one is given."""
    table = exp.Table(this=_name(name), db=_name(schema) if schema is not None else None)
    if known_as is not None and known_as != name:
        table.set("alias", exp.TableAlias(this=_name(known_as)))
    return table


def alias(node: Node, name: str) -> exp.Alias:
    """Return `node AS name`."""
    return exp.Alias(this=node, alias=_name(name))


def integer(value: int) -> Node:
    """Return an integer literal."""
    number = exp.Literal(this=str(abs(value)), is_string=False)
    return exp.Neg(this=number) if value < 0 else number


def timestamp(node: Node) -> Node:
    """Return a value as a timestamp without a zone."""
    return exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.TIMESTAMP))


def real(value: float) -> Node:
    """Return a literal of a finite number that is not negative."""
    return exp.Literal(this=repr(float(value)), is_string=False)


def text(value: str) -> Node:
    """Return a string literal."""
    return exp.Literal(this=value, is_string=True)


def call(function: str, *arguments: Node) -> Node:
    """Return a function call whose name is the same in every dialect."""
    return exp.Anonymous(this=function, expressions=list(arguments))


def double(node: Node) -> Node:
    """Return a value as a double."""
    return exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.DOUBLE))


def bigint(node: Node) -> Node:
    """Return a value as a 64-bit integer."""
    return exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.BIGINT))


def case(*branches: tuple[Node, Node], default: Node | None = None) -> Node:
    """Return the value of the first condition that holds."""
    return exp.Case(ifs=[exp.If(this=when, true=then) for when, then in branches], default=default)


def _inner(node: Node) -> Node:
    return exp.Paren(this=node) if isinstance(node, exp.Binary | exp.Connector) else node


def minus(left: Node, right: Node) -> Node:
    """Return the difference."""
    return exp.Sub(this=_inner(left), expression=_inner(right))


def plus(left: Node, right: Node) -> Node:
    """Return the sum."""
    return exp.Add(this=_inner(left), expression=_inner(right))


def times(*factors: Node) -> Node:
    """Return the product."""
    product, *rest = map(_inner, factors)
    for factor in rest:
        product = exp.Mul(this=product, expression=factor)
    return product


def divided(left: Node, right: Node) -> Node:
    """Return the quotient of two doubles."""
    return exp.Div(this=_inner(left), expression=_inner(right))


def equal(left: Node, right: Node) -> Node:
    """Return `left = right`."""
    return exp.EQ(this=left, expression=right)


def at_most(left: Node, right: Node) -> Node:
    """Return `left <= right`."""
    return exp.LTE(this=left, expression=right)


def later(left: Node, right: Node) -> Node:
    """Return `left > right`."""
    return exp.GT(this=left, expression=right)


def present(node: Node) -> Node:
    """Return `node IS NOT NULL`."""
    return exp.Not(this=exp.Is(this=node, expression=exp.Null()))


def both(conditions: Iterable[Node]) -> Node | None:
    """Return the conjunction of conditions; None for no condition."""
    found: Node | None = None
    for condition in conditions:
        found = condition if found is None else exp.And(this=found, expression=condition)
    return found


def every(conditions: Iterable[Node]) -> Node:
    """Return the conjunction of conditions; TRUE for no condition."""
    return both(conditions) or exp.true()


def inner(select: exp.Select, known_as: str) -> exp.Subquery:
    """Return a subquery for FROM."""
    return exp.Subquery(this=select, alias=exp.TableAlias(this=_name(known_as)))


def or_else(node: Node, default: Node) -> Node:
    """Return the value, or the default where it is NULL."""
    return exp.Coalesce(this=node, expressions=[default])


def greatest(nodes: list[Node]) -> Node:
    """Return the largest of values none of which is NULL."""
    return nodes[0] if len(nodes) == 1 else call("GREATEST", *nodes)


def ordered(node: Node, *, down: bool = False) -> exp.Ordered:
    """Return an ordering by a value, missing ones last."""
    return exp.Ordered(this=node, desc=down or None, nulls_first=False)


def window(function: Node, by: Sequence[Node], order: Sequence[Node]) -> Node:
    """Return a window function over the rows of each partition, in an order."""
    return exp.Window(
        this=function, partition_by=list(by), order=exp.Order(expressions=[ordered(node) for node in order])
    )
