"""One clock: durations are read, children never outlive their parent, and an ended budget says so."""

from __future__ import annotations

import math
import time

import pytest

from relselect.budget import Budget, parse_seconds
from relselect.errors import BudgetError, BudgetExhausted, UserError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90s", 90),
        ("5min", 300),
        ("1h", 3600),
        ("2 m", 120),
        ("1.5h", 5400),
        (60, 60),
        (0.5, 0.5),
        ("10", 10),
        (" 3 sec ", 3),
        (None, math.inf),
    ],
)
def test_durations(value, seconds):
    assert parse_seconds(value) == seconds


@pytest.mark.parametrize("value", ["soon", "", "0s", "-5min", 0, -1, True, math.nan, "5 parsecs", [], "1h30min"])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(
        BudgetError, match=r"time_budget=.*must be a positive duration. Write seconds, '90s', '5min' or '1h'\."
    ) as raised:
        Budget(value)
    assert isinstance(raised.value, UserError)


def test_time_passes():
    budget = Budget(0.05)
    assert not budget.spent
    budget.check()
    assert 0 < budget.left() <= 0.05
    time.sleep(0.06)
    assert budget.spent
    assert budget.left() == 0
    assert budget.elapsed() >= 0.06
    with pytest.raises(BudgetExhausted, match=r"0\.05 s is spent"):
        budget.check()


def test_children_end_no_later_than_their_parent():
    parent = Budget(10)
    assert parent.share(0.3).seconds == pytest.approx(3, abs=0.1)
    assert parent.until(3).left() == pytest.approx(3, abs=0.1)
    assert parent.until(100).left() <= parent.left() + 1e-3
    assert parent.until(-1).spent
    assert parent.share(0.5).share(0.5).seconds == pytest.approx(2.5, abs=0.1)


def test_without_a_limit():
    budget = Budget()
    budget.check()
    assert budget.left() == math.inf
    assert not budget.share(0.1).spent
    assert budget.until(5).seconds == 5
    assert "inf" in repr(budget)
