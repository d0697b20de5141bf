"""Tasks from label frames: reads, splits and purges labelled rows and checks that they can be learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from relselect.database import Database
from relselect.database.clock import format_time, parse_duration, parse_time
from relselect.errors import SchemaError, TaskError
from relselect.tasks.fields import TaskFields
from relselect.tasks.labels import LabelColumns, LabelFrame, clean_frame, encode_labels, read_frame
from relselect.tasks.metrics import metric_of
from relselect.tasks.options import TaskOptions
from relselect.tasks.row_checks import check_entities, check_labels, row_notes
from relselect.tasks.splits import SPLITS, Split, by_fold, by_group, by_time, default_starts, purge
from relselect.tasks.weights import weighted_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["task_from_labels"]

TaskT = TypeVar("TaskT", bound=TaskFields)


def task_from_labels(
    build: type[TaskT],
    database: Database,
    labels: Any | Mapping[str, Any],
    options: TaskOptions,
    notes: Sequence[str] = (),
) -> TaskT:
    """Build a task from label frames; see `Task.from_labels`.

    Args:
        build: The class of the task.
        database: The database the rows are about.
        labels: One frame, or one per split.
        options: What was declared.
        notes: Notes to put before those made here.
    """
    key_columns = options.check(database)
    columns = LabelColumns(
        key_columns, options.target, options.time, options.known_at, tuple(options.features), options.weight
    )
    given = {split: clean_frame(table, options.target) for split, table in _tables(labels).items()}
    tables = {split: _with_weights(table, options, split) for split, table in given.items()}
    read = {
        split: read_frame(table, columns, database.time_kind if options.time else None, split)
        for split, table in tables.items()
    }
    encoded, classes = encode_labels([raw for _, raw in read.values()], options.kind, options.classes)
    frames = {
        split: _with_known_at(replace(frame, label=label), options)
        for (split, (frame, _)), label in zip(read.items(), encoded, strict=True)
    }
    if all(frame.weight is None or (frame.weight == 1).all() for frame in frames.values()):
        frames = {split: replace(frame, weight=None) for split, frame in frames.items()}
    check_entities(database, options.entity, {split: frame.keys for split, frame in frames.items()})
    parts, starts = _split(database, frames, options, tables)
    kept, purged = (
        (parts, dict.fromkeys(parts, 0))
        if options.time is None
        else purge(parts, starts, parse_duration(options.embargo, "embargo"))
    )
    check_labels(kept, options.kind)
    built = build(
        name=options.name,
        entity=options.entity,
        kind=options.kind,
        target=options.target,
        splits=kept,
        starts=starts,
        regime=options.regime,
        metric=metric_of(options.metric, options.kind),
        horizon=options.horizon_ticks(),
        classes=classes,
        static=options.time is None,
        time_kind=database.time_kind if options.time else None,
        key_columns=key_columns,
        feature_columns=tuple(options.features),
        population=options.population,
        known_after=options.delay_ticks(),
        purged=purged,
        every=None if options.every is None else parse_duration(options.every, "every"),
        notes=(*notes, *_weightless(given, tables), *_left_out(tables, read), *row_notes(database, kept, options)),
        description=options.description,
    )
    return built.weighing(options.class_weight)


def _tables(labels: Any | Mapping[str, Any]) -> dict[str, pa.Table]:
    """Return the frames by split, or one named "all"; an empty test frame is none."""
    named = labels if isinstance(labels, Mapping) else {"all": labels}
    if set(named) - {"all"} - set(SPLITS) or ("all" not in named and not {"train", "val"} <= set(named)):
        raise TaskError(
            "labels", list(named), "must be one frame, or frames named train, val and (optionally) test", "Rename them"
        )
    tables = {split: _arrow(frame, split) for split, frame in named.items()}
    return {split: table for split, table in tables.items() if not (split == "test" and table.num_rows == 0)}


def _arrow(frame: Any, split: str) -> pa.Table:
    from relselect.database.sources.frames import to_arrow

    table = to_arrow(f"labels.{split}", frame)
    if isinstance(table, list):
        raise SchemaError(table)
    return table


def _with_weights(table: pa.Table, options: TaskOptions, split: str) -> pa.Table:
    """Return the rows that have a weight above 0; all of them where no column holds weights."""
    return table if options.weight is None else weighted_rows(table, options.weight, options.target, split)


def _weightless(given: Mapping[str, pa.Table], tables: Mapping[str, pa.Table]) -> list[str]:
    """Return a note on rows of weight 0."""
    counts = {split: given[split].num_rows - table.num_rows for split, table in tables.items()}
    return [
        f"{count} of {given[split].num_rows} {'' if split == 'all' else split + ' '}rows have the weight 0 and were left out."
        for split, count in counts.items()
        if count
    ]


def _with_known_at(frame: LabelFrame, options: TaskOptions) -> LabelFrame:
    """A label is known at the time in its `known_at` column, else a fixed delay after its cutoff, else at an unknown time."""
    delay = options.delay_ticks()
    if options.known_at is not None or delay is None or options.time is None:
        return frame
    return frame.with_known_at(frame.cutoff + delay)


def _split(
    database: Database, frames: dict[str, LabelFrame], options: TaskOptions, tables: Mapping[str, pa.Table]
) -> tuple[dict[Split, LabelFrame], dict[Split, int]]:
    if "all" in frames:
        whole = frames["all"]
        if options.time is not None:
            val_start, test_start = _declared_starts(options, database)
            if val_start is None:
                val_start, test_start = default_starts(whole.cutoff, options.delay_ticks() or 0)
            parts = by_time(whole, val_start, test_start, database.time_kind)
        elif options.fold_column is not None:
            parts = by_fold(whole, _folds(tables["all"], options.target, options.fold_column))
        else:
            parts = by_group(whole, database.rows_of(options.entity, whole.keys), options.seed)
    else:
        parts = {split: frames[split] for split in SPLITS if split in frames}
    return parts, _starts(parts, options, database)


def _folds(table: pa.Table, target: str, column: str) -> NDArray[np.int64]:
    if column not in table.column_names:
        raise TaskError("fold_column", column, "is not in the label frame", f"Use one of: {table.column_names}")
    folds = table.filter(table[target].is_valid())[column]
    if not pa.types.is_integer(folds.type) or folds.null_count:
        shown = f"{folds.type}, {folds.null_count} nulls"
        raise TaskError(
            "fold_column", shown, "must hold a whole number in every labelled row", "Number the folds from 0"
        )
    return np.asarray(folds.to_numpy(), dtype=np.int64)


def _declared_starts(options: TaskOptions, database: Database) -> tuple[int | None, int | None]:
    kind = database.time_kind or "timestamp"
    val = None if options.val_start is None else parse_time(options.val_start, kind, "val_start")
    test = None if options.test_start is None else parse_time(options.test_start, kind, "test_start")
    if test is not None and val is None:
        raise TaskError("val_start", None, "test_start needs val_start", "Name both dates")
    return val, test


def _starts(parts: Mapping[Split, LabelFrame], options: TaskOptions, database: Database) -> dict[Split, int]:
    starts: dict[Split, int] = {split: int(frame.cutoff.min()) for split, frame in parts.items()}
    if options.time is None:
        return starts
    for split, declared in zip(SPLITS[1:], _declared_starts(options, database), strict=True):
        if declared is not None and split in parts:
            if declared > starts[split]:
                raise TaskError(
                    f"{split}_start",
                    format_time(declared, database.time_kind),
                    f"lies after the first {split} cutoff",
                    f"Use {format_time(starts[split], database.time_kind)} or earlier",
                )
            starts[split] = declared
    for earlier, later in zip(SPLITS, SPLITS[1:], strict=False):
        if later in parts and parts[earlier].cutoff.max() >= starts[later]:
            raise TaskError(
                f"{later} cutoffs",
                format_time(starts[later], database.time_kind),
                f"must all lie after the last {earlier} cutoff",
                "Split by time: train before val before test",
            )
    return starts


def _left_out(tables: Mapping[str, pa.Table], read: Mapping[str, tuple[LabelFrame, pa.ChunkedArray]]) -> list[str]:
    counts = {split: tables[split].num_rows - len(frame) for split, (frame, _) in read.items()}
    return [
        f"{count} of {tables[split].num_rows} {'' if split == 'all' else split + ' '}rows have no label or no cutoff "
        "and were left out."
        for split, count in counts.items()
        if count
    ]
