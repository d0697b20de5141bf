"""The rows of a bank: one for each task, one for each trial, and how they are named by their content.

Both are flat, so that a row is one line of a table. Nothing here reads or writes files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, Self, get_args

from relselect.hashing import fingerprint_json
from relselect.serialization import jsonable, number_of

__all__ = ["BankRow", "BankTask", "BankTrial", "Origin", "TrialRole", "task_id", "trial_id"]

#: Where a task comes from: a real database, a generator, or a table of results that others published.
Origin = Literal["real", "synthetic", "imported"]
#: Why a configuration was fitted: the default, a known alternative, a point of the space-filling set, or imported with the rest.
TrialRole = Literal["default", "alternative", "space", "imported"]

_NAN = float("nan")
_ID_LENGTH = 20


@dataclass(frozen=True)
class BankRow:
    """What both kinds of row share: an id, and their way to and from JSON.

    Attributes:
        id: Hash of what identifies the row.
    """

    id: str

    @property
    def rank(self) -> tuple[Any, ...]:
        """Order among rows of one id, the one to keep first; it depends on nothing but the rows."""
        return (fingerprint_json(self.to_json()),)

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON-able values, null for nan."""
        return {each.name: jsonable(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return the row that `to_json` wrote; fields that a later version added have their defaults.

        Raises:
            KeyError: A field is missing that has no default.
            TypeError: A value is of another type.
            ValueError: A value is none of those known.
        """
        values: dict[str, Any] = {}
        for each in fields(cls):
            if each.name not in stored:
                continue
            values[each.name] = _checked(each.name, str(each.type), stored[each.name])
        needed = [each.name for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING]
        for name in needed:
            if name not in values:
                raise KeyError(name)
        return cls(**values)


@dataclass(frozen=True)
class BankTask(BankRow):
    """One task, its protocol and its profile.

    Attributes:
        id: Hash of the database's content, the task and the protocol; see `task_id`.
        database: Name of the database.
        name: Name of the task.
        origin: Where the task comes from.
        kind: "binary", "multiclass" or "regression".
        metric: Name of the metric; every score is higher is better.
        regime: What evaluation rows see, "rolling" or "frozen".
        label_history: Whether labels known by a row's date are read as history.
        refitted_over_time: Whether models are fitted again as time goes on.
        validation: How validation rows are divided into stop and select rows.
        database_fingerprint: Hash of the database's content; "" where unknown.
        task_fingerprint: Hash of the task's rules and labelled rows; "" where unknown.
        entity: Name of the entity table.
        classes: Number of classes of a multiclass task, else 0.
        train_rows: Labelled training rows.
        stop_rows: Validation rows that end training.
        select_rows: Validation rows that choose and carry the reported score.
        test_rows: Test rows.
        database_rows: Rows of all tables.
        tables: Number of tables.
        reference_select: Score of the training constant on the select rows.
        reference_test: Score of the training constant on the test rows.
        bayes_val: Score of the best possible prediction on the validation rows; nan where it is not known.
        bayes_test: Score of the best possible prediction on the test rows; nan where it is not known.
        licence: Licence of the data.
        shares_rows: Whether labels and predictions of single rows may be handed on; else only scores may.
        facts: Further JSON-able facts, such as the parameters of a generator.
        profile: The profile, as `Profile.to_json` writes it; empty where there is none.
    """

    database: str
    name: str
    origin: Origin
    kind: str
    metric: str
    regime: str
    label_history: bool
    refitted_over_time: bool
    validation: str
    database_fingerprint: str = ""
    task_fingerprint: str = ""
    entity: str = ""
    classes: int = 0
    train_rows: int = 0
    stop_rows: int = 0
    select_rows: int = 0
    test_rows: int = 0
    database_rows: int = 0
    tables: int = 0
    reference_select: float = _NAN
    reference_test: float = _NAN
    bayes_val: float = _NAN
    bayes_test: float = _NAN
    licence: str = ""
    shares_rows: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Database and task, such as "rel-f1/driver-dnf"."""
        return f"{self.database}/{self.name}"


@dataclass(frozen=True)
class BankTrial(BankRow):
    """One fit of one configuration on one task, or its failure.

    Attributes:
        id: Hash of the task, the family, the configuration, the seed and the generation; see `trial_id`.
        task: Id of the task.
        family: Name of the family.
        learner: Name of the learner within the family; "" where it has one only.
        config: The configuration.
        number: Number of the configuration within its family, 0 for the default.
        role: Why it was fitted.
        seed: The seed that the trial was asked for; the fit's own seed derives from it and the number.
        generation: Generation of the family's code (`FamilyInfo.generation`): trials of different ones are not compared.
        stop_score: Score on the stop rows, higher is better.
        select_score: Score on the select rows, of the model as it was validated.
        select_low: Lower end of its 90 % bootstrap interval, clustered by entity.
        select_high: Upper end of it.
        validated_test_score: Score on the test rows of the model as it was validated.
        test_score: Score on the test rows of what would be deployed: after the refit where there was one.
        ended: Why the fit ended: "converged", "limit", "budget", "constant"; "" for a failure.
        refitted: Whether the fit was followed by a refit on training and validation rows.
        seconds_features: Seconds spent on features or other preparations that the family reports as a stage.
        seconds_training: Seconds of the rest of the fit, the prediction of stop and select rows included.
        seconds_refit: Seconds of the refit.
        seconds_prediction: Seconds of predicting all test rows with what would be deployed.
        cpu_seconds: CPU seconds of fit, refit and prediction together; less than their seconds on a machine that was busy.
        peak_memory_mb: Largest resident memory of the process during the trial, MiB.
        device: "cpu" or the accelerator.
        threads: Threads that the fit could use; 0 where unknown.
        begun: When the trial began, ISO time in UTC.
        versions: Package -> version.
        facts: Further facts of the family, such as the number of features.
        error: Why it failed; "" for a finished trial.
        traceback: Where it failed.
    """

    task: str
    family: str
    learner: str
    config: Mapping[str, Any]
    number: int
    role: TrialRole
    seed: int
    generation: int
    stop_score: float = _NAN
    select_score: float = _NAN
    select_low: float = _NAN
    select_high: float = _NAN
    validated_test_score: float = _NAN
    test_score: float = _NAN
    ended: str = ""
    refitted: bool = False
    seconds_features: float = _NAN
    seconds_training: float = _NAN
    seconds_refit: float = _NAN
    seconds_prediction: float = _NAN
    cpu_seconds: float = _NAN
    peak_memory_mb: float = _NAN
    device: str = ""
    threads: int = 0
    begun: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    traceback: str = ""

    @property
    def failed(self) -> bool:
        """Whether the trial raised."""
        return bool(self.error)

    @property
    def finished(self) -> bool:
        """Whether the fit ended by itself: one that a budget cut off is no measure of its configuration."""
        return not self.failed and self.ended != "budget"

    @property
    def seconds(self) -> float:
        """Seconds from the start of the fit to its validated model, without refit and test predictions."""
        return _sum(self.seconds_features, self.seconds_training)

    @property
    def idle_share(self) -> float:
        """The part of its seconds that the trial would have taken on an idle machine, at most 1; 1 where that is unknown.

        A trial of one thread on a CPU takes its CPU seconds there.
        """
        spent = _sum(self.seconds_features, self.seconds_training, self.seconds_refit, self.seconds_prediction)
        if self.threads != 1 or self.device != "cpu" or not spent > 0 or math.isnan(self.cpu_seconds):
            return 1.0
        return min(1.0, self.cpu_seconds / spent)

    @property
    def rank(self) -> tuple[Any, ...]:
        """Order among rows of one id, the one to keep first: finished before cut off before failed, then by content."""
        return self.failed, not self.finished, *super().rank


def task_id(
    *,
    database: str,
    name: str,
    database_fingerprint: str,
    task_fingerprint: str,
    validation: str,
) -> str:
    """Return the id of a task: equal content asked in one protocol has one id, wherever the bank was built.

    Regime, label history and labels are part of the task's own fingerprint.
    """
    parts = [database, name, database_fingerprint, task_fingerprint, validation]
    return fingerprint_json(["task", *parts])[:_ID_LENGTH]


def trial_id(*, task: str, family: str, config: Mapping[str, Any], seed: int, generation: int) -> str:
    """Return the id of a trial: what was asked, not what came of it."""
    return fingerprint_json(["trial", task, family, jsonable(config), seed, generation])[:_ID_LENGTH]


def _sum(*parts: float) -> float:
    known = [part for part in parts if not math.isnan(part)]
    return sum(known) if known else _NAN


def _checked(name: str, kind: str, value: Any) -> Any:
    """Return a value of a field, checked against its annotation.

    Raises:
        TypeError: The value is of another type.
        ValueError: The value is none of those known.
    """
    if kind == "float":
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise TypeError(f"{name}: {type(value).__name__} is no number")
        return number_of(value)
    wanted: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool}
    expected = wanted.get(kind, str if kind in _CHOICES else Mapping)
    if not isinstance(value, expected) or (kind == "int" and isinstance(value, bool)):
        raise TypeError(f"{name}: {type(value).__name__} where {kind} should be")
    if kind in _CHOICES and value not in _CHOICES[kind]:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(_CHOICES[kind])}")
    return dict(value) if isinstance(value, Mapping) else value


_CHOICES: dict[str, tuple[str, ...]] = {"Origin": get_args(Origin), "TrialRole": get_args(TrialRole)}
