"""The parts of a predictive query as immutable objects; `str` writes each as text that parses to the same query.

Names are as they were written: nothing here knows a database. Places in the text do not count when queries are compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from relselect.database.quoting import quote_name
from relselect.queries.tokens import RESERVED

__all__ = [
    "AGGREGATES",
    "UNITS",
    "AggregateCall",
    "ColumnReference",
    "OperandComparison",
    "Condition",
    "Constant",
    "Junction",
    "Membership",
    "Negation",
    "NullTest",
    "Operand",
    "Pattern",
    "PredictiveQuery",
    "QueryWindow",
]

#: Aggregates by their names.
AGGREGATES: Final = ("COUNT", "SUM", "AVG", "MIN", "MAX", "FIRST", "LAST", "COUNT_DISTINCT", "LIST_DISTINCT")
#: Units of windows, the shortest first.
UNITS: Final = ("seconds", "minutes", "hours", "days", "weeks", "months")

_SIMPLE = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class ColumnReference:
    """A column of a table, or all its rows.

    Attributes:
        table: The table.
        column: The column; None for `table.*`.
        position: Where the table's name begins.
        column_position: Where the column's name begins.
    """

    table: str
    column: str | None
    position: int = field(default=0, compare=False)
    column_position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{_written_table(self.table)}.{'*' if self.column is None else _written(self.column)}"


@dataclass(frozen=True)
class QueryWindow:
    """The window (cutoff + start, cutoff + end] of an aggregate.

    Attributes:
        start: Its start, in units; None for -INF.
        end: Its end, in units; None for INF, which no database allows.
        unit: One of `UNITS`; None where none is written.
        position: Where the start begins.
        end_position: Where the end begins.
        unit_position: Where the unit begins, or would.
    """

    start: int | None
    end: int | None
    unit: str | None = None
    position: int = field(default=0, compare=False)
    end_position: int = field(default=0, compare=False)
    unit_position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        bounds = ("-INF" if self.start is None else str(self.start), "INF" if self.end is None else str(self.end))
        return ", ".join([*bounds, *filter(None, [self.unit])])


@dataclass(frozen=True)
class AggregateCall:
    """An aggregate of the rows of a table within a window.

    Attributes:
        function: One of `AGGREGATES`.
        column: What is aggregated.
        window: The window.
        where: The condition on the rows; None for all.
        position: Where the function's name begins.
    """

    function: str
    column: ColumnReference
    window: QueryWindow
    where: Condition | None = None
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        where = "" if self.where is None else f" WHERE {self.where}"
        return f"{self.function}({self.column}{where}, {self.window})"


@dataclass(frozen=True)
class Constant:
    """A number, a text, TRUE or FALSE."""

    value: int | float | str | bool
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        if isinstance(self.value, bool):
            return "TRUE" if self.value else "FALSE"
        return "'" + self.value.replace("'", "''") + "'" if isinstance(self.value, str) else repr(self.value)


Operand = AggregateCall | ColumnReference | Constant


@dataclass(frozen=True)
class OperandComparison:
    """Two operands compared by =, !=, <, <=, > or >=."""

    left: Operand
    operator: str
    right: Operand
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@dataclass(frozen=True)
class Membership:
    """Whether an operand is one of several constants."""

    left: Operand
    values: tuple[Constant, ...]
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.left} IN ({', '.join(map(str, self.values))})"


@dataclass(frozen=True)
class Pattern:
    """Whether a text follows a pattern, in which % stands for any text and _ for one character."""

    left: Operand
    pattern: Constant
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.left} LIKE {self.pattern}"


@dataclass(frozen=True)
class NullTest:
    """Whether an operand has no value."""

    left: Operand
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.left} IS NULL"


@dataclass(frozen=True)
class Negation:
    """The opposite of a condition."""

    condition: Condition
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        if isinstance(self.condition, NullTest):
            return f"{self.condition.left} IS NOT NULL"
        return f"NOT {_bracketed(self.condition)}"


@dataclass(frozen=True)
class Junction:
    """Two or more conditions joined by one operator, AND or OR."""

    operator: str
    parts: tuple[Condition, ...]
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f" {self.operator} ".join(_bracketed(part) for part in self.parts)


Condition = OperandComparison | Membership | Pattern | NullTest | Negation | Junction


@dataclass(frozen=True)
class PredictiveQuery:
    """A predictive query.

    Attributes:
        target: What is predicted: an aggregate, a column or a condition.
        keys: The key columns of the entity.
        where: The condition on the population; None for every entity.
        text: The query as it was written.
    """

    target: Operand | Condition
    keys: tuple[ColumnReference, ...]
    where: Condition | None = None
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        where = "" if self.where is None else f" WHERE {self.where}"
        return f"PREDICT {self.target} FOR EACH {', '.join(map(str, self.keys))}{where}"


def _written(name: str) -> str:
    return name if _SIMPLE.fullmatch(name) and name.upper() not in RESERVED else quote_name(name)


def _written_table(name: str) -> str:
    """Return a table's name, part by part where it has a schema."""
    parts = name.split(".")
    return ".".join(map(_written, parts)) if all(parts) else _written(name)


def _bracketed(condition: Condition) -> str:
    return f"({condition})" if isinstance(condition, Junction) else str(condition)
