"""Rows to predict, bound from a frame of keys and cutoffs, and dates that may be the present one.

Frames of labelled rows become a `Task` instead (`tasks.labels`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from relselect.database.clock import is_time_type, kind_of, ticks_of
from relselect.database.missing import without_missing
from relselect.errors import SchemaError, TaskError
from relselect.tasks import Rows
from relselect.tasks.labels import refuse_rounded_ids

if TYPE_CHECKING:
    from relselect.problem.problem import Problem

__all__ = ["bind_frame"]

#: The date that is the present moment.


def bind_frame(problem: Problem, rows: Any) -> tuple[Rows, pa.Table, pa.Table]:
    """Bind a frame of rows to predict.

    Args:
        problem: The problem.
        rows: A frame with the entity's key columns, `cutoff` (unless the task is static) and the declared features.

    Returns:
        The rows, their keys, and the frame in Arrow, n rows each.

    Raises:
        TaskError: Something is missing or of the wrong type.
    """
    from relselect.database.sources.frames import to_arrow

    task, table = problem.task, to_arrow("rows", rows)
    if isinstance(table, list):
        raise SchemaError(table)
    table = without_missing(table)
    wanted = [*task.key_columns, *([] if task.static else ["cutoff"])]
    missing = [column for column in wanted if column not in table.column_names]
    if missing:
        raise TaskError("rows", table.column_names, f"need the columns {wanted}", f"Add {', '.join(missing)}")
    keys = table.select(list(task.key_columns))
    for column in task.key_columns:
        refuse_rounded_ids(keys[column], f"rows.{column}")
    cutoff = np.zeros(table.num_rows, dtype=np.int64)
    if not task.static:
        dtype, kind = table["cutoff"].type, task.time_kind
        if not is_time_type(dtype) or table["cutoff"].null_count or (kind is not None and kind_of(dtype) != kind):
            rule = f"must hold {'an integer' if kind == 'integer' else 'a timestamp or date'} in every row"
            raise TaskError(
                "rows.cutoff", f"{dtype}, {table['cutoff'].null_count} nulls", rule, "Parse the column first"
            )
        cutoff = ticks_of(table["cutoff"], up=False)
    return problem.bind(keys, cutoff, features=table), keys, table
