"""Measures an outcome from predictions that exist: of evaluated rows by the chosen model, and of the same rows by others.

Sums, scores, bins and curves come from all rows. Intervals come from a draw of them and are narrowed to the number of all rows:
a spread over n rows is that over m of them times the root of m / n. Segments are compared on a draw alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.database.clock import format_time
from relselect.errors import TaskError
from relselect.explain.decay import periods_of
from relselect.outcomes.calibration import calibration_bins, calibration_error, calibration_noise
from relselect.outcomes.draws import finite, ranged
from relselect.outcomes.gains import gain_curve, top_tenth
from relselect.outcomes.outcome import (
    ClassOutcome,
    Duel,
    NewestRows,
    Outcome,
    OutcomeEvent,
    OutcomeRows,
    PeriodOutcome,
    Ranged,
    SplitTotal,
)
from relselect.outcomes.outlook import Outlook, newest_places
from relselect.outcomes.segments import compared_segments
from relselect.tasks.metrics import clusters_of, interval_of
from relselect.tasks.paired import paired_difference
from relselect.uncertainty import Coverage, ResidualIntervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.problem import Problem
    from relselect.tasks import Rows
    from relselect.tasks.kinds import TaskKind

__all__ = ["Evaluated", "Rival", "measure_outcome"]

#: Rows that an interval comes from, at most, and how many times as many segments are compared on.
_MOST, _SEGMENTS = 3_000, 3.0
#: Draws of a duel.
_DRAWS = 60
#: Levels of the intervals whose coverage is measured.
_LEVELS = (0.5, 0.8, 0.9)


@dataclass(frozen=True)
class Rival:
    """Another model's predictions of the same rows, shape (n,) or (n, classes).

    Attributes:
        name: Its id.
        predicted: The predictions.
        finished: Whether the time budget left it uncut.
        baseline: Whether it is a constant.
    """

    name: str
    predicted: NDArray[np.float64]
    finished: bool = True
    baseline: bool = False


@dataclass(frozen=True)
class Evaluated:
    """Rows of a split and what was predicted for them.

    Attributes:
        split: Which rows they are.
        rows: n labelled rows.
        predicted: Predictions of the chosen model, shape (n,) or (n, classes).
        model: Its id.
        refitted: Whether it had been refitted on validation rows.
        finished: Whether the time budget left it uncut.
        rivals: Other models on the same rows.
        validated: Predictions of the state that was validated, which is compared with `rivals`; `predicted` if None.
    """

    split: OutcomeRows
    rows: Rows
    predicted: NDArray[np.float64]
    model: str
    refitted: bool = False
    finished: bool = True
    rivals: tuple[Rival, ...] = ()
    validated: NDArray[np.float64] | None = None


def measure_outcome(
    problem: Problem,
    evaluated: Sequence[Evaluated],
    *,
    seed: int = 0,
    most: int = _MOST,
    ahead: Outlook | None = None,
) -> Outcome:
    """Measure what predictions are worth.

    Args:
        problem: The database and the task.
        evaluated: The rows to describe first, such as the test rows, then others whose sums and duels are added.
        seed: Seed of draws and bootstraps.
        most: Rows that an interval comes from, at most.
        ahead: Who is asked about now, where that is known.

    Raises:
        ValueError: There are no rows.
    """
    if not evaluated or not len(evaluated[0].rows):
        raise ValueError("evaluated: there are no rows")
    first = evaluated[0]
    many = problem.task.kind == "multiclass"
    label, predicted = _as_events(first.rows, first.predicted) if many else (_label(first.rows), first.predicted)
    sample = _sample(len(first.rows), most, seed)
    clusters = clusters_of(first.rows)
    bins = calibration_bins(predicted, label, sample, clusters, seed=seed)
    chances = problem.task.kind != "regression"
    event, sought, happened = _event(problem.task.kind, predicted, label)
    part = _sample(len(first.rows), round(_SEGMENTS * most), seed)
    drawn, of_drawn = first.rows.take(part), first.predicted[part]
    compared, segments = compared_segments(problem, drawn, of_drawn, None if many else of_drawn, seed=seed)
    return Outcome(
        split=first.split,
        refitted=first.refitted,
        rows=len(first.rows),
        entities=len(np.unique(clusters)),
        event=event,
        drawn=len(part),
        mean=None if many else float(label.mean()),
        newest=_newest(problem, first),
        ahead=ahead,
        totals=tuple(_total(problem, each) for each in evaluated),
        top=top_tenth(sought, happened, sample, clusters, seed=seed),
        gain=() if many else gain_curve(sought, happened),
        bins=bins,
        calibration_error=calibration_error(predicted, label) if chances else None,
        calibration_noise=calibration_noise(predicted, seed=seed) if chances else None,
        periods=_periods(problem, first.rows, first.predicted, seed, most),
        compared=compared,
        segments=segments,
        duels=tuple(duel for each in evaluated for duel in _duels(problem, each, seed, most)),
        classes=_classes(problem, first) if many else (),
        coverage=_coverage(evaluated) if problem.task.kind == "regression" else (),
    )


def _coverage(evaluated: Sequence[Evaluated]) -> tuple[Coverage, ...]:
    """Return how often intervals that rest on the select rows hold labels of the test rows, by level.

    The select rows were predicted by the validated state, the test rows by the deployed one, as for who asks for intervals.
    """
    by_split = {each.split: each for each in evaluated}
    if not {"test", "select"} <= set(by_split):
        return ()
    test, select = by_split["test"], by_split["select"]
    intervals = ResidualIntervals(_label(select.rows), select.predicted)
    found = []
    for level in _LEVELS:
        with suppress(TaskError):
            found.append(intervals.coverage(_label(test.rows), test.predicted, level))
    return tuple(found)


def _label(rows: Rows) -> NDArray[np.float64]:
    return np.empty(0) if rows.label is None else rows.label


def _as_events(rows: Rows, predicted: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return whether the surest class is right, and its probability, each of shape (n,) (Guo et al. 2017, ICML, section 2)."""
    right = (predicted.argmax(axis=1) == _label(rows)).astype(np.float64)
    return right, np.asarray(predicted.max(axis=1))


def _event(
    kind: TaskKind, predicted: NDArray[np.float64], label: NDArray[np.float64]
) -> tuple[OutcomeEvent, NDArray[np.float64], NDArray[np.float64]]:
    """Return what is sought, how much each row is expected to have of it, and how much it had; of two answers the rarer one."""
    if kind == "binary":
        return ("negative", 1 - predicted, 1 - label) if label.mean() > 0.5 else ("positive", predicted, label)
    return ("amount" if kind == "regression" else "right", predicted, label)


def _sample(size: int, most: int, seed: int) -> NDArray[np.int64]:
    if size <= most:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, size=most, replace=False))


def _newest(problem: Problem, found: Evaluated) -> NewestRows:
    """Return what was expected of the newest evaluated rows, and what came; see `newest_places`."""
    task, rows = problem.task, found.rows
    inside = newest_places(rows)
    one = task.kind != "multiclass"
    predicted = found.predicted[inside]
    ends = (None, None) if task.static else (int(rows.cutoff[inside].min()), int(rows.cutoff[inside].max()))
    first, last = (None if each is None else str(format_time(each, task.time_kind)) for each in ends)
    return NewestRows(
        first=first,
        last=last,
        entities=len(inside),
        expected=float(predicted.sum()) if one else None,
        positive=int((predicted >= 0.5).sum()) if task.kind == "binary" else None,
        actual=float(_label(rows)[inside].sum()) if one else None,
    )


def _total(problem: Problem, found: Evaluated) -> SplitTotal:
    one, metric, label = problem.task.kind != "multiclass", problem.task.metric, _label(found.rows)
    constants = [metric.score(label, each.predicted) for each in found.rivals if each.baseline]
    defined = [each for each in constants if np.isfinite(each)]
    return SplitTotal(
        split=found.split,
        rows=len(label),
        expected=float(found.predicted.sum()) if one else None,
        actual=float(label.sum()) if one else None,
        score=finite(metric.score(label, found.predicted)),
        constant=max(defined, default=None),
    )


def _periods(
    problem: Problem, rows: Rows, predicted: NDArray[np.float64], seed: int, most: int
) -> tuple[PeriodOutcome, ...]:
    """Return the score and the sums by cutoff, month, or range of cutoffs; nothing for static tasks."""
    task = problem.task
    if task.static:
        return ()
    number, names = periods_of(rows.cutoff, task.time_kind)
    found = []
    for place, name in enumerate(names):
        inside = np.flatnonzero(number == place)
        part = inside[_sample(len(inside), max(most // len(names), 1), seed)]
        centre, ends = interval_of(task.metric, rows.take(part), predicted[part], seed=seed)
        score = task.metric.score(_label(rows)[inside], predicted[inside])
        whole = _narrowed(score, centre, *ends, len(part), len(inside))
        sums = [float(each[inside].sum()) if predicted.ndim == 1 else None for each in (predicted, _label(rows))]
        found.append(PeriodOutcome(name, len(inside), whole.value, whole.low, whole.high, *sums))
    return tuple(found)


def _narrowed(value: float, centre: float, low: float, high: float, drawn: int, rows: int) -> Ranged:
    """Return a number of all rows with the interval that a draw of them gave around `centre`."""
    narrow = np.sqrt(drawn / rows)
    return ranged(value, value + (low - centre) * narrow, value + (high - centre) * narrow)


def _duels(problem: Problem, found: Evaluated, seed: int, most: int) -> list[Duel]:
    """Compare the model with each trained rival and with the best of the baselines."""
    sample = _sample(len(found.rows), most, seed)
    metric, label = problem.task.metric, _label(found.rows)
    own = found.predicted if found.validated is None else found.validated
    scores = {each.name: metric.score(label, each.predicted) for each in found.rivals}
    constants = [each for each in found.rivals if each.baseline and np.isfinite(scores[each.name])]
    best = max(constants, key=lambda each: scores[each.name], default=None)
    mine = metric.score(label, own)
    duels = []
    for each in found.rivals:
        if each.baseline and each is not best:
            continue
        lead = paired_difference(
            metric, found.rows.take(sample), each.predicted[sample], own[sample], seed=seed, draws=_DRAWS
        )
        value = _narrowed(mine - scores[each.name], lead.value, lead.low, lead.high, len(sample), len(label))
        duels.append(
            Duel(
                found.split, len(label), found.model, each.name, value, found.finished and each.finished, each.baseline
            )
        )
    return duels


def _classes(problem: Problem, found: Evaluated) -> tuple[ClassOutcome, ...]:
    label, chosen = _label(found.rows).astype(np.int64), found.predicted.argmax(axis=1)
    return tuple(
        ClassOutcome(
            name=name,
            actual=int((label == place).sum()),
            expected=float(found.predicted[:, place].sum()),
            predicted=int((chosen == place).sum()),
            right=int(((chosen == place) & (label == place)).sum()),
        )
        for place, name in enumerate(problem.task.classes or ())
    )
