"""Visibility: the one definition, and every engine's own index of it compared with the definition on random databases."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from relselect.database import Database, ForeignKey, Table
from relselect.database.clock import ALWAYS, DAY, EVERYTHING, NEVER
from relselect.dfs.plan.feature import Hop
from relselect.dfs.plan.windows import _visible as visible_for_windows
from relselect.dfs.prefix.paths import Paths
from relselect.errors import UserError
from relselect.families.constants.history import LabelHistory
from relselect.problem import LABELS
from relselect.problem.visibility import key_times, visible_masked, visible_or_none, visible_rows, visible_values
from relselect.profile.view import make_view
from relselect.profile.walker import Adjacency
from relselect.rdl.graph.adjacency import child_edge_type, parent_edge_type
from relselect.rdl.graph.graph import database_graph
from relselect.tasks import Rows
from relselect.tasks.populations import ask_population
from relselect.tasks.sessions import Query
from tests.strategies import worlds

DAYS = st.integers(-1, 13)
examples = settings(max_examples=15, deadline=None)


@pytest.fixture
def events() -> Database:
    return Database(
        [
            Table("users", pa.table({"id": [0, 1]}), ("id",)),
            Table(
                "events",
                pa.table(
                    {
                        "user": [0, 1, 0, 1],
                        "when": [1, 2, 3, None],
                        "closed": [5, 1, None, 4],
                        "outcome": ["a", "b", "c", "d"],
                        "size": [1.0, 2.0, 3.0, 4.0],
                    }
                ),
                time="when",
                foreign_keys=(ForeignKey(("user",), "users", ("id",)),),
                known_at={"closed": ("outcome",)},
            ),
        ]
    )


def test_rows_are_visible_from_their_time_on(events):
    assert [visible_rows(events, "events", asof).sum() for asof in (0, 1, 2, 3, EVERYTHING)] == [0, 1, 2, 3, 3]
    assert visible_rows(events, "users", ALWAYS).all()


def test_masked_values_are_visible_from_their_clock_on_but_not_before_their_row(events):
    assert visible_values(events, "events", "outcome", 1).tolist() == [False, False, False, False]
    assert visible_values(events, "events", "outcome", 2).tolist() == [False, True, False, False]
    assert visible_values(events, "events", "outcome", EVERYTHING).tolist() == [True, True, False, False]
    assert visible_values(events, "events", "size", 2).tolist() == [True, True, False, False]
    assert set(visible_masked(events, "events", 2)) == {"outcome", "closed"}


def test_row_numbers_that_are_not_visible_become_none():
    rows, asof = np.array([0, 1, -1, 1]), np.array([5, 5, 5, 6])
    assert visible_or_none(np.array([5, 6]), rows, asof).tolist() == [0, -1, -1, 1]
    assert visible_or_none(np.array([], dtype=np.int64), np.array([-1]), np.array([5])).tolist() == [-1]


def test_a_reference_exists_from_the_latest_of_row_and_clocks(events):
    assert key_times(events, "events", 0).tolist() == [1, 2, 3, NEVER]
    orders = events["events"]
    table = Table("events", orders.data, time="when", foreign_keys=orders.foreign_keys, known_at={"user": ("outcome",)})
    assert key_times(events.with_table(table), "events", 0).tolist() == [1, 2, 3, NEVER]


def problem_of(world):
    """Random labels may happen to be a column, random times may all be NULL."""
    try:
        return world.problem()
    except UserError:
        reject()


def database_of(world):
    try:
        return world.database()
    except UserError:
        reject()


def asof_of(world, day: int) -> int:
    return day if world.shape.integer else day * DAY


def links(database):
    for child, table in database.tables.items():
        for number, key in enumerate(table.foreign_keys):
            yield child, number, key, database.parents(child)[number]


def children(database, child, number, parents, asof):
    """The visible children of every parent, by the definition."""
    seen = key_times(database, child, number) <= asof
    found: dict[int, list[int]] = {}
    for row in np.flatnonzero(seen & (parents >= 0)):
        found.setdefault(int(parents[row]), []).append(int(row))
    return found


@examples
@given(worlds(), DAYS)
def test_the_prefix_index(world, day):
    problem, asof = problem_of(world), asof_of(world, day)
    database = problem.database
    for child, number, key, parents in links(database):
        index = Paths(problem).index(key.table, (Hop(child, key.name, True),))
        owners = np.arange(database[key.table].num_rows)
        spans = index.spans(owners, np.full(len(owners), asof))
        expected = children(database, child, number, parents, asof)
        for owner, lo, hi in zip(owners, spans.lo, spans.hi, strict=True):
            assert sorted(index.rows[lo:hi]) == expected.get(int(owner), [])


@examples
@given(worlds(), DAYS)
def test_the_counts_behind_windows(world, day):
    problem = problem_of(world)
    database, asof = problem.database, min(asof_of(world, day), problem.fit_asof)
    for child, number, key, parents in links(database):
        if key.table == problem.entity:
            owners = np.arange(database[key.table].num_rows)
            counts = visible_for_windows(problem, (), (Hop(child, key.name, True),), owners)
            expected = children(database, child, number, parents, asof)
            found = counts.number(owners, np.full(len(owners), asof))
            assert found.tolist() == [len(expected.get(int(owner), [])) for owner in owners]


@examples
@given(worlds(), DAYS)
def test_the_relations_of_the_graph(world, day):
    database, asof = problem_of(world).database, asof_of(world, day)
    graph = database_graph(database)
    ceiling = graph.asof_rank(torch.tensor(asof))
    for child, number, key, parents in links(database):
        relations = {each.edge_type: each for each in (*graph.relations[child], *graph.relations[key.table])}
        below = relations[child_edge_type(child, key.name, key.table)]
        owners = torch.arange(database[key.table].num_rows)
        start, count = below.visible(owners, ceiling.expand(len(owners)))
        expected = children(database, child, number, parents, asof)
        for owner, first, size in zip(owners.tolist(), start.tolist(), count.tolist(), strict=True):
            assert sorted(below.child[first : first + size].tolist()) == expected.get(owner, [])
        above = relations[parent_edge_type(child, key.name, key.table)]
        seen = above.visible(torch.arange(len(parents)), ceiling.expand(len(parents))).numpy()
        reached = visible_or_none(database.times(key.table), parents, np.full(len(parents), asof))
        assert np.array_equal(np.where(seen, parents, -1), reached)


@examples
@given(worlds(), DAYS)
def test_the_edges_of_the_profile(world, day):
    database, asof = problem_of(world).database, asof_of(world, day)
    for child, number, key, parents in links(database):
        linked = np.flatnonzero(parents >= 0)
        edges = parents[linked], linked, key_times(database, child, number)[linked]
        owners = np.arange(database[key.table].num_rows)
        if not database[child].primary_key or not len(owners):
            continue
        adjacency = Adjacency(edges, np.ones(len(owners), dtype=bool), EVERYTHING, database, child)
        begin, count = adjacency.visible(owners, np.full(len(owners), asof))
        expected = children(database, child, number, parents, asof)
        for owner, first, size in zip(owners, begin, count, strict=True):
            assert sorted(adjacency.target[first : first + size]) == expected.get(int(owner), [])


@examples
@given(worlds(history=True), DAYS)
def test_the_label_histories(world, day):
    problem, asof = problem_of(world), asof_of(world, day)
    if LABELS not in problem.database.tables:
        return
    database = problem.database
    entities = np.arange(database[problem.entity].num_rows)
    moments = np.full(len(entities), asof)
    parents = database.parents(LABELS)[0]
    expected = children(database, LABELS, 0, parents, asof)
    _, count = LabelHistory(problem).lengths(Rows(entities, moments, moments))
    assert count.tolist() == [len(expected.get(int(entity), [])) for entity in entities]
    history = make_view(problem, seed=0).history
    begin, end = history.known_before(entities, moments)
    visible = problem.visible(problem.entity, problem.fit_asof)
    expected = children(database, LABELS, 0, parents, min(asof, problem.fit_asof))
    for entity in entities:
        found = len(expected.get(int(entity), [])) if visible[entity] else 0
        assert end[entity] - begin[entity] == found


def rows_at(database, name, asof):
    """The rows of a table as they can be read at a time, by the definition."""
    masked = visible_masked(database, name, asof)
    found = Counter()
    for row in np.flatnonzero(visible_rows(database, name, asof)):
        values = database[name].data.slice(row, 1).to_pylist()[0]
        found[repr({c: None if c in masked and not masked[c][row] else v for c, v in values.items()})] += 1
    return found


@examples
@given(worlds(), DAYS)
def test_a_censored_database(world, day):
    database, asof = database_of(world), asof_of(world, day)
    for name, table in database.censored(asof).tables.items():
        assert Counter(map(repr, table.data.to_pylist())) == rows_at(database, name, asof)


@examples
@given(worlds(fine=False), DAYS)
def test_the_tables_that_task_queries_read(world, day):
    database, asof = database_of(world), asof_of(world, day)
    if database.time_kind is None:
        return
    for name, table in database.tables.items():
        quoted = '"' + name.replace('"', '""') + '"'
        query = Query(
            "population", f"SELECT cutoffs.cutoff, t.* FROM cutoffs, {quoted} AS t", ("cutoff", *table.columns)
        )
        found = ask_population(database, query, [asof])
        rows = [] if found.num_rows == 0 else found.drop_columns(["cutoff"]).to_pylist()
        assert set(map(repr, rows)) == set(rows_at(database, name, asof))
