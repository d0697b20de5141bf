"""The stage of a run that measures what its predictions are worth, on test rows, or on select rows where none were scored."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from relselect.events import Emit, Notice
from relselect.families.registry import baselines
from relselect.outcomes import Evaluated, Outcome, Outlook, Rival, measure_outcome, outlook_of
from relselect.outcomes.newest import newest_asked
from relselect.run.result import Decision, RunResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["run_outcome", "run_outlook"]

#: Rows of now that are predicted first, to know how long all take.
_TRIED = 200
#: Rows that intervals are measured on where there is no time for more.
_HURRIED = 1_000


def run_outcome(
    problem: Problem,
    decision: Decision,
    others: Sequence[Candidate],
    select: Rows,
    tested: Mapping[str, NDArray[np.float64]],
    emit: Emit,
    *,
    seed: int,
    hurried: bool = False,
    ahead: Outlook | None = None,
) -> Outcome | None:
    """Return what the predictions that a run made are worth; whatever fails here costs no predictor.

    Args:
        problem: The database and the task.
        decision: What was decided.
        others: Baselines, and the best candidate of each other family.
        select: The select rows, which all candidates have predicted.
        tested: Predictions of the test rows by candidate id, those of the deployed model under `RunResult.DEPLOYED`.
        emit: Called with a notice where it fails.
        seed: Seed of draws and bootstraps.
        hurried: Whether few rows are to do for intervals.
        ahead: Who is asked about now, where they were predicted.

    Returns:
        The outcome; None where no row is labelled, or measuring failed.
    """
    found = []
    if RunResult.DEPLOYED in tested:
        found.append(_of_test(problem.rows("test"), decision, others, tested))
    chosen = decision.candidate
    if len(chosen.predictions) == len(select) > 0:
        rivals = tuple(_rival(each, each.predictions) for each in others if len(each.predictions) == len(select))
        found.append(
            Evaluated("select", select, chosen.predictions, chosen.id, finished=chosen.finished, rivals=rivals)
        )
    found = [each for each in found if each.rows.label is not None and np.isfinite(each.predicted).all()]
    if not found:
        return None
    try:
        return measure_outcome(problem, found, seed=seed, ahead=ahead, **({"most": _HURRIED} if hurried else {}))
    except Exception as error:  # a predictor without these numbers is worth keeping
        emit(
            Notice(
                "outcome",
                f"What the predictions are worth was not measured ({type(error).__name__}: {error}).",
                "warning",
            )
        )
        return None


def run_outlook(
    problem: Problem, decision: Decision, family: Family, budget: Budget, emit: Emit, *, seed: int, kept: float = 0.0
) -> Outlook | None:
    """Return who is asked about at the newest date of the database, predicted by the deployed model.

    A draw of them is predicted first, and where all would take longer than what is left of the budget, a notice says so.

    Args:
        problem: The database and the task.
        decision: What was decided.
        family: The family of what is deployed.
        budget: The clock of the run.
        emit: Called with a notice where nothing is returned though the task has a population query.
        seed: Seed of the draw.
        kept: Seconds of the budget that are left for what follows.

    Returns:
        The outlook; None where the task has no population query, it finds nobody, or there is no time.
    """
    why, budget = "the time budget is spent", budget.until(budget.left() - kept)
    try:
        asked = None if budget.spent else newest_asked(problem, budget)
        if asked is None and not budget.spent:
            return None
        if asked is not None:
            rows, keys = asked
            begun = time.monotonic()
            family.predict(decision.deployed, problem, rows.drawn(_TRIED, seed).unlabelled())
            expected = (time.monotonic() - begun) * len(rows) / min(len(rows), _TRIED)
            if expected <= budget.left():
                predicted = family.predict(decision.deployed, problem, rows.unlabelled())
                return outlook_of(problem.task, "population", rows, keys, predicted)
            why = f"that would take about {expected:.0f} s"
    except Exception as error:  # a predictor without these numbers is worth keeping
        why = f"{type(error).__name__}: {error}"
    if problem.task.population is not None:
        emit(Notice("outlook", f"Who is asked about now was not predicted: {why}. Fitted.outlook() does it."))
    return None


def _of_test(
    rows: Rows, decision: Decision, others: Sequence[Candidate], tested: Mapping[str, NDArray[np.float64]]
) -> Evaluated:
    """Return the test rows; others are compared with the validated state where that was scored, else with the deployed one."""
    return Evaluated(
        "test",
        rows,
        tested[RunResult.DEPLOYED],
        decision.candidate.id,
        refitted=decision.refitted,
        finished=decision.candidate.finished,
        rivals=tuple(_rival(each, tested[each.id]) for each in others if each.id in tested),
        validated=tested.get(decision.candidate.id),
    )


def _rival(candidate: Candidate, predicted: NDArray[np.float64]) -> Rival:
    return Rival(candidate.id, predicted, candidate.finished, candidate.family in baselines())
