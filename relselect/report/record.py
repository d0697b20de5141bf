"""The run record: everything that a report says about a run, as one JSON-able dictionary.

The record is the only input of the report, so equal records render equal bytes. Its shape is the tree of typed
dictionaries below; every key is required, and None stands where a value does not exist. `relselect.report.schema`
checks it and publishes it as a JSON Schema. This module reads no database and no model.
"""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic reads the one of the standard library from Python 3.12 on

from relselect.report.outcome_record import OutcomeRecord
from relselect.report.trial_record import FailureRecord, PrunedRecord, UnfinishedRecord

__all__ = [
    "RECORD_VERSION",
    "AblationRecord",
    "BudgetRecord",
    "CandidateRecord",
    "ChoiceRecord",
    "CurvePointRecord",
    "DecayRecord",
    "DelayRecord",
    "DatabaseRecord",
    "DeployedRecord",
    "EndedBy",
    "FamilyRecord",
    "FeatureRecord",
    "FindingRecord",
    "ForeignKeyRecord",
    "ImportanceRecord",
    "ImportancesRecord",
    "LeaderboardRecord",
    "LearningCurveRecord",
    "LossSliceRecord",
    "MarginRecord",
    "MeasureRecord",
    "NearTieRecord",
    "NoticeRecord",
    "PeriodRecord",
    "ProfileRecord",
    "RecommendationRecord",
    "RestsOnRecord",
    "RunRecord",
    "SettingsRecord",
    "SplitRecord",
    "StageRecord",
    "StalenessRecord",
    "TableRecord",
    "TaskRecord",
    "UnrunCheckRecord",
    "ValidationRecord",
]

#: The record version that this code writes and reads.
RECORD_VERSION = 9

#: Why the training of a candidate ended: its own stopping rule, its limit of steps, the time budget, or nothing to train.
EndedBy = Literal["converged", "limit", "budget", "constant"]


class SettingsRecord(TypedDict):
    """What the run was asked for; None means the default (the recommended families, no limit, as many seeds as pay, a GPU where
    there is one).

    `options` maps families to the options that hold in all their configurations, `spaces` to the search spaces that were given in
    place of the shipped ones.
    """

    seed: int
    families: list[str] | None
    time_budget: float | None
    max_trials: int | None
    fidelity: Literal["full", "rows", "length", "auto"]
    average_seeds: int | None
    evaluate_test: bool
    final: Literal["auto", "one", "blend"]
    explain: bool
    options: dict[str, dict[str, Any]]
    spaces: dict[str, dict[str, Any]]
    device: str | None
    metric: str | None
    class_weight: Literal["balanced"] | dict[str, float] | None
    preset: str | None


class FamilyRecord(TypedDict):
    """One family that the record names: its words, its colours as #rrggbb, and whether it is a baseline.

    `title` names it ("graph neural network"), `phrase` is the title as the object of a sentence ("a graph neural network"),
    `short` stands in tables ("RDL"), and `description` explains the family to a newcomer.
    """

    name: str
    title: str
    phrase: str
    short: str
    description: str
    colour_light: str
    colour_dark: str
    baseline: bool


class StageRecord(TypedDict):
    """One stage of a run and the seconds it took."""

    stage: str
    seconds: float


class BudgetRecord(TypedDict):
    """The granted seconds (None: no limit), the spent ones, and where they went."""

    seconds: float | None
    spent: float
    by_stage: list[StageRecord]


class ForeignKeyRecord(TypedDict):
    """One foreign key with its null and its dangling values (those that match no row of `table`)."""

    columns: list[str]
    table: str
    nulls: int
    dangling: int


class TableRecord(TypedDict):
    """One table of the database."""

    name: str
    rows: int
    columns: int
    primary_key: list[str]
    time: str | None
    foreign_keys: list[ForeignKeyRecord]
    null_times: int


class DatabaseRecord(TypedDict):
    """The database: its tables, size and fingerprint; `source` is the name that `relselect train` takes, if any."""

    name: str
    source: str | None
    fingerprint: str
    rows: int
    tables: list[TableRecord]


class SplitRecord(TypedDict):
    """One split: rows, first and last cutoff (ISO text or integers), mean label, rows purged at its end."""

    split: Literal["train", "val", "test"]
    rows: int
    first_cutoff: str | int | None
    last_cutoff: str | int | None
    label_mean: float | None
    purged: int


class TaskRecord(TypedDict):
    """The task; `metric_title` is the metric's name for readers, `horizon` and `delay` are texts ("30 days"), `query` is the
    predictive query that it was made of."""

    name: str
    entity: str
    kind: Literal["binary", "multiclass", "regression"]
    target: str
    metric: str
    metric_title: str
    regime: Literal["rolling", "frozen", "static"]
    horizon: str | None
    classes: list[str]
    splits: list[SplitRecord]
    delay: str
    description: str
    fingerprint: str
    query: str | None


class MeasureRecord(TypedDict):
    """One number of the profile with its standard error and its reading in words."""

    name: str
    value: float | None
    stderr: float | None
    reading: str
    group: str
    seconds: float


class FindingRecord(TypedDict):
    """One finding of a leak check; `accepted` is the declared reason why it is let stand."""

    check: str
    severity: Literal["error", "warning", "info"]
    subject: str
    evidence: str
    fix: str
    accepted: str | None


class UnrunCheckRecord(TypedDict):
    """One leak check that did not run, and why."""

    check: str
    why: str


class ProfileRecord(TypedDict):
    """The task embedding, measured before any training, and what the leak checks found."""

    measures: list[MeasureRecord]
    seconds: float
    findings: list[FindingRecord]
    unrun_checks: list[UnrunCheckRecord]


class MarginRecord(TypedDict):
    """Expected relative advantage of one family over the best of the others; above zero it is the better one."""

    value: float
    low: float | None
    high: float | None


class RecommendationRecord(TypedDict):
    """Which families to train, the expected margins (family name -> margin) and the evidence."""

    families: list[str]
    margins: dict[str, MarginRecord]
    evidence: list[str]
    taught_by: str
    basis: Literal["rule", "bank"]
    neighbours: list[dict[str, Any]]


class LeaderboardRecord(TypedDict):
    """One candidate as it was validated, before any refit; scores are "higher is better", errors being negated.

    `score`, `low` and `high` belong to the select rows, `stop_score` to the rows that ended training.
    """

    rank: int
    family: str
    candidate: str
    score: float | None
    low: float | None
    high: float | None
    stop_score: float | None
    test_score: float | None
    test_low: float | None
    test_high: float | None
    seconds: float
    peak_memory_mb: float | None
    device: str
    config: dict[str, Any]
    default: bool
    chosen: bool
    ended: EndedBy
    note: str


class NearTieRecord(TypedDict):
    """One checkpoint within one standard error of the best, with the slope of the loss around it.

    `checkpoint` is its index among the kept checkpoints, `step` the training step at which it was kept.
    """

    candidate: str
    checkpoint: int | None
    step: int | None
    score: float | None
    slope: float | None
    chosen: bool


class LossSliceRecord(TypedDict):
    """The loss along one of two random directions that all drawn checkpoints share; `steps` are relative to the weights."""

    candidate: str
    checkpoint: int
    direction: int
    steps: list[float]
    losses: list[float | None]
    chosen: bool


class ChoiceRecord(TypedDict):
    """The chosen candidate and checkpoint, what validation without flatness would have chosen, and the loss around some."""

    candidate: str
    family: str
    checkpoint: int | None
    step: int | None
    why: str
    near_ties: list[NearTieRecord]
    without_flatness: str
    without_flatness_checkpoint: int | None
    landscape: list[LossSliceRecord]


class DeployedRecord(TypedDict):
    """The model that predicts from now on, and its test score.

    `refitted` says whether it was trained on training and validation rows after the choice; it is none of the kept
    checkpoints then, and `checkpoint` is None.
    """

    candidate: str
    checkpoint: int | None
    refitted: bool
    why: str
    test_score: float | None
    test_low: float | None
    test_high: float | None


class ValidationRecord(TypedDict):
    """How validation rows were divided: stop rows end training, select rows carry the reported score.

    `way` is "cutoffs" (alternating), "entities" (by a hash), "train_tail" (the last training cutoffs stop) or "shared" (the
    same rows do both), and `why` the reason in one sentence.
    """

    way: Literal["cutoffs", "entities", "train_tail", "shared"]
    stop_rows: int
    select_rows: int
    shared: bool
    why: str


class CurvePointRecord(TypedDict):
    """One point of a learning curve; `step` counts steps or boosting rounds, `epoch` is counted from 0."""

    step: int
    epoch: int | None
    loss: float | None
    score: float | None
    seconds: float | None


class LearningCurveRecord(TypedDict):
    """Losses and scores during training; `loss_of` says which rows the loss was measured on."""

    unit: Literal["epoch", "round"]
    loss_of: Literal["train", "stop"]
    points: list[CurvePointRecord]


class FeatureRecord(TypedDict):
    """One feature, its share (0 to 1) of the whole model's importance, and its description in English."""

    feature: str
    share: float
    description: str


class ImportancesRecord(TypedDict):
    """The most important features, the largest share first; `kind` says how importance is measured."""

    kind: str
    features: list[FeatureRecord]


class CandidateRecord(TypedDict):
    """What is known of the training of one candidate; `facts` are further facts of its family (sizes, precision)."""

    learning_curve: LearningCurveRecord | None
    importances: ImportancesRecord | None
    facts: dict[str, Any]


class AblationRecord(TypedDict):
    """One thing withheld: a table, a path or a group of columns of a table, and the score that is lost with its interval.

    `drop` is score(nothing withheld) - score(this withheld); the scores are "higher is better".
    """

    kind: Literal["table", "path", "columns"]
    table: str
    name: str
    path: str
    drop: float | None
    low: float | None
    high: float | None


class ImportanceRecord(TypedDict):
    """What a candidate rests on: by kind the greatest loss first, and what was found in sentences."""

    candidate: str
    rows: int
    score: float | None
    ablations: list[AblationRecord]
    sentences: list[str]


class DelayRecord(TypedDict):
    """The score with data of one age, and its difference from fresh data on the same rows; `fallen` rows fall out."""

    delay: str
    score: float | None
    change: float | None
    low: float | None
    high: float | None
    rows: int
    fallen: int


class PeriodRecord(TypedDict):
    """The score of the rows of one period."""

    period: str
    rows: int
    score: float | None
    low: float | None
    high: float | None


class DecayRecord(TypedDict):
    """The score by period, with the slope of a line through it per 30 days (or per unit of an integer time)."""

    split: Literal["val", "test"]
    periods: list[PeriodRecord]
    slope: float | None
    low: float | None
    high: float | None


class StalenessRecord(TypedDict):
    """The score by the age of the data and by period, and what was found in sentences."""

    delays: list[DelayRecord]
    decay: DecayRecord | None
    sentences: list[str]


class RestsOnRecord(TypedDict):
    """What the decided model rests on; `why` says what was not measured and how to measure it."""

    importance: ImportanceRecord | None
    staleness: StalenessRecord | None
    why: str


class NoticeRecord(TypedDict):
    """One message of the run."""

    level: Literal["info", "warning"]
    topic: str
    message: str


class RunRecord(TypedDict):
    """One run ("run"), or one measurement without training ("recommendation": `choice` and `deployed` are None)."""

    version: int
    relselect: str
    kind: Literal["run", "recommendation"]
    settings: SettingsRecord
    families: list[FamilyRecord]
    budget: BudgetRecord
    environment: dict[str, str | None]
    database: DatabaseRecord
    task: TaskRecord
    profile: ProfileRecord | None
    recommendation: RecommendationRecord
    validation: ValidationRecord
    leaderboard: list[LeaderboardRecord]
    failures: list[FailureRecord]
    pruned: list[PrunedRecord]
    unfinished: list[UnfinishedRecord]
    choice: ChoiceRecord | None
    deployed: DeployedRecord | None
    rests_on: RestsOnRecord | None
    outcome: OutcomeRecord | None
    candidates: dict[str, CandidateRecord]
    notices: list[NoticeRecord]
