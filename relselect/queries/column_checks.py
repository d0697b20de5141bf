"""Checks the columns that populations and labels read for values that may have been written later than the cutoff.

A column without a declared clock counts as known from its row on. That is refused where its dates say otherwise, and noted
elsewhere, as nothing in the data can show it. `relselect.leaks` looks at the columns that features are made of.
"""

from __future__ import annotations

from relselect.database import Database, Table
from relselect.database.clock import ALWAYS, NEVER, ticks_of
from relselect.queries.names import QueryProblems
from relselect.queries.syntax import ColumnReference
from relselect.queries.values import ValueType, value_type

__all__ = ["ColumnChecks"]


class ColumnChecks:
    """Called with every column that a query reads, by the place where it stands.

    Args:
        database: The database.
        problems: Where columns that are refused are noted.
    """

    def __init__(self, database: Database, problems: QueryProblems) -> None:
        self.database, self.problems = database, problems
        self._undated: dict[str, None] = {}
        self._masked: dict[str, str] = {}

    def in_label(self, table: Table, column: str, reference: ColumnReference) -> None:
        """Note a masked column of a label: some of its values become known only after the window."""
        clock = table.clock_of(column)
        if clock is not None and clock != column:
            self._masked[f"{table.name}.{column}"] = f"{table.name}.{clock}"

    def in_label_filter(self, table: Table, column: str, reference: ColumnReference) -> None:
        """Check a column of a condition within the label."""
        self._refuse_time(table, column, reference)
        self.in_label(table, column, reference)

    def in_population(self, table: Table, column: str, reference: ColumnReference) -> None:
        """Check a column that decides who is asked about: its value at the cutoff is needed."""
        if column in table.structural:
            return
        if table.clock_of(column) is not None:
            return
        if self._is_written_later(table, column):
            rule = f"dates in {table.name}.{column} lie after their rows, so it is filled in later and tells the future"
            fix = f"Declare when they are known, known_at: {{{column}: []}}, which hides each until its own time"
            self.problems.add(reference.column_position, column, rule, fix)
        else:
            self._undated[f"{table.name}.{column}"] = None

    def in_population_filter(self, table: Table, column: str, reference: ColumnReference) -> None:
        """Check a column of a condition on the population or within one of its aggregates."""
        self._refuse_time(table, column, reference)
        self.in_population(table, column, reference)

    def notes(self) -> tuple[str, ...]:
        """Return what readers should know, one sentence each."""
        found = [
            f"The label reads {column} as far as it is known at the end of the window ({clock}): if the rest matters, give "
            "a longer known_after."
            for column, clock in self._masked.items()
        ]
        if self._undated:
            columns = ", ".join(self._undated)
            found.append(
                f"The population reads {columns} as stored today, taken as known from the row on: if it is overwritten "
                "later, declare known_at."
            )
        return tuple(found)

    def _refuse_time(self, table: Table, column: str, reference: ColumnReference) -> None:
        if column == table.time:
            rule = (
                f"{table.name}.{column} is the time of the row, and a fixed date means something else at every cutoff"
            )
            fix = "Bound it by a window, or write the condition in SQL: Task.from_sql"
            self.problems.add(reference.column_position, column, rule, fix)

    def _is_written_later(self, table: Table, column: str) -> bool:
        """Whether a date lies after its row's own time or, in a table without times, after the database's first."""
        first = self.database.first_time
        if value_type(table, column) is not ValueType.TIME or self.database.time_kind != "timestamp" or first is None:
            return False
        values, rows = ticks_of(table.data[column]), self.database.times(table.name)
        return bool(((values != NEVER) & (values > first) & ((rows == ALWAYS) | (values > rows))).any())
