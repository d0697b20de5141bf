"""The default plans of the example databases: prefix engine, DuckDB, and for a part of Lahman PostgreSQL."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from relselect.database import Database
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.dfs.sql.compute import compute_sql
from relselect.examples import Example, lahman, nycflights13
from relselect.problem import Problem
from relselect.tasks import Rows
from tests.dfs.sql.warehouse import answers, in_postgres


def needs(package: str):
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


@pytest.fixture(scope="module")
def baseball() -> Example:
    return lahman()


def some(problem: Problem, number: int) -> Rows:
    rows = problem.rows("val")
    return rows.take(np.sort(np.random.default_rng(0).permutation(len(rows))[:number]))


def differences(got: np.ndarray, wanted: np.ndarray, plan: Plan) -> dict[str, float]:
    """The features that differ, and by how much."""
    same = np.isclose(got, wanted, rtol=1e-9, atol=1e-9, equal_nan=True).all(axis=0)
    return {plan.names[k]: float(np.nanmax(np.abs(got - wanted)[:, k])) for k in np.flatnonzero(~same)}


def told_alike(problem: Problem, rows: Rows, each: int) -> None:
    plan = default_plan(problem)
    plan = plan.take(range(0, len(plan), each))
    vocabulary = Vocabulary.fit(problem, plan)
    wanted = compute(problem, plan, rows, vocabulary).values
    assert np.mean([len(np.unique(column[~np.isnan(column)])) > 1 for column in wanted.T]) > 0.7
    assert not differences(compute_sql(problem, plan, rows, vocabulary).values, wanted, plan)


@needs("lahman")
def test_the_default_plan_of_lahman(baseball):
    problem = Problem(baseball.database, baseball.task("player-allstar"))
    told_alike(problem, some(problem, 60), each=3)


@needs("nycflights13")
def test_the_default_plan_of_nycflights13():
    example = nycflights13()
    problem = Problem(example.database, example.task("destination-late"))
    told_alike(problem, some(problem, 12), each=5)


def part(database: Database, players: int) -> Database:
    """The database with some players and what there is of them."""
    chosen = database["People"].data["playerID"].take(np.arange(0, 20_000, 20_000 // players))
    tables = []
    for table in database.tables.values():
        mine = pc.is_in(table.data["playerID"], value_set=chosen) if "playerID" in table.columns else None
        tables.append(table if mine is None else replace(table, data=table.data.filter(mine)))
    return Database(tables, "part")


@needs("lahman")
def test_a_part_of_lahman_in_postgres(baseball, postgres):
    problem = Problem(part(baseball.database, 400), baseball.task("player-allstar"))
    plan = default_plan(problem, cap=200).bound(problem)
    rows = problem.rows("train")
    rows = rows.take(np.flatnonzero(rows.entity >= 0)[:150])
    vocabulary = Vocabulary.fit(problem, plan)
    wanted = compute(problem, plan, rows, vocabulary).values
    found = in_postgres(postgres.create("features"), problem, rows, plan.to_sql("postgres"))
    assert not differences(answers(plan, vocabulary, found), wanted, plan)
