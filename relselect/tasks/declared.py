"""From a task's declaration in a manifest to a `Task`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from relselect.database import Database
from relselect.errors import ConfigError, DataNotFound, SchemaError, TaskError
from relselect.tasks.building import Asking, Draft, task_completing, task_from_labels, task_from_sql
from relselect.tasks.spec import TaskSpec
from relselect.tasks.splits import Regime
from relselect.tasks.task import Task

__all__ = ["task_from_relbench", "task_from_spec"]


def task_from_spec(database: Database, spec: TaskSpec, name: str, folder: Path | None) -> Task:
    """Build a task from its declaration; see `Task.from_spec`."""
    task = _built(database, spec, name, folder)
    return _hiding(database, task, tuple(spec.hide)) if spec.hide else task


def _hiding(database: Database, task: Task, columns: tuple[str, ...]) -> Task:
    table = database[task.entity]
    for column in columns:
        if column not in table.columns:
            shown = ", ".join(table.columns)
            raise TaskError("hide", column, f"is no column of {task.entity}", f"Use one of: {shown}")
        if column in table.structural:
            raise TaskError("hide", column, "is a key, a time or a clock", "Hide other columns")
    return replace(task, hidden_columns=tuple(dict.fromkeys((*task.hidden_columns, *columns))))


def task_from_relbench(database: Database, name: str, folder: str | Path | None, regime: Regime) -> Task:
    """Build a task of a RelBench dataset; see `Task.from_relbench`."""
    from relselect.database.sources.relbench import task_spec

    if folder is not None:
        spec, why = task_spec(Path(folder), database.tables)
        if spec is None:
            raise TaskError("folder", str(folder), f"holds no task that can be asked: {why}", "Choose another task")
        return task_from_spec(database, spec, name, Path(folder)).in_regime(regime)
    if name not in database.tasks:
        known = ", ".join(sorted(database.tasks)) or "none"
        passed = next(
            (note for note in database.notes if note.startswith(f"task {name} ")), "is no task of the dataset"
        )
        raise TaskError("task", name, passed, f"Use one of: {known}")
    return task_from_spec(database, database.tasks[name], name, database.data_folder).in_regime(regime)


def _built(database: Database, spec: TaskSpec, name: str, folder: Path | None) -> Task:
    draft = Draft(
        name=name,
        entity=spec.entity,
        kind=spec.kind,
        target=spec.target,
        time=spec.time,
        entity_columns=spec.key_columns or None,
        horizon=spec.horizon,
        known_after=spec.known_after,
        known_at=spec.known_at,
        val_start=spec.val_start,
        test_start=spec.test_start,
        fold_column=spec.fold_column,
        features=tuple(spec.features),
        metric=spec.metric,
        regime=spec.regime,
        population=spec.population,
        description=spec.description,
        every=spec.every,
    )
    if spec.completes is not None:
        return task_completing(database, draft)
    if spec.label is not None:
        return task_from_sql(database, draft, Asking(label=spec.label, every=spec.every))
    if spec.folds is not None:
        return task_from_labels(database, _read(spec.folds, folder, name), draft)
    assert spec.files is not None  # the spec's own validation: exactly one origin
    paths = {"train": spec.files.train, "val": spec.files.val, "test": spec.files.test}
    frames = {split: _read(path, folder, name) for split, path in paths.items() if path is not None}
    return task_from_labels(database, frames, draft)


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
    table = read_file(full, f"tasks.{name}")
    if isinstance(table, list):
        raise SchemaError(table)
    return table
