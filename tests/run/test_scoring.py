"""What the test rows cost when time is short."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.families.candidate import Candidate
from relselect.run.log import RunLog
from relselect.run.result import Decision, RunResult
from relselect.run.scoring import TestScorer
from relselect.tasks import Rows
from tests.shop import shop_problem

N = 10_000


class Slow:
    """Predicts at a fixed price for reading the database and a price per row."""

    def __init__(self, fixed: float, per_row: float) -> None:
        self.fixed, self.per_row = fixed, per_row

    def predict(self, candidate: Candidate, problem: Any, rows: Rows) -> np.ndarray[Any, Any]:
        time.sleep(self.fixed + self.per_row * len(rows))
        return np.zeros(len(rows))


def candidate(family: str) -> Candidate:
    return Candidate(family, {}, 0, 0, None, np.zeros(1), 0.5, (0.4, 0.6), seconds=1.0)


@pytest.mark.parametrize(
    ("other", "scored"), [(Slow(0.0, 4e-3), False), (Slow(0.05, 4e-6), True)], ids=["a slow one", "a fixed price"]
)
def test_other_candidates_are_scored_only_in_the_time_that_is_left(other, scored):
    moments = np.zeros(N, dtype=np.int64)
    rows = Rows(np.arange(N), moments, moments, label=np.arange(N) % 2.0)
    problem: Any = SimpleNamespace(rows=lambda split: rows, task=shop_problem().task)
    chosen, rival = candidate("quick"), candidate("rival")
    decision = Decision(chosen, chosen, False, "", "", (), ("quick", 0, None), 0.0, "")
    families: Any = {"quick": Slow(0.0, 0.0), "rival": other}
    scorer = TestScorer(problem, families, Budget(20.0), RunLog(None), seed=0)
    found = scorer.decided(decision, [])
    assert found[RunResult.DEPLOYED] == found[chosen.id]
    assert (rival.id in scorer.compared([rival])) == scored
    assert scorer.budget.left() > 0


@pytest.mark.parametrize(("kept", "scored"), [(0.0, True), (15.0, False)])
def test_other_candidates_leave_the_time_that_is_kept_for_the_explanation(kept, scored):
    moments = np.zeros(N, dtype=np.int64)
    rows = Rows(np.arange(N), moments, moments, label=np.arange(N) % 2.0)
    problem: Any = SimpleNamespace(rows=lambda split: rows, task=shop_problem().task)
    rival = candidate("rival")
    scorer = TestScorer(problem, {"rival": Slow(0.0, 3e-4)}, Budget(16.0), RunLog(None), seed=0)
    assert (rival.id in scorer.compared([rival], kept)) == scored
    assert scorer.budget.left() >= kept - 1
