"""The score of a predictor by period after its training, with a straight line through it: when to train again.

The line is a weighted least-squares fit of the periods' scores over time, weights being rows. A slope mixes what the model has
unlearnt with how hard the periods are; its interval comes from a bootstrap over entities, which knows nothing of shocks that
hit all entities of a period alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.database.clock import DAY, format_time
from relselect.explain.words import figure, html_of, interval_text, length_text
from relselect.serialization import jsonable, number_of
from relselect.tasks.metrics import cluster_draws, clusters_of, interval_of, metric_named

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from relselect.database.clock import TimeKind
    from relselect.tasks import Metric, Rows

__all__ = ["Decay", "PeriodScore", "measure_decay", "periods_of"]

#: Periods at most, and at least for a line.
_MOST, _FEWEST = 24, 3
#: The part of a score whose loss asks for another training.
_TOLERATED = 0.01
_DRAWS, _FEWEST_DRAWS, _LEVEL = 100, 10, 0.9


@dataclass(frozen=True)
class PeriodScore:
    """The score of the rows of one period.

    Attributes:
        period: A cutoff, a month, or a range of cutoffs, as text.
        middle: Mean cutoff of its rows, in ticks.
        rows: Number of rows.
        score: Their score, higher is better; nan where undefined.
        low: Lower end of its 90 % interval.
        high: Its upper end.
    """

    period: str
    middle: float
    rows: int
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Decay:
    """The score over time, with a line through it.

    Attributes:
        metric: Name of the task's metric.
        split: The split whose rows were scored.
        kind: Whether times are timestamps or integers.
        periods: In the order of time.
        slope: Change of the score per 30 days, or per unit of an integer time; nan where there are fewer than three periods.
        low: Lower end of its 90 % interval.
        high: Its upper end.
    """

    metric: str
    split: str
    kind: TimeKind
    periods: tuple[PeriodScore, ...]
    slope: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """When to train again, or that no decay is seen."""
        metric, unit = metric_named(self.metric), "unit of time" if self.kind == "integer" else "30 days"
        scored = [each for each in self.periods if math.isfinite(each.score)]
        if not math.isfinite(self.slope):
            return f"Whether the score decays cannot be said: the {self.split} rows have {len(scored)} periods with a score."
        slope = f"{metric.title} changes by {figure(self.slope * metric.sign)} per {unit}"
        slope += interval_text(*sorted((self.low * metric.sign, self.high * metric.sign)))
        over = f"over {len(scored)} periods of the {self.split} rows"
        if not self.high < 0:
            return f"No decay beyond chance is seen {over}: {slope}."
        level = abs(float(np.mean([each.score for each in scored])))
        ticks = _TOLERATED * level / -self.slope * (1 if self.kind == "integer" else 30 * DAY)
        often = length_text(max(ticks, 1), self.kind)
        return f"The score decays {over}: {slope}. Train again about every {often} to lose 1 % at most."

    def to_frame(self) -> pd.DataFrame:
        """Return one row per period: all fields of `PeriodScore`."""
        import pandas as pd

        return pd.DataFrame([asdict(each) for each in self.periods], columns=list(PeriodScore.__dataclass_fields__))

    def to_json(self) -> dict[str, Any]:
        """Return the decay as JSON-able values, null for nan."""
        plain: dict[str, Any] = jsonable(asdict(self))
        return plain

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Decay:
        """Return what `to_json` wrote.

        Raises:
            KeyError: A key is missing.
            TypeError: A value is of another type.
            ValueError: The kind of time is none of those known, or the metric.
        """
        kind = stored["kind"]
        if kind not in ("timestamp", "integer"):
            raise ValueError(f"kind: {kind!r}")
        return cls(
            metric=metric_named(stored["metric"]).name,
            split=stored["split"],
            kind=kind,
            periods=tuple(_period(each) for each in stored["periods"]),
            slope=number_of(stored["slope"]),
            low=number_of(stored["low"]),
            high=number_of(stored["high"]),
        )

    def __str__(self) -> str:
        sign = metric_named(self.metric).sign
        return "\n".join(
            [self.sentence, *(f"  {p.period}  {figure(p.score * sign)} ({p.rows:,} rows)" for p in self.periods)]
        )

    def _repr_html_(self) -> str:
        return html_of([self.sentence], self.to_frame())


def measure_decay(
    metric: Metric, rows: Rows, predicted: NDArray[np.float64], split: str, kind: TimeKind | None, *, seed: int = 0
) -> Decay:
    """Score predicted rows by period and fit a line.

    Args:
        metric: The task's metric.
        rows: n labelled rows with time.
        predicted: Their predictions, shape (n,) or (n, classes).
        split: The split they come from.
        kind: The kind of time.
        seed: Seed of the bootstraps.
    """
    number, names = periods_of(rows.cutoff, kind)
    found = []
    for place, name in enumerate(names):
        inside = np.flatnonzero(number == place)
        score, (low, high) = interval_of(metric, rows.take(inside), predicted[inside], seed=seed)
        found.append(PeriodScore(name, float(rows.cutoff[inside].mean()), len(inside), score, low, high))
    label = np.empty(0) if rows.label is None else rows.label
    slope = _slope(metric, label, predicted, rows.cutoff, number, kind)
    drawn = np.array(
        [
            _slope(metric, label[each], predicted[each], rows.cutoff[each], number[each], kind)
            for each in cluster_draws(clusters_of(rows), seed=seed, draws=_DRAWS if math.isfinite(slope) else 0)
        ]
    )
    drawn = drawn[np.isfinite(drawn)]
    low = high = math.nan
    if len(drawn) >= _FEWEST_DRAWS:
        low, high = (float(each) for each in np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]))
    return Decay(metric.name, split, kind or "timestamp", tuple(found), slope, low, high)


def periods_of(cutoff: NDArray[np.int64], kind: TimeKind | None) -> tuple[NDArray[np.int64], list[str]]:
    """Return the period of each row and the periods' names: cutoffs, where these are too many months, else ranges of cutoffs."""
    known, number = np.unique(cutoff, return_inverse=True)
    if len(known) > _MOST and kind != "integer":
        months = known.astype("datetime64[us]").astype("datetime64[M]")
        named, month = np.unique(months, return_inverse=True)
        if len(named) <= _MOST:
            return month[number], [str(each) for each in named]
    if len(known) <= _MOST:
        return number, [format_time(int(each), kind) for each in known]
    parts = np.array_split(known, _MOST // 2)
    ends = np.concatenate([np.full(len(part), place) for place, part in enumerate(parts)])
    return ends[number], [f"{format_time(int(p[0]), kind)} to {format_time(int(p[-1]), kind)}" for p in parts]


def _slope(
    metric: Metric,
    label: NDArray[np.float64],
    predicted: NDArray[np.float64],
    cutoff: NDArray[np.int64],
    number: NDArray[np.int64],
    kind: TimeKind | None,
) -> float:
    """Return the slope of the periods' scores per 30 days, or per unit; nan for fewer than three periods with a score."""
    unit = 1.0 if kind == "integer" else 30.0 * DAY
    points = []
    for place in np.unique(number):
        inside = number == place
        score = metric.score(label[inside], predicted[inside])
        if math.isfinite(score):
            points.append((float(cutoff[inside].mean()) / unit, score, float(inside.sum())))
    if len(points) < _FEWEST:
        return math.nan
    x, y, weight = (np.array(each) for each in zip(*points, strict=True))
    centred = x - np.average(x, weights=weight)
    spread = float((weight * centred**2).sum())
    return float((weight * centred * y).sum() / spread) if spread > 0 else math.nan


def _period(stored: Mapping[str, Any]) -> PeriodScore:
    numbers = {name: number_of(stored[name]) for name in ("middle", "score", "low", "high")}
    return PeriodScore(period=stored["period"], rows=stored["rows"], **numbers)
