"""Declares candidates for example tasks; none of them is built here.

With times: will an entity have a row in the largest timed table within the horizon, and how many rows, or what sum.
Without times: complete a column of few distinct values, and one of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from relselect.database.clock import DAY, format_time
from relselect.database.database import Database
from relselect.database.inference import infer_types
from relselect.database.quoting import quote_name
from relselect.database.table import SemanticType, Table
from relselect.database.task_spec import TaskSpec
from relselect.proposal.activity import LOOKBACK, Activity, TaskTiming, activities, task_timings
from relselect.proposal.names import words_of
from relselect.proposal.words import AMOUNTS
from relselect.queries.chains import chains_to
from relselect.queries.names import short_name
from relselect.queries.syntax import (
    AggregateCall,
    ColumnReference,
    Constant,
    OperandComparison,
    PredictiveQuery,
    QueryWindow,
)
from relselect.tasks.cutoffs import observed

__all__ = ["Example", "completion_examples", "timed_examples"]

#: A name and its declaration.
Example = tuple[str, TaskSpec]

_HOUR = DAY // 24
_HORIZONS = [_HOUR, 6 * _HOUR, *(days * DAY for days in (1, 2, 4, 7, 14, 30, 60, 90, 180, 365, 730))]
#: Horizons of integer times that count years or other units.
_COUNTS = [1, 2, 3, 5, 10, 20, 50, 100]
_FEWEST_ROWS = 40
_MOST_CLASSES, _FEWEST_OF_A_CLASS = 10, 5


def timed_examples(database: Database) -> Iterator[tuple[Example, Example]]:
    """Yield pairs of a binary and a regression task, those of the largest timed table first.

    Args:
        database: The database.
    """
    first, last = database.first_time, database.last_time
    if first is None or last is None:
        return
    horizons = _HORIZONS if database.time_kind == "timestamp" else _integer_horizons(last)
    for activity in activities(database):
        # a query is asked within the times of the table that it reads, SQL within those of the database
        span = observed(database, [activity.child]) if _in_one_line(database, activity) else None
        best = next(task_timings(activity, *(span or (first, last)), horizons), None)
        if best is not None:
            yield _pair(database, activity, best)


def _in_one_line(database: Database, activity: Activity) -> bool:
    """Whether a predictive query can ask the example: one chain of foreign keys leads to the entity."""
    return len(chains_to(database, activity.entity, activity.child)) == 1


def _integer_horizons(last: int) -> list[int]:
    unit = next((unit for unit in (10**6, 10**3, 1) if last > 10**8 * unit), None)
    return _COUNTS if unit is None else [length // 10**6 * unit for length in _HORIZONS]


def _pair(database: Database, activity: Activity, timing: TaskTiming) -> tuple[Example, Example]:
    amount = _amount(database[activity.child])
    queries = _ExampleQueries(database, activity, timing)
    entity, child = short_name(database, activity.entity), short_name(database, activity.child)
    name, within = "-".join([*words_of(entity), *words_of(child)]), f"within {queries.length}?"
    again = queries.spec("binary", "returns", "COUNT", None, f"Will a row of {entity} have one in {child} {within}")
    if amount is None:
        question = f"How many rows in {child} will a row of {entity} have {within}"
        return (f"{name}-next", again), (f"{name}-count", queries.spec("regression", "rows", "COUNT", None, question))
    question = f"What sum of {amount} in {child} will a row of {entity} have {within}"
    number = queries.spec("regression", "total", "SUM", amount, question)
    return (f"{name}-next", again), (f"{name}-{'-'.join(words_of(amount))}", number)


class _ExampleQueries:
    """The declarations of examples: a predictive query, or SQL where several foreign keys lead to the entity."""

    def __init__(self, database: Database, activity: Activity, timing: TaskTiming) -> None:
        self.database, self.activity, self.timing = database, activity, timing
        self.in_one_line = _in_one_line(database, activity)

    @property
    def length(self) -> str:
        """The horizon as a manifest writes it."""
        return str(self._duration(self.timing.horizon))

    def spec(self, kind: str, target: str, function: str, column: str | None, question: str) -> TaskSpec:
        """Return the declaration of a task.

        Args:
            kind: "regression" for the aggregate itself, "binary" for whether it is above 0.
            target: Name of the label, where the label is SQL.
            function: "COUNT" of the child's rows, or "SUM".
            column: The column that is summed.
            question: The question in words.
        """
        asked = self._query(kind, function, column) if self.in_one_line else self._sql(kind, target, function, column)
        starts = {"val_start": self.timing.val_start, "test_start": self.timing.test_start}
        values = {
            "description": f"{question} An example: asked of all that had one in the {LOOKBACK} horizons before.",
            "every": self._duration(self.timing.every),
            **{name: self._moment(ticks) for name, ticks in starts.items()},
            **asked,
        }
        return TaskSpec.model_validate(values)

    def _query(self, kind: str, function: str, column: str | None) -> dict[str, str]:
        ticks, unit = self.timing.horizon, None
        if self.database.time_kind == "timestamp":
            unit = "days" if ticks % DAY == 0 else "hours"
            ticks //= DAY if unit == "days" else _HOUR
        child, zero = short_name(self.database, self.activity.child), Constant(0)
        number = AggregateCall(function, ColumnReference(child, column), QueryWindow(0, ticks, unit))
        before = AggregateCall("COUNT", ColumnReference(child, None), QueryWindow(-LOOKBACK * ticks, 0, unit))
        query = PredictiveQuery(
            OperandComparison(number, ">", zero) if kind == "binary" else number,
            (ColumnReference(short_name(self.database, self.activity.entity), self.activity.key),),
            OperandComparison(before, ">", zero),
        )
        return {"query": str(query)}

    def _sql(self, kind: str, target: str, function: str, column: str | None) -> dict[str, str | int]:
        target = f"{target}_" if target in (self.activity.key, "cutoff") else target
        number = f"{function}(x.{quote_name(column or self.activity.reference)})"
        number = f"COALESCE({number}, 0)" if function == "SUM" else number
        return {
            "entity": self.activity.entity,
            "kind": kind,
            "target": target,
            "horizon": self._duration(self.timing.horizon),
            "population": self._population(),
            "label": self._label(f"{number} > 0" if kind == "binary" else number, target),
        }

    def _population(self) -> str:
        entity, child = quote_name(self.activity.entity), quote_name(self.activity.child)
        key, reference, time = map(quote_name, (self.activity.key, self.activity.reference, self.activity.time))
        return (
            f"SELECT DISTINCT c.cutoff, e.{key}\n"
            f"FROM cutoffs c\n"
            f"JOIN {child} x ON x.{time} <= c.cutoff AND x.{time} > c.cutoff - {self._interval(LOOKBACK * self.timing.horizon)}\n"
            f"JOIN {entity} e ON e.{key} = x.{reference}\n"
        )

    def _label(self, answer: str, target: str) -> str:
        key = f"p.{quote_name(self.activity.key)}"
        child, reference, time = map(quote_name, (self.activity.child, self.activity.reference, self.activity.time))
        return (
            f"SELECT p.cutoff, {key}, {answer} AS {target}\n"
            f"FROM population p\n"
            f"LEFT JOIN {child} x ON x.{reference} = {key}\n"
            f"  AND x.{time} > p.cutoff AND x.{time} <= p.cutoff + {self._interval(self.timing.horizon)}\n"
            f"GROUP BY p.cutoff, {key}\n"
        )

    def _duration(self, ticks: int) -> str | int:
        if self.database.time_kind == "integer":
            return ticks
        return f"{ticks // DAY}d" if ticks % DAY == 0 else f"{ticks // _HOUR}h"

    def _interval(self, ticks: int) -> str:
        if self.database.time_kind == "integer":
            return str(ticks)
        return f"INTERVAL {ticks // DAY} DAY" if ticks % DAY == 0 else f"INTERVAL {ticks // _HOUR} HOUR"

    def _moment(self, ticks: int) -> str | int:
        return ticks if self.database.time_kind == "integer" else format_time(ticks, "timestamp")


def _amount(table: Table) -> str | None:
    """Return the first numerical column without NULLs that is named like an amount; None without one."""
    for column in table.columns:
        dtype = table.data[column].type
        numeric = pa.types.is_floating(dtype) or pa.types.is_integer(dtype) or pa.types.is_decimal(dtype)
        free = column not in table.structural and column not in table.types and table.clock_of(column) is None
        if numeric and free and set(words_of(column)) & AMOUNTS and table.data[column].null_count == 0:
            return column
    return None


def completion_examples(database: Database) -> tuple[list[Example], list[Example]]:
    """Return classification tasks and regression tasks that complete a column, those of the most related table first.

    Args:
        database: The database.
    """
    classes: list[tuple[int, Example]] = []
    numbers: list[tuple[int, Example]] = []
    for name, table in database.tables.items():
        if len(table.primary_key) != 1 or table.num_rows < _FEWEST_ROWS or table.time is not None:
            continue
        relations = len(table.foreign_keys) + sum(
            key.table == name for other in database.tables.values() for key in other.foreign_keys
        )
        types, short = infer_types(table), short_name(database, name)
        for column in table.columns:
            kind = _completion_kind(table, column, types[column])
            if kind is not None:
                example = (
                    "-".join([*words_of(short), *words_of(column)]),
                    _completion(short, table.primary_key[0], column),
                )
                rank = 2 * relations + bool(set(words_of(column)) & AMOUNTS)
                (numbers if kind == "regression" else classes).append((rank, example))
    order = [sorted(found, key=lambda each: -each[0]) for found in (classes, numbers)]
    return [example for _, example in order[0]], [example for _, example in order[1]]


def _completion_kind(table: Table, column: str, semantic: SemanticType) -> str | None:
    values = table.data[column].drop_null()
    wanted = (SemanticType.NUMERICAL, SemanticType.CATEGORICAL, SemanticType.BOOLEAN)
    if len(values) < _FEWEST_ROWS or column in table.structural or semantic not in wanted:
        return None
    counts = values.value_counts().field("counts").to_pylist()
    if len(counts) == 2:
        return "binary" if min(counts) >= _FEWEST_OF_A_CLASS else None
    if semantic == SemanticType.NUMERICAL:
        return "regression" if len(counts) > _MOST_CLASSES else None
    few = 2 < len(counts) <= _MOST_CLASSES and min(counts) >= _FEWEST_OF_A_CLASS
    return "multiclass" if few else None


def _completion(table: str, key: str, column: str) -> TaskSpec:
    described = f"What is {column} of a row of {table}? An example: rows are held out by a draw."
    query = PredictiveQuery(ColumnReference(table, column), (ColumnReference(table, key),))
    return TaskSpec.model_validate({"description": described, "query": str(query)})
