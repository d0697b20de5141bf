"""A `Problem`: a database and a task bound together, and the rows of the task by row number.

It refuses a column of the entity's own row that is the label. It does not decide what is visible (`visibility`), make
the table of past labels (`history`), compare schemas (`compatibility`) or manage memory (`cache`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from relselect.budget import Budget
from relselect.database import Database, SemanticType
from relselect.database.clock import EVERYTHING, NEVER, format_time, parse_time
from relselect.database.inference import infer_types
from relselect.errors import TaskError
from relselect.problem.cache import ArtefactCache
from relselect.problem.compatibility import Types, check_schema, declarations
from relselect.problem.history import with_label_history
from relselect.problem.label_column import refuse_label_column
from relselect.problem.visibility import visible_masked, visible_or_none, visible_rows
from relselect.tasks import Rows, Task
from relselect.tasks.populations import ask_population
from relselect.tasks.regimes import asof_of
from relselect.tasks.sessions import Query
from relselect.tasks.splits import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Problem"]

T = TypeVar("T")


class Problem:
    """A database and a task bound together.

    Args:
        database: The user's database.
        task: The task.
        types: For prediction: the column types that training resolved. None infers them and checks for leaks.

    Attributes:
        database: The database with hidden columns taken out and, for tasks with known labels, the table `LABELS` put in:
            a foreign key to the entity table, `label`, `cutoff`, and as its time the moment the label was known.
        task: The task.
        entity: Name of the entity table.
        user_database: The database as it was passed in.
        fit_asof: The end of training in ticks: whatever is fitted looks at rows visible then and ignores the rest.
        types: Semantic type per table and column.
        artefacts: The cache behind `cached`.
    """

    def __init__(self, database: Database, task: Task, *, types: Types | None = None) -> None:
        self.user_database = database
        self.task = task
        self.entity = task.entity
        self.fit_asof = EVERYTHING if task.static else int(task.splits["train"].cutoff.max())
        self.database = with_label_history(_without_hidden(database, task), task)
        self.artefacts = ArtefactCache()
        self._whole: Problem | None = None  # what this is a changed copy of
        self.types: Types = types if types is not None else self._infer()
        if types is None:
            refuse_label_column(self.database[self.entity], self.rows("train"), task)

    def __repr__(self) -> str:
        return f"Problem({self.database.name}/{self.task.name})"

    def _infer(self) -> dict[str, dict[str, SemanticType]]:
        types = {}
        for name, table in self.database.tables.items():
            known = visible_masked(self.database, name, self.fit_asof)
            types[name] = infer_types(table, self.visible(name, self.fit_asof), known)
        return types

    def visible(self, table: str, asof: int) -> NDArray[np.bool_]:
        """Return which rows of a table are visible at `asof` ticks, shape (rows,)."""
        return visible_rows(self.database, table, asof)

    def rows(self, split: Split) -> Rows:
        """Return the labelled rows of a split, by row number of the entity table.

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
            weight=self.task.loss_weights(split),
        )
        return self.hide_later_entities(rows)

    def hide_later_entities(self, rows: Rows) -> Rows:
        """Return the rows with entity -1, as for an unknown key, where the entity's own row is not visible at their asof."""
        if self.database[self.entity].time is None:
            return rows
        times = self.database.times(self.entity)
        return replace(rows, entity=visible_or_none(times, rows.entity, rows.asof))

    def _static_cutoff(self) -> int:
        return self.database.last_time or 0

    def evaluation_delays(self) -> NDArray[np.int64]:
        """Return the ticks between date and visible data of all evaluation rows, one after another."""
        splits: list[Split] = ["val", "test"] if self.task.has_test else ["val"]
        return np.concatenate([self.rows(split).delay for split in splits])

    def at(self, when: object, *, asof: object = None, budget: Budget | None = None) -> tuple[Rows, pa.Table]:
        """Return the rows that the population query finds at a date, and their keys.

        Args:
            when: The cutoff.
            asof: What is visible, if the data are older than the cutoff; the cutoff itself if None.
            budget: The clock of the query; None for ten minutes.

        Raises:
            BudgetError: The budget ended.
            TaskError: The task has no population query, or it fails.
        """
        if self.task.population is None:
            raise TaskError(
                "at", when, f"task {self.task.name} has no population query", "Give the rows to predict instead"
            )
        cutoff = parse_time(when, self.database.time_kind, "at")
        seen = cutoff if asof is None else min(cutoff, parse_time(asof, self.database.time_kind, "asof"))
        query = Query("population", self.task.population, ("cutoff", *self.task.key_columns))
        source = self.user_database.censored(seen) if seen < cutoff else self.user_database
        found = ask_population(source, query, [cutoff], budget)
        if found.num_rows == 0:
            last = NEVER if self.database.last_time is None else self.database.last_time
            raise TaskError(
                "at",
                format_time(cutoff, self.database.time_kind),
                "the population query finds nobody",
                f"Check the date: the database's last row is of {format_time(last, self.database.time_kind)}",
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
        return self.hide_later_entities(Rows(entity, cutoff, seen, chosen))

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

    def over(self, database: Database) -> Problem:
        """Return the same task and types over a changed copy of `database`, with artefacts of its own: for ablations.

        Args:
            database: Has the tables and the row numbers of `database`, so that rows which were bound once stay bound.
        """
        other = copy(self)
        other.database, other.artefacts, other._whole = database, ArtefactCache(self.artefacts.bound), self
        return other

    @property
    def changed(self) -> bool:
        """Whether this is a changed copy that `over` made."""
        return self._whole is not None

    def cached(self, key: tuple[Hashable, ...], build: Callable[[], T]) -> T:
        """Return an artefact of this problem, built by one thread if it is not there; see `ArtefactCache.get`."""
        return self.artefacts.get(key, build)

    def cached_values(self, table: str, key: tuple[Hashable, ...], build: Callable[[], T]) -> T:
        """Return an artefact as `cached`, one that depends on the values in a table alone: not on times, visibility or parents.

        Copies made by `over` share it as long as their table is the same.
        """
        if self._whole is not None and self.database[table] is self._whole.database[table]:
            return self._whole.cached_values(table, key, build)
        return self.cached(key, build)


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
            # A clock whose columns are all hidden still holds times of the future, so it goes on masking itself.
            known_at=known_at,
        )
    )
