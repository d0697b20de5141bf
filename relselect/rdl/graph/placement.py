"""Where the graph of a problem and its feature tensors are kept: in memory, or in memory-mapped files.

The option `store` decides; "auto" takes files where the estimated size is more than a share of the memory that is free. Both give
the same trees, batches and predictions.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from relselect.database.sources.spool import free_memory
from relselect.errors import UnwritableError
from relselect.files import cache_path, check_writable
from relselect.rdl.graph.store import ArrayStore

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.problem import Problem

__all__ = ["SHARE", "STORES", "Mapped", "graph_bytes", "store_of"]

T = TypeVar("T")

#: The choices of the option `store`.
STORES = ("auto", "memory", "disk")
#: Share of the free memory from which on "auto" keeps the graph in files.
SHARE = 0.25
#: Bytes per row: time rank and hash; per row and foreign key: both directions; per row and column.
_ROW, _KEY, _COLUMN = 16, 56, 8


@dataclass(frozen=True)
class Mapped(Generic[T]):
    """An artefact whose arrays are mapped files.

    Attributes:
        value: The artefact.
        nbytes: 0, what it takes of the memory that the cache of artefacts may fill.
    """

    value: T
    nbytes: int = 0


def graph_bytes(database: Database) -> int:
    """Return an estimate of the bytes of a database's graph and feature tensors in memory.

    Every row counts 16 bytes, 56 more per foreign key and 8 per column that is neither key nor time; vectors of texts are not
    counted.
    """
    return sum(
        table.num_rows
        * (_ROW + _KEY * len(table.foreign_keys) + _COLUMN * len(set(table.columns) - set(table.structural)))
        for table in database.tables.values()
    )


def store_of(problem: Problem, wanted: str = "auto") -> ArrayStore | None:
    """Return where the graph of a problem is kept in files; None for in memory. Decided once per problem.

    The files lie in the folder `graphs` of the cache, see `relselect.files.cache_path`; those of changed copies of a problem are
    temporary.

    Args:
        problem: The problem.
        wanted: "memory", "disk", or "auto" for files where the estimate of `graph_bytes` exceeds `SHARE` of the free memory and
            the disk has room for them.

    Raises:
        UnwritableError: Files are asked for and cannot be written.
    """
    if wanted == "memory":
        return None
    return problem.cached(("rdl", "store", wanted), partial(_store, problem, wanted))


def _store(problem: Problem, wanted: str) -> ArrayStore | None:
    root, size = cache_path("graphs"), graph_bytes(problem.database)
    if wanted == "auto" and (size <= SHARE * free_memory() or not _has_room(root, size)):
        return None
    return ArrayStore(root, temporary=problem.changed)


def _has_room(root: Path, size: int) -> bool:
    try:
        check_writable("store", root, folder=True)
    except UnwritableError:
        return False
    while not root.exists():
        root = root.parent
    return shutil.disk_usage(root).free > size
