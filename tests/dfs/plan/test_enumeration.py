"""Which features the default plan offers, in which order, and what decides it."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.database import Database
from relselect.database.table import SemanticType
from relselect.dfs.plan.enumeration import DEFAULT, RICH, default_plan, row_type
from relselect.dfs.plan.feature import Aggregate, Hop, split_path
from relselect.dfs.plan.routes import routes
from relselect.errors import ConfigError, TaskError, UserError
from relselect.problem import LABELS, Problem
from relselect.tasks import Task
from tests.dfs import worlds
from tests.strategies import dressed
from tests.strategies import worlds as random_worlds

A = Aggregate
ALL = {"where": True, "nested": True, "rich": True, "ratios": True, "depth": 3, "cap": 5_000}


@pytest.fixture(scope="module")
def problem() -> Problem:
    return worlds.problem(1)


def visits(rate: float, *, users: int = 30, days: int = 400, columns: int = 1, seed: int = 0) -> pd.DataFrame:
    """Visits of users, `rate` a day each."""
    draw = np.random.default_rng(seed)
    count = int(users * days * rate)
    values = {f"x{number}": draw.normal(size=count) for number in range(columns)}
    frame = pd.DataFrame({"user": draw.integers(0, users, count), "day": draw.integers(0, days, count), **values})
    return frame.assign(day=pd.Timestamp("2020-01-01") + pd.to_timedelta(frame.day, "D"))


def asked_about(children: dict[str, pd.DataFrame], *, horizon: str | None = "10d", users: int = 30, **more) -> Problem:
    """Whether something happens to a user, with these tables of children."""
    frames = {"users": pd.DataFrame({"user": range(users)}), **children, **more.get("frames", {})}
    database = Database.from_dataframes(
        frames,
        keys={"users": "user", **more.get("keys", {})},
        times={name: "day" for name in children},
        foreign_keys={**{name: {"user": "users"} for name in children}, **more.get("foreign_keys", {})},
    )
    cutoffs = pd.date_range("2020-06-01", "2021-01-15", freq="20D")
    grid = pd.DataFrame([(user, cutoff) for cutoff in cutoffs for user in range(users)], columns=["user", "cutoff"])
    labels = grid.assign(label=grid.index % 7 % 2)
    return Problem(
        database,
        Task.from_labels(database, labels, name="t", entity="users", kind="binary", time="cutoff", horizon=horizon),
    )


def windows_of(problem: Problem, table: str, **options) -> set[float]:
    plan = default_plan(problem, cap=5_000, **options)
    return {f.window / 86_400e6 for f in plan if f.window is not None and f.path[0].table == table and len(f.path) == 1}


@pytest.mark.parametrize("cap", [1, 40, 200])
def test_a_smaller_plan_is_the_beginning_of_a_larger_one(problem, cap):
    plan = default_plan(problem, cap=cap, where=True, nested=True)
    assert len(plan) == cap
    assert plan == default_plan(problem, cap=400, where=True, nested=True).capped(cap)
    if cap >= 40:
        assert any(feature.path and feature.path[0].table == LABELS for feature in plan)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_features_are_as_deep_as_asked_and_no_deeper(problem, depth):
    plan = default_plan(problem, **{**ALL, "depth": depth})
    labels_of_siblings = [f for f in plan if len(f.path) == 3 and f.path[-1].table == LABELS]
    assert max(feature.depth for feature in plan) == depth
    assert bool(labels_of_siblings) == (depth > 1)
    assert any(feature.base is not None and not feature.operands for feature in plan) == (depth > 1)


def test_a_plan_of_two_steps_knows_the_labels_of_siblings(problem):
    names = default_plan(problem, cap=400).names
    assert "PERCENT_TRUE(regions(region).shops[region].__labels__[entity_0].label)" in names


def test_bridges_are_crossed_both_ways(problem):
    names = set(default_plan(problem, **ALL).names)
    assert "NUM_UNIQUE(orders[shop].products(product))" in names
    assert "MEAN(orders[shop].products(product).price)" in names
    assert "MEAN(orders[shop].MEAN(products(product).orders[product].amount))" in names
    assert "MEAN(orders[shop].COUNT(lines[order]))" in names


def test_what_others_did_with_the_same_things_is_three_levels_away(problem):
    names = set(default_plan(problem, **{**ALL, "depth": 4, "cap": 9_000}).names)
    others = "MEAN(orders[shop].MEAN(products(product).orders[product]."
    assert f"{others}MEAN(lines[order].units)))" in names
    assert f"{others}PERCENT_TRUE(shops(shop).__labels__[entity_0].label)))" in names


def test_ratios_compare_windows_gaps_and_siblings(problem):
    plan = default_plan(problem, **ALL)
    names = {feature.name for feature in plan if feature.operands}
    assert "RATIO(TIME_SINCE_LAST(orders[shop]), AVG_TIME_BETWEEN(orders[shop]))" in names
    assert "DIFFERENCE(LAST(orders[shop].amount), MEAN(orders[shop].amount))" in names
    assert "DIFFERENCE(area, MEAN(regions(region).shops[region].area))" in names
    assert "RATIO(COUNT(orders[shop]), COUNT(regions(region).shops[region].orders[shop]))" in names
    assert "RATIO(NUM_UNIQUE(orders[shop].products(product)), COUNT(orders[shop]))" in names
    windowed = [f for f in plan if f.operands and f.operands[0].window is not None and f.operands[1].window is None]
    assert {f.aggregate for f in windowed} == {A.RATIO, A.DIFFERENCE}
    assert all(f.operands[0].path == f.operands[1].path for f in windowed)
    plan.check(plan.schema)


def test_a_plan_without_ratios_has_none(problem):
    assert not any(feature.operands for feature in default_plan(problem, **{**ALL, "ratios": False}))


def test_routes_do_not_walk_a_key_down_and_up_again(problem):
    for route in routes(problem, 3):
        split_path(route)
        for first, second in zip(route, route[1:], strict=False):
            assert not (first.down and not second.down and first.key == second.key)


def test_self_references_are_unrolled_and_end(problem):
    found = routes(problem, 3)
    up, down = Hop("shops", "boss", down=False), Hop("shops", "boss", down=True)
    for route in ((up,), (down,), (up, up, up), (up, up, down), (up, down, down), (down, down, down)):
        assert route in found
    assert max(map(len, found)) == 3


def test_several_keys_to_one_parent_are_several_routes():
    draw = np.random.default_rng(0)
    games = visits(0.1).rename(columns={"user": "home"}).assign(away=lambda f: draw.integers(0, 30, len(f)))
    problem = asked_about(
        {"visits": visits(0.1)},
        frames={"games": games},
        foreign_keys={"games": {"home": "users", "away": "users"}},
    )
    names = default_plan(problem).names
    assert {"COUNT(games[home])", "COUNT(games[away])"} <= set(names)
    assert "NUM_UNIQUE(games[home].users(away))" in names


def test_windows_follow_the_rate_of_the_rows():
    timeless = {"frames": {"things": visits(0.1).drop(columns="day")}, "foreign_keys": {"things": {"user": "users"}}}
    problem = asked_about({"often": visits(1.0), "seldom": visits(0.02)}, **timeless)
    assert windows_of(problem, "often") == {10, 40}
    assert windows_of(problem, "seldom") == {40, 160}
    assert windows_of(problem, "things") == set()
    assert windows_of(problem, "often", windows=["7d", "30d", "90d"]) == {7, 30, 90}
    assert windows_of(problem, "often", windows=[]) == set()
    assert windows_of(asked_about({"often": visits(1.0)}, horizon=None), "often") == set()


def test_every_window_asked_for_is_used():
    names = default_plan(asked_about({"often": visits(1.0)}), windows=["7d", "30d", "90d", "200d"], cap=5_000).names
    assert {f"MEAN(often[user].x0, {days}d)" for days in (7, 30, 90, 200)} <= set(names)


def test_what_no_training_row_sees_is_left_out():
    late = visits(0.1).assign(day=lambda f: f.day + pd.Timedelta(days=500))
    assert not any("late" in feature.tables for feature in default_plan(asked_about({"late": late, "v": visits(0.1)})))


def test_a_wide_table_does_not_crowd_out_a_narrow_one():
    problem = asked_about({"wide": visits(0.2, columns=400), "narrow": visits(0.2, seed=1)})
    plan = default_plan(problem)
    narrow = {str(feature.aggregate) for feature in plan if "narrow" in feature.tables}
    assert {"count", "time_since_last", "mean", "last", "max", "min", "std"} <= narrow
    assert len({feature.column for feature in plan if "wide" in feature.tables}) > 50


def test_one_row_per_entity_is_read_once():
    profile = pd.DataFrame({"user": range(30), "day": pd.Timestamp("2020-01-02"), "x0": np.arange(30.0)})
    plan = default_plan(asked_about({"profile": profile, "v": visits(0.1)}), cap=5_000)
    of_profile = [feature for feature in plan if feature.path and feature.path == (Hop("profile", "user", True),)]
    assert {feature.aggregate for feature in of_profile if feature.column == "x0"} == {A.MEAN, A.MAX, A.LAST}


def test_conditions_name_frequent_values_only():
    kinds = np.random.default_rng(0).choice(["a", "b", "c", "d"], 1200, p=[0.6, 0.3, 0.09, 0.01])
    problem = asked_about({"v": visits(0.1).assign(kind=kinds)})
    found = {feature.where.value for feature in default_plan(problem, where=True, cap=5_000) if feature.where}
    assert found == {"a", "b"}
    assert not any(feature.where for feature in default_plan(problem, where=False, cap=5_000))


def test_options_choose_the_aggregates(problem):
    of_rows = {f.aggregate for f in default_plan(problem, cap=5_000, rich=True) if any(hop.down for hop in f.path)}
    assert of_rows == RICH - {A.DIRECT}
    only = default_plan(problem, cap=5_000, aggregates=["mean", "MAX"], where=True, nested=True)
    assert {f.aggregate for f in only if any(hop.down for hop in f.path)} == {A.MEAN, A.MAX}
    plain = {f.aggregate for f in default_plan(problem, cap=5_000) if any(hop.down for hop in f.path)}
    assert plain == DEFAULT


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"depth": 0}, "1 to 4"),
        ({"depth": 5}, "1 to 4"),
        ({"cap": 0}, "one or more"),
        ({"aggregates": ["mean", "average"]}, "Use a list of"),
        ({"aggregates": "mean"}, "Use a list of"),
        ({"windows": ["0d"]}, "longer than nothing"),
    ],
)
def test_options_that_are_not_understood_are_refused(problem, options, told):
    with pytest.raises(ConfigError, match=told):
        default_plan(problem, **options)
    with pytest.raises(TaskError, match="duration"):
        default_plan(problem, windows=["soon"])


@settings(max_examples=15)
@given(random_worlds(), st.integers(0, 10**6))
def test_rows_that_training_cannot_see_decide_nothing(world, seed):
    try:
        problem = world.problem()
        other = world.problem(dressed(world.tables, problem.fit_asof, seed))
    except UserError:
        return
    assert default_plan(other, **ALL) == default_plan(problem, **ALL)


def test_integer_times_have_windows_in_their_own_units():
    rng = np.random.default_rng(0)
    events = pd.DataFrame({"user": rng.integers(0, 4, 60), "step": rng.integers(0, 30, 60), "x": rng.normal(size=60)})
    base = Database.from_dataframes(
        {"users": pd.DataFrame({"user": range(4)}), "events": events},
        keys={"users": "user"},
        times={"events": "step"},
        foreign_keys={"events": {"user": "users"}},
    )
    asked = pd.DataFrame([(u, s) for s in range(4, 30, 2) for u in range(4)], columns=["user", "step"])
    labels = asked.assign(label=asked.index % 2)
    task = Task.from_labels(base, labels, name="t", entity="users", kind="binary", time="step", horizon=2)
    plan = default_plan(Problem(base, task))
    assert {feature.window for feature in plan} == {None, 2, 8}
    assert not any(feature.aggregate == A.CALENDAR for feature in plan)


def test_static_tasks_have_neither_windows_nor_times():
    users = pd.DataFrame({"user": range(60), "since": pd.Timestamp("2020-01-01"), "age": np.arange(60) % 9})
    base = Database.from_dataframes(
        {"users": users, "v": visits(0.1, users=60)},
        keys={"users": "user"}, times={"v": "day"}, foreign_keys={"v": {"user": "users"}},
    )  # fmt: skip
    labels = pd.DataFrame({"user": range(60), "label": np.arange(60) // 3 % 2})
    plan = default_plan(Problem(base, Task.from_labels(base, labels, name="t", entity="users", kind="binary")), **ALL)
    assert not any(feature.window for feature in plan)
    assert not {A.SINCE_LAST, A.LAST, A.FIRST, A.TREND, A.DELAY, A.CALENDAR} & {f.aggregate for f in plan}
    assert {A.COUNT, A.MEAN, A.DIRECT} <= {f.aggregate for f in plan}


def test_task_rows_carry_no_type_for_lists():
    assert row_type(pa.list_(pa.int64())) is None
    assert row_type(pa.string()) == SemanticType.CATEGORICAL


def test_a_schema_of_many_tables_is_enumerated_quickly():
    children = {f"c{number}": visits(0.05, columns=8, seed=number) for number in range(20)}
    problem = asked_about(children)
    begun = time.process_time()
    plan = default_plan(problem, where=True, nested=True)
    assert time.process_time() - begun < 1
    assert len(plan) == 600
    assert {table for feature in plan for table in feature.tables} >= set(children)
