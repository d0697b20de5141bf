"""One budget, divided."""

from __future__ import annotations

import math

import pytest

from relselect.budget import Budget
from relselect.errors import ConfigError
from relselect.tuning import plan_budget


def test_equal_shares_after_the_reserve() -> None:
    plan = plan_budget(Budget(100), ["rdl", "dfs"])
    assert plan.reserve == pytest.approx(12, abs=0.1)
    assert plan.refit == pytest.approx(13, abs=0.1)
    assert plan.tuning("rdl").left() == pytest.approx(37.5, abs=0.2)
    assert plan.tuning("dfs").left() == pytest.approx(75, abs=0.3), "what the first one left is not lost"
    assert plan.choice().left() == pytest.approx(83.4, abs=0.3)
    assert plan.refitting().left() == pytest.approx(96.4, abs=0.3)
    with pytest.raises(ConfigError):
        plan.tuning("dfs")


def test_what_is_kept_is_left_by_every_part() -> None:
    plan = plan_budget(Budget(100), ["rdl"], kept=10.0)
    assert plan.choice().left() == pytest.approx(73.4, abs=0.3)
    assert plan.refitting().left() == pytest.approx(86.4, abs=0.3)
    assert plan.further(0.5).left() == pytest.approx(32.5, abs=0.3)
    assert plan.tuning("rdl").left() == pytest.approx(65, abs=0.3)


def test_extremes() -> None:
    unlimited = plan_budget(Budget(None), ["rdl"])
    assert unlimited.reserve == 0
    assert math.isinf(unlimited.tuning("rdl").left())
    assert plan_budget(Budget(1), ["rdl"]).reserve == pytest.approx(0.5, abs=0.01)
    assert plan_budget(Budget("10h"), ["rdl"]).reserve == 120
