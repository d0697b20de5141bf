"""The prefix engine, DuckDB and PostgreSQL compute the same features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from relselect.database.clock import DAY
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.dfs.sql.compute import compute_sql
from relselect.errors import UserError
from relselect.problem import Problem
from relselect.tasks import Rows, Task
from tests.dfs import worlds as shops
from tests.dfs.sql.plans import random_plan, words_of
from tests.dfs.sql.warehouse import answers, in_duckdb, in_postgres
from tests.strategies import Shape, TableShape, World, build, worlds

FEATURES = 24


def asked(problem: Problem, seed: int, count: int = 20) -> Rows:
    """Rows of all splits in no order, some with data that are older than their cutoff."""
    rng = np.random.default_rng(seed)
    rows = Rows.concat([problem.rows(split).unlabelled() for split in ("train", "val")])
    rows = rows.take(rng.permutation(len(rows))[:count])
    if problem.task.static:
        return rows
    return rows.delayed(rng.integers(0, 3, len(rows)) * (DAY if problem.task.time_kind == "timestamp" else 1))


def case_of(world: World) -> tuple[Problem, Plan, Rows, Vocabulary]:
    try:
        problem = world.problem()
    except UserError:
        assume(False)
        raise
    plan = random_plan(problem, world.seed, FEATURES)
    return problem, plan, asked(problem, world.seed), words_of(problem, plan)


def same(got: np.ndarray, wanted: np.ndarray, plan: Plan) -> None:
    for place, name in enumerate(plan.names):
        np.testing.assert_allclose(got[:, place], wanted[:, place], rtol=1e-9, atol=1e-9, err_msg=name)


@settings(max_examples=10)
@given(worlds())
def test_duckdb_computes_what_the_prefix_engine_computes(world):
    problem, plan, rows, vocabulary = case_of(world)
    wanted = compute(problem, plan, rows, vocabulary)
    got = compute_sql(problem, plan, rows, vocabulary, threads=1)
    assert (got.names, got.categorical) == (wanted.names, wanted.categorical)
    same(got.values, wanted.values, plan)


@settings(max_examples=5)
@given(worlds())
def test_a_statement_for_duckdb_says_what_the_engine_computes(world):
    problem, plan, rows, vocabulary = case_of(world)
    wanted = compute(problem, plan, rows, vocabulary).values
    same(answers(plan, vocabulary, in_duckdb(problem, rows, plan.to_sql(asof="asof"))), wanted, plan)


def test_a_statement_for_postgres_says_what_the_engine_computes(postgres):
    uri = postgres.create("features")

    @settings(max_examples=5)
    @given(worlds())
    def check(world):
        problem, plan, rows, vocabulary = case_of(world)
        wanted = compute(problem, plan, rows, vocabulary).values
        result = in_postgres(uri, problem, rows, plan.to_sql("postgres", asof="asof"))
        same(answers(plan, vocabulary, result), wanted, plan)

    check()


@pytest.mark.parametrize("keyed", [True, False])
@settings(max_examples=2)
@given(seed=st.integers(0, 10_000))
def test_shops_with_ties_masks_and_text(keyed, seed):
    problem = shops.problem(seed, keyed=keyed)
    plan = random_plan(problem, seed, FEATURES)
    rows, vocabulary = asked(problem, seed), words_of(problem, plan)
    wanted = compute(problem, plan, rows, vocabulary).values
    same(compute_sql(problem, plan, rows, vocabulary, threads=1).values, wanted, plan)


def test_random_plans_say_something():
    """The tests above would pass on plans whose values are all missing."""
    shape = Shape((TableShape("pair", 16, (), True, False), TableShape("text", 30, (0, 0), True, True)))
    problem = build(shape, 5).problem()
    plan = random_plan(problem, 5, 60)
    rows = asked(problem, 5, 40)
    values = compute_sql(problem, plan, rows, words_of(problem, plan), threads=1).values
    varied = [len(np.unique(column[~np.isnan(column)])) > 1 for column in values.T]
    assert np.mean(varied) > 0.5
    assert {feature.aggregate for feature in plan} >= {"count", "direct", "last", "mean"}
    assert any(feature.base is not None for feature in plan)
    assert any(feature.where is not None for feature in plan)


def test_what_task_rows_say_themselves(postgres):
    """Declared features of every type, the delay, and calendar parts before and after 1970."""
    base = shops.database(shops.frames(4))
    n = 60
    rng = np.random.default_rng(0)
    dates = (
        pd.to_datetime("1965-03-01")
        + pd.to_timedelta(np.arange(n) * 601, "D")
        + pd.to_timedelta(rng.integers(0, 24, n), "h")
    )
    frame = pd.DataFrame(
        {
            "shop": 100 + np.arange(n) % 6,
            "date": dates,
            "label": rng.normal(size=n),
            "price": pd.Series(rng.normal(size=n)).mask(rng.random(n) < 0.2),
            "ready": rng.random(n) < 0.5,
            "word's": pd.Series(rng.choice(["x", "ü", "it's"], n)).mask(rng.random(n) < 0.2),
            "since": pd.Series(dates - pd.to_timedelta(rng.integers(0, 99, n), "h")).mask(rng.random(n) < 0.2),
        }
    )
    task = Task.from_labels(
        base, frame, name="t", entity="shops", kind="regression", time="date", horizon="4d", regime="frozen",
        features=["price", "ready", "word's", "since"],
    )  # fmt: skip
    problem = Problem(base, task)
    plan = default_plan(problem)
    own = ("row", "calendar", "delay")
    plan = plan.take(plan.where(lambda feature: feature.aggregate in own)).bound(problem)
    assert len(plan) == 4 + 4 + 1
    vocabulary = Vocabulary.fit(problem, plan)
    rows = Rows.concat([problem.rows("train").unlabelled(), problem.rows("val").unlabelled()])
    wanted = compute(problem, plan, rows, vocabulary).values
    assert (wanted[:, plan.names.index("DELAY")] > 0).any()
    same(compute_sql(problem, plan, rows, vocabulary).values, wanted, plan)
    same(answers(plan, vocabulary, in_duckdb(problem, rows, plan.to_sql(asof="asof"))), wanted, plan)
    found = in_postgres(postgres.create("features"), problem, rows, plan.to_sql("postgres", asof="asof"))
    same(answers(plan, vocabulary, found), wanted, plan)
