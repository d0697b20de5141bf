"""What a caller declares of a task, before it is checked against the database and its labels are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from relselect.counts import check_seed
from relselect.database import Database
from relselect.database.clock import parse_duration, parse_time
from relselect.database.task_spec import TaskSpec
from relselect.errors import TaskError
from relselect.tasks.kinds import TASK_KINDS, TaskKind
from relselect.tasks.metrics import metric_of
from relselect.tasks.regimes import REGIMES, Regime

__all__ = ["TaskOptions"]


@dataclass(frozen=True)
class TaskOptions:
    """The arguments of `Task.from_labels`, `Task.from_sql` and `Task.completing`, under the names they have there."""

    name: str
    entity: str
    kind: TaskKind
    target: str
    time: str | None = None
    entity_columns: str | Sequence[str] | None = None
    horizon: str | int | None = None
    known_after: str | int | None = "horizon"
    known_at: str | None = None
    val_start: object = None
    test_start: object = None
    fold_column: str | None = None
    features: Sequence[str] = ()
    metric: str | None = None
    regime: Regime = "rolling"
    classes: Sequence[str] | None = None
    embargo: str | int = 0
    population: str | None = None
    label: str | None = None
    every: str | int | None = None
    cutoffs: Sequence[object] | None = None
    start: object = None
    end: object = None
    description: str = ""
    seed: int = 0
    weight: str | None = None
    class_weight: str | Mapping[Any, float] | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any], **more: Any) -> Self:
        """Return the options among the arguments of a constructor, and further ones."""
        known = {each.name: arguments[each.name] for each in fields(cls) if each.name in arguments}
        return cls(**{**known, **more})

    @classmethod
    def of_spec(cls, spec: TaskSpec, name: str) -> Self:
        """Return the options that a manifest declares under a name."""
        return cls.of(dict(spec), name=name, entity_columns=spec.key_columns or None)

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

    def check(self, database: Database) -> tuple[str, ...]:
        """Check the options against a database.

        Returns:
            The names of the entity's key columns in frames and queries, in the order of the primary key.

        Raises:
            ConfigError: The seed is no whole number in its range.
            TaskError: The kind, the regime, the metric, a length of time, the entity, its key or the time do not fit.
        """
        if self.kind not in TASK_KINDS:
            raise TaskError("kind", self.kind, f"must be one of {TASK_KINDS}", "Use 'binary' for yes/no questions")
        if self.regime not in REGIMES:
            raise TaskError(
                "regime", self.regime, f"must be one of {REGIMES}", "Use 'rolling' unless you compare with RelBench"
            )
        metric_of(self.metric, self.kind)
        check_seed(self.seed)
        self._check_times(database)
        if self.entity not in database.tables:
            known = ", ".join(sorted(database.tables))
            raise TaskError("entity", self.entity, f"is no table of {database.name}", f"Use one of: {known}")
        key = database[self.entity].primary_key
        if not key:
            raise TaskError(
                "entity", self.entity, "has no primary key", "Declare the key of the table that is asked about"
            )
        if self.time is not None and database.time_kind is None and self.horizon is not None:
            raise TaskError(
                "time",
                self.time,
                "the database has no time column",
                "Declare the tables' time columns, or drop time and horizon",
            )
        columns = self.entity_columns
        named = key if columns is None else (columns,) if isinstance(columns, str) else tuple(columns)
        if len(named) != len(key):
            rule = f"the key of {self.entity} has {len(key)} columns"
            raise TaskError("entity_columns", list(named), rule, f"Name one for each of {list(key)}")
        return named

    def _check_times(self, database: Database) -> None:
        """Check every length and point of time before anything is asked or split.

        Raises:
            TaskError: One of them is not understood.
        """
        self.horizon_ticks()
        self.delay_ticks()
        parse_duration(self.embargo, "embargo")
        if self.every is not None:
            parse_duration(self.every, "every")
        for argument in ("val_start", "test_start", "start", "end"):
            if getattr(self, argument) is not None and self.time is not None:
                parse_time(getattr(self, argument), database.time_kind or "timestamp", argument)
