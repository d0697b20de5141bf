"""Scores the test rows, once, at the end: the deployed model first, later what it is compared with while time is left."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from relselect.events import Notice
from relselect.run.result import Decision, RunResult, Score
from relselect.tasks.metrics import interval_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family
    from relselect.problem import Problem
    from relselect.run.log import RunLog
    from relselect.tasks import Rows

__all__ = ["TestScorer"]

#: Test rows from which the time of predicting all of them is judged.
_SAMPLE = 1_000


@dataclass
class TestScorer:
    """Scores candidates on the test rows within what is left of the budget.

    Attributes:
        problem: The problem.
        families: The families by name.
        budget: The clock of the run.
        log: Where notices go.
        seed: Seed of the intervals.
        predicted: Predictions of the test rows by the keys of the scores.
    """

    __test__ = False  # not a test, whatever its name begins with

    problem: Problem
    families: Mapping[str, Family]
    budget: Budget
    log: RunLog
    seed: int
    predicted: dict[str, NDArray[np.float64]] = field(default_factory=dict, init=False)
    _slowest: float = field(default=0.0, init=False)

    def decided(self, decision: Decision, baselines: Sequence[Candidate]) -> dict[str, Score]:
        """Return the scores of the deployed model, under `RunResult.DEPLOYED`, and of the baselines, by candidate id.

        Args:
            decision: What was decided; the deployed model is scored in any case but one: where that would outlast the budget by
                far.
            baselines: The baselines, each scored where what its fit took is left.
        """
        found: dict[str, Score] = {}
        deployed = self._scored(decision.deployed, RunResult.DEPLOYED, self.budget, optional=False)
        if deployed is not None:
            found[RunResult.DEPLOYED] = deployed
            if not decision.refitted:
                found[decision.candidate.id] = deployed
                self.predicted[decision.candidate.id] = self.predicted[RunResult.DEPLOYED]
        for candidate in baselines:
            if candidate.id not in found and self.budget.left() > candidate.seconds:
                found[candidate.id] = self._score(candidate, candidate.id)
        return found

    def compared(self, candidates: Sequence[Candidate], kept: float = 0.0) -> dict[str, Score]:
        """Return the scores by candidate id of models to compare with, in order, each scored while time is left.

        Args:
            candidates: The models.
            kept: Seconds of the budget that are left for what follows.
        """
        found: dict[str, Score] = {}
        budget = self.budget.until(self.budget.left() - kept)
        for candidate in candidates:
            if budget.left() < self._slowest:
                continue
            score = self._scored(candidate, candidate.id, budget, optional=True)
            if score is not None:
                found[candidate.id] = score
        return found

    def _scored(self, candidate: Candidate, name: str, budget: Budget, *, optional: bool) -> Score | None:
        if self._too_slow(candidate, budget, optional=optional):
            return None
        begun = time.monotonic()
        score = self._score(candidate, name)
        self._slowest = max(self._slowest, time.monotonic() - begun)
        return score

    def _score(self, candidate: Candidate, name: str) -> Score:
        rows = self.problem.rows("test")
        predictions = self.families[candidate.family].predict(candidate, self.problem, rows.unlabelled())
        self.predicted[name] = predictions
        score, (low, high) = interval_of(self.problem.task.metric, rows, predictions, seed=self.seed)
        return Score(score, low, high)

    def _too_slow(self, candidate: Candidate, budget: Budget, *, optional: bool) -> bool:
        """Whether predicting the test rows would outlast `budget`, judged by a few of them.

        The deployed model may use the allowance of the run's budget too, and is trusted while more than that is left: every
        family keeps time for the test rows. What another family kept may have been spent since.
        """
        rows, left = self.problem.rows("test"), budget.left()
        allowance = self.budget.allowance
        if len(rows) < 4 * _SAMPLE or np.isinf(left) or (not optional and left > allowance):
            return False
        # the first prediction also sorts what the others find sorted; every one reads the database once, whatever its rows
        sizes = (_SAMPLE // 10, _SAMPLE // 10, _SAMPLE)
        _, few, more = (self._seconds_for(candidate, rows.take(slice(size))) for size in sizes)
        needed = more + max(0.0, more - few) / (_SAMPLE - _SAMPLE // 10) * (len(rows) - _SAMPLE)
        if needed <= budget.left() + (0.0 if optional else allowance / 2):
            return False
        if not optional:
            text = f"The test rows were not scored: that would take about {needed:.0f} s. predict(split='test') predicts them."
            self.log.emit(Notice("budget", text, "warning"))
        return True

    def _seconds_for(self, candidate: Candidate, rows: Rows) -> float:
        begun = time.monotonic()
        self.families[candidate.family].predict(candidate, self.problem, rows.unlabelled())
        return time.monotonic() - begun
