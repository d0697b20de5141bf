"""Tasks that fill in a column of the entity table from the rest of the database."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pyarrow as pa

from relselect.database import Database
from relselect.database.clock import NEVER
from relselect.errors import TaskError
from relselect.tasks.fields import TaskFields
from relselect.tasks.from_frames import task_from_labels
from relselect.tasks.options import TaskOptions

__all__ = ["task_completing"]

TaskT = TypeVar("TaskT", bound=TaskFields)


def task_completing(
    build: type[TaskT], database: Database, options: TaskOptions, rows: pa.Table | None = None
) -> TaskT:
    """Build a task that fills in a column; see `Task.completing`.

    Args:
        build: The class of the task.
        database: The database.
        options: What was declared.
        rows: The rows that are asked about, with key, time and clock under their own names and the label under that of
            the column; every row with its column as it stands if None.
    """
    table = database[options.entity]
    if options.target not in table.columns or options.target in table.structural:
        usable = [column for column in table.columns if column not in table.structural]
        raise TaskError(
            "column",
            options.target,
            f"is no column of {options.entity} that can be filled in",
            f"Use one of: {', '.join(usable)}",
        )
    key = options.check(database)
    columns = list(dict.fromkeys([*key, *filter(None, [options.time]), options.target]))
    clock = table.clock_of(options.target)
    if clock is not None and clock not in columns:
        columns.append(clock)
    data = table.data.select(columns) if rows is None else rows
    if rows is None and options.time is not None and pa.types.is_timestamp(data[options.time].type):
        # A row is asked about at the moment it appears: its time is rounded as rows' times are, not as cutoffs are.
        times = database.times(options.entity)
        moments = pa.array(times, mask=times == NEVER).cast(pa.timestamp("us"))
        data = data.set_column(data.column_names.index(options.time), options.time, moments)
    built = task_from_labels(build, database, data, replace(options, known_at=clock if options.time else None))
    return replace(
        built,
        hidden_columns=(options.target,),
        notes=(*built.notes, f"{options.entity}.{options.target} is hidden from both engines."),
    )
