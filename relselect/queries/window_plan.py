"""Plans of queries whose target is a window after the cutoff: the population and the label as SQL."""

from __future__ import annotations

from relselect.database import Table
from relselect.database.quoting import quote_name
from relselect.queries.aggregates import AggregateWriter, EntitySide
from relselect.queries.column_checks import ColumnChecks
from relselect.queries.conditions import ConditionWriter, Reads
from relselect.queries.lengths import horizon_text, length_in_ticks
from relselect.queries.names import Names
from relselect.queries.plan import QueryKind, QueryPlan
from relselect.queries.syntax import AggregateCall, ColumnReference, Constant, Operand, PredictiveQuery
from relselect.queries.values import SqlValue, ValueType, holds_classes

__all__ = ["plan_window"]

_NUMBERS = ("COUNT", "SUM", "AVG", "COUNT_DISTINCT")


def plan_window(names: Names, query: PredictiveQuery, entity: Table) -> QueryPlan:
    """Return the plan of a query with a label window.

    Args:
        names: Looks up tables and columns.
        query: The query.
        entity: The entity table.

    Raises:
        QueryError: With every problem.
    """
    problems, checks = names.problems, ColumnChecks(names.database, names.problems)
    if names.database.time_kind is None:
        rule, fix = f"{names.database.name} has no time column, so there is no window", "Declare the tables' times"
        problems.add(query.keys[0].position, entity.name, rule, fix)
        raise problems.error()
    keys = tuple(f"key_{name}" if name.lower() == "cutoff" else name for name in entity.primary_key)
    target = "label_" if "label" in {name.lower() for name in keys} else "label"
    writer = ConditionWriter(names)
    population, asked = _population(writer, checks, query, entity, keys)
    side = EntitySide(entity, "p", keys, "p.cutoff", future=True)
    aggregates = AggregateWriter(writer, side, checks.in_label, checks.in_label_filter)
    answer, kind = _answer(writer, aggregates, query)
    problems.refuse()
    longest = max(aggregates.windows, key=lambda each: length_in_ticks(each.end or 0, each.unit))
    columns = ", ".join(f"p.{quote_name(name)}" for name in keys)
    return QueryPlan(
        query=query,
        entity=entity.name,
        keys=keys,
        kind=kind,
        target=target,
        label=f"SELECT p.cutoff, {columns}, {answer} AS {quote_name(target)}\nFROM population p",
        population=population,
        horizon=horizon_text(longest.end or 0, longest.unit),
        timed=tuple(dict.fromkeys((*aggregates.tables, *asked))),
        notes=checks.notes(),
    )


def _population(
    writer: ConditionWriter, checks: ColumnChecks, query: PredictiveQuery, entity: Table, keys: tuple[str, ...]
) -> tuple[str, list[str]]:
    """Return the population, every entity that is known at the cutoff and meets the conditions, and the tables of its windows."""
    side = EntitySide(entity, "e", entity.primary_key, "c.cutoff", future=False)
    aggregates = AggregateWriter(writer, side, checks.in_population, checks.in_population_filter)
    reads = Reads(
        table=entity,
        alias="e",
        asof="c.cutoff",
        elsewhere=(
            f"WHERE reads columns of {entity.name}, and of other tables aggregates of the past",
            "Aggregate it, e.g. COUNT(orders.*, -30, 0, days) > 0",
        ),
        aggregate=aggregates.write,
        check=checks.in_population_filter,
    )
    columns = [
        f"e.{quote_name(own)}" + ("" if own == name else f" AS {quote_name(name)}")
        for own, name in zip(entity.primary_key, keys, strict=True)
    ]
    table = f"{quote_name(entity.name)} e"
    known = "" if entity.time is None else f" ON e.{quote_name(entity.time)} <= c.cutoff"
    lines = [
        f"SELECT c.cutoff, {', '.join(columns)}",
        "FROM cutoffs c",
        f"JOIN {table}{known}" if known else f"CROSS JOIN {table}",
    ]
    lines += [] if query.where is None else [f"WHERE {writer.condition(query.where, reads)}"]
    return "\n".join(lines), aggregates.tables


def _answer(writer: ConditionWriter, aggregates: AggregateWriter, query: PredictiveQuery) -> tuple[str, QueryKind]:
    """Return the label as SQL, and the kind of the task."""
    reads = Reads(
        table=None,
        alias="p",
        asof=None,
        elsewhere=(
            "a target with a window is made of aggregates, and this is a column",
            "Aggregate it, e.g. LAST(orders.status, 0, 30, days), or move the condition into WHERE",
        ),
        aggregate=aggregates.write,
        check=lambda table, column, reference: None,
    )
    if not isinstance(query.target, Operand):
        return writer.condition(query.target, reads), "binary"
    found = writer.operand(query.target, reads)
    if found is None or isinstance(query.target, Constant | ColumnReference):
        return "NULL", "regression"
    return found.sql, _kind(writer.names, query.target, found)


def _kind(names: Names, call: AggregateCall, found: SqlValue) -> QueryKind:
    """Return the kind of a task whose label is an aggregate."""
    if call.function in _NUMBERS:
        return "regression"
    if found.type is ValueType.TIME:
        rule = f"{call.function} of {call.column} is a time, and a label is a number or a class"
        names.problems.add(call.position, call.function, rule, "Compare it, e.g. ... > '2024-05-01', or COUNT the rows")
    if call.function == "LIST_DISTINCT":
        return "multiclass"
    if found.type is ValueType.BOOLEAN:
        return "binary"
    table = names.table(call.column)
    column = None if table is None else names.column(call.column, table)
    return "multiclass" if table is not None and column is not None and holds_classes(table, column) else "regression"
