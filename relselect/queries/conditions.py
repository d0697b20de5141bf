"""Translates conditions and operands of a query into SQL, and notes what is wrong with them.

What operands may read depends on where they stand, which a `Reads` says: the entity's columns and past windows in a
population, the own columns of the aggregated rows in a filter, future windows in a target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relselect.database import Table
from relselect.database.clock import format_time, parse_time
from relselect.errors import TaskError
from relselect.queries.names import Names
from relselect.queries.syntax import (
    AggregateCall,
    ColumnReference,
    Condition,
    Constant,
    Junction,
    Membership,
    Negation,
    NullTest,
    Operand,
    OperandComparison,
    Pattern,
)
from relselect.queries.values import SqlValue, ValueType, column_value, constant_sql

__all__ = ["ColumnCheck", "ConditionWriter", "Reads"]

_ORDERED: Final = (ValueType.NUMBER, ValueType.TEXT, ValueType.TIME)

#: Called with a table, a column of it and its reference; notes a problem, or a remark for readers.
ColumnCheck = Callable[[Table, str, ColumnReference], None]


@dataclass(frozen=True)
class Reads:
    """What the operands of a condition may read.

    Attributes:
        table: The table whose columns may be read; None for none.
        alias: Its alias in the query.
        asof: Masked columns are hidden until this expression; None where the session hides them.
        elsewhere: Why columns of another table are refused, and the way out.
        check: Called with every column that is read.
        aggregate: Translates an aggregate; None where none may stand.
        no_aggregate: Why there is none, and the way out.
    """

    table: Table | None
    alias: str
    asof: str | None
    elsewhere: tuple[str, str]
    check: ColumnCheck
    aggregate: Callable[[AggregateCall], SqlValue | None] | None = None
    no_aggregate: tuple[str, str] = ("", "")


class ConditionWriter:
    """Writes conditions as SQL.

    Args:
        names: Looks up tables and columns, and holds the problems; after one, the SQL is worth nothing.
    """

    def __init__(self, names: Names) -> None:
        self.names, self.problems = names, names.problems

    def condition(self, node: Condition, reads: Reads) -> str:
        """Return a condition as SQL; one of several parts stands in brackets."""
        match node:
            case Junction(operator, parts):
                return "(" + f" {operator} ".join(self.condition(part, reads) for part in parts) + ")"
            case Negation(NullTest(left)):
                return f"{self._sql(left, reads)} IS NOT NULL"
            case Negation(condition):
                return f"NOT ({self.condition(condition, reads)})"
            case NullTest(left):
                return f"{self._sql(left, reads)} IS NULL"
            case Membership():
                return self._membership(node, reads)
            case Pattern():
                return self._pattern(node, reads)
            case _:
                return self._comparison(node, reads)

    def operand(self, node: Operand, reads: Reads) -> SqlValue | None:
        """Return an operand as SQL with its type; None, and a problem, where it cannot stand."""
        if isinstance(node, Constant):
            return constant_sql(node)
        if isinstance(node, AggregateCall):
            if reads.aggregate is None:
                self.problems.add(node.position, node.function, *reads.no_aggregate)
                return None
            return reads.aggregate(node)
        return self.column(node, reads)

    def column(self, node: ColumnReference, reads: Reads) -> SqlValue | None:
        """Return a column as SQL with its type; None, and a problem, where it cannot be read."""
        table = self.names.table(node)
        if table is None:
            return None
        if reads.table is None or table.name != reads.table.name:
            self.problems.add(node.position, node, *reads.elsewhere)
            return None
        column = self.names.column(node, table)
        if column is None:
            return None
        reads.check(table, column, node)
        return column_value(table, column, reads.alias, reads.asof)

    def _sql(self, node: Operand, reads: Reads) -> str:
        found = self.operand(node, reads)
        if isinstance(node, Constant):
            self.problems.add(node.position, node, f"{node} is a constant", "Compare an aggregate or a column")
        return "NULL" if found is None else found.sql

    def _comparison(self, node: OperandComparison, reads: Reads) -> str:
        left, right = self.operand(node.left, reads), self.operand(node.right, reads)
        if isinstance(node.left, Constant) and isinstance(node.right, Constant):
            rule = "two constants are compared"
            self.problems.add(node.left.position, node.left, rule, "Compare an aggregate or a column with a constant")
        if left is None or right is None:
            return "NULL"
        left, right = self._timed(node.left, left, right), self._timed(node.right, right, left)
        if not self._comparable(node.position, node.operator, left, right):
            return "NULL"
        if node.operator not in ("=", "!=") and left.type not in _ORDERED:
            rule = f"{left.type.value} is neither less nor greater than another"
            self.problems.add(node.position, node.operator, rule, "Compare by = or !=")
        return f"{left.sql} {'<>' if node.operator == '!=' else node.operator} {right.sql}"

    def _membership(self, node: Membership, reads: Reads) -> str:
        left = self.operand(node.left, reads)
        values = []
        for each in node.values:
            value = constant_sql(each)
            if left is not None:
                value = self._timed(each, value, left)
                self._comparable(each.position, str(each), left, value)
            values.append(value.sql)
        if isinstance(node.left, Constant):
            self.problems.add(node.left.position, node.left, f"{node.left} is a constant", "Look up a column")
        return "NULL" if left is None else f"{left.sql} IN ({', '.join(values)})"

    def _pattern(self, node: Pattern, reads: Reads) -> str:
        left = self.operand(node.left, reads)
        if left is not None and (left.type is not ValueType.TEXT or isinstance(node.left, Constant)):
            rule = f"LIKE compares texts of a column, and {node.left} is {left.type.value}"
            self.problems.add(node.position, "LIKE", rule, "Compare by =, <, > or IN")
        return "NULL" if left is None else f"{left.sql} LIKE {constant_sql(node.pattern).sql}"

    def _timed(self, node: Operand, value: SqlValue, other: SqlValue) -> SqlValue:
        """Return a text that is compared with a time as that time, in UTC."""
        if not (isinstance(node, Constant) and isinstance(node.value, str) and other.type is ValueType.TIME):
            return value
        try:
            ticks = parse_time(node.value, "timestamp")
        except TaskError as error:
            self.problems.add(node.position, node, f"{node} {error.rule}", error.fix)
            return SqlValue("NULL", ValueType.TIME)
        return SqlValue(f"TIMESTAMP '{format_time(ticks, 'timestamp')}'", ValueType.TIME)

    def _comparable(self, position: int, value: str, left: SqlValue, right: SqlValue) -> bool:
        if left.type is right.type and left.type is not ValueType.OTHER:
            return True
        rule = f"{left.type.value} is compared with {right.type.value}"
        fix = "Write texts in single quotes, numbers without, and dates as '2024-05-01'"
        self.problems.add(position, value, rule, fix)
        return False
