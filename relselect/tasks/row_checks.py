"""Checks of labelled rows: whether they name entities of the database and hold something to learn, and notes on the rest.

What cannot be learnt from is refused; what readers should know is a note of the task. Rows to predict
are checked alike. Whether a column of the entity is
the label is checked in `relselect.problem`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database import Database
from relselect.database.clock import DAY, NEVER, format_time
from relselect.database.schema import type_name
from relselect.dates import with_dates
from relselect.errors import TaskError, UnknownEntityWarning, caller_depth
from relselect.tasks.kinds import TaskKind
from relselect.tasks.labels import LabelFrame
from relselect.tasks.options import TaskOptions
from relselect.tasks.splits import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_asked", "check_entities", "check_labels", "row_notes"]

_EXAMPLES = 3


def check_entities(database: Database, entity: str, keys: Mapping[str, pa.Table]) -> None:
    """Refuse labelled rows none of which names a row of the entity table.

    Args:
        database: The database.
        entity: The entity table.
        keys: Name of the frame -> the entity's key, one column per key column.

    Raises:
        TaskError: No row of any frame, or of the training frame, names an entity; shows both forms of the key.
    """
    known = {name: bool((database.rows_of(entity, table) >= 0).any()) for name, table in keys.items()}
    if any(known.values()) and known.get("train", True):
        return
    name = "train" if "train" in known else next(iter(known))
    raise _strangers(database, entity, keys[name], "labels", "labelled rows")


def check_asked(database: Database, entity: str, keys: pa.Table, *, refuse: bool = True) -> None:
    """Refuse rows to predict none of which names a row of the entity table, and warn where some do not.

    Args:
        database: The database.
        entity: The entity table.
        keys: The entity's key, one column per key column, n rows.
        refuse: Whether rows none of which names an entity are refused; otherwise they are warned of.

    Raises:
        TaskError: No row names an entity, and `refuse` is set; shows both forms of the key.

    Warns:
        UnknownEntityWarning: Some rows name none; says how many.
    """
    unknown = int((database.rows_of(entity, keys) < 0).sum())
    if not unknown:
        return
    if refuse and unknown == keys.num_rows:
        raise _strangers(database, entity, keys, "rows", "rows")
    text = (
        f"{unknown} of {keys.num_rows} rows ({unknown / keys.num_rows:.1%}) ask about a {entity} that is not in the table: "
        "their predictions know nothing of it."
    )
    warnings.warn(text, UnknownEntityWarning, stacklevel=caller_depth())


def _strangers(database: Database, entity: str, keys: pa.Table, argument: str, what: str) -> TaskError:
    """Return the error for rows none of which names an entity, with both forms of the key."""
    table = database[entity]
    theirs = " and ".join(_form(table.data[column], f"{entity}.{column}") for column in table.primary_key)
    ours = " and ".join(_form(keys[column], column) for column in keys.column_names)
    return TaskError(
        argument,
        ours,
        f"none of the {keys.num_rows} {what} names a row of {entity}, where {theirs}",
        f"Write the keys of the {argument} as the table writes them, with the same type, zeros and spaces",
    )


def _form(values: pa.ChunkedArray, name: str) -> str:
    """Return a column's name, type and first values as text."""
    shown = ", ".join(repr(with_dates(value)) for value in values.drop_null().slice(0, _EXAMPLES).to_pylist())
    return f"{name} ({type_name(values.type)}) holds {shown or 'nothing'}"


def check_labels(parts: Mapping[Split, LabelFrame], kind: TaskKind) -> None:
    """Refuse splits whose labels are all the same: nothing can be learnt from them, or no score tells models apart.

    Raises:
        TaskError: The training or validation labels are all the same, or those of a regression's test.
    """
    train = parts["train"].label
    if len(np.unique(train)) < 2:
        raise TaskError(
            "train labels",
            float(train[0]),
            "are all the same, so there is nothing to learn",
            "Check the label query, or train on a longer period",
        )
    for split in ("val", "test") if kind == "regression" else ("val",):
        label = parts[split].label if split in parts else train
        if len(np.unique(label)) > 1 or (kind == "regression" and len(label) == 1):
            continue
        rule = "are all the same" if kind == "regression" else "hold one class only"
        fix = f"Move {split}_start, or give a longer {'validation' if split == 'val' else split} period"
        raise TaskError(f"{split} labels", float(label[0]), f"{rule}, so no score is defined", fix)


def row_notes(database: Database, parts: Mapping[Split, LabelFrame], options: TaskOptions) -> list[str]:
    """Return what readers should know of the labelled rows and of the references of the database, one sentence each."""
    notes = [*_placeholder_notes(database), *_reference_notes(database)]
    for split, frame in parts.items():
        entity = database.rows_of(options.entity, frame.keys)
        unknown = int((entity < 0).sum())
        if unknown:
            notes.append(
                f"{unknown} of {len(frame)} {split} rows ask about a {options.entity} that is not in the table."
            )
        contradicting = _contradicting(entity, frame)
        if contradicting:
            notes.append(
                f"{contradicting} of {len(frame)} {split} rows are contradicted by a row with the same {options.entity} "
                f"{'and cutoff ' if options.time else ''}but another label."
            )
    notes += _window_notes(database, parts, options)
    if options.time is not None and all((frame.known_at == NEVER).all() for frame in parts.values()):
        notes.append("When labels become known is not declared: no label history is used and no rows are purged.")
    return notes


def _contradicting(entity: NDArray[np.int64], frame: LabelFrame) -> int:
    """Return how many rows share their entity and cutoff with a row of another label."""
    order = np.lexsort((frame.label, frame.cutoff, entity))
    who, when, label = entity[order], frame.cutoff[order], frame.label[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (who[1:] != who[:-1]) | (when[1:] != when[:-1])
    group = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(order)) - 1
    differs = label[first] != label[last]  # labels are sorted within a group
    return int((differs[group] & (who >= 0)).sum())


def _window_notes(database: Database, parts: Mapping[Split, LabelFrame], options: TaskOptions) -> Iterator[str]:
    horizon, last = options.horizon_ticks(), database.last_time
    if options.time is None or horizon is None or last is None:
        return
    # Windows end at midnight and the last row of a day comes before it: up to a day is no gap in the data.
    slack = 0 if database.time_kind == "integer" else DAY
    for split, frame in parts.items():
        count = int((frame.cutoff > last + slack - horizon).sum())
        if count:
            yield f"{count} {split} rows have a label window that ends after the last row of the database."


def _placeholder_notes(database: Database) -> Iterator[str]:
    for each in database.placeholder_times:
        column = database[each.table].time
        yield (
            f"{each.rows} rows of {each.table} have a {column} such as {format_time(each.time, database.time_kind)}, far from "
            "every other time: it is taken for a placeholder, and no cutoff is made from it."
        )


def _reference_notes(database: Database) -> Iterator[str]:
    """Yield a note on every foreign key none of whose values is found: the rows are not joined at all."""
    counts = database.counts
    for name, table in database.tables.items():
        for key in table.foreign_keys:
            missing, filled = counts.dangling_keys[name, key.name], table.num_rows - counts.null_keys[name, key.name]
            if not filled or missing < filled:
                continue
            parent = database[key.table]
            ours = " and ".join(_form(table.data[column], f"{name}.{column}") for column in key.columns)
            theirs = " and ".join(_form(parent.data[column], f"{key.table}.{column}") for column in parent.primary_key)
            yield f"None of the {filled} references of {name} to {key.table} is found: {ours}, {theirs}."
