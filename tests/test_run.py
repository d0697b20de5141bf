"""The stages of a run: what the test rows cost when time is short."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.families.protocol import Candidate
from relselect.run.run import Outcome, Settings, _score_test
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
    return Candidate(
        family=family, config={}, seed=0, number=0, val_predictions=np.zeros(1), val_score=0.5, val_interval=(0.4, 0.6),
        seconds=1.0, peak_memory_mb=1.0, device="cpu", model=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("other", "scored"), [(Slow(0.0, 4e-3), False), (Slow(0.05, 4e-6), True)], ids=["a slow one", "a fixed price"]
)
def test_other_candidates_are_scored_only_in_the_time_that_is_left(other, scored):
    moments = np.zeros(N, dtype=np.int64)
    rows = Rows(np.arange(N), moments, moments, label=np.arange(N) % 2.0)
    real = shop_problem()
    problem: Any = SimpleNamespace(rows=lambda split: rows, task=real.task)
    chosen, rival = candidate("quick"), candidate("rival")
    outcome = Outcome(problem, Settings(), Budget(8.0), candidates=[chosen, rival], chosen=chosen)
    outcome.families = {"quick": Slow(0.0, 0.0), "rival": other}  # type: ignore[dict-item]
    _score_test(outcome)
    assert chosen.id in outcome.test_scores
    assert (rival.id in outcome.test_scores) == scored
    assert outcome.budget.left() > 0
