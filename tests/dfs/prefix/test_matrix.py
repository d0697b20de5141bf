from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.database import Database
from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.plan.checks import definition_problems
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.feature import Aggregate, Condition, Feature, Route, split_path
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.routes import routes
from relselect.dfs.prefix import reader
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.index import Index
from relselect.dfs.prefix.matrix import blocks, compute
from relselect.problem import Problem
from relselect.tasks import Rows
from tests.dfs import worlds

A, T = Aggregate, SemanticType
OWN = (Aggregate.CALENDAR, Aggregate.DELAY, Aggregate.ROW)


NUMBERS = (A.SUM, A.MEAN, A.STD, A.SKEW, A.MIN, A.MAX, A.MEDIAN, A.QUANTILE, A.TREND, A.FIRST, A.LAST)
CODES = (A.NUM_UNIQUE, A.ENTROPY, A.SHARE)
OF_TYPE = {
    T.NUMERICAL: (*NUMBERS, *CODES, A.PERCENT_TRUE),
    T.BOOLEAN: (A.PERCENT_TRUE, A.FIRST, A.LAST, A.MEAN, A.ENTROPY),
    T.CATEGORICAL: (*CODES, A.MODE, A.FIRST, A.LAST),
    T.TIMESTAMP: (A.FIRST, A.LAST, A.MIN, A.MAX, A.NUM_UNIQUE),
    T.TEXT: (A.MEAN, A.MAX),
}
OF_ROWS = (A.COUNT, A.SINCE_LAST, A.SINCE_FIRST, A.TIME_BETWEEN)


def some_features(problem: Problem, seed: int, number: int = 400, depth: int = 3) -> Plan:
    """A draw of all aggregates of all columns over all paths, with windows, conditions and nested features."""
    rng = np.random.default_rng(seed)
    reached = {route for route in routes(problem, depth)}
    downs = [route for route in sorted(reached, key=str) if split_path(route)[1]]
    found = list(default_plan(problem, cap=9_000, rich=True, where=True, nested=True, ratios=True, depth=4).features)
    found = [found[place] for place in rng.permutation(len(found))[: number // 2]]
    while len(found) < number:
        feature = _draw(problem, rng, downs[rng.integers(len(downs))])
        if not definition_problems(feature):
            found.append(feature)
    return Plan(problem.entity, tuple(dict.fromkeys(found)))


def _draw(problem: Problem, rng: np.random.Generator, route: Route) -> Feature:
    _, down, then = split_path(route)
    window = [None, None, 4 * DAY, 9 * DAY][rng.integers(4)]
    where = _condition(problem, rng, down[-1].table) if rng.random() < 0.3 else None
    if len(down) > 1 and not then and rng.random() < 0.5:
        return _nested(problem, rng, route, window, where)
    table = route[-1].table
    columns = [(c, k) for c, k in problem.types[table].items() if k in OF_TYPE and c != problem.database[table].time]
    if not columns or (not then and rng.random() < 0.2):
        return Feature(OF_ROWS[rng.integers(len(OF_ROWS))], route, window=window, where=where)
    column, kind = columns[rng.integers(len(columns))]
    aggregate = OF_TYPE[kind][rng.integers(len(OF_TYPE[kind]))]
    values = [str(v) for v in problem.database[table].data[column].drop_null().unique().to_pylist()] or ["none"]
    return Feature(
        aggregate,
        route,
        column,
        kind,
        category=values[rng.integers(len(values))] if aggregate == A.SHARE else None,
        level=0.3 if aggregate == A.QUANTILE else None,
        window=window,
        where=where,
    )


def _condition(problem: Problem, rng: np.random.Generator, table: str) -> Condition | None:
    columns = [c for c, k in problem.types[table].items() if k == T.CATEGORICAL]
    if not columns:
        return None
    column = columns[rng.integers(len(columns))]
    values = problem.database[table].data[column].drop_null().unique().to_pylist()
    return Condition(column, values[rng.integers(len(values))]) if values else None


def _nested(
    problem: Problem, rng: np.random.Generator, route: Route, window: int | None, where: Condition | None
) -> Feature:
    up, down, _ = split_path(route)
    base = _draw(problem, rng, down[1:])
    outer = (A.MODE, A.NUM_UNIQUE, A.FIRST, A.LAST) if base.categorical else NUMBERS
    kind = T.CATEGORICAL if base.categorical else T.NUMERICAL
    aggregate = outer[rng.integers(len(outer))]
    level = 0.7 if aggregate == A.QUANTILE else None
    path = (*up, down[0])
    condition = _condition(problem, rng, down[0].table) if where is not None else None
    return Feature(aggregate, path, type=kind, level=level, window=window, where=condition, base=base)


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
    plan = some_features(problem, seed)
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
                words = vocabulary.words[feature.source("shops")]
                expected = words.index(expected) if expected in words else None
            got = matrix.values[row, place]
            expected = np.nan if expected is None else float(expected)
            slack = 1e-12
            if feature.aggregate == Aggregate.DIFFERENCE and not np.isnan(expected):  # as exact as its operands
                asked = (int(rows.entity[row]), int(rows.cutoff[row]), int(rows.asof[row]))
                slack = 1e-15 * max(abs(naive.value(each, *asked)) for each in feature.operands) + 1e-12
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=slack, err_msg=f"{feature.name} row {row}")


def test_threads_blocks_and_chunks_of_pairs_change_no_bit(monkeypatch):
    problem = worlds.problem(11)
    plan = some_features(problem, 11, 300)
    rows, vocabulary = some_rows(problem, 11, 40), Vocabulary.fit(problem, plan)
    told = []
    one = compute(problem, plan, rows, vocabulary, threads=1, progress=lambda done, of: told.append((done, of))).values
    assert told[-1] == (one.size, one.size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    fresh = worlds.problem(11)
    assert compute(fresh, plan, rows, vocabulary, threads=3).values.tobytes() == one.tobytes()
    parts = [block.values for block in blocks(problem, plan, rows, vocabulary, size=7)]
    assert [len(part) for part in parts] == [7] * 5 + [5]
    assert np.asfortranarray(np.concatenate(parts)).tobytes() == one.tobytes()
    monkeypatch.setattr(reader, "MOST_PAIRS", 5)
    assert compute(problem, plan, rows, vocabulary, threads=2).values.tobytes() == one.tobytes()


def test_a_check_that_raises_stops_all_threads():
    problem = worlds.problem(12)
    plan = some_features(problem, 12, 200)
    rows, vocabulary = some_rows(problem, 12), Vocabulary.fit(problem, plan)
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        compute(problem, plan, rows, vocabulary, check, threads=2)
    assert len(calls) == 3


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


@pytest.mark.parametrize("seed", [3, 4])
def test_leaving_out_the_rows_of_other_owners_changes_no_bit(monkeypatch, seed):
    problem = worlds.problem(seed)
    plan = some_features(problem, seed)
    vocabulary = Vocabulary.fit(problem, plan)
    rows, narrowed = some_rows(problem, seed), []
    of_keys = Index.of_keys

    def counted(index: Index, *args: Any) -> Index:
        found = of_keys(index, *args)
        narrowed.append(found is not index)
        return found

    monkeypatch.setattr(Index, "of_keys", counted)
    for part in (rows, rows.take([5]), rows.take([7, 2])):
        monkeypatch.setattr(reader, "_PASS", 10**9)
        whole = compute(problem, plan, part, vocabulary).values
        assert not narrowed
        monkeypatch.setattr(reader, "_PASS", 1)
        np.testing.assert_array_equal(compute(problem, plan, part, vocabulary).values, whole)
        assert any(narrowed)
        narrowed.clear()


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
