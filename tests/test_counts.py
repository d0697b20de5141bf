"""Seeds, numbers of trials and time budgets are checked before any work, and NumPy numbers and timedeltas are taken."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

import relselect as rs
from relselect.api import profile
from relselect.budget import Budget
from relselect.errors import BudgetError, ConfigError
from relselect.run import Settings
from tests.shop import labels, shop, shop_tables, shop_task

BUDGETS = [np.int64(90), np.float32(90), 90, 90.0, "90s", "1.5min", timedelta(seconds=90), timedelta(minutes=1.5)]
BAD_SEEDS = [-1, 2**32, 1.5, 1.0, "1", True, None, np.float64(3)]


@pytest.mark.parametrize("seed", BAD_SEEDS)
def test_bad_seeds_are_refused_at_every_door(seed: object) -> None:
    # neither is a database nor a task: nothing is looked at before the seed
    for door in (rs.select_and_train, rs.recommend, profile):
        with pytest.raises(ConfigError, match="seed="):
            door(None, None, seed=seed)
    with pytest.raises(ConfigError, match="seed="):
        shop_task(shop(), shop_tables(), labels=labels(shop_tables()), seed=seed)


@pytest.mark.parametrize("count", [0, -3, 2.5, "3", True, np.float32(2)])
def test_bad_numbers_of_trials_are_refused(count: object) -> None:
    with pytest.raises(ConfigError, match="max_trials="):
        rs.select_and_train(None, None, max_trials=count)


@pytest.mark.parametrize(
    "budget", [0, -1, "soon", timedelta(0), timedelta(seconds=-5), True, float("nan"), [], np.float64("nan")]
)
def test_bad_budgets_are_refused(budget: object) -> None:
    with pytest.raises(BudgetError, match="time_budget="):
        rs.select_and_train(None, None, budget)


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint32, int])
def test_numpy_integers_are_taken(kind: type) -> None:
    settings = Settings(seed=kind(7), max_trials=kind(3))
    assert (settings.seed, settings.max_trials) == (7, 3)
    assert type(settings.seed) is int
    assert type(settings.max_trials) is int


@pytest.mark.parametrize("value", BUDGETS)
def test_budgets_of_every_form_are_taken(value: object) -> None:
    assert Budget(value).seconds == 90.0
