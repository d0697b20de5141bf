"""What a notebook shows of a database: its tables with their rows, keys, times and references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from relselect.database.clock import TimeKind, format_time
from relselect.database.table import Table
from relselect.notebook import NotebookTable, notebook_html

__all__ = ["ShownDatabase", "database_html"]


class ShownDatabase(Protocol):
    """What is shown of a `Database`."""

    tables: Mapping[str, Table]
    tasks: Mapping[str, Any]
    description: str

    @property
    def time_kind(self) -> TimeKind | None:
        """The kind of its times."""

    @property
    def first_time(self) -> int | None:
        """The first time of a row, in ticks."""

    @property
    def last_time(self) -> int | None:
        """The last time of a row, in ticks."""


def database_html(database: ShownDatabase) -> str:
    """Return the tables of a database as HTML."""
    rows = [
        (
            name,
            f"{table.num_rows:,}",
            str(len(table.columns)),
            ", ".join(table.primary_key) or "–",
            table.time or "–",
            ", ".join(f"{'+'.join(key.columns)} → {key.table}" for key in table.foreign_keys) or "–",
        )
        for name, table in database.tables.items()
    ]
    first, last, kind = database.first_time, database.last_time, database.time_kind
    span = [] if first is None or last is None else [f"From {format_time(first, kind)} to {format_time(last, kind)}."]
    tasks = [f"Declared tasks: {', '.join(database.tasks)}."] if database.tasks else []
    columns = ("Table", "Rows", "Columns", "Key", "Time", "References")
    about = [database.description] if database.description else []
    return notebook_html(repr(database), [*about, *span, *tasks], [NotebookTable(columns, rows, numbers=(1, 2))])
