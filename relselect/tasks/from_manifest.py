"""Tasks from their declaration in a manifest, and from RelBench's folders, whose tasks are declared on reading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from relselect.budget import Budget
from relselect.database import Database
from relselect.database.confined import check_confined
from relselect.database.task_spec import TaskSpec
from relselect.errors import ConfigError, DataNotFound, SchemaError, TaskError
from relselect.tasks.fields import TaskFields
from relselect.tasks.from_column import task_completing
from relselect.tasks.from_frames import task_from_labels
from relselect.tasks.from_queries import task_from_sql
from relselect.tasks.from_query import task_from_query
from relselect.tasks.options import TaskOptions
from relselect.tasks.regimes import Regime

__all__ = ["task_from_relbench", "task_from_spec"]

TaskT = TypeVar("TaskT", bound=TaskFields)


def task_from_spec(
    build: type[TaskT],
    database: Database,
    spec: TaskSpec,
    name: str,
    folder: Path | None,
    budget: Budget | None = None,
) -> TaskT:
    """Build a task from its declaration; see `Task.from_spec`."""
    task = _built(build, database, spec, name, folder, budget)
    return _hiding(database, task, tuple(spec.hide)) if spec.hide else task


def _hiding(database: Database, task: TaskT, columns: tuple[str, ...]) -> TaskT:
    table = database[task.entity]
    for column in columns:
        if column not in table.columns:
            shown = ", ".join(table.columns)
            raise TaskError("hide", column, f"is no column of {task.entity}", f"Use one of: {shown}")
        if column in table.structural:
            raise TaskError("hide", column, "is a key, a time or a clock", "Hide other columns")
    return replace(task, hidden_columns=tuple(dict.fromkeys((*task.hidden_columns, *columns))))


def task_from_relbench(
    build: type[TaskT], database: Database, name: str, folder: str | Path | None, regime: Regime
) -> TaskT:
    """Build a task of a RelBench dataset; see `Task.from_relbench`."""
    from relselect.database.sources.relbench import task_spec

    if folder is not None:
        spec, why = task_spec(Path(folder), database.tables)
        if spec is None:
            raise TaskError("folder", str(folder), f"holds no task that can be asked: {why}", "Choose another task")
        return task_from_spec(build, database, spec, name, Path(folder)).in_regime(regime)
    if name not in database.tasks:
        known = ", ".join(sorted(database.tasks)) or "none"
        passed = next(
            (note for note in database.notes if note.startswith(f"task {name} ")), "is no task of the dataset"
        )
        raise TaskError("task", name, passed, f"Use one of: {known}")
    return task_from_spec(build, database, database.tasks[name], name, database.data_folder).in_regime(regime)


def _built(
    build: type[TaskT], database: Database, spec: TaskSpec, name: str, folder: Path | None, budget: Budget | None
) -> TaskT:
    if spec.query is not None:
        return task_from_query(build, database, spec.query, {**dict(spec), "name": name}, budget)
    options = TaskOptions.of_spec(spec, name)
    if spec.completes is not None:
        return task_completing(build, database, options)
    if spec.label is not None:
        return task_from_sql(build, database, options, budget)
    if spec.folds is not None:
        return task_from_labels(build, database, _read(spec.folds, folder, name), options)
    if spec.files is None:
        raise TaskError(
            "task",
            name,
            "declares no source of labels",
            "Declare query, files, folds, completes, or population and label",
        )
    paths = {"train": spec.files.train, "val": spec.files.val, "test": spec.files.test}
    frames = {split: _read(path, folder, name) for split, path in paths.items() if path is not None}
    return task_from_labels(build, database, frames, options)


def _read(path: str, folder: Path | None, name: str) -> pa.Table:
    from relselect.database.sources.files import read_file

    if folder is None:
        raise ConfigError(
            f"tasks.{name}.files",
            path,
            "is relative and the database has no folder",
            "Open the database from its manifest",
        )
    full = folder / path
    if not full.exists():
        raise DataNotFound(f"tasks.{name}.files", str(full), "does not exist", "Correct the path in the manifest")
    if not full.is_file():
        raise ConfigError(f"tasks.{name}.files", str(full), "is no regular file", "Name a Parquet or CSV file")
    check_confined(f"tasks.{name}.files", path, full, folder)
    table = read_file(full, f"tasks.{name}")
    if isinstance(table, list):
        raise SchemaError(table)
    return table
