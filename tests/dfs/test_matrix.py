from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.database import Database
from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.encoding import Vocabulary
from relselect.dfs.enumeration import _OF_ROWS, _OF_TYPE, default_plan, routes
from relselect.dfs.feature import Aggregate, Feature, split_path
from relselect.dfs.matrix import compute
from relselect.dfs.plan import Plan
from relselect.problem import Problem
from relselect.tasks import Rows
from tests.dfs import worlds

OWN = (Aggregate.CALENDAR, Aggregate.DELAY, Aggregate.ROW)


def every_feature(problem: Problem) -> Plan:
    """All aggregates of all columns over all routes and windows, not only those of the default plan."""
    found = list(default_plan(problem, cap=100_000).features)
    for route in routes(problem, 2):
        _, down, then = split_path(route)
        if not down:
            continue
        table = route[-1].table
        columns = [(c, k) for c, k in problem.types[table].items() if k in _OF_TYPE and k != SemanticType.KEY]
        sources = [(c, k, _OF_TYPE[k] - {Aggregate.SHARE}) for c, k in columns] + (
            [] if then else [(None, SemanticType.NUMERICAL, _OF_ROWS)]
        )
        for column, kind, allowed in sources:
            for aggregate in sorted(allowed):
                found.extend(Feature(aggregate, route, column, kind, window=w) for w in (None, 4 * DAY, 9 * DAY))
    return Plan(problem.entity, tuple(dict.fromkeys(found)))


def some_rows(problem: Problem, seed: int, number: int = 12) -> Rows:
    rng = np.random.default_rng(seed)
    rows = problem.rows("train")
    rows = rows.take(rng.integers(0, len(rows), number))
    return rows.delayed(rng.integers(0, 6, number) * DAY * rng.integers(0, 2, number))


@pytest.mark.parametrize("keyed", [True, False])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_aggregate_equals_a_plain_loop(keyed, seed):
    problem = worlds.problem(seed, keyed=keyed)
    plan = every_feature(problem)
    plan = plan.take(np.random.default_rng(seed).permutation(len(plan))[:400].tolist())
    rows = some_rows(problem, seed, 3)
    vocabulary = Vocabulary.fit(problem, plan)
    matrix = compute(problem, plan, rows, vocabulary)
    naive = worlds.Naive(problem)
    for place, feature in enumerate(plan):
        if feature.aggregate in OWN:
            continue
        for row in range(len(rows)):
            expected = naive.value(feature, int(rows.entity[row]), int(rows.cutoff[row]), int(rows.asof[row]))
            if feature.categorical:
                source = (feature.path[-1].table if feature.path else "shops", feature.column)
                words = vocabulary.words[source]
                expected = words.index(expected) if expected in words else None
            got = matrix.values[row, place]
            expected = np.nan if expected is None else float(expected)
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12, err_msg=f"{feature.name} row {row}")


def test_two_keys_of_very_different_magnitude_stay_exact():
    n = 1000
    rng = np.random.default_rng(0)
    small = rng.normal(size=n) * 1e-3
    big = 1e9 + np.round(rng.normal(size=n), 3) * 1e-3
    jump = np.r_[np.ones(n // 2), 1e9 + np.arange(n // 2) * 1e-6]
    frame = pd.DataFrame(
        {
            "user": np.repeat([0, 1, 2], n),
            "at": np.tile(pd.date_range("2020-01-01", periods=n), 3),
            "x": np.r_[small, big, jump],
        }
    )
    database = Database.from_dataframes(
        {"users": pd.DataFrame({"user": [0, 1, 2]}), "rows": frame},
        keys={"users": "user"},
        times={"rows": "at"},
        foreign_keys={"rows": {"user": "users"}},
    )
    dates = pd.date_range("2020-03-01", periods=25, freq="30D")
    asked = pd.DataFrame(
        [(u, d, int(rng.integers(2))) for u in range(3) for d in dates], columns=["user", "date", "label"]
    )
    from relselect.tasks import Task

    task = Task.from_labels(database, asked, name="t", entity="users", kind="binary", time="date", horizon="20d")
    problem = Problem(database, task)
    route = next(r for r in routes(problem, 1) if r and r[0].table == "rows")
    plan = Plan(
        "users", tuple(Feature(a, route, "x", window=20 * DAY) for a in (Aggregate.MEAN, Aggregate.STD, Aggregate.SUM))
    )
    rows = problem.rows("train")
    values = compute(problem, plan, rows, Vocabulary({})).values
    for i in range(len(rows)):
        when = pd.Timestamp(int(rows.cutoff[i]), unit="us")
        mine = frame[
            (frame.user == rows.entity[i]) & (frame["at"] <= when) & (frame["at"] > when - pd.Timedelta("20D"))
        ].x
        exact = mine - mine.iloc[0]
        np.testing.assert_allclose(values[i, 1], exact.std(), rtol=1e-9)
        np.testing.assert_allclose(values[i, 0], math.fsum(mine) / len(mine), rtol=1e-15)
        np.testing.assert_allclose(values[i, 2], math.fsum(mine), rtol=1e-15)


def test_rows_that_are_not_there_count_nothing():
    problem = worlds.problem(3)
    plan = default_plan(problem)
    rows = Rows(np.array([-1]), problem.rows("train").cutoff[-1:], problem.rows("train").cutoff[-1:])
    values = compute(problem, plan, rows, Vocabulary.fit(problem, plan)).values[0]
    for feature, value in zip(plan, values, strict=True):
        if feature.aggregate not in OWN:
            assert value == 0.0 if feature.aggregate in (Aggregate.COUNT, Aggregate.SUM) else np.isnan(value), (
                feature.name
            )


def test_an_entity_later_than_asof_looks_like_no_entity():
    problem = worlds.problem(5)
    plan = default_plan(problem)
    vocabulary = Vocabulary.fit(problem, plan)
    opened = problem.database.times("shops")
    entity = int(np.argmax(opened))
    cutoff = np.array([opened[entity] + 30 * DAY])
    asof = np.array([opened[entity] - 1])
    hidden = compute(problem, plan, Rows(np.array([entity]), cutoff, asof), vocabulary)
    absent = compute(problem, plan, Rows(np.array([-1]), cutoff, asof), vocabulary)
    assert hidden.values.tobytes() == absent.values.tobytes()


def test_no_rows_and_an_empty_plan():
    problem = worlds.problem(7)
    plan = default_plan(problem)
    nobody = problem.rows("train").take(np.empty(0, dtype=np.int64))
    assert compute(problem, plan, nobody, Vocabulary({})).values.shape == (0, len(plan))
    assert compute(problem, Plan("shops", ()), problem.rows("train"), Vocabulary({})).values.shape[1] == 0


def test_features_do_not_depend_on_the_batch():
    problem = worlds.problem(11)
    plan = default_plan(problem)
    vocabulary = Vocabulary.fit(problem, plan)
    rows = some_rows(problem, 11, 20)
    whole = compute(problem, plan, rows, vocabulary).values
    for i in range(len(rows)):
        assert (
            compute(problem, plan, rows.take(np.array([i])), vocabulary).values.tobytes() == whole[i : i + 1].tobytes()
        )


def test_featuretools_computes_the_same():
    ft = pytest.importorskip("featuretools")
    rng = np.random.default_rng(2)
    n = 200
    users = pd.DataFrame({"user": np.arange(5), "born": rng.normal(size=5)})
    kinds = pd.DataFrame({"kind": np.arange(4), "weight": rng.normal(size=4)})
    rows = pd.DataFrame(
        {
            "row": np.arange(n),
            "user": rng.integers(0, 5, n),
            "kind": rng.integers(0, 4, n),
            "at": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.permutation(n), "D"),
            "x": pd.Series(rng.normal(size=n)).mask(rng.random(n) < 0.2),
            "c": rng.choice(["p", "q", "r"], n),
            "b": rng.random(n) < 0.5,
        }
    )
    database = Database.from_dataframes(
        {"users": users, "kinds": kinds, "rows": rows},
        keys={"users": "user", "kinds": "kind", "rows": "row"},
        times={"rows": "at"},
        foreign_keys={"rows": {"user": "users", "kind": "kinds"}},
        types={"rows": {"c": "categorical"}},
    )
    dates = pd.date_range("2020-01-10", periods=12, freq="15D")
    asked = pd.DataFrame(
        [(u, d, int(rng.integers(2))) for d in dates for u in range(5)], columns=["user", "date", "label"]
    )
    from relselect.tasks import Task

    task = Task.from_labels(database, asked, name="t", entity="users", kind="binary", time="date", horizon="10d")
    problem = Problem(database, task)
    entities = ft.EntitySet("w")
    types = {"c": "Categorical", "b": "Boolean", "x": "Double", "weight": "Double", "born": "Double"}
    for name, frame, key, when in (
        ("users", users, "user", None),
        ("kinds", kinds, "kind", None),
        ("rows", rows, "row", "at"),
    ):
        declared = {c: types[c] for c in frame.columns if c in types}
        entities.add_dataframe(
            dataframe_name=name, dataframe=frame.copy(), index=key, time_index=when, logical_types=declared
        )
    entities.add_relationship("users", "user", "rows", "user").add_relationship("kinds", "kind", "rows", "kind")
    route = next(r for r in routes(problem, 1) if r and r[0].table == "rows")
    further = next(r for r in routes(problem, 2) if len(r) == 2 and r[0].table == "rows" and r[1].table == "kinds")
    pairs = {
        "rows.x": (route, "x", SemanticType.NUMERICAL),
        "rows.kinds.weight": (further, "weight", SemanticType.NUMERICAL),
    }
    wanted = {
        f"{a.upper()}({text})": Feature(a, *what)
        for text, what in pairs.items()
        for a in (Aggregate.SUM, Aggregate.MEAN, Aggregate.STD, Aggregate.MIN, Aggregate.MAX, Aggregate.LAST)
    }
    wanted["COUNT(rows)"] = Feature(Aggregate.COUNT, route)
    wanted["NUM_UNIQUE(rows.c)"] = Feature(Aggregate.NUM_UNIQUE, route, "c", SemanticType.CATEGORICAL)
    wanted["MODE(rows.c)"] = Feature(Aggregate.MODE, route, "c", SemanticType.CATEGORICAL)
    wanted["PERCENT_TRUE(rows.b)"] = Feature(Aggregate.PERCENT_TRUE, route, "b", SemanticType.BOOLEAN)
    times = asked[asked.date <= pd.Timestamp(int(problem.rows("train").cutoff.max()), unit="us")].rename(
        columns={"date": "time"}
    )[["user", "time"]]
    theirs, _ = ft.dfs(
        entityset=entities,
        target_dataframe_name="users",
        cutoff_time=times,
        trans_primitives=[],
        max_depth=2,
        agg_primitives=["count", "sum", "mean", "std", "min", "max", "last", "num_unique", "mode", "percent_true"],
    )
    plan = Plan("users", tuple(wanted.values()))
    vocabulary = Vocabulary.fit(problem, plan)
    rows_asked = problem.bind(
        database["users"].data.select(["user"]).take(times.user.to_list()),
        times.time.astype("datetime64[us]").astype("int64").to_numpy(),
    )
    ours = compute(problem, plan, rows_asked, vocabulary)
    words = vocabulary.words["rows", "c"]
    for place, name in enumerate(wanted):
        given = theirs[name]
        if name.startswith("MODE"):
            given = given.astype(object).map({word: number for number, word in enumerate(words)})
        np.testing.assert_allclose(
            ours.values[:, place], given.astype(float).to_numpy(), rtol=1e-9, atol=1e-12, err_msg=name
        )
