"""`Task`: its constructors, from label frames, SQL, a predictive query, a column, a manifest or a RelBench folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from relselect.budget import Budget, budget_of
from relselect.database import Database
from relselect.database.task_spec import TaskSpec
from relselect.tasks.fields import TaskFields
from relselect.tasks.from_column import task_completing
from relselect.tasks.from_frames import task_from_labels
from relselect.tasks.from_manifest import task_from_relbench, task_from_spec
from relselect.tasks.from_queries import task_from_sql
from relselect.tasks.from_query import task_from_query
from relselect.tasks.kinds import TaskKind
from relselect.tasks.label_queries import later_labels
from relselect.tasks.options import TaskOptions
from relselect.tasks.regimes import Regime

__all__ = ["Task"]


class Task(TaskFields):
    """Labelled rows in splits over an entity table, with the rules of time that hold for them.

    Build one with `Task.from_query`, `Task.from_labels`, `Task.from_sql`, `Task.completing`, `Task.from_spec` or
    `Task.from_relbench`. Its fields are those of `TaskFields`.
    """

    def with_later_labels(self, database: Database) -> Self:
        """Return the task with the labels after its last split that a newer database knows, as history for predictions.

        A predictor that was trained with labels one horizon old should not predict with labels a year old. Only tasks
        whose labels came from SQL can find them; the others are returned as they are.
        """
        return replace(self, later=later_labels(database, self))

    @classmethod
    def from_labels(
        cls,
        database: Database,
        labels: Any | Mapping[str, Any],
        *,
        name: str,
        entity: str,
        kind: TaskKind,
        target: str = "label",
        time: str | None = None,
        entity_columns: str | Sequence[str] | None = None,
        horizon: str | int | None = None,
        known_after: str | int | None = "horizon",
        known_at: str | None = None,
        val_start: object = None,
        test_start: object = None,
        fold_column: str | None = None,
        features: Sequence[str] = (),
        metric: str | None = None,
        regime: Regime = "rolling",
        classes: Sequence[str] | None = None,
        embargo: str | int = 0,
        population: str | None = None,
        description: str = "",
        seed: int = 0,
        weight: str | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
    ) -> Self:
        """Build a task from labelled rows.

        Args:
            database: The database the rows are about.
            labels: One frame (pandas, Polars or Arrow), or one per split ("train", "val", "test").
            name: A name for the task.
            entity: The table asked about; needs a primary key.
            kind: "binary", "multiclass" or "regression".
            target: The label column.
            time: The cutoff column; None for a static task.
            entity_columns: The key columns in the frames; the primary key's own names if None.
            horizon: Length of the label window, e.g. "30d".
            known_after: When a label is known, counted from its cutoff; None for unknown: no label history, no purging.
            known_at: A column with the time at which each label was known; takes precedence over `known_after`.
            val_start: First moment of validation, if one frame is given; default: the last 30 % of the dates.
            test_start: First moment of the test; default: the last 15 % of the dates.
            fold_column: Fold numbers of a static task: the lowest tests, the next validates.
            features: Columns of the frames that are known at the cutoff and used as features; other columns are not.
            metric: scikit-learn scorer name; None for the kind's default.
            regime: "rolling" or "frozen".
            classes: Class names in order; found in the labels if None.
            embargo: Additional time between a label and the next split.
            population: SQL for `predict(at=...)`: returns `cutoff` and the key columns, reads `cutoffs(cutoff)`.
            description: The question in words.
            seed: Seed of the draw when a static task has no folds.
            weight: A column of the frames with the weight of each row in the training loss, 0 or more. Rows of weight 0 are left
                out. Scores count every row once.
            class_weight: Weights of the classes in the training loss: a mapping from classes, those left out having 1, or
                "balanced" for weights in inverse proportion to the shares of the training rows.

        Raises:
            TaskError: The rows do not fit the database, or nothing can be learnt from them.
        """
        return task_from_labels(cls, database, labels, TaskOptions.of(locals()))

    @classmethod
    def from_sql(
        cls,
        database: Database,
        *,
        name: str,
        entity: str,
        kind: TaskKind,
        population: str,
        label: str,
        horizon: str | int,
        every: str | int | None = None,
        cutoffs: Sequence[object] | None = None,
        start: object = None,
        end: object = None,
        known_after: str | int | None = "horizon",
        target: str = "label",
        entity_columns: str | Sequence[str] | None = None,
        val_start: object = None,
        test_start: object = None,
        metric: str | None = None,
        regime: Regime = "rolling",
        classes: Sequence[str] | None = None,
        embargo: str | int = 0,
        description: str = "",
        weight: str | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        time_budget: float | str | timedelta | Budget | None = None,
    ) -> Self:
        """Build a task from two DuckDB queries, asked on the database as it was at each cutoff.

        Args:
            database: The database.
            name: A name for the task.
            entity: The table asked about.
            kind: "binary", "multiclass" or "regression".
            population: Who is asked about: returns `cutoff` and the key columns; reads the tables and `cutoffs(cutoff)`.
            label: Their labels: returns `cutoff`, the key columns and `target`; reads the tables, `cutoffs` and `population`.
                Members of the population without a label are left out and counted.
            horizon: Length of the label window `(cutoff, cutoff + horizon]`.
            every: Distance of the cutoffs, e.g. "30d".
            cutoffs: The cutoffs themselves, instead of `every`.
            start: First cutoff made by `every`; default: one horizon after the first row.
            end: Last cutoff made by `every`; default: the last whose label window is complete.
            known_after: See `from_labels`.
            target: Name of the label query's label column.
            entity_columns: The key columns' names in the queries; the primary key's own names if None.
            val_start: See `from_labels`.
            test_start: See `from_labels`.
            metric: See `from_labels`.
            regime: See `from_labels`.
            classes: See `from_labels`.
            embargo: See `from_labels`.
            description: The question in words.
            weight: A further column that the label query returns, as in `from_labels`.
            class_weight: See `from_labels`.
            time_budget: Wall-clock of all queries together, or the `Budget` of a run; one query takes ten minutes at most.

        Raises:
            BudgetError: The budget ended while a query was asked, or is no duration.
            TaskError: A query fails, a label window ends after the last row, or nobody is found.
        """
        return task_from_sql(cls, database, TaskOptions.of(locals(), time="cutoff"), budget_of(time_budget))

    @classmethod
    def from_query(
        cls,
        database: Database,
        query: str,
        *,
        name: str | None = None,
        every: str | int | None = None,
        cutoffs: Sequence[object] | None = None,
        start: object = None,
        end: object = None,
        known_after: str | int | None = "horizon",
        val_start: object = None,
        test_start: object = None,
        metric: str | None = None,
        regime: Regime = "rolling",
        classes: Sequence[str] | None = None,
        embargo: str | int = 0,
        description: str = "",
        class_weight: str | Mapping[Any, float] | None = None,
        time_budget: float | str | timedelta | Budget | None = None,
    ) -> Self:
        """Build a task from one line that says what is predicted, for whom, and when.

        The query is translated into the two queries of `from_sql`, or into the rows of `completing` where it names a column;
        `relselect.explain_query` shows them. Members of the population without a label are left out and counted.

        Args:
            database: The database.
            query: Such as "PREDICT COUNT(orders.*, 0, 60, days) = 0 FOR EACH customers.id"; `docs/queries.md` has the
                grammar.
            name: A name for the task; made of the entity and the target if None.
            every: Distance of the cutoffs; if None, the horizon, or a multiple of it that leaves 40 cutoffs.
            cutoffs: The cutoffs themselves, instead of `every`.
            start: See `from_sql`.
            end: See `from_sql`.
            known_after: See `from_labels`; of a column to fill in, "horizon" means never.
            val_start: See `from_labels`.
            test_start: See `from_labels`.
            metric: See `from_labels`.
            regime: See `from_labels`.
            classes: See `from_labels`.
            embargo: See `from_labels`.
            description: The question in words; the query if empty.
            class_weight: See `from_labels`.
            time_budget: See `from_sql`.

        Raises:
            BudgetError: The budget ended while a query was asked, or is no duration.
            QueryError: The query cannot be read, or does not fit the database; shows where.
            TaskError: Nobody is found, or nothing can be learnt from the labels.
        """
        return task_from_query(cls, database, query, locals(), budget_of(time_budget))

    @classmethod
    def completing(
        cls,
        database: Database,
        column: str,
        *,
        entity: str,
        kind: TaskKind,
        name: str | None = None,
        known_after: str | int | None = None,
        val_start: object = None,
        test_start: object = None,
        metric: str | None = None,
        regime: Regime = "rolling",
        features: Sequence[str] = (),
        description: str = "",
        class_weight: str | Mapping[Any, float] | None = None,
    ) -> Self:
        """Build a task that fills in a column of a table from the rest of the database.

        Each row is asked about at its own time and its column is hidden from both engines. Other rows' values are
        visible, as label history, only once they are known; unknown (None) means never.

        Args:
            database: The database.
            column: The column to fill in.
            entity: Its table.
            kind: "binary", "multiclass" or "regression".
            name: A name for the task; "<entity>.<column>" if None.
            known_after: When a value is known, counted from its row's time.
            val_start: See `from_labels`.
            test_start: See `from_labels`.
            metric: See `from_labels`.
            regime: See `from_labels`.
            features: Must be empty: the row itself is visible at its own time.
            description: The question in words.
            class_weight: See `from_labels`.

        Raises:
            TaskError: The column does not exist or holds nothing to learn from.
        """
        more = {"name": name or f"{entity}.{column}", "target": column, "time": database[entity].time}
        return task_completing(cls, database, TaskOptions.of(locals(), **more))

    @classmethod
    def from_spec(
        cls,
        database: Database,
        spec: TaskSpec,
        name: str,
        folder: Path | None = None,
        *,
        time_budget: float | str | timedelta | Budget | None = None,
    ) -> Self:
        """Build a task from its declaration in a manifest.

        Args:
            database: The database of the manifest.
            spec: The declaration.
            name: The task's name in the manifest.
            folder: The folder that relative paths start from; the database's own if None.
            time_budget: Wall-clock of its queries; see `from_sql`.

        Raises:
            BudgetError: The budget ended while a query was asked, or is no duration.
            TaskError: The declaration does not fit the database.
            DataNotFound: A file is missing.
        """
        return task_from_spec(cls, database, spec, name, folder or database.data_folder, budget_of(time_budget))

    @classmethod
    def from_relbench(
        cls, database: Database, name: str, *, folder: str | Path | None = None, regime: Regime = "frozen"
    ) -> Self:
        """Build a task of a RelBench dataset from its label files; nothing is downloaded.

        Args:
            database: What `Database.from_relbench` returned.
            name: The task's name, such as "driver-dnf".
            folder: The task's own folder, if it is not in the dataset's.
            regime: "frozen" is RelBench's own test protocol.

        Raises:
            TaskError: There is no such task, or it is a recommendation task, which relselect does not support.
        """
        return task_from_relbench(cls, database, name, folder, regime)
