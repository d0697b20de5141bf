"""The sampler equals a naive one; neither hidden rows, nor other rows of the batch, nor row order change a tree."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from relselect.database.clock import ALWAYS, NEVER
from relselect.rdl.graph.graph import ForeignKeyEdges, build_graph
from relselect.rdl.sampling.sampler import TemporalSampler

SEEDS = st.integers(0, 2**20)
ENGINES = ["torch", "compiled"]
STRATEGIES = ["last", "uniform"]
quick = settings(max_examples=20, deadline=None)


def sample(world, rows, fan_out=(3, 2), strategy="last", seed=0, engine="auto", **options):
    entity, cutoff, asof = (torch.tensor(column, dtype=torch.int64) for column in zip(*rows, strict=True))
    sampler = TemporalSampler(world.graph, fan_out, strategy, seed, engine=engine, **options)
    return sampler.sample("a", entity, cutoff, asof)


def rows_of(world, draw, count=6):
    entity = draw.integers(-1, len(world.times["a"]), count)
    asof = draw.integers(-1, 9, count)
    return [(int(e), int(t + 1), int(t)) for e, t in zip(entity, asof, strict=True)]


def nested(world, trees):
    """Return each tree as (table, identity, sorted children with their relation), recursively."""
    children = {}
    for edge_type, (senders, receivers) in trees.edge_index.items():
        for sender, receiver in zip(senders.tolist(), receivers.tolist(), strict=True):
            children.setdefault((edge_type[2], receiver), []).append((edge_type, sender))

    def build(table, node):
        row = int(trees.rows[table][node])
        below = sorted(
            (edge_type, build(edge_type[0], sender)) for edge_type, sender in children.get((table, node), [])
        )
        return table, -1 if row < 0 else int(world.identities[table][row]), below

    return [build(trees.entity, root) for root in range(trees.nodes_per_hop[trees.entity][0])]


def naive(world, entity, asof, fan_out, window=None):
    """Grow one tree by plain loops over the links; every hop takes up to its number, -1 for all."""

    def visible(table, row):
        return row >= 0 and world.times[table][row] != NEVER and world.times[table][row] <= asof

    def recent(table, row):
        return window is None or world.times[table][row] == ALWAYS or world.times[table][row] > asof - window

    def latest(table, rows, most):
        kept = sorted(
            (int(world.times[table][r]), int(world.identities[table][r]), r)
            for r in rows
            if visible(table, r) and recent(table, r)
        )
        return [row for _, _, row in (kept[-most:] if most >= 0 else kept)]

    def grow(table, row, hop, hidden, came=None):
        below = []
        for link in world.links if hop < len(fan_out) and row >= 0 else []:
            if link.target == table:
                children = np.flatnonzero(link.parent == row)
                edge_type = (link.source, link.name, link.target)
                for child in latest(link.source, children, fan_out[hop]):
                    below.append((edge_type, grow(link.source, child, hop + 1, False, link)))
            if link.source == table and link is not came and not hidden and visible(link.target, link.parent[row]):
                edge_type = (link.target, f"rev_{link.name}", link.source)
                below.append((edge_type, grow(link.target, int(link.parent[row]), hop + 1, False)))
        return table, -1 if hidden or row < 0 else int(world.identities[table][row]), sorted(below)

    return grow("a", entity, 0, entity >= 0 and not visible("a", entity))


@pytest.mark.parametrize("engine", ENGINES)
@quick
@given(
    seed=SEEDS,
    fan_out=st.sampled_from([(3,), (3, 2), (1, 1, 1), (30, 30), (-1, 2)]),
    window=st.sampled_from([None, 1, 3, 100]),
)
def test_last_is_what_the_naive_sampler_takes(make_world, engine, seed, fan_out, window):
    world = make_world(seed)
    rows = rows_of(world, np.random.default_rng(seed))
    trees = nested(world, sample(world, rows, fan_out, engine=engine, window=window))
    assert trees == [naive(world, entity, asof, fan_out, window) for entity, _, asof in rows]


@quick
@given(
    seed=SEEDS,
    strategy=st.sampled_from(STRATEGIES),
    fan_out=st.sampled_from([(3, 2), (1, 1, 1), (30, 2, 3), (-1, 1), (0, 3)]),
    window=st.sampled_from([None, 3]),
)
def test_both_engines_sample_the_same_trees_bit_for_bit(make_world, seed, strategy, fan_out, window):
    world = make_world(seed)
    rows = rows_of(world, np.random.default_rng(seed))
    one, other = (sample(world, rows, fan_out, strategy, 3, engine, window=window) for engine in ENGINES)
    assert (one.nodes_per_hop, one.edges_per_hop) == (other.nodes_per_hop, other.edges_per_hop)
    assert torch.equal(one.degree, other.degree)
    for pair in [(one.rows, other.rows), (one.tree, other.tree), (one.edge_index, other.edge_index)]:
        assert pair[0].keys() == pair[1].keys()
        assert all(torch.equal(tensor, pair[1][name]) for name, tensor in pair[0].items())
        assert all(tensor.dtype == torch.int64 for each in pair for tensor in each.values())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_tensor_is_made_on_the_device_of_the_graph(make_world, strategy):
    """A tensor made without saying where would land on the default device, and be refused beside the others."""
    world = make_world(6)
    rows = rows_of(world, np.random.default_rng(6))
    columns = [torch.tensor(column) for column in zip(*rows, strict=True)]
    sampler = TemporalSampler(world.graph, (3, 2), strategy, engine="torch", window=5)
    wanted = sampler.sample("a", *columns)
    with torch.device("meta"):
        found = sampler.sample("a", *columns)
    for name, tensor in found.edge_index.items():
        assert torch.equal(tensor, wanted.edge_index[name])
    assert all(torch.equal(tensor, wanted.rows[name]) for name, tensor in found.rows.items())
    assert sum(len(tensor) for tensor in found.rows.values()) > len(rows)


@pytest.mark.parametrize("engine", ENGINES)
@quick
@given(seed=SEEDS, strategy=st.sampled_from(STRATEGIES))
def test_no_row_later_than_the_asof_is_in_a_tree(make_world, engine, seed, strategy):
    world = make_world(seed)
    rows = rows_of(world, np.random.default_rng(seed))
    trees = sample(world, rows, strategy=strategy, engine=engine)
    for table, places in trees.rows.items():
        for row, tree in zip(places.tolist(), trees.tree[table].tolist(), strict=True):
            assert row < 0 or world.times[table][row] <= rows[tree][2]
            assert row < 0 or world.times[table][row] != NEVER


@pytest.mark.parametrize("engine", ENGINES)
@quick
@given(seed=SEEDS, strategy=st.sampled_from(STRATEGIES))
def test_a_tree_is_the_same_alone_and_in_any_batch(make_world, engine, seed, strategy):
    world = make_world(seed)
    rows = rows_of(world, np.random.default_rng(seed))
    options = {"strategy": strategy, "seed": 7, "engine": engine}
    together = nested(world, sample(world, rows, **options))
    assert together == [nested(world, sample(world, [row], **options))[0] for row in rows]
    assert together[::-1] == nested(world, sample(world, rows[::-1], **options))


@pytest.mark.parametrize("engine", ENGINES)
@quick
@given(seed=SEEDS, strategy=st.sampled_from(STRATEGIES), asof=st.integers(0, 8), shortcuts=st.booleans())
def test_hidden_rows_and_row_order_change_no_tree(make_world, engine, seed, strategy, asof, shortcuts):
    world = make_world(seed, shortcuts)
    draw = np.random.default_rng(seed)
    # entities stay, as anonymous roots keep their number; of the others a part of what is hidden goes
    order = {}
    for name, times in world.times.items():
        kept = (times <= asof) | (draw.random(len(times)) < 0.3) | (name == "a")
        order[name] = draw.permutation(np.flatnonzero(kept))
    other = world.permuted(order)
    entities = list(range(len(world.times["a"])))
    options = {"strategy": strategy, "engine": engine, "window": 5 if seed % 2 else None}
    before = nested(world, sample(world, [(e, 9, asof) for e in entities], **options))
    moved = np.argsort(order["a"])
    after = nested(other, sample(other, [(int(moved[e]), 9, asof) for e in entities], **options))
    assert before == after


@quick
@given(seed=SEEDS)
def test_bookkeeping_adds_up(make_world, seed):
    world = make_world(seed)
    trees = sample(world, rows_of(world, np.random.default_rng(seed)))
    for table, places in trees.rows.items():
        assert sum(trees.nodes_per_hop[table]) == len(places) == len(trees.tree[table])
    for edge_type, edges in trees.edge_index.items():
        assert sum(trees.edges_per_hop[edge_type]) == edges.shape[1]
        first = trees.edges_per_hop[edge_type][0]
        assert (edges[1, :first] < trees.nodes_per_hop[edge_type[2]][0]).all()
        assert (trees.tree[edge_type[0]][edges[0]] == trees.tree[edge_type[2]][edges[1]]).all()


def star(children: int):
    links = [ForeignKeyEdges("b", "of", "a", np.zeros(children, np.int64))]
    times = {"a": np.zeros(1, np.int64), "b": np.arange(children, dtype=np.int64)}
    return build_graph(times, {"a": np.zeros(1, np.int64), "b": np.arange(children, dtype=np.int64)}, links)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("visible", "fan_out"), [(20, 5), (7, 5), (23, 8), (40, 39), (3, 1)])
def test_uniform_draws_every_visible_neighbour_equally_often(visible, fan_out, engine):
    trials = 4000
    cutoff = torch.arange(trials)
    asof = torch.full((trials,), visible - 1)
    sampler = TemporalSampler(star(40), (fan_out,), "uniform", seed=3, engine=engine)
    trees = sampler.sample("a", torch.zeros(trials, dtype=torch.int64), cutoff, asof)
    pairs = torch.stack([trees.tree["b"], trees.rows["b"]])
    assert pairs.shape[1] == trials * fan_out == torch.unique(pairs, dim=1).shape[1]
    share = torch.bincount(trees.rows["b"], minlength=40).double() / trials
    expected = fan_out / visible
    assert (share[visible:] == 0).all()
    # under equal inclusion the mean is visible - 1, as of chi-square; draws of one row depend on one another, which spreads
    # the statistic a little wider, hence the far quantile
    scale = trials * expected * (1 - expected) * visible / (visible - 1)
    statistic = float(((share[:visible] - expected) * trials).square().sum() / scale)
    assert statistic < chi2.ppf(1 - 1e-4, visible - 1)


def test_uniform_draws_differ_between_seeds_and_cutoffs():
    def drawn(seed, cutoff):
        entity, asof = torch.zeros(1, dtype=torch.int64), torch.tensor([39])
        trees = TemporalSampler(star(40), (5,), "uniform", seed).sample("a", entity, torch.tensor([cutoff]), asof)
        return frozenset(trees.rows["b"].tolist())

    assert len({drawn(seed, 50) for seed in range(10)}) > 5
    assert len({drawn(0, cutoff) for cutoff in range(50, 60)}) > 5


def test_degree_counts_what_is_visible_and_not_what_is_sampled():
    trees = TemporalSampler(star(40), (5,)).sample(
        "a", torch.tensor([0, -1]), torch.tensor([9, 9]), torch.tensor([9, 9])
    )
    assert trees.degree.tolist() == [[10], [0]]
    assert trees.rows["a"].tolist() == [0, -1]
