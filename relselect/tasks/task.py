"""A prediction task: who is asked about, when, what, and what each row may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.database import Database
from relselect.database.clock import TimeKind
from relselect.hashing import fingerprint_json, sha256_of
from relselect.tasks.frames import LabelFrame
from relselect.tasks.metrics import Kind, Metric, metric_of
from relselect.tasks.splits import Regime, Split

if TYPE_CHECKING:
    from relselect.tasks.spec import TaskSpec

__all__ = ["Task"]


@dataclass(frozen=True)
class Task:
    """Labelled rows in splits over an entity table, with the rules of time that hold for them.

    Build one with `Task.from_labels`, `Task.from_sql`, `Task.completing` or `Task.from_spec`.

    Attributes:
        name: Its name.
        entity: The table asked about.
        kind: "binary", "multiclass" or "regression".
        target: The label's name.
        splits: "train", "val" and, if there is one, "test".
        starts: First cutoff of each split, ticks.
        regime: "rolling" or "frozen"; printed with every score.
        metric: The score, higher is better.
        horizon: Length of the label window in ticks, if known.
        classes: Class names in order; of two, the second is positive.
        static: Whether there is no time.
        time_kind: What cutoffs are.
        population: SQL that says who is asked about at a cutoff, if known.
        label_query: SQL that answers for a population, if the labels came from it.
        known_after: Ticks from a cutoff until its label is known, if that is fixed.
        every: Distance of the cutoffs in ticks, if they are regular.
        purged: Rows per split left out because their label came too late.
        notes: What the reader should know about how the rows were made.
        later: Rows after the last split whose labels a newer database knows: history for predictions, nothing else.
    """

    name: str
    entity: str
    kind: Kind
    target: str
    splits: Mapping[Split, LabelFrame]
    starts: Mapping[Split, int]
    regime: Regime
    metric: Metric
    horizon: int | None = None
    classes: tuple[str, ...] | None = None
    static: bool = False
    time_kind: TimeKind | None = None
    key_columns: tuple[str, ...] = ()
    feature_columns: tuple[str, ...] = ()
    population: str | None = None
    label_query: str | None = None
    known_after: int | None = None
    every: int | None = None
    hidden_columns: tuple[str, ...] = ()
    purged: Mapping[Split, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    description: str = ""
    later: LabelFrame | None = None

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(frame):,}" for split, frame in self.splits.items())
        return f"Task({self.name!r}: {self.kind} {self.target} of {self.entity}, {self.regime}, {sizes} rows)"

    @property
    def fingerprint(self) -> str:
        """The sha256 of the task's rules and labelled rows."""
        rules = [
            self.name,
            self.entity,
            self.kind,
            self.target,
            self.regime,
            self.metric.name,
            self.horizon,
            self.classes,
            self.static,
            self.hidden_columns,
            self.feature_columns,
        ]
        if self.regime == "frozen" and any(
            self.starts[split] != frame.cutoff.min() for split, frame in self.splits.items()
        ):
            rules.append(fingerprint_json(self.starts))  # they decide what evaluation rows see
        parts: list[Any] = [fingerprint_json(rules)]
        for split, frame in self.splits.items():
            parts += [split, repr(frame.keys.to_pydict())]
            if frame.features is not None:
                parts.append(repr(frame.features.to_pydict()))
            parts += [frame.cutoff, frame.known_at, frame.label]
        return sha256_of(parts)

    @property
    def has_test(self) -> bool:
        """Whether there are labelled test rows."""
        return "test" in self.splits

    def with_later_labels(self, database: Database) -> Task:
        """Return the task with what a newer database knows of labels after the last split, as history for predictions.

        A predictor learnt on labels that are one horizon old should not be asked with labels that are a year old. Only
        tasks whose labels came from SQL can look; the others are returned as they are.
        """
        from relselect.tasks.building import later_labels

        return replace(self, later=later_labels(database, self))

    def in_regime(self, regime: Regime) -> Task:
        """Return the same task under another regime."""
        return replace(self, regime=regime)

    def scored_by(self, metric: str) -> Task:
        """Return the same task under another metric."""
        return replace(self, metric=metric_of(metric, self.kind))

    @classmethod
    def from_labels(
        cls,
        database: Database,
        labels: Any | Mapping[str, Any],
        *,
        name: str,
        entity: str,
        kind: Kind,
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
    ) -> Task:
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
            known_at: A column that says when each label was known; goes before `known_after`.
            val_start: First moment of validation, if one frame is given; default: the last 30 % of the dates.
            test_start: First moment of the test; default: the last 15 % of the dates.
            fold_column: Fold numbers of a static task: the lowest tests, the next validates.
            features: Columns of the frames known at the cutoff and used as features; nothing else is.
            metric: scikit-learn scorer name; None for the kind's default.
            regime: "rolling" or "frozen".
            classes: Class names in order; found in the labels if None.
            embargo: Additional time between a label and the next split.
            population: SQL for `predict(at=...)`: returns `cutoff` and the key columns, reads `cutoffs(cutoff)`.
            description: The question in words.
            seed: Seed of the draw when a static task has no folds.

        Raises:
            TaskError: The rows cannot be asked of this database.
        """
        from relselect.tasks.building import Draft, task_from_labels

        draft = Draft(
            name=name,
            entity=entity,
            kind=kind,
            target=target,
            time=time,
            entity_columns=entity_columns,
            horizon=horizon,
            known_after=known_after,
            known_at=known_at,
            val_start=val_start,
            test_start=test_start,
            fold_column=fold_column,
            features=tuple(features),
            metric=metric,
            regime=regime,
            classes=classes,
            embargo=embargo,
            population=population,
            description=description,
            seed=seed,
        )
        return task_from_labels(database, labels, draft)

    @classmethod
    def from_sql(
        cls,
        database: Database,
        *,
        name: str,
        entity: str,
        kind: Kind,
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
    ) -> Task:
        """Build a task from two DuckDB queries, asked on the database as it was at each cutoff.

        Args:
            database: The database.
            name: A name for the task.
            entity: The table asked about.
            kind: "binary", "multiclass" or "regression".
            population: Who is asked about: returns `cutoff` and the key columns; reads the tables and `cutoffs(cutoff)`.
            label: The answers: returns `cutoff`, the key columns and `target`; reads the tables, `cutoffs` and `population`.
                Members of the population without an answer are left out and counted.
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

        Raises:
            TaskError: A query fails, a label window ends after the last row, or nobody is found.
        """
        from relselect.tasks.building import Asking, Draft, task_from_sql

        draft = Draft(
            name=name,
            entity=entity,
            kind=kind,
            target=target,
            time="cutoff",
            entity_columns=entity_columns,
            horizon=horizon,
            known_after=known_after,
            val_start=val_start,
            test_start=test_start,
            metric=metric,
            regime=regime,
            classes=classes,
            embargo=embargo,
            population=population,
            description=description,
        )
        return task_from_sql(database, draft, Asking(label=label, every=every, cutoffs=cutoffs, start=start, end=end))

    @classmethod
    def completing(
        cls,
        database: Database,
        column: str,
        *,
        entity: str,
        kind: Kind,
        name: str | None = None,
        known_after: str | int | None = None,
        val_start: object = None,
        test_start: object = None,
        metric: str | None = None,
        regime: Regime = "rolling",
        features: Sequence[str] = (),
        description: str = "",
    ) -> Task:
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

        Raises:
            TaskError: The column does not exist or holds nothing to learn from.
        """
        from relselect.tasks.building import Draft, task_completing

        draft = Draft(
            name=name or f"{entity}.{column}",
            entity=entity,
            kind=kind,
            target=column,
            time=database[entity].time,
            known_after=known_after,
            val_start=val_start,
            test_start=test_start,
            metric=metric,
            regime=regime,
            features=tuple(features),
            description=description,
        )
        return task_completing(database, draft)

    @classmethod
    def from_spec(cls, database: Database, spec: TaskSpec, name: str, folder: Path | None = None) -> Task:
        """Build a task from its declaration in a manifest.

        Args:
            database: The database of the manifest.
            spec: The declaration.
            name: The task's name in the manifest.
            folder: Where relative files are looked for; the database's own folder if None.

        Raises:
            TaskError: The declaration does not fit the database.
            DataNotFound: A file is missing.
        """
        from relselect.tasks.declared import task_from_spec

        return task_from_spec(database, spec, name, folder or database.data_folder)

    @classmethod
    def from_relbench(
        cls, database: Database, name: str, *, folder: str | Path | None = None, regime: Regime = "frozen"
    ) -> Task:
        """Build a task of a RelBench dataset from its label files; nothing is downloaded.

        Args:
            database: What `Database.from_relbench` returned.
            name: The task's name, such as "driver-dnf".
            folder: The task's own folder, if it does not lie in the dataset's.
            regime: "frozen" is RelBench's own test protocol.

        Raises:
            TaskError: There is no such task, or it is a recommendation, which is not asked here.
        """
        from relselect.tasks.declared import task_from_relbench

        return task_from_relbench(database, name, folder, regime)
