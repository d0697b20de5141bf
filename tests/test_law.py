"""The law of time: what a row cannot see changes nothing of it.

Rows not visible at a row's `asof` are added, removed and changed, values not yet known are changed, all tables are
shuffled; then (a) features, sampled trees and everything that is fitted are the same bit for bit, and (b) no prediction of
a fitted model moves by more than 1e-5. The worlds are random; see `tests.strategies`.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from relselect.budget import Budget
from relselect.database import Database
from relselect.database.clock import DAY
from relselect.dfs import DFS
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.dfs.search.pool import PoolOptions, candidate_pool
from relselect.errors import UserError
from relselect.events import silent
from relselect.families.constants import Constants
from relselect.problem import Problem
from relselect.profile import profile_task
from relselect.rdl import RDL
from relselect.rdl.graph.graph import database_graph
from relselect.rdl.graph.table_encoding import fit_tables
from relselect.rdl.sampling.sampler import TemporalSampler
from relselect.tasks import Rows, Task
from tests.rows import shared_rows
from tests.shop import LABEL, POPULATION, shop, shop_tables
from tests.strategies import Shape, TableShape, World, build, distinct_asofs, dressed, shuffled, worlds

SPLITS = ("train", "val", "test")
#: The default plan, and as many features of up to four steps, ratios and past labels of neighbours.
CANDIDATES = PoolOptions(most=1_200)
#: Set LAW_FACTOR to search longer than CI does.
FACTOR = int(os.environ.get("LAW_FACTOR", "1"))


def examples(count: int) -> settings:
    return settings(max_examples=count * FACTOR)


def problem_of(world: World, tables=None) -> Problem:
    """The world's problem; worlds that are refused with a reason (a column that is the label by chance) are passed over."""
    try:
        return world.problem(tables)
    except UserError:
        assume(False)
        raise


def rebound(world: World, problem: Problem, tables) -> Problem:
    """The problem over other tables; those that are no database (a time column without any time) are passed over."""
    try:
        database = world.database(tables)
    except UserError:
        assume(False)
        raise
    return problem.rebind(database)


def seen_at(problem: Problem, asof: int) -> Rows:
    """All task rows that are asked as of a moment, in the order of the task's frames."""
    present = [problem.rows(split).unlabelled() for split in SPLITS if split in problem.task.splits]
    together = Rows.concat(present)
    return together.take(together.asof == asof)


def some_asof(problem: Problem, data: st.DataObject) -> int:
    splits = [split for split in SPLITS if split in problem.task.splits]
    return data.draw(st.sampled_from(distinct_asofs(problem, splits)), label="asof")


def bits(values: np.ndarray) -> bytes:
    return np.where(np.isnan(values), np.nan, values).tobytes()


@examples(25)
@given(worlds(), st.data())
def test_no_feature_of_the_synthesis_changes_a_bit(world, data):
    problem = problem_of(world)
    asof = some_asof(problem, data)
    other = rebound(world, problem, dressed(world.tables, asof, world.seed))
    plan = candidate_pool(problem, CANDIDATES)
    vocabulary = Vocabulary.fit(problem, plan)
    before = compute(problem, plan, seen_at(problem, asof), vocabulary)
    after = compute(other, plan, seen_at(other, asof), vocabulary)
    changed = [name for k, name in enumerate(before.names) if bits(before.values[:, k]) != bits(after.values[:, k])]
    assert not changed


def test_visible_rows_do_change_features_and_trees():
    """The tests above and below would pass on engines that read nothing."""
    world = build(SETTINGS["rolling"], 3)
    problem = world.problem()
    asof = distinct_asofs(problem, ["val"])[0]
    other = rebound(world, problem, dressed(world.tables, asof - 1, 1))
    plan = default_plan(problem)
    vocabulary = Vocabulary.fit(problem, plan)
    before, after = (compute(each, plan, seen_at(each, asof), vocabulary).values for each in (problem, other))
    assert bits(before) != bits(after)
    assert trees_of(problem, seen_at(problem, asof), "last") != trees_of(other, seen_at(other, asof), "last")


def trees_of(problem: Problem, rows: Rows, strategy: str) -> list[object]:
    """Each row's sampled tree as nested tuples of what its nodes say as of the row, whatever their row numbers."""
    sampler = TemporalSampler(database_graph(problem.database), (4, 2, 2), strategy, seed=5)
    trees = sampler.sample(
        problem.entity, *(torch.from_numpy(np.array(a)) for a in (rows.entity, rows.cutoff, rows.asof))
    )
    told: dict[tuple[str, int, int], str] = {}

    def tell(table: str, row: int, asof: int) -> str:
        if (table, row, asof) not in told:
            values = problem.database[table].data.slice(row, 1).to_pylist()[0] if row >= 0 else {}
            for column in values:
                known = problem.database.value_times(table, column)
                if known is not None and known[row] > asof:
                    values[column] = "not known yet"
            told[table, row, asof] = repr(sorted(values.items()))
        return told[table, row, asof]

    children: dict[tuple[str, int], list[tuple[object, int]]] = {}
    for edge_type, (senders, receivers) in trees.edge_index.items():
        for sender, receiver in zip(senders.tolist(), receivers.tolist(), strict=True):
            children.setdefault((edge_type[2], receiver), []).append((edge_type, sender))

    def grow(table: str, node: int) -> object:
        asof = int(rows.asof[int(trees.tree[table][node])])
        below = [(edge_type, grow(edge_type[0], sender)) for edge_type, sender in children.get((table, node), [])]
        return table, tell(table, int(trees.rows[table][node]), asof), sorted(below, key=repr)

    degree = trees.degree.tolist()
    return [(degree[root], grow(problem.entity, root)) for root in range(len(rows))]


@pytest.mark.parametrize("strategy", ["last", "uniform"])
@examples(20)
@given(world=worlds(), data=st.data())
def test_no_sampled_tree_changes(strategy, world, data):
    problem = problem_of(world)
    asof = some_asof(problem, data)
    other = rebound(world, problem, dressed(world.tables, asof, world.seed))
    assert trees_of(problem, seen_at(problem, asof), strategy) == trees_of(other, seen_at(other, asof), strategy)


@examples(25)
@given(worlds())
def test_what_is_fitted_ignores_what_training_cannot_see(world):
    problem = problem_of(world)
    other = problem_of(world, dressed(world.tables, problem.fit_asof, world.seed))
    assert other.types == problem.types
    plan = candidate_pool(problem, CANDIDATES)
    assert candidate_pool(other, CANDIDATES) == plan
    assert Vocabulary.fit(other, plan) == Vocabulary.fit(problem, plan)
    assert fit_tables(other) == fit_tables(problem)
    fitted = [
        Constants().fit(each, shared_rows(each), {"scope": "global"}, seed=0, number=0, budget=Budget(), emit=silent)
        for each in (problem, other)
    ]
    assert bits(np.asarray(fitted[0].model)) == bits(np.asarray(fitted[1].model))


@examples(12)
@given(worlds())
def test_the_profile_ignores_what_training_cannot_see(world):
    problem = problem_of(world)
    other = problem_of(world, dressed(world.tables, problem.fit_asof, world.seed))
    told = [{m.name: (m.value, m.stderr) for m in profile_task(each).measures} for each in (problem, other)]
    assert set(told[0]) == set(told[1])
    changed = {
        name: (pair, told[1][name])
        for name, pair in told[0].items()
        if bits(np.array(pair)) != bits(np.array(told[1][name]))
    }
    assert not changed


@examples(15)
@given(worlds(static=False), st.data())
def test_entity_constants_ignore_hidden_rows(world, data):
    problem = problem_of(world)
    asof = some_asof(problem, data)
    other = rebound(world, problem, dressed(world.tables, asof, world.seed))
    candidate = Constants().fit(
        problem, shared_rows(problem), {"scope": "entity", "prior": 1.0}, seed=0, number=0, budget=Budget(), emit=silent
    )
    before, after = (Constants().predict(candidate, each, seen_at(each, asof)) for each in (problem, other))
    assert np.allclose(before, after, atol=1e-12, rtol=0)


@examples(4)
@given(seed=st.integers(0, 10**6), day=st.integers(200, 299))
def test_labels_known_since_training_are_those_known_at_the_row(seed, day):
    """A task from SQL is asked anew on a newer database: what lies after a row changes none of the labels it sees."""
    tables = shop_tables(users=12, orders=200)
    orders = tables["orders"]
    early = orders.filter(pa.array(orders["when"].cast(pa.int64()).to_numpy() <= 200 * DAY))
    older = shop({**tables, "orders": early})
    task = Task.from_sql(
        older,
        name="reorder",
        entity="users",
        kind="binary",
        population=POPULATION,
        label=LABEL,
        horizon="30d",
        every="10d",
        val_start="1970-04-21",
    )
    trained = Problem(older, task)
    newer = shop(tables)
    other = shop({name: table.data for name, table in dressed(dict(newer.tables), day * DAY, seed).items()})
    keys = pa.table({"id": tables["users"]["id"]})
    config = {"scope": "entity", "prior": 1.0}
    candidate = Constants().fit(trained, shared_rows(trained), config, seed=0, number=0, budget=Budget(), emit=silent)
    told = []
    for database in (newer, other):
        problem = trained.rebind(database)
        rows = problem.bind(keys, np.full(len(keys), day * DAY))
        history = problem.database.censored(day * DAY)["__labels__"].data
        told.append(
            (
                Constants().predict(candidate, problem, rows),
                history.sort_by([(c, "ascending") for c in history.column_names]),
            )
        )
    assert np.allclose(told[0][0], told[1][0], atol=1e-12, rtol=0)
    assert told[0][1].equals(told[1][1])
    assert told[0][1].num_rows > 0


# One rich world with models fitted once; its prediction databases vary.

RICH = (
    TableShape("pair", 24, (2,), False, True),
    TableShape("integer", 160, (0, 0, 1), True, True),
    TableShape("text", 12, (), False, False),
    TableShape("text", 60, (1, 2), True, False),
)
NETWORK = {"channels": 16, "fan_out": 4, "batch_size": 64, "epochs": 2, "learning_rate": 1e-2}
TREES = {"rounds": 30, "patience": 30, "min_child_samples": 2, "learning_rate": 0.2}
CONFIGS = {
    "constants": (Constants(), {"scope": "entity", "prior": 1.0}),
    "dfs": (DFS(), TREES),
    "rdl last": (RDL("cpu"), {**NETWORK, "strategy": "last"}),
    "rdl uniform": (RDL("cpu"), {**NETWORK, "strategy": "uniform", "aggregation": "mean"}),
}
SETTINGS = {
    "rolling": Shape(RICH, "binary"),
    "frozen": Shape((replace(RICH[0], timed=True), *RICH[1:]), "regression", "frozen"),
}
_fitted: dict[str, tuple[World, Problem, object, object]] = {}


def fitted(setting: str, name: str):
    """A world and a model fitted on it, once per module."""
    key = f"{setting}/{name}"
    if key not in _fitted:
        world = build(SETTINGS[setting], 7)
        problem = next((p for k, (_, p, *_) in _fitted.items() if k.startswith(setting)), None) or world.problem()
        family, config = CONFIGS[name]
        config = {**family.default(problem), **config}
        candidate = family.fit(problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(), emit=silent)
        assert np.std(candidate.predictions) > 0
        _fitted[key] = (world, problem, family, candidate)
    return _fitted[key]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", CONFIGS)
@examples(15)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_no_prediction_moves_when_hidden_rows_do(setting, name, seed, data):
    world, problem, family, candidate = fitted(setting, name)
    asof = some_asof(problem, data)
    other = rebound(world, problem, dressed(world.tables, asof, seed))
    before, after = (family.predict(candidate, each, seen_at(each, asof)) for each in (problem, other))
    assert np.abs(before - after).max() <= 1e-5


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", CONFIGS)
@examples(5)
@given(seed=st.integers(0, 10**6))
def test_no_prediction_moves_when_rows_change_places(setting, name, seed):
    world, problem, family, candidate = fitted(setting, name)
    other = rebound(world, problem, shuffled(world.tables, seed))
    for split in problem.task.splits:
        before, after = (family.predict(candidate, each, each.rows(split)) for each in (problem, other))
        assert np.abs(before - after).max() <= 1e-5


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_visible_does_move_predictions(setting, name):
    """The tests above would pass on models that read nothing."""
    world, problem, family, candidate = fitted(setting, name)
    if name == "constants":
        return
    asof = distinct_asofs(problem, ["val"])[0]
    other = rebound(world, problem, dressed(world.tables, asof // 2, 1))
    before, after = (family.predict(candidate, each, seen_at(each, asof)) for each in (problem, other))
    assert np.abs(before - after).max() > 1e-3


def with_parent_times(tables):
    """Untimed tables that refer to a timed one take its time."""
    found = dict(tables)
    for name, table in tables.items():
        key = next((each for each in table.foreign_keys if each.table != name and tables[each.table].time), None)
        if table.time is None and key is not None:
            found[name] = replace(table, time=f"{key.name}.{tables[key.table].time}")
    return found


def without_some_hidden(tables, asof: int, seed: int):
    """The tables without half of the rows that their parent's time hides at a moment."""
    timed = with_parent_times(tables)
    try:
        database = Database(timed.values())
    except UserError:
        assume(False)
        raise
    draw, found = np.random.default_rng(seed), {}
    for name, table in timed.items():
        gone = (database.times(name) > asof) & (draw.random(table.num_rows) < 0.5)
        inherits = table.time != tables[name].time
        found[name] = replace(table, data=table.data.filter(pa.array(~gone))) if inherits else table
    return found


@examples(20)
@given(worlds(static=False), st.data())
def test_the_law_holds_where_rows_take_the_time_of_a_parent(world, data):
    timed = with_parent_times(world.tables)
    assume(any(table.time != world.tables[name].time for name, table in timed.items()))
    problem = problem_of(world, timed)
    asof = some_asof(problem, data)
    other = rebound(world, problem, without_some_hidden(dressed(world.tables, asof, world.seed), asof, world.seed))
    plan = default_plan(problem)
    vocabulary = Vocabulary.fit(problem, plan)
    before, after = (compute(each, plan, seen_at(each, asof), vocabulary) for each in (problem, other))
    changed = [name for k, name in enumerate(before.names) if bits(before.values[:, k]) != bits(after.values[:, k])]
    assert not changed
    assert trees_of(problem, seen_at(problem, asof), "last") == trees_of(other, seen_at(other, asof), "last")
