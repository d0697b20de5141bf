"""A `Problem`: a validated database and task bound together, what training may see of them, and the artefact cache."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import pyarrow as pa

from relselect.database import Database, ForeignKey, SemanticType, Table
from relselect.database.clock import EVERYTHING, NEVER, format_time, parse_time
from relselect.database.columns import combine_keys
from relselect.database.inference import infer_types
from relselect.errors import TaskError
from relselect.problem.cache import ArtefactCache
from relselect.tasks import Rows, Task
from relselect.tasks.frames import as_label_values
from relselect.tasks.splits import Split, asof_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LABELS", "Problem", "Types", "check_schema", "declarations", "told_declarations"]

T = TypeVar("T")

Types = Mapping[str, Mapping[str, SemanticType]]

#: The table of past labels that both engines read like any other.
LABELS: Final = "__labels__"


class Problem:
    """A task asked of a database.

    Args:
        database: The user's database.
        task: The task.
        types: For prediction: the column types that training resolved. None infers them and checks for leaks.

    Attributes:
        database: The database with hidden columns taken out and, for tasks with known labels, the table `LABELS` put in:
            a foreign key to the entity table, `label`, `cutoff`, and as its time the moment the label was known.
        task: The task.
        fit_asof: The end of training in ticks: whatever is fitted looks at rows visible then and ignores the rest.
        types: Semantic type per table and column.
    """

    def __init__(self, database: Database, task: Task, *, types: Types | None = None) -> None:
        self.user_database = database
        self.task = task
        self.entity = task.entity
        self.fit_asof = EVERYTHING if task.static else int(task.splits["train"].cutoff.max())
        self.database = _with_labels(_without_hidden(database, task), task)
        self.artefacts = ArtefactCache()
        self.types: Types = types if types is not None else self._infer()
        if types is None:
            _refuse_label_in_features(self)

    def __repr__(self) -> str:
        return f"Problem({self.database.name}/{self.task.name})"

    def _infer(self) -> dict[str, dict[str, SemanticType]]:
        types = {}
        for name, table in self.database.tables.items():
            visible = self.visible(name, self.fit_asof)
            since = {column: self.database.value_times(name, column) for column in table.columns}
            known = {column: visible & (times <= self.fit_asof) for column, times in since.items() if times is not None}
            types[name] = infer_types(table, visible, known)
        return types

    def visible(self, table: str, asof: int) -> NDArray[np.bool_]:
        """Return which rows of a table are visible at `asof`, shape (rows,)."""
        return np.asarray(self.database.times(table) <= asof)

    def rows(self, split: Split) -> Rows:
        """Return the labelled rows of a split, bound to this database.

        Raises:
            TaskError: The task has no such split.
        """
        if split not in self.task.splits:
            raise TaskError("split", split, f"the task has {', '.join(self.task.splits)}", "Give labelled rows for it")
        return self.cached(("rows", split), lambda: self._bind(split))

    def _bind(self, split: Split) -> Rows:
        frame = self.task.splits[split]
        rows = Rows(
            entity=self.database.rows_of(self.entity, frame.keys),
            cutoff=frame.cutoff if not self.task.static else np.full(len(frame), self._static_cutoff()),
            asof=asof_of(split, frame.cutoff, self.task.regime, self.task.starts, self.task.static),
            features=frame.features,
            label=frame.label,
        )
        return self._seen(rows)

    def _seen(self, rows: Rows) -> Rows:
        """An entity whose own row is not visible at a row's asof looks like one that is not there."""
        if self.database[self.entity].time is None:
            return rows
        times = np.append(self.database.times(self.entity), NEVER)
        return replace(rows, entity=np.where(times[rows.entity] <= rows.asof, rows.entity, -1))

    def _static_cutoff(self) -> int:
        return self.database.last_time or 0

    def training_rows(self, seed: int, copies: int = 3) -> Rows:
        """Return the training rows, shown also under the delay that the evaluation rows have.

        A row that is scored with data `s` old should have been trained with data `s` old: each copy has
        `asof = cutoff - s`, `s` drawn from the delays of the evaluation rows that are not zero. Without delays (the
        rolling regime) these are the training rows themselves.

        Args:
            seed: Seed of the draw.
            copies: Delayed copies of each row.
        """
        train = self.rows("train")
        delays = self.evaluation_delays()
        delays = delays[delays > 0]
        if len(delays) == 0 or copies < 1:
            return train
        generator = np.random.default_rng(seed)
        drawn = [train.delayed(generator.choice(delays, size=len(train))) for _ in range(copies)]
        return self._seen(Rows.concat([train, *drawn]))

    def evaluation_delays(self) -> NDArray[np.int64]:
        """Return the ticks between date and visible data of all evaluation rows, one after another."""
        splits: list[Split] = ["val", "test"] if self.task.has_test else ["val"]
        return np.concatenate([self.rows(split).delay for split in splits])

    def at(self, when: object, *, asof: object = None) -> tuple[Rows, pa.Table]:
        """Return the rows that the population query finds at a date, and their keys.

        Args:
            when: The cutoff.
            asof: What is visible, if the data are older than the cutoff; the cutoff itself if None.

        Raises:
            TaskError: The task has no population query, or it fails.
        """
        from relselect.tasks.sql import Query, ask

        if self.task.population is None:
            raise TaskError(
                "at", when, f"task {self.task.name} has no population query", "Give the rows to predict instead"
            )
        cutoff = parse_time(when, self.database.time_kind, "at")
        seen = cutoff if asof is None else min(cutoff, parse_time(asof, self.database.time_kind, "asof"))
        query = Query("population", self.task.population, ("cutoff", *self.task.key_columns))
        source = self.user_database.censored(seen) if seen < cutoff else self.user_database
        found = ask(source, query, [cutoff])
        if found.num_rows == 0:
            raise TaskError(
                "at",
                format_time(cutoff, self.database.time_kind),
                "the population query finds nobody",
                "Check the date against the database's last rows",
            )
        keys = found.select(list(self.task.key_columns))
        keys = keys.sort_by([(name, "ascending") for name in keys.column_names])
        return self.bind(keys, np.full(len(keys), cutoff), np.full(len(keys), seen)), keys

    def bind(
        self,
        keys: pa.Table,
        cutoff: NDArray[np.int64],
        asof: NDArray[np.int64] | None = None,
        features: pa.Table | None = None,
    ) -> Rows:
        """Return unlabelled rows for key values.

        Args:
            keys: The entity's key, one column per key column, n rows.
            cutoff: Ticks, shape (n,).
            asof: What is visible, shape (n,); the cutoff if None.
            features: The declared task-row features, n rows.
        """
        wanted = self.task.feature_columns
        if wanted and (features is None or set(wanted) - set(features.column_names)):
            raise TaskError(
                "rows",
                [] if features is None else features.column_names,
                f"need the task's features {list(wanted)}",
                "Add them",
            )
        entity = self.database.rows_of(self.entity, keys)
        if self.task.static:
            cutoff, asof = np.full(len(entity), self._static_cutoff()), np.full(len(entity), EVERYTHING)
        seen = cutoff if asof is None else asof if self.task.static else np.minimum(asof, cutoff)
        chosen = features.select(list(wanted)) if wanted and features is not None else None
        return self._seen(Rows(entity, cutoff, seen, chosen))

    def rebind(self, database: Database) -> Problem:
        """Return the same task over another database with the same schema, for prediction.

        Raises:
            TaskError: A table or column that training used is missing.
        """
        trained = self.user_database
        check_schema(
            {name: table.columns for name, table in trained.tables.items()}, database, declarations(trained), self.types
        )
        return Problem(database, self.task.with_later_labels(database), types=self.types)

    def cached(self, key: tuple[Hashable, ...], build: Callable[[], T]) -> T:
        """Return an artefact of this problem, built by one thread if it is not there; see `ArtefactCache.get`."""
        return self.artefacts.get(key, build)


def _without_hidden(database: Database, task: Task) -> Database:
    if not task.hidden_columns:
        return database
    table = database[task.entity]
    hidden = set(task.hidden_columns)
    known_at = {clock: tuple(c for c in columns if c not in hidden) for clock, columns in table.known_at.items()}
    return database.with_table(
        replace(
            table,
            data=table.data.drop_columns([name for name in table.columns if name in hidden]),
            types={column: kind for column, kind in table.types.items() if column not in hidden},
            # A clock whose columns are all hidden still tells the future: it goes on masking itself.
            known_at=known_at,
        )
    )


def _with_labels(database: Database, task: Task) -> Database:
    """Put past labels in as a table whose rows appear when the label is known, and never before the cutoff has passed."""
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
    """Decode dictionaries, so that the keys of all splits can be put together."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in keys.schema
    ]
    return keys.cast(pa.schema(fields))


def _together(parts: list[pa.Table]) -> pa.Table:
    """Put keys together; where the splits store them as numbers here and as text there, in the form they are compared in."""
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException:
        compared = [{name: combine_keys([part[name]]) for name in part.column_names} for part in parts]
        return pa.concat_tables(
            [pa.table({name: key.cast(pa.string()) for name, key in part.items()}) for part in compared]
        )


def _times(ticks: NDArray[np.int64], task: Task) -> pa.Array:
    return pa.array(ticks) if task.time_kind == "integer" else pa.array(ticks).cast(pa.timestamp("us"))


def declarations(database: Database) -> dict[str, list[str]]:
    """Return, table by table and as text, what is declared of keys and times: what decides who belongs to whom, and when."""
    return {
        name: told_declarations(table.primary_key, table.time, table.foreign_keys, table.known_at)
        for name, table in database.tables.items()
    }


def told_declarations(
    primary_key: Sequence[str],
    time: str | None,
    foreign_keys: Sequence[ForeignKey],
    known_at: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return the declarations of one table as text."""
    told = [f"primary key {'+'.join(primary_key)}"] if primary_key else []
    told += [f"time {time}"] if time else []
    told += [f"foreign key {key.name} to {key.table}" for key in foreign_keys]
    return told + [f"known_at {clock} of {column}" for clock, columns in known_at.items() for column in columns]


def check_schema(
    trained: Mapping[str, Sequence[str]],
    database: Database,
    declared: Mapping[str, Sequence[str]] | None = None,
    types: Types | None = None,
) -> None:
    """Check that a database has every table and column that training saw, under the same declarations.

    A time that is no longer declared would show the future; a foreign key that is not would hide the past.

    Args:
        trained: Table -> columns.
        database: The database to predict on.
        declared: Table -> `declarations` of the database trained on.
        types: Column types that training resolved.

    Raises:
        TaskError: Something is missing; names all of it.
    """
    tables = [name for name in trained if name not in database.tables]
    columns = [
        f"{name}.{column}"
        for name, had in trained.items()
        if name in database.tables
        for column in had
        if column not in database[name].columns
    ]
    if tables or columns:
        rule = "lacks tables or columns that the predictor was trained on"
        raise TaskError("database", [*tables, *columns], rule, "Add them, null where unknown, or train again")
    now = declarations(database)
    lost = [f"{name}: {each}" for name, had in (declared or {}).items() for each in had if each not in now[name]]
    if lost:
        raise TaskError(
            "database", lost, "lacks declarations that the predictor was trained under", "Declare them again"
        )
    text = [
        f"{name}.{column} ({database[name].data[column].type})"
        for name, kinds in (types or {}).items()
        if name in database.tables
        for column, kind in kinds.items()
        if column in database[name].columns and not _readable(database[name].data[column].type, kind)
    ]
    if text:
        raise TaskError("database", text, "holds text where training saw numbers or times", "Convert these columns")


def _readable(dtype: pa.DataType, kind: SemanticType) -> bool:
    plain = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    text = pa.types.is_string(plain) or pa.types.is_large_string(plain)
    return not text or kind not in (SemanticType.NUMERICAL, SemanticType.TIMESTAMP, SemanticType.BOOLEAN)


def _refuse_label_in_features(problem: Problem) -> None:
    """Refuse to train when a column of the entity's own row is the label."""
    train = problem.rows("train")
    table = problem.database[problem.entity]
    known = train.entity >= 0
    if train.label is None or known.sum() < 10:
        return
    from relselect.problem.label_column import column_is_label

    label, entity = train.label[known], train.entity[known]
    for column in table.columns:
        if column in table.structural or table.clock_of(column):
            continue
        if column_is_label(table.data[column], entity, label, problem.task.kind):
            raise TaskError(
                f"{problem.entity}.{column}",
                problem.task.target,
                "holds the label of every training row",
                f"Drop the column, declare when it becomes known (known_at), or use Task.completing(database, {column!r}, ...)",
            )
