from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from relselect.database import Database
from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.enumeration import default_plan, routes
from relselect.dfs.feature import Aggregate, Feature, Hop, split_path
from relselect.dfs.plan import Plan
from relselect.problem import LABELS, Problem
from relselect.tasks import Task
from tests.dfs import worlds


def test_a_plan_survives_json(tmp_path):
    plan = default_plan(worlds.problem(1))
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan


def test_names_are_unique_and_every_feature_is_described():
    plan = default_plan(worlds.problem(1), cap=100_000)
    assert len(set(plan.names)) == len(plan)
    assert all(feature.describe("shops") and "None" not in feature.describe("shops") for feature in plan)


@pytest.mark.parametrize("cap", [1, 40, 200])
def test_the_cap_holds_and_keeps_the_label_history(cap):
    plan = default_plan(worlds.problem(1), cap=cap)
    assert len(plan) == cap
    if cap >= 40:
        assert any(feature.path and feature.path[0].table == LABELS for feature in plan)


def test_depth_one_has_no_long_paths():
    assert all(feature.depth <= 1 for feature in default_plan(worlds.problem(1), depth=1))


def test_routes_do_not_walk_a_key_down_and_up_again():
    for route in routes(worlds.problem(1), 2):
        split_path(route)
        for first, second in zip(route, route[1:], strict=False):
            assert not (first.down and not second.down and first.key == second.key and second.table == "shops")


def test_self_references_end():
    found = routes(worlds.problem(1), 2)
    assert (Hop("shops", "boss", down=False),) in found
    assert (Hop("shops", "boss", down=True),) in found
    assert max(len(route) for route in found) == 3  # labels of siblings


def test_a_route_that_goes_down_twice_is_refused():
    with pytest.raises(ValueError, match="down twice"):
        split_path((Hop("a", "x", True), Hop("b", "y", False), Hop("c", "z", True)))


def test_windows_are_named_in_days():
    feature = Feature(Aggregate.MEAN, (Hop("orders", "shop", True),), "total", window=60 * DAY)
    assert feature.name == "MEAN(orders[shop].total, 60d)"


def test_integer_times():
    rng = np.random.default_rng(0)
    events = pd.DataFrame({"user": rng.integers(0, 4, 60), "step": rng.integers(0, 30, 60), "x": rng.normal(size=60)})
    base = Database.from_dataframes(
        {"users": pd.DataFrame({"user": range(4)}), "events": events},
        keys={"users": "user"},
        times={"events": "step"},
        foreign_keys={"events": {"user": "users"}},
    )
    asked = pd.DataFrame([(u, s) for s in range(4, 30, 2) for u in range(4)], columns=["user", "step"]).assign(
        label=lambda f: f.index % 2
    )
    problem = Problem(
        base, Task.from_labels(base, asked, name="t", entity="users", kind="binary", time="step", horizon=2)
    )
    plan = default_plan(problem)
    assert {feature.window for feature in plan} == {None, 2, 8}
    assert not any(feature.aggregate == Aggregate.CALENDAR for feature in plan)
    from relselect.dfs.encoding import Vocabulary
    from relselect.dfs.matrix import compute

    rows = problem.rows("train")
    values = compute(problem, plan, rows, Vocabulary.fit(problem, plan))
    since = values.values[:, values.names.index("TIME_SINCE_LAST(events[user])")]
    for row in range(len(rows)):
        mine = events[(events.user == rows.entity[row]) & (events.step <= rows.cutoff[row])].step
        assert (np.isnan(since[row]) and mine.empty) or since[row] == rows.cutoff[row] - mine.max()


def test_task_rows_carry_no_type_for_lists():
    import pyarrow as pa

    from relselect.dfs.enumeration import row_type

    assert row_type(pa.list_(pa.int64())) is None
    assert row_type(pa.string()) == SemanticType.CATEGORICAL
