"""Label history: past labels of a task as a table of the database.

Each labelled row whose label becomes known at some time is a row of the table `LABELS`: the entity's key, the label, the
cutoff, and as its time the moment from which the label is known. The rules of visibility then hold for it as for any other
table. Rows whose label time is unknown, and static tasks, give no history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from relselect.database import Database, ForeignKey, SemanticType, Table
from relselect.database.clock import NEVER
from relselect.database.columns import combine_keys
from relselect.tasks.labels import as_label_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks import Task

__all__ = ["LABELS", "with_label_history"]

#: The table of past labels, which both engines read like any other.
LABELS: Final = "__labels__"


def with_label_history(database: Database, task: Task) -> Database:
    """Return the database with the table `LABELS`: past labels, each visible once it is known, and never at its own cutoff.

    Args:
        database: The database.
        task: The task; without known label times, or without time, the database is returned as it is.
    """
    known = [*task.splits.values(), *([task.later] if task.later is not None else [])]
    frames = [frame.take(frame.known_at != NEVER) for frame in known]
    frames = [frame for frame in frames if len(frame)]
    if task.static or not frames:
        return database
    key = database[task.entity].primary_key
    names = [f"entity_{number}" for number in range(len(key))]
    keys = _together([_uniform(frame.keys.rename_columns(names)) for frame in frames])
    cutoff = np.concatenate([frame.cutoff for frame in frames])
    since = np.maximum(np.concatenate([frame.known_at for frame in frames]), cutoff + 1)
    label = as_label_values(np.concatenate([frame.label for frame in frames]), task.kind, task.classes)
    data = (
        keys.append_column("label", label)
        .append_column("cutoff", _times(cutoff, task))
        .append_column("known", _times(since, task))
    )
    kind = {"regression": SemanticType.NUMERICAL, "binary": SemanticType.BOOLEAN}.get(
        task.kind, SemanticType.CATEGORICAL
    )
    table = Table(
        name=LABELS,
        data=data,
        time="known",
        foreign_keys=(ForeignKey(tuple(names), task.entity, key),),
        types={"label": kind, "cutoff": SemanticType.TIMESTAMP},
        description=f"past values of {task.target}",
    )
    return database.with_table(table)


def _uniform(keys: pa.Table) -> pa.Table:
    """Decode dictionaries, so that the keys of all splits can be concatenated."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in keys.schema
    ]
    return keys.cast(pa.schema(fields))


def _together(parts: list[pa.Table]) -> pa.Table:
    """Concatenate keys; as text, in the form they are compared in, where one split holds numbers and another text."""
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException:
        compared = [{name: combine_keys([part[name]]) for name in part.column_names} for part in parts]
        return pa.concat_tables(
            [pa.table({name: key.cast(pa.string()) for name, key in part.items()}) for part in compared]
        )


def _times(ticks: NDArray[np.int64], task: Task) -> pa.Array:
    return pa.array(ticks) if task.time_kind == "integer" else pa.array(ticks).cast(pa.timestamp("us"))
