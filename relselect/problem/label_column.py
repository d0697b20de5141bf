"""Refuses a column of the entity's own row that is the label: the one leak that stops a run.

Weaker signs of a leak are findings of the room `leaks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.columns import as_float, as_strings, is_nested
from relselect.errors import TaskError
from relselect.tasks.kinds import TaskKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Table
    from relselect.tasks import Rows, Task

__all__ = ["column_is_label", "refuse_label_column"]


def refuse_label_column(table: Table, train: Rows, task: Task) -> None:
    """Refuse to train when a column of the entity's own row is the label.

    Args:
        table: The entity table. Keys, times and columns that become known later are not looked at.
        train: The labelled training rows, bound to the table.
        task: The task.

    Raises:
        TaskError: A column and the label determine one another; names the column.
    """
    known = train.entity >= 0
    if train.label is None or known.sum() < 10:
        return
    label, entity = train.label[known], train.entity[known]
    for column in table.columns:
        if column in table.structural or table.clock_of(column):
            continue
        if column_is_label(table.data[column], entity, label, task.kind):
            raise TaskError(
                f"{task.entity}.{column}",
                task.target,
                "holds the label of every training row",
                f"Drop the column, declare when it becomes known (known_at), or use Task.completing(database, {column!r}, ...)",
            )


def column_is_label(
    column: pa.ChunkedArray, entity: NDArray[np.int64], label: NDArray[np.float64], kind: TaskKind
) -> bool:
    """Whether a column's values and the labels determine one another on every row that has a value.

    Args:
        column: A column of the entity table.
        entity: Row numbers, shape (n,), none negative.
        label: Shape (n,).
        kind: The kind of task; regression compares numbers, classification compares groups.
    """
    dtype = column.type
    if is_nested(dtype) or pa.types.is_null(dtype):
        return False
    if kind == "regression":
        if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_dictionary(dtype):
            return False
        values = as_float(column)[entity]
        present = np.isfinite(values)
        return bool(
            present.sum() >= 10
            and present.mean() > 0.5
            and np.allclose(values[present], label[present], rtol=1e-9, atol=0.0)
        )
    if len(set(column.take(pa.array(entity[:2_000])).to_pylist())) > 100:
        return False
    codes = as_strings(column)[0][entity]
    present = codes >= 0
    pairs = np.unique(np.stack([codes[present], label[present].astype(np.int64)]), axis=1)
    groups, classes = len(np.unique(pairs[0])), len(np.unique(pairs[1]))
    return bool(present.mean() > 0.5 and classes > 1 and pairs.shape[1] == groups == classes)
