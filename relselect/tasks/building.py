"""From label frames, SQL or a column to a checked `Task`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from relselect.database import Database
from relselect.database.clock import DAY, NEVER, format_time, parse_duration, parse_time
from relselect.errors import SchemaError, TaskError
from relselect.tasks.frames import Columns, LabelFrame, encode_known, encode_labels, read_frame
from relselect.tasks.metrics import Kind, metric_of
from relselect.tasks.splits import SPLITS, Regime, Split, by_fold, by_group, by_time, default_starts, purge
from relselect.tasks.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Asking", "Draft", "task_completing", "task_from_labels", "task_from_sql"]

_KINDS = ("binary", "multiclass", "regression")
_REGIMES = ("rolling", "frozen")
_MOST_CUTOFFS = 2_000


@dataclass(frozen=True)
class Draft:
    """What the caller said about a task, unchecked; see `Task.from_labels` for the fields."""

    name: str
    entity: str
    kind: Kind
    target: str
    time: str | None = None
    entity_columns: str | Sequence[str] | None = None
    horizon: str | int | None = None
    known_after: str | int | None = "horizon"
    known_at: str | None = None
    val_start: object = None
    test_start: object = None
    fold_column: str | None = None
    features: tuple[str, ...] = ()
    metric: str | None = None
    regime: Regime = "rolling"
    classes: Sequence[str] | None = None
    embargo: str | int = 0
    population: str | None = None
    description: str = ""
    every: str | int | None = None
    seed: int = 0

    def horizon_ticks(self) -> int | None:
        """The label window in ticks, or None."""
        return None if self.horizon is None else parse_duration(self.horizon, "horizon")

    def delay_ticks(self) -> int | None:
        """Ticks from a cutoff until its label is known, or None when unknown."""
        if self.known_after is None:
            return None
        return (
            self.horizon_ticks() if self.known_after == "horizon" else parse_duration(self.known_after, "known_after")
        )


@dataclass(frozen=True)
class Asking:
    """The label query and the cutoffs it is asked at."""

    label: str
    every: str | int | None = None
    cutoffs: Sequence[object] | None = None
    start: object = None
    end: object = None


def task_from_labels(
    database: Database, labels: Any | Mapping[str, Any], draft: Draft, notes: Sequence[str] = ()
) -> Task:
    """Build a task from label frames; see `Task.from_labels`."""
    key_columns = _check_draft(database, draft)
    columns = Columns(key_columns, draft.target, draft.time, draft.known_at, draft.features)
    given = labels if isinstance(labels, Mapping) else {"all": labels}
    if set(given) - {"all"} - set(SPLITS) or ("all" not in given and not {"train", "val"} <= set(given)):
        raise TaskError(
            "labels", list(given), "must be one frame, or frames named train, val and (optionally) test", "Rename them"
        )
    tables = {split: _arrow(frame, split) for split, frame in given.items()}
    tables = {split: table for split, table in tables.items() if not (split == "test" and table.num_rows == 0)}
    read = {
        split: read_frame(table, columns, database.time_kind if draft.time else None, split)
        for split, table in tables.items()
    }
    encoded, classes = encode_labels([raw for _, raw in read.values()], draft.kind, draft.classes)
    frames = {
        split: _with_known_at(replace(frame, label=label), draft)
        for (split, (frame, _)), label in zip(read.items(), encoded, strict=True)
    }
    parts, starts = _split(database, frames, draft, tables)
    kept, purged = (
        (parts, dict.fromkeys(parts, 0))
        if draft.time is None
        else purge(parts, starts, parse_duration(draft.embargo, "embargo"))
    )
    _check_labels(kept, draft)
    return Task(
        name=draft.name,
        entity=draft.entity,
        kind=draft.kind,
        target=draft.target,
        splits=kept,
        starts=starts,
        regime=draft.regime,
        metric=metric_of(draft.metric, draft.kind),
        horizon=draft.horizon_ticks(),
        classes=classes,
        static=draft.time is None,
        time_kind=database.time_kind if draft.time else None,
        key_columns=key_columns,
        feature_columns=draft.features,
        population=draft.population,
        known_after=draft.delay_ticks(),
        purged=purged,
        every=None if draft.every is None else parse_duration(draft.every, "every"),
        notes=(*notes, *_notes(database, kept, draft)),
        description=draft.description,
    )


def _check_draft(database: Database, draft: Draft) -> tuple[str, ...]:
    if draft.kind not in _KINDS:
        raise TaskError("kind", draft.kind, f"must be one of {_KINDS}", "Use 'binary' for yes/no questions")
    if draft.regime not in _REGIMES:
        raise TaskError(
            "regime", draft.regime, f"must be one of {_REGIMES}", "Use 'rolling' unless you compare with RelBench"
        )
    if draft.entity not in database.tables:
        raise TaskError(
            "entity",
            draft.entity,
            f"is no table of {database.name}",
            f"Use one of: {', '.join(sorted(database.tables))}",
        )
    key = database[draft.entity].primary_key
    if not key:
        raise TaskError(
            "entity", draft.entity, "has no primary key", "Declare the key of the table that is asked about"
        )
    if draft.time is not None and database.time_kind is None and draft.horizon is not None:
        raise TaskError(
            "time",
            draft.time,
            "the database has no time column",
            "Declare the tables' time columns, or drop time and horizon",
        )
    columns = draft.entity_columns
    named = key if columns is None else (columns,) if isinstance(columns, str) else tuple(columns)
    if len(named) != len(key):
        raise TaskError(
            "entity_columns",
            list(named),
            f"the key of {draft.entity} has {len(key)} columns",
            f"Name one for each of {list(key)}",
        )
    return named


def _arrow(frame: Any, split: str) -> pa.Table:
    from relselect.database.sources.frames import to_arrow

    table = to_arrow(f"labels.{split}", frame)
    if isinstance(table, list):
        raise SchemaError(table)
    return table


def _with_known_at(frame: LabelFrame, draft: Draft) -> LabelFrame:
    """A label is known at its own column's time, else a fixed delay after its cutoff, else nobody knows when."""
    delay = draft.delay_ticks()
    if draft.known_at is not None or delay is None or draft.time is None:
        return frame
    return frame.with_known_at(frame.cutoff + delay)


def _split(
    database: Database, frames: dict[str, LabelFrame], draft: Draft, tables: Mapping[str, pa.Table]
) -> tuple[dict[Split, LabelFrame], dict[Split, int]]:
    if "all" in frames:
        whole = frames["all"]
        if draft.time is not None:
            val_start, test_start = _declared_starts(draft, database)
            if val_start is None:
                val_start, test_start = default_starts(whole.cutoff, draft.delay_ticks() or 0)
            parts = by_time(whole, val_start, test_start)
        elif draft.fold_column is not None:
            parts = by_fold(whole, _folds(tables["all"], draft))
        else:
            parts = by_group(whole, database.rows_of(draft.entity, whole.keys), draft.seed)
    else:
        parts = {split: frames[split] for split in SPLITS if split in frames}
    return parts, _starts(parts, draft, database)


def _folds(table: pa.Table, draft: Draft) -> NDArray[np.int64]:
    assert draft.fold_column is not None
    if draft.fold_column not in table.column_names:
        raise TaskError(
            "fold_column", draft.fold_column, "is not in the label frame", f"Use one of: {table.column_names}"
        )
    folds = table.filter(table[draft.target].is_valid())[draft.fold_column]
    if not pa.types.is_integer(folds.type) or folds.null_count:
        shown = f"{folds.type}, {folds.null_count} nulls"
        raise TaskError(
            "fold_column", shown, "must hold a whole number in every labelled row", "Number the folds from 0"
        )
    return np.asarray(folds.to_numpy(), dtype=np.int64)


def _declared_starts(draft: Draft, database: Database) -> tuple[int | None, int | None]:
    kind = database.time_kind or "timestamp"
    val = None if draft.val_start is None else parse_time(draft.val_start, kind, "val_start")
    test = None if draft.test_start is None else parse_time(draft.test_start, kind, "test_start")
    if test is not None and val is None:
        raise TaskError("val_start", None, "test_start needs val_start", "Name both dates")
    return val, test


def _starts(parts: Mapping[Split, LabelFrame], draft: Draft, database: Database) -> dict[Split, int]:
    starts: dict[Split, int] = {split: int(frame.cutoff.min()) for split, frame in parts.items()}
    if draft.time is None:
        return starts
    for split, declared in zip(SPLITS[1:], _declared_starts(draft, database), strict=True):
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


def _check_labels(parts: Mapping[Split, LabelFrame], draft: Draft) -> None:
    train = parts["train"].label
    if len(np.unique(train)) < 2:
        raise TaskError(
            "train labels",
            float(train[0]),
            "are all the same, so there is nothing to learn",
            "Check the label query, or train on a longer period",
        )
    if draft.kind != "regression" and len(np.unique(parts["val"].label)) < 2:
        raise TaskError(
            "val labels",
            float(parts["val"].label[0]),
            "hold one class only, so no score is defined",
            "Move val_start, or give a longer validation period",
        )


def _notes(database: Database, parts: Mapping[Split, LabelFrame], draft: Draft) -> list[str]:
    notes = []
    for split, frame in parts.items():
        unknown = int((database.rows_of(draft.entity, frame.keys) < 0).sum())
        if unknown:
            notes.append(f"{unknown} of {len(frame)} {split} rows ask about a {draft.entity} that is not in the table.")
    horizon, last = draft.horizon_ticks(), database.last_time
    if draft.time is not None and horizon is not None and last is not None:
        open_ended = {split: int((frame.cutoff + horizon > last + DAY).sum()) for split, frame in parts.items()}
        for split, count in open_ended.items():
            if count:
                notes.append(f"{count} {split} rows have a label window that ends after the last row of the database.")
    if draft.time is not None and all((frame.known_at == NEVER).all() for frame in parts.values()):
        notes.append("When labels become known is not declared: no label history is used and no rows are purged.")
    return notes


def task_from_sql(database: Database, draft: Draft, asking: Asking) -> Task:
    """Build a task from population and label queries; see `Task.from_sql`."""
    from relselect.tasks.sql import Query, ask_labels

    keys = _check_draft(database, draft)
    if database.time_kind is None:
        raise TaskError(
            "time", None, "the database has no time column", "Declare the tables' time columns, or use from_labels"
        )
    horizon = draft.horizon_ticks() or 0
    delay = draft.delay_ticks()
    if delay is not None and delay < horizon:
        rule = f"is shorter than the horizon {draft.horizon}: a label cannot be known before its window ends"
        raise TaskError("known_after", draft.known_after, rule, "Leave it out, or give a longer one")
    window = max(horizon, delay or 0)
    cutoffs = _cutoffs(database, asking, horizon)
    population = Query("population", draft.population or "", ("cutoff", *keys))
    label = Query("label", asking.label, ("cutoff", *keys, draft.target))
    found, unlabelled = ask_labels(database, population, label, cutoffs, window)
    if found.num_rows == 0:
        raise TaskError(
            "population",
            draft.population,
            "finds nobody with a label at any cutoff",
            "Try the queries at one cutoff first",
        )
    notes = [f"{unlabelled} members of the population had no label and were left out."] if unlabelled else []
    drafted = replace(draft, time="cutoff", entity_columns=keys, every=asking.every)
    return replace(task_from_labels(database, found, drafted, notes), label_query=asking.label)


def later_labels(database: Database, task: Task) -> LabelFrame | None:
    """Return labelled rows at the cutoffs after the task's last one whose labels this database knows; None if there are none."""
    from relselect.tasks.sql import Query, ask_labels

    last = database.last_time
    if (
        task.population is None
        or task.label_query is None
        or task.every is None
        or task.known_after is None
        or last is None
    ):
        return None
    begin = max(int(frame.cutoff.max()) for frame in task.splits.values()) + task.every
    window = max(task.horizon or 0, task.known_after)
    cutoffs = list(range(begin, last - window + 1, task.every))[-_MOST_CUTOFFS:]
    if not cutoffs:
        return None
    population = Query("population", task.population, ("cutoff", *task.key_columns))
    label = Query("label", task.label_query, ("cutoff", *task.key_columns, task.target))
    found, _ = ask_labels(database, population, label, cutoffs, window)
    if found.num_rows == 0:
        return None
    frame, raw = read_frame(found, Columns(task.key_columns, task.target, "cutoff"), task.time_kind, "later")
    values = encode_known(raw, task.kind, task.classes)
    frame = replace(frame, label=values, known_at=frame.cutoff + task.known_after)
    return frame.take(~np.isnan(values))


def _cutoffs(database: Database, asking: Asking, horizon: int) -> list[int]:
    kind, last, first = database.time_kind, database.last_time, database.first_time
    if last is None or first is None:
        raise TaskError("time", None, "no row of the database has a time", "Fill the time columns")
    if asking.cutoffs is not None:
        cutoffs = sorted({parse_time(value, kind, "cutoffs") for value in asking.cutoffs})
        late = [cutoff for cutoff in cutoffs if cutoff + horizon > last]
        if late:
            raise TaskError(
                "cutoffs",
                format_time(late[0], kind),
                "its label window ends after the last observed time",
                f"Use cutoffs up to {format_time(last - horizon, kind)}",
            )
        return cutoffs
    if asking.every is None:
        raise TaskError(
            "every", None, "the distance of the cutoffs is needed", "Write e.g. every='30d', or list the cutoffs"
        )
    every = parse_duration(asking.every, "every")
    low = first + horizon if asking.start is None else parse_time(asking.start, kind, "start")
    high = last - horizon if asking.end is None else parse_time(asking.end, kind, "end")
    if high + horizon > last:
        raise TaskError(
            "end",
            format_time(high, kind),
            "its label window ends after the last observed time",
            f"Use {format_time(last - horizon, kind)} or earlier",
        )
    if every <= 0 or not 3 <= (high - low) // max(every, 1) + 1 <= _MOST_CUTOFFS:
        count = (high - low) // every + 1 if every > 0 else 0
        raise TaskError(
            "every",
            asking.every,
            f"gives {max(0, count)} cutoffs; 3 to {_MOST_CUTOFFS} are usable",
            "Choose another distance, or set start and end",
        )
    return list(range(high, low - 1, -every))[::-1]


def task_completing(database: Database, draft: Draft) -> Task:
    """Build a task that fills in a column; see `Task.completing`."""
    table = database[draft.entity]
    if draft.target not in table.columns or draft.target in table.structural:
        usable = [column for column in table.columns if column not in table.structural]
        raise TaskError(
            "column",
            draft.target,
            f"is no column of {draft.entity} that can be filled in",
            f"Use one of: {', '.join(usable)}",
        )
    key = _check_draft(database, draft)
    columns = list(dict.fromkeys([*key, *filter(None, [draft.time]), draft.target]))
    clock = table.clock_of(draft.target)
    if clock is not None and clock not in columns:
        columns.append(clock)
    data = table.data.select(columns)
    if draft.time is not None and pa.types.is_timestamp(data[draft.time].type):
        # A row is asked about at the moment it appears: its time is rounded as rows' times are, not as cutoffs are.
        times = database.times(draft.entity)
        moments = pa.array(times, mask=times == NEVER).cast(pa.timestamp("us"))
        data = data.set_column(data.column_names.index(draft.time), draft.time, moments)
    built = task_from_labels(database, data, replace(draft, known_at=clock if draft.time else None))
    return replace(
        built,
        hidden_columns=(draft.target,),
        notes=(*built.notes, f"{draft.entity}.{draft.target} is hidden from both engines."),
    )
