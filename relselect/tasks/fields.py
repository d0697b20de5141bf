"""The fields of a task, described once: what is saved as JSON, what identifies the task, what is built.

The constructors are in `task`. Nothing here reads a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Self

from relselect.database.clock import TimeKind, format_duration, format_time
from relselect.errors import TaskError
from relselect.hashing import fingerprint_json, sha256_of
from relselect.notebook import NotebookTable, notebook_html
from relselect.tasks.kinds import TaskKind
from relselect.tasks.labels import LabelFrame
from relselect.tasks.metrics import Metric, metric_of
from relselect.tasks.regimes import Regime
from relselect.tasks.splits import Split
from relselect.tasks.weights import ClassWeight, checked_class_weight, loss_weights, weights_note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TaskFields"]

#: Fields that are rules, saved as JSON; those of the second kind also identify the task, in this order.
_SAVED: Final = {"saved": True}
_IDENTITY: Final = {"saved": True, "identity": True}


@dataclass(frozen=True)
class TaskFields:
    """Labelled rows in splits over an entity table, with the rules of time that hold for them.

    Attributes:
        name: Its name.
        entity: The table that predictions are about.
        kind: "binary", "multiclass" or "regression".
        target: The label's name.
        splits: "train", "val" and, if there is one, "test".
        starts: First cutoff of each split, ticks.
        regime: "rolling" or "frozen"; printed with every score.
        metric: The score, higher is better.
        horizon: Length of the label window in ticks, if known.
        classes: Class names in order; of two, the second is positive.
        static: Whether there is no time.
        time_kind: Whether cutoffs are timestamps or integers; None for static tasks.
        key_columns: Names of the entity's key columns in frames and queries.
        hidden_columns: Columns of the entity table that neither engine sees.
        feature_columns: Columns of the task rows that are features.
        population: SQL that returns who is asked about at a cutoff, if known.
        label_query: SQL that returns the labels of a population, if the labels came from it.
        query: The predictive query that the task was made of, if it was.
        known_after: Ticks from a cutoff until its label is known, if that is fixed.
        every: Distance of the cutoffs in ticks, if they are regular.
        purged: Rows per split left out because their label was known too late.
        notes: What readers should know about how the rows were made.
        description: The question in words.
        class_weight: Weight per class name in the training loss, or "balanced"; None where all classes have the weight 1.
        later: Rows after the last split whose labels a newer database knows; they are history for predictions, and are
            neither saved nor part of the fingerprint.
    """

    name: str = field(metadata=_IDENTITY)
    entity: str = field(metadata=_IDENTITY)
    kind: TaskKind = field(metadata=_IDENTITY)
    target: str = field(metadata=_IDENTITY)
    splits: Mapping[Split, LabelFrame]
    starts: Mapping[Split, int] = field(metadata=_SAVED)
    regime: Regime = field(metadata=_IDENTITY)
    metric: Metric = field(metadata=_IDENTITY)
    horizon: int | None = field(default=None, metadata=_IDENTITY)
    classes: tuple[str, ...] | None = field(default=None, metadata=_IDENTITY)
    static: bool = field(default=False, metadata=_IDENTITY)
    time_kind: TimeKind | None = field(default=None, metadata=_SAVED)
    key_columns: tuple[str, ...] = field(default=(), metadata=_SAVED)
    hidden_columns: tuple[str, ...] = field(default=(), metadata=_IDENTITY)
    feature_columns: tuple[str, ...] = field(default=(), metadata=_IDENTITY)
    population: str | None = field(default=None, metadata=_SAVED)
    label_query: str | None = field(default=None, metadata=_SAVED)
    query: str | None = field(default=None, metadata=_SAVED)
    known_after: int | None = field(default=None, metadata=_SAVED)
    every: int | None = field(default=None, metadata=_SAVED)
    purged: Mapping[Split, int] = field(default_factory=dict, metadata=_SAVED)
    notes: tuple[str, ...] = field(default=(), metadata=_SAVED)
    description: str = field(default="", metadata=_SAVED)
    class_weight: ClassWeight | None = field(default=None, metadata=_SAVED)
    later: LabelFrame | None = None

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(frame):,}" for split, frame in self.splits.items())
        return f"Task({self.name!r}: {self.kind} {self.target} of {self.entity}, {self.regime}, {sizes} rows)"

    def _repr_html_(self) -> str:
        rows = []
        for split, frame in self.splits.items():
            ends = (int(frame.cutoff.min()), int(frame.cutoff.max()))
            dates = ["–", "–"] if self.static else [format_time(end, self.time_kind) for end in ends]
            rows.append(
                (split, f"{len(frame):,}", *dates, f"{frame.label.mean():.4g}", f"{self.purged.get(split, 0):,}")
            )
        window = f"label window {format_duration(self.horizon, self.time_kind)}"
        rules = f"{self.kind} {self.target} of {self.entity}, scored by {self.metric.title}, {self.regime} regime, {window}."
        about = [self.description] if self.description else []
        columns = ("Split", "Rows", "First cutoff", "Last cutoff", "Mean label", "Purged")
        return notebook_html(
            f"Task {self.name!r}", [*about, rules, *self.notes], [NotebookTable(columns, rows, (1, 4, 5))]
        )

    @property
    def has_test(self) -> bool:
        """Whether there are labelled test rows."""
        return "test" in self.splits

    @property
    def fingerprint(self) -> str:
        """The sha256 of the fields that identify the task, and of its labelled rows."""
        rules = [self._plain(each.name) for each in fields(TaskFields) if each.metadata.get("identity")]
        if self.regime == "frozen" and any(
            self.starts[split] != frame.cutoff.min() for split, frame in self.splits.items()
        ):
            rules.append(fingerprint_json(self.starts))  # they decide what evaluation rows see
        if self.class_weight is not None:
            rules.append(fingerprint_json({"class_weight": self._plain("class_weight")}))
        parts: list[Any] = [fingerprint_json(rules)]
        for split, frame in self.splits.items():
            parts += [split, repr(frame.keys.to_pydict())]
            if frame.features is not None:
                parts.append(repr(frame.features.to_pydict()))
            parts += [frame.cutoff, frame.known_at, frame.label]
            if frame.weight is not None:
                parts += ["weight", frame.weight]
        return sha256_of(parts)

    def in_regime(self, regime: Regime) -> Self:
        """Return the same task under another regime."""
        return replace(self, regime=regime)

    def scored_by(self, metric: str) -> Self:
        """Return the same task under another metric."""
        return replace(self, metric=metric_of(metric, self.kind))

    def weighing(self, class_weight: str | Mapping[Any, float] | None) -> Self:
        """Return the same task with other weights of its classes in the training loss.

        Args:
            class_weight: "balanced", or a mapping from classes to weights; None for the weight 1.

        Raises:
            TaskError: The task has no such classes, or a weight is not above 0.
        """
        found = checked_class_weight(class_weight, self.kind, self.classes)
        before, note = (weights_note(self.splits, each, self.classes) for each in (self.class_weight, found))
        kept = tuple(each for each in self.notes if each != before)
        return replace(self, class_weight=found, notes=kept if note is None else (*kept, note))

    def loss_weights(self, split: Split) -> NDArray[np.float64] | None:
        """Return the weights of a split's rows in the training loss, shape (n,), all above 0; None where all are 1.

        The weight of a row is its own times that of its class; see `relselect.tasks.weights.loss_weights`.
        """
        return loss_weights(self.splits, split, self.class_weight, self.classes)

    def to_json(self) -> dict[str, Any]:
        """Return the rules of the task as JSON-able data: every field but the labelled rows."""
        return {each.name: self._plain(each.name) for each in fields(TaskFields) if each.metadata.get("saved")}

    @classmethod
    def from_json(cls, rules: Mapping[str, Any], splits: Mapping[Split, LabelFrame]) -> Self:
        """Return the task that `to_json` was called on.

        Args:
            rules: What `to_json` returned.
            splits: Its labelled rows.

        Raises:
            TaskError: The rules were written by another version whose tasks have other fields.
        """
        saved = {each.name: each for each in fields(TaskFields) if each.metadata.get("saved")}
        needed = [name for name, each in saved.items() if each.default is MISSING and each.default_factory is MISSING]
        odd = [*(name for name in rules if name not in saved), *(name for name in needed if name not in rules)]
        if odd:
            rule = "are unknown or missing among the saved fields of the task"
            raise TaskError("task", odd, rule, "Read it with the version of relselect that wrote it")
        values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in rules.items()}
        values["metric"] = metric_of(rules["metric"], rules["kind"])
        return cls(splits=dict(splits), **values)

    def _plain(self, name: str) -> Any:
        value = getattr(self, name)
        if isinstance(value, Metric):
            return value.name
        if isinstance(value, tuple):
            return list(value)
        return dict(value) if isinstance(value, Mapping) else value
