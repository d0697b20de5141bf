"""The staleness of a predictor: its score with data that are some days old, and its score as time goes on.

Two questions are answered: how often the database must be loaded, and when to train again. Rows are shown with an earlier `asof`
and the same cutoff, as `Rows.delayed` shows training rows; nothing is trained here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.database.clock import NEVER, parse_duration
from relselect.errors import TaskError
from relselect.explain.decay import Decay
from relselect.explain.words import change_text, counted, figure, html_of, interval_text, length_text
from relselect.serialization import jsonable, number_of
from relselect.tasks.metrics import interval_of, metric_named
from relselect.tasks.paired import paired_difference

if TYPE_CHECKING:
    import pandas as pd

    from relselect.budget import Budget
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["DELAYS", "DelayScore", "Staleness", "delay_ticks", "measure_delays"]

#: The delays that are measured by default.
DELAYS: tuple[str, ...] = ("0d", "7d", "30d", "90d")
#: By default in integer-time databases: multiples of the median distance between cutoffs.
_MULTIPLES = (0, 1, 4, 12)
#: Rows that are scored at most.
_ROWS = 2_000


@dataclass(frozen=True)
class DelayScore:
    """The score with data of one age.

    Attributes:
        delay: The age in words, counted from what the task's regime shows.
        ticks: The age in ticks.
        score: Score of the rows that are left, higher is better.
        low: Lower end of its 90 % interval.
        high: Its upper end.
        change: Score less that of the same rows with fresh data.
        change_low: Lower end of the 90 % interval of `change`, by a paired bootstrap over entities.
        change_high: Its upper end.
        rows: Rows that are left.
        fallen: Rows that fall out: their entity is not known yet in data of this age.
    """

    delay: str
    ticks: int
    score: float
    low: float
    high: float
    change: float
    change_low: float
    change_high: float
    rows: int
    fallen: int

    @property
    def worse(self) -> bool:
        """Whether the score is worse beyond chance."""
        return self.change_high < 0


@dataclass(frozen=True)
class Staleness:
    """How a predictor's score depends on the age of its data, and on the time since it was trained.

    Attributes:
        metric: Name of the task's metric.
        delays: By age, the freshest first.
        unmeasured: Ages in words for which there was no time.
        decay: The score over time; None where it was not asked for.
    """

    metric: str
    delays: tuple[DelayScore, ...]
    unmeasured: tuple[str, ...] = ()
    decay: Decay | None = None

    @property
    def sentence(self) -> str:
        """How often the database must be loaded."""
        known, old = metric_named(self.metric), [each for each in self.delays if each.ticks > 0]
        if not old:
            return "The score with older data was not measured."
        first = next((each for each in old if each.worse), None)
        if first is None:
            last = old[-1]
            return (
                f"No loss beyond chance is seen with data up to {last.delay} old"
                f" (change{interval_text(last.change_low, last.change_high)} there)."
            )
        loss = f"with data {first.delay} old {change_text(known, first.change)}"
        loss += interval_text(-first.change_high, -first.change_low)
        fine = [each for each in old if each.ticks < first.ticks]
        if fine:
            return f"Load the database at least every {fine[-1].delay}: {loss}, with {fine[-1].delay} no loss is seen."
        return f"Load the database more often than every {first.delay}: {loss}."

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, in words: loading, rows that fall out, training again."""
        found = [self.sentence]
        fallen = [each for each in self.delays if each.fallen]
        if fallen:
            most = fallen[-1]
            found.append(
                f"{counted(most.fallen, 'row')} of {most.rows + most.fallen:,} fall out at {most.delay}, as their entity is not"
                " known yet in data of that age."
            )
        if self.unmeasured:
            found.append(f"There was no time to measure {', '.join(self.unmeasured)}.")
        return (*found, *([self.decay.sentence] if self.decay is not None else []))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per age: all fields of `DelayScore`."""
        import pandas as pd

        return pd.DataFrame([asdict(each) for each in self.delays], columns=list(DelayScore.__dataclass_fields__))

    def to_json(self) -> dict[str, Any]:
        """Return the staleness as JSON-able values, null for nan."""
        plain: dict[str, Any] = jsonable(asdict(self))
        return plain

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Staleness:
        """Return what `to_json` wrote.

        Raises:
            KeyError: A key is missing.
            TypeError: A value is of another type.
            ValueError: The metric is none.
        """
        return cls(
            metric=metric_named(stored["metric"]).name,
            delays=tuple(_delay(each) for each in stored["delays"]),
            unmeasured=tuple(stored["unmeasured"]),
            decay=None if stored["decay"] is None else Decay.from_json(stored["decay"]),
        )

    def __str__(self) -> str:
        sign = metric_named(self.metric).sign
        lines = [*self.sentences]
        for each in self.delays:
            change = f"  {figure(each.change * sign)}{interval_text(*sorted((each.change_low * sign, each.change_high * sign)))}"
            lines.append(f"  {each.delay:>10}  {figure(each.score * sign)}{change if each.ticks else ''}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        frames = [self.to_frame(), *([self.decay.to_frame()] if self.decay is not None else [])]
        return html_of(self.sentences, *frames)


def delay_ticks(problem: Problem, delays: Sequence[str | int] | None) -> tuple[int, ...]:
    """Return delays in ticks, ascending, 0 among them.

    Args:
        problem: The problem.
        delays: Durations; None for `DELAYS`, or in integer-time databases multiples of the distance between cutoffs.

    Raises:
        TaskError: The task has no time, or a delay is no duration.
    """
    if problem.task.static:
        rule = "has no time, so its data have no age"
        raise TaskError("staleness", problem.task.name, rule, "Ask for the importance of its tables instead")
    if delays is None and problem.task.time_kind == "integer":
        steps = np.diff(np.unique(np.concatenate([frame.cutoff for frame in problem.task.splits.values()])))
        step = max(1, int(np.median(steps))) if len(steps) else 1
        delays = [step * times for times in _MULTIPLES]
    asked = [parse_duration(each, "delays") for each in (DELAYS if delays is None else delays)]
    if any(each >= NEVER // 2 for each in asked):
        raise TaskError("delays", list(delays or DELAYS), "are longer than any time", "Write e.g. '30d'")
    return tuple(sorted({0, *asked}))


def measure_delays(
    problem: Problem,
    family: Family,
    candidate: Candidate,
    rows: Rows,
    delays: Sequence[int],
    *,
    budget: Budget,
    seed: int = 0,
) -> Staleness:
    """Score rows with data of several ages, each compared with fresh data on the rows that are left.

    Args:
        problem: The database and the task.
        family: The family of the candidate.
        candidate: The fitted model.
        rows: Labelled rows that neither trained nor stopped it; 2,000 of them are drawn where there are more.
        delays: Ages in ticks, ascending, beginning with 0.
        budget: Nothing but the first age is begun that would probably outlast it.
        seed: Seed of the draw and of the bootstrap.
    """
    rows, kind, metric = rows.drawn(_ROWS, seed), problem.task.time_kind, problem.task.metric
    found, unmeasured, slowest, fresh = [], [], 0.0, None
    for ticks in delays:
        if fresh is not None and budget.left() <= slowest:
            unmeasured.append(length_text(ticks, kind))
            continue
        begun = time.monotonic()
        shown = _older(problem, rows, ticks)
        predicted = family.predict(candidate, problem, shown.unlabelled())
        fresh = predicted if fresh is None else fresh
        left = (shown.entity >= 0) | (rows.entity < 0)
        kept = shown.take(left)
        score, (low, high) = interval_of(metric, kept, predicted[left], seed=seed)
        change = paired_difference(metric, kept, fresh[left], predicted[left], seed=seed)
        found.append(
            DelayScore(
                length_text(ticks, kind), ticks, score, low, high, change.value, change.low, change.high,
                int(left.sum()), int((~left).sum()),
            )
        )  # fmt: skip
        slowest = max(slowest, time.monotonic() - begun)
    return Staleness(metric.name, tuple(found), tuple(unmeasured))


def _older(problem: Problem, rows: Rows, ticks: int) -> Rows:
    """Return rows as they look with data that are older by some ticks than their regime shows."""
    return rows if ticks == 0 else problem.hide_later_entities(replace(rows, asof=rows.asof - ticks))


def _delay(stored: Mapping[str, Any]) -> DelayScore:
    return DelayScore(
        delay=stored["delay"],
        ticks=stored["ticks"],
        score=number_of(stored["score"]),
        low=number_of(stored["low"]),
        high=number_of(stored["high"]),
        change=number_of(stored["change"]),
        change_low=number_of(stored["change_low"]),
        change_high=number_of(stored["change_high"]),
        rows=stored["rows"],
        fallen=stored["fallen"],
    )
