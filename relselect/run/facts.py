"""What a result keeps of a database, a task and the machine: shapes, counts and versions, no rows."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relselect.database.clock import DAY, format_time
from relselect.database.sources.uri import is_uri
from relselect.packages import package_versions

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.tasks.splits import Split

__all__ = [
    "DatabaseFacts",
    "EnvironmentFacts",
    "ForeignKeyFacts",
    "SplitFacts",
    "TableFacts",
    "TaskFacts",
    "database_facts",
    "environment_facts",
    "task_facts",
]


@dataclass(frozen=True)
class ForeignKeyFacts:
    """A foreign key with its numbers of null values and of values without a parent row."""

    columns: tuple[str, ...]
    table: str
    nulls: int
    dangling: int


@dataclass(frozen=True)
class TableFacts:
    """A table: its size, its key, its time and its rows without a time."""

    name: str
    rows: int
    columns: int
    primary_key: tuple[str, ...]
    time: str | None
    null_times: int
    foreign_keys: tuple[ForeignKeyFacts, ...]


@dataclass(frozen=True)
class DatabaseFacts:
    """A database: its tables, its size and its fingerprint; `source` is what `relselect train` calls it, without folders."""

    name: str
    source: str | None
    fingerprint: str
    rows: int
    tables: tuple[TableFacts, ...]


@dataclass(frozen=True)
class SplitFacts:
    """A split: rows, first and last cutoff (ISO text or integers, None for static tasks), mean label (None for classes)."""

    split: str
    rows: int
    first_cutoff: str | int | None
    last_cutoff: str | int | None
    label_mean: float | None
    purged: int


@dataclass(frozen=True)
class TaskFacts:
    """A task; `horizon` and `delay` are texts for people, such as "30 days"; `query` is the predictive query it was made of."""

    name: str
    entity: str
    kind: str
    target: str
    metric: str
    metric_title: str
    regime: str
    horizon: str | None
    classes: tuple[str, ...]
    splits: tuple[SplitFacts, ...]
    delay: str
    description: str
    fingerprint: str
    query: str | None = None


@dataclass(frozen=True)
class EnvironmentFacts:
    """Versions of Python and of packages (None where one is not installed), and the devices that trained."""

    python: str
    packages: dict[str, str | None]
    device: str


def database_facts(problem: Problem) -> DatabaseFacts:
    """Return the facts of the user's database."""
    database = problem.user_database
    counts = database.counts
    tables = [
        TableFacts(
            name=name,
            rows=table.num_rows,
            columns=len(table.columns),
            primary_key=tuple(table.primary_key),
            time=table.time,
            null_times=counts.null_times.get(name, 0),
            foreign_keys=tuple(
                ForeignKeyFacts(
                    tuple(key.columns),
                    key.table,
                    counts.null_keys[name, key.name],
                    counts.dangling_keys[name, key.name],
                )
                for key in table.foreign_keys
            ),
        )
        for name, table in database.tables.items()
    ]
    source = database.source
    if source is not None and not is_uri(source):
        source = Path(source).name  # a report tells no paths
    return DatabaseFacts(database.name, source, database.fingerprint, database.num_rows, tuple(tables))


def task_facts(problem: Problem) -> TaskFacts:
    """Return the facts of the task: rules, splits, the delay of the evaluation rows."""
    task = problem.task
    return TaskFacts(
        name=task.name,
        entity=task.entity,
        kind=task.kind,
        target=task.target,
        metric=task.metric.name,
        metric_title=task.metric.title,
        regime="static" if task.static else task.regime,
        horizon=None if task.horizon is None else _length(task.horizon, task.time_kind),
        classes=tuple(task.classes or ()),
        splits=tuple(_split(problem, split) for split in task.splits),
        delay=_delay(problem),
        description=task.description,
        fingerprint=task.fingerprint,
        query=task.query,
    )


def environment_facts(devices: Iterable[str]) -> EnvironmentFacts:
    """Return versions and devices.

    Args:
        devices: Where models were trained.
    """
    return EnvironmentFacts(
        python=platform.python_version(),
        packages=package_versions(),
        device=", ".join(sorted(set(devices))) or "cpu",
    )


def _split(problem: Problem, split: Split) -> SplitFacts:
    task, frame = problem.task, problem.task.splits[split]
    return SplitFacts(
        split=split,
        rows=len(frame),
        first_cutoff=None if task.static else format_time(int(frame.cutoff.min()), task.time_kind),
        last_cutoff=None if task.static else format_time(int(frame.cutoff.max()), task.time_kind),
        label_mean=None if task.kind == "multiclass" else float(frame.label.mean()),
        purged=task.purged.get(split, 0),
    )


def _length(ticks: int, kind: str | None) -> str:
    if kind == "integer":
        return f"{ticks} units"
    days = ticks / DAY
    return f"{days:g} days" if days >= 1 else f"{ticks / 3_600_000_000:g} hours"


def _delay(problem: Problem) -> str:
    if problem.task.static:
        return "none: the task has no time"
    delays = problem.evaluation_delays()
    if not (delays > 0).any():
        return "none: every row sees the database as of its cutoff"
    middle = _length(int(np.median(delays)), problem.task.time_kind)
    longest = _length(int(delays.max()), problem.task.time_kind)
    return (
        f"evaluation rows see data that are {middle} old (median; at most {longest}); training rows are also shown so"
    )
