"""Converts tables to pandas frames for featuretools, with types, keys and clocks declared.

Keys become row numbers in the order of the rows' content. So composite keys, text keys and tables without a key are treated
alike, references to no row are missing, and rows of one time have the order that this package gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from relselect.database import Table
from relselect.database.clock import NEVER
from relselect.database.columns import as_float, as_strings
from relselect.database.inference import infer_types
from relselect.database.table import SemanticType
from relselect.dfs.featuretools.layout import INDEX, key_columns
from relselect.dfs.plan.schema import Schema
from relselect.dfs.prefix.ties import content_keys
from relselect.problem.visibility import visible_masked

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["EARLIEST", "LATEST", "FeaturetoolsTable", "column_types", "moments", "places", "featuretools_table"]

Ints = NDArray[np.int64]
T = SemanticType

#: The first and last moments that pandas can hold, in ticks.
EARLIEST, LATEST = -9_223_372_036_854_000, 9_223_372_036_854_000
#: The time index of a table without times, where it needs one.
ALWAYS_THERE = "__always__"

_LOGICAL = {
    T.NUMERICAL: "Double",
    T.BOOLEAN: "BooleanNullable",
    T.CATEGORICAL: "Categorical",
    T.TIMESTAMP: "Datetime",
    T.TEXT: "NaturalLanguage",
}


@dataclass(frozen=True)
class FeaturetoolsTable:
    """A table in the form that featuretools reads.

    Attributes:
        frame: The rows that become visible at some time; no rows where only definitions are made.
        types: Column -> logical type.
        keys: The columns that hold foreign keys.
        time: The time index, or None.
        clocks: Hidden clock (a column of times) -> columns masked until then.
    """

    frame: pd.DataFrame
    types: Mapping[str, str]
    keys: tuple[str, ...]
    time: str | None
    clocks: Mapping[str, list[str]]


def column_types(problem: Problem, table: str) -> Mapping[str, SemanticType]:
    """Return the columns' types: those resolved for training, else inferred from what is visible at its end."""
    if problem.types.get(table):
        return problem.types[table]
    return problem.cached(("featuretools", "types", table), lambda: _inferred(problem, table))


def _inferred(problem: Problem, table: str) -> dict[str, SemanticType]:
    visible = problem.visible(table, problem.fit_asof)
    known = visible_masked(problem.database, table, problem.fit_asof)
    return infer_types(problem.database[table], visible, known)


def places(problem: Problem, table: str) -> Ints:
    """Return the index of each row of a table: its position in the order of content, shape (rows,)."""

    def order() -> Ints:
        rows = np.arange(problem.database[table].num_rows, dtype=np.int64)
        keys = [step(rows) for step in content_keys(problem.database, table)]
        found = np.empty(len(rows), dtype=np.int64)
        found[np.lexsort([rows, *reversed(keys)])] = rows
        return found

    return problem.cached(("featuretools", "places", table), order)


def moments(ticks: Ints) -> NDArray[Any]:
    """Return ticks as pandas' nanoseconds; what pandas cannot hold becomes the first or last moment it can."""
    return np.clip(ticks, EARLIEST, LATEST).astype("datetime64[us]").astype("datetime64[ns]")


def featuretools_table(
    problem: Problem, table: str, columns: Collection[str] | None = None, *, data: bool = True
) -> FeaturetoolsTable:
    """Return a table in the form that featuretools reads.

    Args:
        problem: The problem.
        table: The table.
        columns: The columns that are read; None for all. Index, foreign keys and times are always there.
        data: Whether to fill in the rows.
    """
    return _Converter(problem, problem.database[table], columns, data).featuretools_table()


class _Converter:
    """Converts one table."""

    def __init__(self, problem: Problem, table: Table, columns: Collection[str] | None, data: bool) -> None:
        self.problem, self.table, self.data = problem, table, data
        self.wanted = columns
        self.keys = key_columns(Schema.of(problem), table.name)
        self.dated = problem.database.time_kind != "integer"
        self.shown: NDArray[np.bool_] = problem.database.times(table.name) != NEVER if data else np.empty(0, dtype=bool)
        self.values: dict[str, Any] = {}
        self.types: dict[str, str] = {}
        self.clocks: dict[str, list[str]] = {}

    def featuretools_table(self) -> FeaturetoolsTable:
        self._put(INDEX, "IntegerNullable", lambda: places(self.problem, self.table.name))
        for place, column in enumerate(self.keys):
            self._put(column, "IntegerNullable", partial(self._parents, place))
        if self.table.time is not None:
            self._put_time(self.table.time, partial(self.problem.database.times, self.table.name))
        for column, kind in column_types(self.problem, self.table.name).items():
            if self._is_read(column, kind):
                self._put(column, _LOGICAL[kind], partial(self._column, column, kind))
        for clock in self.table.known_at:
            self._mask(clock)
        if self.table.known_at and self.table.time is None:
            # featuretools masks only dataframes with a time index
            self._put_time(ALWAYS_THERE, lambda: np.full(self.table.num_rows, EARLIEST, dtype=np.int64))
        time = ALWAYS_THERE if ALWAYS_THERE in self.values else self.table.time
        frame = pd.DataFrame(self.values).sort_values(INDEX, ignore_index=True)
        return FeaturetoolsTable(frame, self.types, tuple(self.keys), time, self.clocks)

    def _is_read(self, column: str, kind: SemanticType) -> bool:
        taken = column in self.values or column not in self.table.columns
        if taken or kind not in _LOGICAL or (kind == T.TIMESTAMP and not self.dated):
            return False
        return self.wanted is None or column in self.wanted

    def _put(self, name: str, kind: str, values: Callable[[], Any]) -> None:
        self.types[name] = kind
        self.values[name] = pd.Series(values())[self.shown].reset_index(drop=True) if self.data else _empty(kind)

    def _put_time(self, name: str, ticks: Callable[[], Ints]) -> None:
        """Add a column of times without missing values: `NEVER` becomes the latest time."""
        kind = "Datetime" if self.dated else "Integer"
        self._put(name, kind, lambda: moments(ticks()) if self.dated else ticks())

    def _parents(self, place: int) -> Any:
        key = self.table.foreign_keys[place]
        parents = self.problem.database.parents(self.table.name)[place]
        index = np.append(places(self.problem, key.table), -1)
        rows = index[parents]
        return pd.arrays.IntegerArray(rows, rows < 0)

    def _column(self, column: str, kind: SemanticType) -> Any:
        values = self.table.data[column]
        if kind == T.CATEGORICAL:
            codes, words = as_strings(values)
            return pd.Categorical.from_codes(codes, categories=pd.Index(words, dtype=object))
        if kind == T.TEXT:
            return pd.array(pc.cast(values, "string").to_pylist(), dtype="string")
        numbers = as_float(values)
        missing = np.isnan(numbers)
        if kind == T.TIMESTAMP:
            found = moments(np.where(missing, 0, numbers).astype(np.int64))
            return np.where(missing, np.datetime64("NaT"), found)
        if kind == T.BOOLEAN:
            return pd.arrays.BooleanArray(numbers == 1.0, missing)
        return numbers

    def _mask(self, clock: str) -> None:
        """Mask the columns of a clock by a hidden clock that is one tick earlier.

        featuretools hides a value until strictly after its time, and shows it where the time is missing. Here a value is known
        from its time on, and never where the time is missing.
        """
        masked = {clock, *self.table.known_at[clock]}
        columns = [name for name in self.values if name in masked]
        keys = zip(self.table.foreign_keys, self.keys, strict=True)
        columns += [held for key, held in keys if masked & set(key.columns)]
        columns = [name for name in dict.fromkeys(columns) if name != self.table.time]
        if columns:
            hidden = f"__{clock}__"
            self._put_time(hidden, partial(self._hidden_times, clock))
            self.clocks[hidden] = columns

    def _hidden_times(self, clock: str) -> Ints:
        """Return the times of the hidden clock of a clock, shape (rows,)."""
        known = self.problem.database.value_times(self.table.name, clock)
        assert known is not None
        return np.where(known == NEVER, NEVER, known - 1)


_EMPTY = {
    "Integer": "int64",
    "IntegerNullable": "Int64",
    "Double": "float64",
    "BooleanNullable": "boolean",
    "Categorical": "category",
    "Datetime": "datetime64[ns]",
    "NaturalLanguage": "string",
}


def _empty(kind: str) -> pd.Series:
    return pd.Series([], dtype=_EMPTY[kind])
