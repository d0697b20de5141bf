"""The outcome of a run's predictions as plain numbers; None stands where a number is undefined.

`relselect.outcomes.measuring` measures them, and the report puts them into words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, with_config

from relselect.outcomes.outlook import Outlook
from relselect.serialization import jsonable
from relselect.uncertainty import Coverage

__all__ = [
    "CalibrationBin",
    "ClassOutcome",
    "Duel",
    "GainPoint",
    "NewestRows",
    "Outcome",
    "PeriodOutcome",
    "Ranged",
    "SegmentOutcome",
    "SplitTotal",
    "TopTenth",
]

#: "test": the test rows; "select": the validation rows that ended no training.
OutcomeRows = Literal["test", "select"]
OutcomeEvent = Literal["positive", "negative", "amount", "right"]


@dataclass(frozen=True)
class Ranged:
    """A number with its 90 % interval, by a bootstrap over entities; None where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ClassOutcome:
    """One class: rows that have it, rows expected to (sum of probabilities), rows predicted so, and the right ones of these."""

    name: str
    actual: int
    expected: float
    predicted: int
    right: int


@dataclass(frozen=True)
class NewestRows:
    """Who was asked about last.

    Attributes:
        first: The earliest of their cutoffs, as text; None for static tasks.
        last: The latest.
        entities: How many there are; of an entity with several rows the latest row counts.
        expected: Sum of their predictions: the expected number of positives, or the expected amount; None for classes.
        positive: How many of them are predicted positive (a probability of at least one half); None for amounts and classes.
        actual: Sum of their labels: what came; None for classes.
    """

    first: str | None
    last: str | None
    entities: int
    expected: float | None
    positive: int | None
    actual: float | None


@dataclass(frozen=True)
class TopTenth:
    """The tenth of the rows in which the event is most expected: the highest predictions, or the lowest for a negative one.

    Attributes:
        rows: How many rows they are.
        mean: The share of them that has the event, or their mean amount.
        captured: The part of all events, or of the whole amount, that lies in them.
        lift: Their mean over that of all rows.
    """

    rows: int
    mean: Ranged
    captured: Ranged
    lift: Ranged


@dataclass(frozen=True)
class GainPoint:
    """The part of all events, or of the whole amount, in the rows where it is most expected; both from 0 to 1."""

    share: float
    captured: float


@dataclass(frozen=True)
class CalibrationBin:
    """Rows with similar predictions: their mean prediction, and their mean label with its interval."""

    rows: int
    predicted: float
    actual: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SplitTotal:
    """Predictions and labels of a split, summed; `constant` is the score of the best baseline on the same rows."""

    split: OutcomeRows
    rows: int
    expected: float | None
    actual: float | None
    score: float | None
    constant: float | None


@dataclass(frozen=True)
class PeriodOutcome:
    """The rows of one period: their score with its interval, and their predictions and labels, summed."""

    period: str
    rows: int
    score: float | None
    low: float | None
    high: float | None
    expected: float | None
    actual: float | None


@dataclass(frozen=True)
class SegmentOutcome:
    """The rows of entities with one value in one column, where the score differs from that of all rows beyond chance.

    `difference` is score(these rows) - score(all rows), higher is better; its interval holds for all values that were compared
    together (Bonferroni).
    """

    column: str
    value: str
    rows: int
    score: float
    difference: Ranged
    expected: float | None
    actual: float | None


@dataclass(frozen=True)
class Duel:
    """Two models on the same rows: score(first) - score(second), higher is better, by a paired bootstrap over entities.

    Attributes:
        split: The rows.
        rows: How many are compared.
        first: Id of the chosen model.
        second: Id of the other one.
        lead: The difference with its interval.
        finished: Whether neither was cut off by the time budget.
        baseline: Whether the second is a baseline: the best one on these rows.
    """

    split: OutcomeRows
    rows: int
    first: str
    second: str
    lead: Ranged
    finished: bool
    baseline: bool


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Outcome:
    """What the predictions of evaluated rows are worth.

    Attributes:
        split: Which rows were evaluated.
        refitted: Whether the model that predicted them had been refitted on validation rows.
        rows: How many rows they are.
        entities: How many entities they ask about.
        event: What is sought in the top tenth and the gain curve: the rarer of the two answers ("positive" or "negative"), the
            "amount", or, for classes, that the surest class is "right".
        drawn: Rows that segments are compared on; all rows, or a draw.
        mean: Mean label: the base rate, or the mean amount; None for classes.
        newest: Who was asked about last.
        totals: Sums and scores by split.
        top: The top tenth; None where there are fewer than ten rows.
        gain: The gain curve; empty where nothing can be captured (amounts below zero, classes, no event).
        bins: About ten groups of rows with equally many, from low predictions to high ones.
        calibration_error: Mean distance of mean prediction and mean label over the bins, weighted by rows (expected calibration
            error; Naeini et al. 2015); for classes that of the surest class. None for amounts.
        calibration_noise: What a perfectly calibrated model would stay below in 95 of 100 draws of as many labels.
        periods: By cutoff, in the order of time.
        compared: Values of columns of the entity table whose rows were compared with all rows.
        segments: Those that differ beyond chance, the largest difference first.
        duels: The chosen model beside others.
        classes: By class, for multiclass tasks.
        coverage: By level, how often the intervals that rest on the select rows hold the labels of the test rows; empty where
            these rows were not evaluated, or the labels are no amounts.
        ahead: Who is asked about at the newest date of the database, whose answers are not known yet; None where the task has no
            population query, or there was no time to predict them.
    """

    split: OutcomeRows
    refitted: bool
    rows: int
    entities: int
    event: OutcomeEvent
    drawn: int
    mean: float | None
    newest: NewestRows
    totals: tuple[SplitTotal, ...] = ()
    top: TopTenth | None = None
    gain: tuple[GainPoint, ...] = ()
    bins: tuple[CalibrationBin, ...] = ()
    calibration_error: float | None = None
    calibration_noise: float | None = None
    periods: tuple[PeriodOutcome, ...] = ()
    compared: int = 0
    segments: tuple[SegmentOutcome, ...] = ()
    duels: tuple[Duel, ...] = ()
    classes: tuple[ClassOutcome, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    ahead: Outlook | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON-able values."""
        plain: dict[str, Any] = jsonable(asdict(self))
        return plain

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Outcome:
        """Return what `to_json` wrote.

        Raises:
            ValueError: A key is missing or unknown, or a value is of another type.
        """
        return _ADAPTER.validate_python(dict(stored))


_ADAPTER: TypeAdapter[Outcome] = TypeAdapter(Outcome)
