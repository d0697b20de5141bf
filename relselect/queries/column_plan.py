"""Plans of queries whose target is a column of the entity: its rows and labels as SQL.

Every row is asked about at its own time, if it has one, and the column is hidden from both engines.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow.compute as pc

from relselect.database import Table
from relselect.database.inference import infer_types
from relselect.database.quoting import quote_name
from relselect.database.table import SemanticType
from relselect.queries.conditions import ConditionWriter, Reads
from relselect.queries.names import Names, QueryProblems
from relselect.queries.plan import QueryKind, QueryPlan
from relselect.queries.syntax import ColumnReference, Constant, Operand, PredictiveQuery
from relselect.queries.values import ValueType, holds_classes, value_type

__all__ = ["plan_column"]


def plan_column(names: Names, query: PredictiveQuery, entity: Table) -> QueryPlan:
    """Return the plan of a query that fills in a column.

    Args:
        names: Looks up tables and columns.
        query: The query.
        entity: The entity table.

    Raises:
        QueryError: With every problem.
    """
    writer, target = ConditionWriter(names), _Target(names.problems)
    reads = Reads(
        table=entity,
        alias="e",
        asof=None,
        elsewhere=(
            f"a target without a window is a column of {entity.name}",
            "Aggregate other tables over a window, e.g. SUM(orders.amount, 0, 30, days)",
        ),
        check=target.check,
    )
    if isinstance(query.target, Operand):
        found = writer.operand(query.target, reads)
        answer, bare = "NULL" if found is None else found.sql, True
    else:
        answer, bare = writer.condition(query.target, reads), False
    column = target.column
    where = _where(writer, query, entity, column)
    if isinstance(query.target, Constant):
        rule, fix = "the target names no column", f"Use a column of {entity.name}"
        names.problems.add(query.target.position, query.target, rule, fix)
    if column is None:
        raise names.problems.error()
    kind = _kind(names.problems, entity, column, target.references[0]) if bare else "binary"
    names.problems.refuse()
    times = dict.fromkeys(each for each in (entity.time, entity.clock_of(column)) if each is not None)
    selected = ", ".join(f"e.{quote_name(name)}" for name in dict.fromkeys((*entity.primary_key, *times)))
    return QueryPlan(
        query=query,
        entity=entity.name,
        keys=entity.primary_key,
        kind=kind,
        target=column,
        label=f"SELECT {selected}, {answer} AS {quote_name(column)}\nFROM {quote_name(entity.name)} e{where}",
        plain=bare and not where,
    )


@dataclass
class _Target:
    """The one column that a target reads."""

    problems: QueryProblems
    column: str | None = None
    references: list[ColumnReference] = field(default_factory=list)

    def check(self, table: Table, column: str, reference: ColumnReference) -> None:
        self.references.append(reference)
        if column in table.structural:
            rule = f"{table.name}.{column} is a key, a time or a clock, and nothing to fill in"
            usable = ", ".join(name for name in table.columns if name not in table.structural)
            self.problems.add(reference.column_position, column, rule, f"Use one of: {usable}")
        elif self.column not in (None, column):
            rule = f"the target reads {self.column} already, and one column is filled in"
            self.problems.add(reference.column_position, column, rule, "Ask about one column")
        self.column = column


def _where(writer: ConditionWriter, query: PredictiveQuery, entity: Table, target: str | None) -> str:
    if query.where is None:
        return ""
    problems = writer.names.problems

    def check(table: Table, column: str, reference: ColumnReference) -> None:
        if column == target:
            rule = f"{table.name}.{column} is what is predicted, and its value would choose the rows"
            problems.add(
                reference.column_position, column, rule, "Leave it out: rows without a value are never labelled"
            )
        elif (clock := table.clock_of(column)) is not None:
            rule = f"{table.name}.{column} is known only from {clock} on, later than the row is asked about"
            problems.add(reference.column_position, column, rule, "Choose the rows by other columns")

    reads = Reads(
        table=entity,
        alias="e",
        asof=None,
        elsewhere=(
            f"the rows of a column to fill in are chosen by columns of {entity.name}",
            "Predict an aggregate over a window to choose entities by aggregates",
        ),
        no_aggregate=(
            "a column to fill in has no cutoffs, so no window says which rows are aggregated",
            f"Choose the rows by columns of {entity.name}",
        ),
        check=check,
    )
    return f"\nWHERE {writer.condition(query.where, reads)}"


def _kind(problems: QueryProblems, table: Table, column: str, reference: ColumnReference) -> QueryKind:
    """Return the kind of a column to fill in: two values are binary, names have classes, other numbers are amounts."""
    kind = value_type(table, column)
    place = f"{table.name}.{column}"
    if kind in (ValueType.TIME, ValueType.OTHER):
        rule = f"{place} holds {kind.value}, and a label is a number or a class"
        problems.add(reference.column_position, column, rule, "Compare it, or use another column")
    elif kind is ValueType.TEXT and infer_types(table)[column] == SemanticType.TEXT:
        rule = f"{place} holds free text, whose values do not come again"
        problems.add(reference.column_position, column, rule, "Compare it, e.g. LIKE 'A%', or use another column")
    if int(pc.count_distinct(table.data[column].drop_null()).as_py()) == 2:
        return "binary"
    return "multiclass" if holds_classes(table, column) else "regression"
