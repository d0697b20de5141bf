"""The graph equals its tables read by plain loops: keys of any type, self references, several keys between tables, bridges."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.budget import Budget
from relselect.database import Database, ForeignKey, Table
from relselect.database.clock import DAY, NEVER
from relselect.events import silent
from relselect.rdl import RDL
from relselect.rdl.family import blueprint_of
from relselect.rdl.graph.adjacency import ParentRelation, child_edge_type, parent_edge_type, shortcut_edge_type
from relselect.rdl.graph.graph import ForeignKeyEdges, build_graph, database_graph
from relselect.rdl.sampling.sampler import TemporalSampler
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import batcher_of, row_tensors
from tests.rows import shared_rows
from tests.strategies import worlds


def neighbours(graph, edge_type, asof):
    """Return per row of the receiving table the rows it can see at a time, in the order of the index, the latest last."""
    relation = next(each for each in graph.relations[edge_type[2]] if each.edge_type == edge_type)
    rows = torch.arange(len(graph.rank[edge_type[2]]))
    ceiling = graph.asof_rank(torch.tensor(asof)).expand(len(rows))
    if isinstance(relation, ParentRelation):
        found = relation.visible(rows, ceiling)
        return [[int(relation.parent[row])] if found[row] else [] for row in rows]
    start, count = relation.visible(rows, ceiling)
    return [relation.child[a : a + n].tolist() for a, n in zip(start.tolist(), count.tolist(), strict=True)]


def key_of(table, columns, row):
    values = [table.data[name][row].as_py() for name in columns]
    return None if None in values else tuple(values)


@settings(max_examples=25)
@given(worlds(), st.integers(-1, 13))
def test_every_foreign_key_is_two_relations(world, day):
    """Each row sees its parent, each parent its rows, as of a day, whatever the keys are made of."""
    database = world.database()
    graph, asof = database_graph(database), day if world.shape.integer else day * DAY
    for name, table in database.tables.items():
        for key in table.foreign_keys:
            parent = database[key.table]
            refer = dict(zip(key.ref_columns or parent.primary_key, key.columns, strict=True))
            place = {key_of(parent, parent.primary_key, row): row for row in range(parent.num_rows)}
            named = [place.get(key_of(table, refer.values(), row)) for row in range(table.num_rows)]
            seen = {each: database.times(each) <= asof for each in (name, key.table)}
            up_to = [[p] if p is not None and seen[key.table][p] else [] for p in named]
            assert neighbours(graph, parent_edge_type(name, key.name, key.table), asof) == up_to
            below = neighbours(graph, child_edge_type(name, key.name, key.table), asof)
            for row, found in enumerate(below):
                assert sorted(found) == [r for r, p in enumerate(named) if p == row and seen[name][r]]
                moments = database.times(name)[found]
                assert (np.diff(moments.astype(float)) >= 0).all()


KEYS = {
    "huge integers": [2**62, -(2**62), 0, -7],
    "unsigned": pa.array([2**64 - 1, 2**63, 0, 5], pa.uint64()),
    "text": ["", "a", "ä", "a "],
    "uuids": [str(UUID(int=number * 10**30)) for number in range(4)],
    "dates": pa.array([0, -1, 20000, 5], pa.date32()),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_any_type_join(kind):
    keys = pa.array(KEYS[kind])
    rows = keys.take(pa.array([3, 0, None, 0, 1]))
    database = Database(
        [
            Table("p", pa.table({"id": keys}), ("id",)),
            Table("c", pa.table({"p": rows, "when": pa.array(range(5))}), time="when", foreign_keys=(ForeignKey(("p",), "p"),)),
        ]
    )  # fmt: skip
    graph = database_graph(database)
    assert neighbours(graph, ("c", "p", "p"), 3) == [[1, 3], [], [], [0]]
    assert neighbours(graph, ("p", "rev_p", "c"), 3) == [[3], [0], [], [0], [1]]


def test_relations_never_share_a_name():
    nothing = np.full(3, -1)
    names = ["x", "rev_x", "key_rev_x", "via_x", "key_x"]
    links = [ForeignKeyEdges("t", name, "t", nothing) for name in names]
    times = {"t": np.zeros(3, np.int64)}
    graph = build_graph(times, times, links, shortcuts=True)
    assert len(set(graph.edge_types)) == len(graph.edge_types) == 2 * len(names)
    opposite = [each.opposite for each in graph.relations["t"] if isinstance(each, ParentRelation)]
    assert len(set(opposite)) == len(names)
    assert set(opposite) < set(graph.edge_types)


@pytest.mark.parametrize("asof", [-1, 2, 4, 7])
def test_shortcuts_lead_over_bridges(make_world, asof):
    for seed in range(8):
        world = make_world(seed, shortcuts=True)
        plain = build_graph(world.times, world.identities, world.links)
        assert set(plain.edge_types) < set(world.graph.edge_types)
        seen = {name: (times <= asof) & (times != NEVER) for name, times in world.times.items()}
        for near in world.links:
            for far in world.links:
                edge_type = shortcut_edge_type("b", near.name, near.target, far.name, far.target)
                if near is far:
                    assert edge_type not in world.graph.edge_types
                    continue
                found = neighbours(world.graph, edge_type, asof)
                for row, others in enumerate(found):
                    wanted = Counter(
                        int(far.parent[b])
                        for b in np.flatnonzero((near.parent == row) & seen["b"])
                        if far.parent[b] >= 0 and seen[far.target][far.parent[b]]
                    )
                    assert Counter(others) == wanted


def test_a_table_that_others_refer_to_is_no_bridge(make_world):
    world = make_world(0)
    assert any(link.target == "b" for link in world.links)
    graph = build_graph(world.times, world.identities, world.links, shortcuts=True)
    assert graph.edge_types == world.graph.edge_types


def test_fan_outs_may_differ_by_relation(make_world):
    world = next(each for each in (make_world(seed) for seed in range(50)) if len(each.times["b"]) > 20)
    of, back = ("b", "of", "a"), ("c", "rev_in", "b")
    sampler = TemporalSampler(world.graph, [{of: 2}, {back: 1}])
    trees = sampler.sample("a", torch.arange(len(world.times["a"])), *(torch.full((len(world.times["a"]),), 9),) * 2)
    assert {name for name, edges in trees.edge_index.items() if edges.shape[1]} == {of, back}
    assert torch.bincount(trees.edge_index[of][1]).max() == 2
    number = [each.edge_type for each in world.graph.relations["a"]].index(of)
    assert trees.degree[:, number].max() > 2


def test_what_is_masked_until_later_is_a_state_of_the_node(make_problem):
    """A row stands in the graph from its own time on; its masked columns are told apart by batch, not by the graph."""
    problem = make_problem()
    orders = problem.database["orders"]
    assert orders.known_at
    graph = database_graph(problem.database)
    assert torch.equal(graph.times[graph.rank["orders"]], torch.tensor(problem.database.times("orders")))


def test_shortcuts_are_an_option_of_the_network(make_problem):
    problem = make_problem()
    plain, more = (blueprint_of(problem, NetworkSettings(edges=edges)).edge_types for edges in ("keys", "shortcuts"))
    assert set(more) - set(plain) == {
        shortcut_edge_type("orders", "user", "users", "shop", "shops"),
        shortcut_edge_type("orders", "shop", "shops", "user", "users"),
    }


def test_a_window_is_an_option_of_the_network(make_problem):
    problem, cpu = make_problem(), torch.device("cpu")

    def oldest(**options):
        blueprint = blueprint_of(problem, NetworkSettings(fan_out=64, **options))
        rows = row_tensors(blueprint, problem.rows("val"), cpu)
        batcher = batcher_of(blueprint, problem, cpu)
        trees = batcher.batch(rows, torch.arange(len(rows))).trees
        assert len(trees.rows["orders"])
        moments = torch.tensor(problem.database.times("orders"))[trees.rows["orders"]]
        return int((rows.asof[trees.tree["orders"]] - moments).max())

    assert oldest(window=20.0) < 20 * DAY < oldest()


@pytest.fixture(scope="module")
def attentive(make_problem, small):
    """A network of attention over shortcuts and a window, fitted."""
    problem = make_problem()
    config = {**small, "convolution": "gatv2", "edges": "shortcuts", "window": 200.0, "strategy": "uniform"}
    return problem, RDL("cpu").fit(
        problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(), emit=silent
    )


def test_attention_over_shortcuts_learns_and_saves(attentive, tmp_path):
    problem, candidate = attentive
    assert candidate.score > 0.8
    RDL("cpu").save(candidate, tmp_path)
    loaded = RDL("cpu").load(tmp_path, replace(candidate, model=None, checkpoints=()))
    assert np.array_equal(RDL("cpu").predict(loaded, problem, problem.rows("val")), candidate.predictions)


def test_attention_over_shortcuts_sees_nothing_hidden(attentive, shop_frames, make_shop):
    problem, candidate = attentive
    rows = problem.rows("val")
    asof = int(rows.asof.min())
    rows = rows.take(rows.asof == asof)
    orders = shop_frames["orders"].to_pandas()
    hidden = orders["when"].astype("datetime64[us]").astype("int64") > asof
    late = orders["closed"].astype("datetime64[us]").astype("int64") > asof
    orders.loc[late, "state"] = "elsewhere"
    kept = orders[~hidden | (np.arange(len(orders)) % 2 == 0)].sample(frac=1.0, random_state=1)
    assert len(kept) < len(orders)
    other = problem.rebind(make_shop({**shop_frames, "orders": pa.Table.from_pandas(kept, preserve_index=False)}))
    before, after = (RDL("cpu").predict(candidate, each, rows) for each in (problem, other))
    assert np.std(before) > 0
    assert np.abs(before - after).max() <= 1e-5
