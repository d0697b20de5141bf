"""The stage of a run that explains what was decided: importance and staleness, within a small share of the budget.

It begins only what probably ends in time, and says what was left out and how to measure it later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from relselect.explain.decay import measure_decay
from relselect.explain.importance import measure_importance
from relselect.explain.staleness import Staleness, delay_ticks, measure_delays
from relselect.explain.study import AblationStudy

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family
    from relselect.problem import Problem
    from relselect.tasks import Rows
    from relselect.tasks.splits import Split

__all__ = ["RunExplanation", "explain_run", "explaining_budget", "reserved_seconds"]

#: Parts of the budget that are kept for the stage, and that it may use where they are left; seconds that it may use at most.
_KEPT, _USED, _MOST = 0.04, 0.1, 60.0
#: Shorter budgets keep nothing; with fewer seconds left nothing is begun.
_SHORTEST, _FEWEST = 60.0, 1.0
#: Seconds that a family may need to read a row of the database again, and the part of the stage that one reading may fill.
_PER_ROW, _ONE = 4e-6, 0.5
#: The part of the stage that staleness may use, and rows that are scored by period.
_STALENESS, _ROWS = 0.4, 4_000
_HOW = "fitted.importance() and fitted.staleness() measure it."


@dataclass(frozen=True)
class RunExplanation:
    """What a run measured of the model that it decided for.

    Attributes:
        importance: What it loses when something is withheld; None where that was not measured.
        staleness: Its score with older data and over time; None where that was not measured, or the task has no time.
        why: What was not measured, why, and how to measure it; "" if nothing.
    """

    importance: AblationStudy | None = None
    staleness: Staleness | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {
            "importance": None if self.importance is None else self.importance.to_json(),
            "staleness": None if self.staleness is None else self.staleness.to_json(),
            "why": self.why,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RunExplanation:
        """Return what `to_json` wrote.

        Raises:
            KeyError: A key is missing.
            TypeError: A value is of another type.
            ValueError: A value is none of those known.
        """
        return cls(
            None if stored["importance"] is None else AblationStudy.from_json(stored["importance"]),
            None if stored["staleness"] is None else Staleness.from_json(stored["staleness"]),
            stored["why"],
        )


def reserved_seconds(budget: Budget) -> float:
    """Return the seconds of a run that are kept for this stage: 4 % of a budget of a minute or more, at most a minute."""
    if not math.isfinite(budget.seconds) or budget.seconds < _SHORTEST:
        return 0.0
    return min(_KEPT * budget.seconds, _MOST)


def explaining_budget(budget: Budget) -> Budget:
    """Return the budget of this stage, beginning now: what is left, at most a tenth of the whole and a minute."""
    return budget.until(min(_USED * budget.seconds, _MOST))


def explain_run(
    problem: Problem,
    family: Family,
    candidate: Candidate,
    deployed: Candidate,
    select: Rows,
    *,
    budget: Budget,
    seed: int,
    split: Split,
) -> RunExplanation:
    """Measure staleness, then importance, where there is time.

    Args:
        problem: The database and the task.
        family: The family of the decision.
        candidate: The validated state, which is measured.
        deployed: The state that predicts test rows.
        select: The select rows.
        budget: The budget of the stage.
        seed: Seed of draws and bootstraps.
        split: The split that is scored by period.
    """
    reading = problem.database.num_rows * _PER_ROW
    if budget.left() < _FEWEST or reading > _ONE * budget.left():
        return RunExplanation(why=f"There was no time to measure what the model rests on: {_HOW}")
    staleness = None
    if not problem.task.static:
        ticks, share = delay_ticks(problem, None), budget.share(_STALENESS)
        staleness = measure_delays(problem, family, candidate, select, ticks, budget=share, seed=seed)
        rows = problem.rows(split).drawn(_ROWS, seed)
        predicted = family.predict(deployed if split == "test" else candidate, problem, rows.unlabelled())
        kind = problem.task.time_kind
        staleness = replace(
            staleness, decay=measure_decay(problem.task.metric, rows, predicted, split, kind, seed=seed)
        )
    if reading > _ONE * budget.left():
        return RunExplanation(None, staleness, f"There was no time to measure what its tables are worth: {_HOW}")
    importance = measure_importance(problem, family, candidate, select, budget=budget, seed=seed)
    return RunExplanation(importance, staleness)
