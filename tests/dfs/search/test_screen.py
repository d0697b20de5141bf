from __future__ import annotations

import json

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.dfs import DFS
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.search.pool import PoolOptions
from relselect.dfs.search.screen import _distinct, search_features
from relselect.events import Notice
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from tests.shop import shop, shop_problem
from tests.strategies import dressed

FEW = PoolOptions(depth=3, rich=False, most=400)


@pytest.fixture(scope="module")
def problem():
    return shop_problem()


@pytest.fixture(scope="module")
def result(problem):
    return search_features(problem, problem.rows("train"), FEW, keep=60)


def test_every_feature_is_kept_with_its_reason(problem, result):
    assert not result.fallback
    assert 0 < len(result.plan) <= 60
    assert [each.name for each in result.kept] == list(result.plan.names)
    gains = [each.gain for each in result.kept if each.reason == "gain on later rows"]
    assert gains
    assert gains == sorted(gains, reverse=True)
    assert min(gains) > 0
    fixed = set(default_plan(problem).names)
    assert all(each.name in fixed for each in result.kept if each.reason != "gain on later rows")
    offered = sum(count for _, count in result.offered)
    assert offered == len(result.plan) + sum(count for _, count in result.dropped)
    facts = json.loads(json.dumps(result.facts()))
    assert sum(group["kept"] for group in facts["groups"].values()) == len(result.plan)
    assert f"{len(result.plan)} of {offered}" in result.describe()


def test_the_same_seed_keeps_the_same(problem, result):
    again = search_features(shop_problem(), problem.rows("train"), FEW, keep=60)
    assert again.plan == result.plan
    assert again.kept == result.kept


@pytest.mark.parametrize("seed", range(2))
def test_rows_that_training_cannot_see_decide_nothing(problem, result, seed):
    tables = dressed(dict(problem.user_database.tables), problem.fit_asof, seed)
    other = Problem(shop({name: table.data for name, table in tables.items()}), problem.task)
    assert search_features(other, other.rows("train"), FEW, keep=60).kept == result.kept


def test_labels_beyond_training_are_not_read(problem, result):
    other = shop_problem()
    for split in ("val", "test"):
        other.rows(split).label[:] = 1 - other.rows(split).label
    assert search_features(other, other.rows("train"), FEW, keep=60).kept == result.kept


def test_a_search_without_time_or_rows_falls_back_visibly(problem):
    late = search_features(shop_problem(), problem.rows("train"), FEW, seconds=0.0)
    assert late.plan == default_plan(problem)
    assert "did not finish" in late.describe()
    assert late.facts()["fallback"]
    few = search_features(problem, problem.rows("train").take(slice(0, 20)), FEW)
    assert "too few training rows" in few.fallback


def test_what_orders_rows_alike_is_kept_once():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(2, 500))
    holes = np.where(draw.random(500) < 0.2, np.nan, x)
    values = np.stack([x, np.exp(x), -x, y, holes, x + 0.01 * y], axis=1)
    flags = (False,) * 6
    assert _distinct(values, flags, [0, 1, 2, 3, 4, 5], [], 10, lambda: None) == [0, 3, 4]
    assert _distinct(values, flags, [5, 4, 3, 2, 1, 0], [], 2, lambda: None) == [5, 4]
    assert _distinct(values, (True,) * 6, [0, 1, 2], [], 10, lambda: None) == [0, 1, 2]
    assert _distinct(values, flags, [5, 3, 1, 4], [0, 1], 10, lambda: None) == [3, 1, 4]  # those of the plan stay


def test_the_family_searches_within_its_share_and_says_so():
    problem, family = shop_problem(), DFS()
    few = {"search": True, "search_depth": 2, "search_rich": False, "search_conditions": False, "search_keep": 50}
    config = {**family.default(problem), "rounds": 5, "bags": 1, **few}
    events: list[object] = []
    fitted = family.fit(problem, fit_rows(problem), config, seed=0, number=0, budget=Budget(120), emit=events.append)
    assert fitted.facts["search"]["kept"] <= 50
    assert any(isinstance(event, Notice) and "The search kept" in event.message for event in events)
    assert fitted.importances is not None
    short = family.fit(
        shop_problem(),
        fit_rows(problem),
        {**config, "search_share": 0.0},
        seed=0,
        number=0,
        budget=Budget(120),
        emit=events.append,
    )
    assert any("fixed plan" in note for note in short.notes)
    assert short.facts["search"]["fallback"]
