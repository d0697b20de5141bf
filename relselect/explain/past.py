"""Divides what one task row can see into parts: its own rows by table and time window, what they refer to, and all the rest.

A row is the entity's *own* when steps down foreign keys lead to it from the entity: its orders, the items of its orders. What own
rows and the entity itself refer to, step by step, is *referred to*: the products that were bought. All other visible rows, of the
entity's table too, are *others*. The entity's own row belongs to no part. Invisible rows are looked at by nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from relselect.database.clock import DAY, parse_duration
from relselect.errors import TaskError
from relselect.explain.words import length_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Database
    from relselect.database.clock import TimeKind
    from relselect.problem import Problem

__all__ = ["OTHERS", "PastPart", "Relation", "parts_of", "window_ticks"]

Relation = Literal["own", "referred", "others"]
#: Stands for a table where the rows are those of others, of whatever table.
OTHERS = ""
#: Windows end at these multiples of the scale.
_MULTIPLES = (1, 3)
#: Steps down that are followed from the entity.
_STEPS = 4


@dataclass(frozen=True)
class PastPart:
    """A part of what a task row can see.

    Attributes:
        table: The table; `OTHERS` for the rows of others in all tables together.
        window: The window in words, "" for rows without a time.
        relation: How the rows relate to the entity.
        rows: Table -> row numbers, ascending; of `table` alone unless the part is that of others.
    """

    table: str
    window: str
    relation: Relation
    rows: Mapping[str, NDArray[np.int64]]

    @property
    def count(self) -> int:
        """Number of rows."""
        return sum(len(rows) for rows in self.rows.values())


def window_ticks(problem: Problem, windows: Sequence[str | int] | None = None) -> tuple[int, ...]:
    """Return the ages at which windows end, in ticks, ascending.

    Args:
        problem: The problem.
        windows: The ages; None for once and three times the task's horizon, or where it has none the median time between its
            cutoffs. Static tasks have no windows.

    Raises:
        TaskError: A window is no duration above zero.
    """
    task = problem.task
    if task.static:
        return ()
    if windows is not None:
        found = sorted({parse_duration(each, "windows") for each in windows})
        if found and found[0] <= 0:
            raise TaskError("windows", list(windows), "must be longer than zero", "Write e.g. windows=('30d', '90d')")
        return tuple(found)
    scale = task.horizon or _distance(problem)
    return tuple(scale * times for times in _MULTIPLES)


def _distance(problem: Problem) -> int:
    """Return the median time between the training cutoffs; 30 days, or one unit, where there is one cutoff only."""
    distances = np.diff(np.unique(problem.task.splits["train"].cutoff))
    if not len(distances):
        return 1 if problem.task.time_kind == "integer" else 30 * DAY
    return max(1, int(np.median(distances)))


def parts_of(
    problem: Problem, entity: int, cutoff: int, asof: int, windows: Sequence[int], tables: Sequence[str]
) -> list[PastPart]:
    """Return the parts of what one task row can see, in the order of the tables, recent windows first; none is empty.

    Args:
        problem: The problem.
        entity: Row number of the entity, -1 for one that is not there.
        cutoff: The row's cutoff, from which ages are counted, in ticks.
        asof: What is visible, in ticks.
        windows: Ages at which windows end, in ticks, ascending.
        tables: The tables that count: those that a model reads.
    """
    database = problem.database
    visible = {name: database.times(name) <= asof for name in database.tables}
    own = _own(database, problem.entity, entity, visible)
    referred = _referred(database, problem.entity, entity, own, visible)
    kind, found = problem.task.time_kind, []
    for name in tables:
        if own[name].any():
            found += list(_windowed(name, np.flatnonzero(own[name]), database, cutoff, windows, kind))
    for name in tables:
        if referred[name].any():
            found.append(PastPart(name, "", "referred", {name: np.flatnonzero(referred[name])}))
    others = {name: np.flatnonzero(visible[name] & ~own[name] & ~referred[name]) for name in tables}
    if entity >= 0 and problem.entity in others:
        others[problem.entity] = others[problem.entity][others[problem.entity] != entity]
    others = {name: rows for name, rows in others.items() if len(rows)}
    return [*found, *([PastPart(OTHERS, "", "others", others)] if others else [])]


def _own(
    database: Database, table: str, entity: int, visible: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.bool_]]:
    """Return table -> mask of the visible rows that steps down lead to from a row, itself left out."""
    own = {name: np.zeros(database[name].num_rows, dtype=bool) for name in database.tables}
    if entity < 0:
        return own
    start = {table: np.array([entity])}
    for _ in range(_STEPS):
        following: dict[str, list[NDArray[np.int64]]] = {}
        for name, child in database.tables.items():
            for key, parents in zip(child.foreign_keys, database.parents(name), strict=True):
                if key.table not in start:
                    continue
                member = np.zeros(database[key.table].num_rows + 1, dtype=bool)  # the last place is that of -1
                member[start[key.table]] = True
                rows = np.flatnonzero(member[parents] & visible[name] & ~own[name])
                following.setdefault(name, []).append(rows[rows != entity] if name == table else rows)
        start = {name: np.unique(np.concatenate(rows)) for name, rows in following.items()}
        start = {name: rows for name, rows in start.items() if len(rows)}
        for name, rows in start.items():
            own[name][rows] = True
    return own


def _referred(
    database: Database,
    table: str,
    entity: int,
    own: Mapping[str, NDArray[np.bool_]],
    visible: Mapping[str, NDArray[np.bool_]],
) -> dict[str, NDArray[np.bool_]]:
    """Return table -> mask of the visible rows that a row and its own rows refer to, step by step, own rows left out."""
    referred = {name: np.zeros(len(mask), dtype=bool) for name, mask in own.items()}
    reached = {name: mask.copy() for name, mask in own.items()}
    if entity >= 0:
        reached[table][entity] = True
    changed = {name for name, mask in reached.items() if mask.any()}
    while changed:
        names, changed = changed, set()
        for name in names:
            for key, parents in zip(database[name].foreign_keys, database.parents(name), strict=True):
                rows = np.unique(parents[reached[name]])
                rows = rows[rows >= 0]
                rows = rows[visible[key.table][rows] & ~reached[key.table][rows]]
                if len(rows):
                    reached[key.table][rows] = referred[key.table][rows] = True
                    changed.add(key.table)
    return referred


def _windowed(
    name: str,
    rows: NDArray[np.int64],
    database: Database,
    cutoff: int,
    windows: Sequence[int],
    kind: TimeKind | None,
) -> Iterator[PastPart]:
    """Yield the own rows of a table by age; of a table without a time as one part."""
    if database[name].time is None or not windows:
        yield PastPart(name, "", "own", {name: rows})
        return
    ages = cutoff - database.times(name)[rows]
    window = np.searchsorted(np.asarray(windows), ages, side="right")
    texts = [length_text(each, kind) for each in windows]
    names = [
        f"the last {texts[0]}",
        *(f"{a} to {b} before" for a, b in pairwise(texts)),
        f"more than {texts[-1]} before",
    ]
    for place, text in enumerate(names):
        inside = rows[window == place]
        if len(inside):
            yield PastPart(name, text, "own", {name: inside})
