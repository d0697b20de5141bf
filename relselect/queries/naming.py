"""Names for tasks from their queries alone, so that a command knows its folder before it reads a database."""

from __future__ import annotations

import re

from relselect.queries.syntax import (
    AggregateCall,
    ColumnReference,
    Condition,
    Constant,
    Junction,
    Negation,
    Operand,
    OperandComparison,
    PredictiveQuery,
)

__all__ = ["task_name"]

_LONGEST = 60


def task_name(query: PredictiveQuery) -> str:
    """Return a name made of the entity, the first aggregate or column of the target, and its window.

    >>> from relselect.queries.parser import parse_query
    >>> task_name(parse_query("PREDICT COUNT(orders.*, 0, 60, days) = 0 FOR EACH customers.id"))
    'customers-count-orders-60-days'
    >>> task_name(parse_query("PREDICT loans.status FOR EACH loans.id"))
    'loans-status'
    """
    words = [query.keys[0].table]
    first = _first(query.target)
    if isinstance(first, AggregateCall):
        words += [first.function, first.column.table, first.column.column or ""]
        words += [str(first.window.end or ""), first.window.unit or ""]
    elif first is not None:
        words.append(first.column or "")
    parts = [part for word in words for part in re.split(r"[\W_]+", word.lower()) if part]
    return "-".join(parts)[:_LONGEST].rstrip("-") or "query"


def _first(node: Operand | Condition) -> AggregateCall | ColumnReference | None:
    """Return the first aggregate or column of a target."""
    if isinstance(node, Constant):
        return None
    if isinstance(node, AggregateCall | ColumnReference):
        return node
    if isinstance(node, Junction):
        return next((found for part in node.parts if (found := _first(part)) is not None), None)
    if isinstance(node, Negation):
        return _first(node.condition)
    if isinstance(node, OperandComparison):
        return _first(node.left) or _first(node.right)
    return _first(node.left)
