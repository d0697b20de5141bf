"""A table: Arrow data with its key, time column, foreign keys and masks.

Nothing is checked here; `Database` checks all tables together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

__all__ = ["Declarations", "ForeignKey", "SemanticType", "Table"]


class SemanticType(StrEnum):
    """How the engines read a column, as opposed to how it is stored."""

    NUMERICAL = "numerical"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    TEXT = "text"
    KEY = "key"
    IGNORED = "ignored"


@dataclass(frozen=True)
class ForeignKey:
    """Columns of a table that hold the primary key of another (or of the same) table."""

    columns: tuple[str, ...]
    table: str
    ref_columns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The columns joined by "+", unique within a table."""
        return "+".join(self.columns)


class Declarations:
    """Base class of `Table` and `TableSchema`: their declarations, and what follows from them."""

    primary_key: tuple[str, ...]
    time: str | None
    foreign_keys: tuple[ForeignKey, ...]
    known_at: Mapping[str, tuple[str, ...]]

    def clock_of(self, column: str) -> str | None:
        """Return the clock column that masks `column` (a clock masks itself), or None."""
        if column in self.known_at:
            return column
        return next((clock for clock, masked in self.known_at.items() if column in masked), None)

    @property
    def structural(self) -> set[str]:
        """Columns that are keys, foreign keys, the time or a clock: structure rather than features."""
        names = {*self.primary_key, *self.known_at}
        names.update(column for key in self.foreign_keys for column in key.columns)
        return names | ({self.time} if self.time else set())

    def describe(self) -> list[str]:
        """Return one line of text per declaration: primary key, time, foreign keys, clocks, the columns under them."""
        lines = [f"primary key {'+'.join(self.primary_key)}"] if self.primary_key else []
        lines += [f"time {self.time}"] if self.time else []
        lines += [f"foreign key {key.name} to {key.table}" for key in self.foreign_keys]
        lines += [f"known_at {clock}" for clock in self.known_at]  # whatever columns are read, a clock hides its own
        return lines + [f"known_at {clock} of {column}" for clock, masked in self.known_at.items() for column in masked]


@dataclass(frozen=True)
class Table(Declarations):
    """One table of a database.

    Args:
        name: Its name, unique in the database.
        data: The rows; may be memory-mapped.
        primary_key: The columns that identify a row, or none.
        time: The column that says when a row became known, or the path to a parent's (see
            `relselect.database.parent_times`); None for a table that is always visible.
        foreign_keys: References to other tables' primary keys.
        types: Semantic types declared by the user; the others are inferred from what training sees.
        known_at: Clock column -> columns that are known only from that time on.
        description: What a row is, in words.
        formats: Column -> the format that its values were read by; see `relselect.database.formats`.
    """

    name: str
    data: pa.Table
    primary_key: tuple[str, ...] = ()
    time: str | None = None
    foreign_keys: tuple[ForeignKey, ...] = ()
    types: Mapping[str, SemanticType] = field(default_factory=dict)
    known_at: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    description: str = ""
    formats: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return int(self.data.num_rows)

    @property
    def columns(self) -> list[str]:
        """The column names, in order."""
        return list(self.data.column_names)
