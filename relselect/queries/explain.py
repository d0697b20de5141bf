"""Translates a predictive query for a database: finds the entity, and whether a window or a column is asked about."""

from __future__ import annotations

from relselect.database import Database, Table
from relselect.queries.column_plan import plan_column
from relselect.queries.names import Names, QueryProblems
from relselect.queries.parser import parse_query
from relselect.queries.plan import QueryPlan
from relselect.queries.syntax import (
    AggregateCall,
    ColumnReference,
    Condition,
    Junction,
    Negation,
    Operand,
    OperandComparison,
    PredictiveQuery,
)
from relselect.queries.window_plan import plan_window

__all__ = ["explain_query"]


def explain_query(database: Database, query: str | PredictiveQuery) -> QueryPlan:
    """Return what a predictive query means: the kind of its task, and its population and label as SQL.

    `Task.from_query` asks this SQL; edited, it goes into `Task.from_sql`. Printed, the plan shows both queries.

    Args:
        database: The database; of its rows only dates and numbers of distinct values are looked at.
        query: The query; `docs/queries.md` has the grammar.

    Raises:
        QueryError: With every name, type and window that does not fit, each with its place.

    >>> import pandas as pd
    >>> orders = pd.DataFrame({"customer": [1, 1], "date": pd.to_datetime(["2024-01-01", "2024-03-01"])})
    >>> db = Database.from_dataframes({"customers": pd.DataFrame({"id": [1, 2]}), "orders": orders},
    ...     keys={"customers": "id"}, times={"orders": "date"}, foreign_keys={"orders": {"customer": "customers"}})
    >>> plan = explain_query(db, "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.id")
    >>> plan.kind, plan.horizon
    ('binary', '30d')
    >>> print(plan.label)
    SELECT p.cutoff, p."id", (
      SELECT COUNT(*)
      FROM "orders" x
      WHERE x."customer" = p."id" AND x."date" > p.cutoff AND x."date" <= p.cutoff + INTERVAL 30 DAY
    ) = 0 AS "label"
    FROM population p
    """
    parsed = parse_query(query) if isinstance(query, str) else query
    problems = QueryProblems(parsed.text or str(parsed))
    names = Names(database, problems)
    entity = _entity(names, parsed)
    if entity is None:
        raise problems.error()
    plan = plan_window if _has_window(parsed.target) else plan_column
    return plan(names, parsed, entity)


def _entity(names: Names, query: PredictiveQuery) -> Table | None:
    """Return the table of FOR EACH; None, and problems, unless its whole primary key is named."""
    first = query.keys[0]
    table = names.table(first)
    if table is None:
        return None
    if not table.primary_key:
        rule, fix = f"{table.name} has no primary key", "Declare the key of the table that is asked about"
        names.problems.add(first.position, table.name, rule, fix)
        return None
    tables = [names.table(each) for each in query.keys]
    columns = [names.column(each, table) for each, other in zip(query.keys, tables, strict=True) if other is table]
    if None in tables or None in columns:
        return None
    if sorted(filter(None, columns)) != sorted(table.primary_key) or len(columns) < len(tables):
        key = ", ".join(str(ColumnReference(table.name, column)) for column in table.primary_key)
        rule = f"FOR EACH takes the primary key of {table.name} and nothing else"
        names.problems.add(first.position, ", ".join(map(str, query.keys)), rule, f"Write FOR EACH {key}")
        return None
    return table


def _has_window(node: Operand | Condition) -> bool:
    """Whether a target holds an aggregate."""
    if isinstance(node, Junction):
        return any(_has_window(part) for part in node.parts)
    if isinstance(node, Negation):
        return _has_window(node.condition)
    if isinstance(node, OperandComparison):
        return _has_window(node.left) or _has_window(node.right)
    return isinstance(node, AggregateCall) or isinstance(getattr(node, "left", None), AggregateCall)
