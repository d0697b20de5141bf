"""The result of reading a source: tables and their origin, as arguments of a `Database`; nothing is validated yet.

Sources return it, so that none of them imports `relselect.database.database`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from relselect.database.table import Table

if TYPE_CHECKING:
    from relselect.database.task_spec import TaskSpec

__all__ = ["DatabaseContents", "SourceFacts"]


@dataclass(frozen=True)
class SourceFacts:
    """What reading a source again needs to know besides its address, and which of its tables were not read.

    Attributes:
        schemas: The schemas that were read, where the caller or a manifest named them.
        unread: Tables and views that were there and not read.
    """

    schemas: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatabaseContents:
    """Tables with their declarations, and their origin.

    Attributes:
        tables: The tables.
        name: A name for reports.
        source: The manifest name, folder or address; never with a password.
        tasks: Task name -> declaration.
        data_folder: The folder that relative task files start from.
        description: What the database holds, in words.
        notes: One sentence per thing that reading passed over.
        spooled: Table -> bytes, for tables in memory-mapped files.
        facts: The schemas that were read, and the tables that were not.
    """

    tables: Sequence[Table]
    name: str = "database"
    source: str | None = None
    tasks: Mapping[str, TaskSpec] = field(default_factory=dict)
    data_folder: Path | None = None
    description: str = ""
    notes: Sequence[str] = ()
    spooled: Mapping[str, int] = field(default_factory=dict)
    facts: SourceFacts = SourceFacts()
