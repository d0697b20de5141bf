"""Makes tasks of the rows that an estimator is fitted on: divided by time for training, or whole for features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from relselect.database import Database
from relselect.database.clock import NEVER, format_time, parse_time, ticks_of
from relselect.database.columns import combine_keys
from relselect.errors import ConfigError, TaskError
from relselect.estimators.frames import CUTOFF, Labels, TaskColumns
from relselect.tasks import Task
from relselect.tasks.labels import LabelFrame, refuse_rounded_ids
from relselect.tasks.metrics import default_metric
from relselect.tasks.options import TaskOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["cutoff_ticks", "training_task", "whole_task"]


def training_task(
    database: Database,
    table: pa.Table,
    labels: Labels,
    columns: TaskColumns,
    *,
    entity: str,
    name: str,
    validation: object,
    seed: int,
    weights: NDArray[np.float64] | None = None,
    **options: Any,
) -> Task:
    """Return a task without a test split: the last cutoffs validate, the earlier ones train.

    Args:
        database: The database.
        table: What `TaskColumns.read` returned, n rows.
        labels: Their labels.
        columns: Which columns hold what.
        entity: The table asked about.
        name: The name of the task.
        validation: The share of the distinct cutoffs (of the entities, in a static task) that validates, or the first cutoff
            that does.
        seed: Seed of the draw of a static task.
        weights: Weights of the rows in the training loss, all above 0, shape (n,); None where all are 1.
        options: `horizon`, `known_after`, `metric` and `class_weight` of `Task.from_labels`.

    Raises:
        ConfigError: `validation` is no share.
        TaskError: The rows do not fit the database, or nothing can be learnt from them.
    """
    late = _late_rows(database, table, columns, validation, seed)
    target = _free(("label", "y", "target", "labels"), table)
    frame = table.append_column(target, labels.arrow())
    weight = None if weights is None else _free(("weight", "weights", "sample_weight", "w"), frame)
    if weight is not None:
        frame = frame.append_column(weight, pa.array(weights))
    parts = {"train": frame.filter(pa.array(~late)), "val": frame.filter(pa.array(late))}
    return Task.from_labels(
        database,
        parts,
        name=name,
        entity=entity,
        kind=labels.kind,
        target=target,
        time=None if columns.cutoff is None else CUTOFF,
        entity_columns=list(columns.keys),
        features=columns.features,
        classes=labels.names,
        weight=weight,
        **options,
    )


def _free(names: Sequence[str], table: pa.Table) -> str:
    """Return the first of some names that no column has."""
    return next(each for each in names if each not in table.column_names)


def whole_task(
    database: Database,
    table: pa.Table,
    labels: Labels | None,
    columns: TaskColumns,
    *,
    entity: str,
    horizon: str | int | None,
    known_after: str | int | None,
) -> Task:
    """Return a task all of whose rows train, for features alone; without labels it has no label history.

    Args:
        database: The database.
        table: What `TaskColumns.read` returned, n rows.
        labels: Their labels, if there are any.
        columns: Which columns hold what.
        entity: The table asked about.
        horizon: Length of the label window.
        known_after: When a label is known, counted from its cutoff.

    Raises:
        TaskError: An option is not understood, or does not fit the database.
    """
    kind = "regression" if labels is None else labels.kind
    static = columns.cutoff is None
    options = TaskOptions(
        name=f"{entity} features",
        entity=entity,
        kind=kind,
        target="label",
        time=None if static else CUTOFF,
        entity_columns=list(columns.keys),
        horizon=horizon,
        known_after=known_after,
        features=columns.features,
    )
    options.check(database)
    keys = table.select(list(columns.keys))
    for key in columns.keys:
        refuse_rounded_ids(keys[key], f"X.{key}")
    cutoff = np.zeros(table.num_rows, dtype=np.int64) if static else cutoff_ticks(database, table)
    delay = None if labels is None or static else options.delay_ticks()
    frame = LabelFrame(
        keys=keys,
        cutoff=cutoff,
        known_at=np.full(len(cutoff), NEVER) if delay is None else cutoff + delay,
        label=np.full(len(cutoff), np.nan) if labels is None else labels.values,
        features=table.select(list(columns.features)) if columns.features else None,
    )
    return Task(
        name=options.name,
        entity=entity,
        kind=kind,
        target=options.target,
        splits={"train": frame},
        starts={"train": int(cutoff.min())},
        regime="rolling",
        metric=default_metric(kind),
        horizon=options.horizon_ticks(),
        classes=None if labels is None else labels.names,
        static=static,
        time_kind=None if static else database.time_kind,
        key_columns=columns.keys,
        feature_columns=columns.features,
        known_after=delay,
    )


def cutoff_ticks(database: Database, table: pa.Table) -> NDArray[np.int64]:
    """Return the cutoffs of rows in ticks, shape (n,).

    Raises:
        TaskError: They are of another kind of time than the database.
    """
    dtype, kind = table[CUTOFF].type, database.time_kind
    if kind is not None and (kind == "integer") != pa.types.is_integer(dtype):
        raise TaskError("X.cutoff", str(dtype), f"must hold {kind}s, as the database's times do", "Convert the column")
    return ticks_of(table[CUTOFF], up=False)


def _late_rows(
    database: Database, table: pa.Table, columns: TaskColumns, validation: object, seed: int
) -> NDArray[np.bool_]:
    """Return which rows validate, shape (n,)."""
    share = validation if isinstance(validation, float) else None
    if share is not None and not 0 < share < 1:
        rule = "is a share of the cutoffs, between 0 and 1, or the first cutoff that validates"
        raise ConfigError("validation", validation, rule, "Use e.g. 0.2")
    if columns.cutoff is None:
        return _drawn(table, columns, 0.2 if share is None else share, seed)
    cutoff = cutoff_ticks(database, table)
    dates = np.unique(cutoff)
    if len(dates) < 2:
        shown = format_time(int(dates[0]), database.time_kind)
        raise TaskError(
            "X.cutoff", shown, "two or more distinct cutoffs are needed: the last validate", "Ask at more cutoffs"
        )
    if share is not None:
        start = int(dates[-min(len(dates) - 1, max(1, round(share * len(dates))))])
    else:
        start = parse_time(validation, database.time_kind, "validation")
    late = cutoff >= start
    if late.all() or not late.any():
        shown = format_time(start, database.time_kind)
        raise TaskError(
            "validation", shown, "leaves no row to train or none to validate", "Give a date between the cutoffs"
        )
    return late


def _drawn(table: pa.Table, columns: TaskColumns, share: float, seed: int) -> NDArray[np.bool_]:
    """Return the rows of a seeded draw of whole entities, shape (n,)."""
    keys = combine_keys([table[name] for name in columns.keys]).dictionary_encode()
    if len(keys.dictionary) < 2:
        raise TaskError(
            "X", f"{len(keys.dictionary)} entity", "two or more are needed to divide them", "Ask about more"
        )
    place = np.random.default_rng(seed).permutation(len(keys.dictionary))
    chosen = place < min(len(place) - 1, max(1, round(share * len(place))))
    return chosen[np.asarray(keys.indices.fill_null(0).to_numpy(zero_copy_only=False))]
