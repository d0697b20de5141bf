"""The part of the run record that says what the predictions are worth: the JSON of `relselect.outcomes.Outcome`.

The meaning of each key stands in `relselect.outcomes.outcome`.
"""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic reads the one of the standard library from Python 3.12 on

__all__ = [
    "AskedEntityRecord",
    "CalibrationBinRecord",
    "ClassOutcomeRecord",
    "CoverageRecord",
    "DuelRecord",
    "ExpectedClassRecord",
    "GainPointRecord",
    "NewestRowsRecord",
    "OutcomeRecord",
    "OutlookRecord",
    "PeriodOutcomeRecord",
    "RangedRecord",
    "SegmentOutcomeRecord",
    "SplitTotalRecord",
    "TopTenthRecord",
]


class RangedRecord(TypedDict):
    """A number with its 90 % interval."""

    value: float | None
    low: float | None
    high: float | None


class ClassOutcomeRecord(TypedDict):
    """One class: rows that have it, that are expected to, that are predicted so, and right of these."""

    name: str
    actual: int
    expected: float
    predicted: int
    right: int


class CoverageRecord(TypedDict):
    """How often intervals of one level hold the labels of test rows: the share with its 90 % interval, and their mean width."""

    level: float
    share: float
    low: float
    high: float
    width: float
    rows: int


class NewestRowsRecord(TypedDict):
    """Who was asked about last, what is expected of them, and what came."""

    first: str | None
    last: str | None
    entities: int
    expected: float | None
    positive: int | None
    actual: float | None


class AskedEntityRecord(TypedDict):
    """One entity that is asked about now, with its prediction."""

    key: list[str]
    value: float
    answer: str | None


class ExpectedClassRecord(TypedDict):
    """One class: entities that are expected to have it, and those predicted so."""

    name: str
    expected: float
    predicted: int


class OutlookRecord(TypedDict):
    """Who is asked about at the newest date of the database, and what is expected of them."""

    source: Literal["population", "evaluated"]
    at: str | None
    entities: int
    expected: float | None
    positive: int | None
    keys: list[str]
    listed: list[AskedEntityRecord]
    lowest_first: bool
    classes: list[ExpectedClassRecord]


class TopTenthRecord(TypedDict):
    """The tenth of the rows in which the event is most expected."""

    rows: int
    mean: RangedRecord
    captured: RangedRecord
    lift: RangedRecord


class GainPointRecord(TypedDict):
    """The part of everything that lies in a share of the rows, those first where it is most expected."""

    share: float
    captured: float


class CalibrationBinRecord(TypedDict):
    """Rows with similar predictions: mean prediction, and mean label with its interval."""

    rows: int
    predicted: float
    actual: float
    low: float | None
    high: float | None


class SplitTotalRecord(TypedDict):
    """Sums of predictions and labels of a split, with the scores of the model and of the best baseline."""

    split: Literal["test", "select"]
    rows: int
    expected: float | None
    actual: float | None
    score: float | None
    constant: float | None


class PeriodOutcomeRecord(TypedDict):
    """Score and sums of the rows of one period."""

    period: str
    rows: int
    score: float | None
    low: float | None
    high: float | None
    expected: float | None
    actual: float | None


class SegmentOutcomeRecord(TypedDict):
    """The rows of entities with one value in one column, where their score differs from that of all rows beyond chance."""

    column: str
    value: str
    rows: int
    score: float
    difference: RangedRecord
    expected: float | None
    actual: float | None


class DuelRecord(TypedDict):
    """The chosen model beside another on the same rows: the difference of their scores, paired, higher is better."""

    split: Literal["test", "select"]
    rows: int
    first: str
    second: str
    lead: RangedRecord
    finished: bool
    baseline: bool


class OutcomeRecord(TypedDict):
    """What the predictions of the evaluated rows are worth to whoever acts on them."""

    split: Literal["test", "select"]
    refitted: bool
    rows: int
    entities: int
    event: Literal["positive", "negative", "amount", "right"]
    drawn: int
    mean: float | None
    newest: NewestRowsRecord
    totals: list[SplitTotalRecord]
    top: TopTenthRecord | None
    gain: list[GainPointRecord]
    bins: list[CalibrationBinRecord]
    calibration_error: float | None
    calibration_noise: float | None
    periods: list[PeriodOutcomeRecord]
    compared: int
    segments: list[SegmentOutcomeRecord]
    duels: list[DuelRecord]
    classes: list[ClassOutcomeRecord]
    coverage: list[CoverageRecord]
    ahead: OutlookRecord | None
