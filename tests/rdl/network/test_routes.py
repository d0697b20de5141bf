"""Composite routes: which pairs of edges they replace, that all three rows are visible, and what the network reads over them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.database.clock import NEVER
from relselect.rdl.family import blueprint_of
from relselect.rdl.network.model import RelationalNetwork, ranks_of
from relselect.rdl.network.routes import Fusion, composite_edges, routes_of
from relselect.rdl.sampling.sampler import TemporalSampler
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import batcher_of, row_tensors

SEEDS = st.integers(0, 2**20)
quick = settings(max_examples=25, deadline=None)


def sampled(world, entities, asof, fan_out=(3, 2, 2), strategy="last"):
    columns = [
        torch.tensor(each, dtype=torch.int64) for each in (entities, [9] * len(entities), [asof] * len(entities))
    ]
    return TemporalSampler(world.graph, fan_out, strategy).sample("a", *columns)


def messages(world, trees, routed):
    """Return how often each message exists: (edge type, tree, receiver, bridge row or None, sender), rows by their identity."""

    def said(table, node):
        row = int(trees.rows[table][node])
        return -1 if row < 0 else int(world.identities[table][row])

    found = Counter()
    for route in routes_of(world.graph.edge_types):
        pairs = zip(routed.edge_index[route.edge_type][1].tolist(), *routed.ends[route.edge_type].tolist(), strict=True)
        for receiver, bridge, sender in pairs:
            tree = int(trees.tree[route.near[2]][receiver])
            near, far = said(route.near[2], receiver), said(route.far[0], sender)
            found[route.edge_type, tree, near, said(route.bridge, bridge), far] += 1
    for edge_type in trees.edge_index:
        for sender, receiver in routed.edge_index[edge_type].T.tolist():
            tree = int(trees.tree[edge_type[2]][receiver])
            found[edge_type, tree, said(edge_type[2], receiver), None, said(edge_type[0], sender)] += 1
    return found


@pytest.mark.parametrize("strategy", ["last", "uniform"])
@quick
@given(seed=SEEDS, asof=st.integers(-1, 8))
def test_every_edge_is_plain_or_part_of_the_composite_ones_that_there_are(make_world, strategy, seed, asof):
    world = make_world(seed)
    trees = sampled(world, list(range(-1, len(world.times["a"]))), asof, strategy=strategy)
    routes = routes_of(world.graph.edge_types)
    assert len(routes) == 4 * 3  # four keys of b
    routed = composite_edges(trees, routes)
    above = {name: dict(trees.edge_index[name].flip(0).T.tolist()) for name in {each.far for each in routes}}
    used: dict[tuple[str, str, str], set[tuple[int, int]]] = {name: set() for name in trees.edge_index}
    for route in routes:
        wanted = [
            (receiver, bridge, above[route.far][bridge])
            for bridge, receiver in trees.edge_index[route.near].T.tolist()
            if bridge in above[route.far]
        ]
        index, ends = routed.edge_index[route.edge_type], routed.ends[route.edge_type]
        assert list(zip(index[1].tolist(), *ends.tolist(), strict=True)) == wanted
        assert index[0].tolist() == list(range(len(wanted)))
        used[route.near] |= {(bridge, receiver) for receiver, bridge, _ in wanted}
        used[route.far] |= {(sender, bridge) for _, bridge, sender in wanted}
    for name, index in trees.edge_index.items():
        edges = [tuple(each) for each in index.T.tolist()]
        assert [tuple(each) for each in routed.edge_index[name].T.tolist()] == [
            each for each in edges if each not in used[name]
        ]
    for name, index in routed.edge_index.items():
        assert sum(routed.edges_per_hop[name]) == index.shape[1]
        begin = 0
        for hop, count in enumerate(routed.edges_per_hop[name]):
            first = sum(trees.nodes_per_hop[name[2]][:hop])
            at = index[1, begin : begin + count]
            assert ((at >= first) & (at < first + trees.nodes_per_hop[name[2]][hop])).all()
            begin += count


@quick
@given(seed=SEEDS, asof=st.integers(-1, 8))
def test_a_composite_message_has_a_visible_bridge_row_and_a_visible_sender(make_world, seed, asof):
    world = make_world(seed)
    trees = sampled(world, list(range(-1, len(world.times["a"]))), asof)
    routed = composite_edges(trees, routes_of(world.graph.edge_types))
    for route in routes_of(world.graph.edge_types):
        for table, nodes in zip((route.bridge, route.far[0]), routed.ends[route.edge_type], strict=True):
            times = world.times[table][trees.rows[table][nodes].numpy()]
            assert ((times <= asof) & (times != NEVER)).all()


@quick
@given(seed=SEEDS, strategy=st.sampled_from(["last", "uniform"]), asof=st.integers(0, 8))
def test_hidden_rows_and_row_order_change_no_message(make_world, seed, strategy, asof):
    world = make_world(seed)
    draw = np.random.default_rng(seed)
    order = {}
    for name, times in world.times.items():
        kept = (times <= asof) | (draw.random(len(times)) < 0.3) | (name == "a")
        order[name] = draw.permutation(np.flatnonzero(kept))
    other = world.permuted(order)
    entities = np.arange(len(world.times["a"]))
    told = []
    for each, rows in ((world, entities), (other, np.argsort(order["a"])[entities])):
        trees = sampled(each, rows.tolist(), asof, strategy=strategy)
        told.append(messages(each, trees, composite_edges(trees, routes_of(each.graph.edge_types))))
    assert told[0] == told[1]


def test_without_routes_all_edges_stay(make_world):
    world = next(each for each in map(make_world, range(50)) if len(each.times["b"]) > 20)
    trees = sampled(world, [0], 8)
    routed = composite_edges(trees, ())
    assert routed.edge_index == trees.edge_index
    assert routed.edges_per_hop == trees.edges_per_hop


def test_shortcuts_and_tables_with_one_key_are_no_routes(make_world):
    shortcuts, plain = make_world(1, shortcuts=True), make_world(1, shortcuts=False)
    keys = [each for each in shortcuts.graph.edge_types if not each[1].startswith("via_")]
    assert len(keys) < len(shortcuts.graph.edge_types)
    assert routes_of(shortcuts.graph.edge_types) == routes_of(keys)
    one = [each for each in plain.graph.edge_types if each[1] in ("of", "rev_of")]
    assert len(one) == 2
    assert routes_of(one) == ()


@pytest.mark.parametrize("rows", [2, 50])
def test_fused_vectors_are_their_formula(rows):
    torch.manual_seed(0)
    fuse, bridges, senders = Fusion(4).double(), torch.randn(rows, 4).double(), torch.randn(3, 4).double()
    ends = torch.randint(0, rows, (9,)), torch.randint(0, 3, (9,))
    wanted = torch.stack(
        [
            fuse.bridge.weight @ bridges[b] + fuse.sender.weight @ senders[s] + fuse.bridge.bias
            for b, s in zip(*ends, strict=True)
        ]
    )
    assert torch.allclose(fuse(bridges, ends[0], senders, ends[1]), wanted)


@pytest.fixture(scope="module")
def built(make_problem):
    """Return a network over the shop and a batch of its rows."""
    problem = make_problem()

    def build(rows=40, **options):
        blueprint = blueprint_of(problem, NetworkSettings(channels=8, fan_out=4, dropout=0.0, **options))
        torch.manual_seed(0)
        network = RelationalNetwork(blueprint).double().eval()
        with torch.no_grad():
            for weight in network.parameters():
                weight += 0.1 * torch.randn_like(weight)
        batcher = batcher_of(blueprint, problem, torch.device("cpu"))
        tensors = row_tensors(blueprint, problem.rows("val"), torch.device("cpu"))
        return network, batcher.batch(tensors, torch.arange(rows))

    return build


@pytest.mark.parametrize(("routes", "reached"), [("off", False), ("composite", True)])
def test_one_layer_carries_the_other_parent_to_the_root(built, routes, reached):
    network, batch = built(layers=2, routes=routes)
    after = []
    network.updates[0].register_forward_hook(lambda module, given, out: after.append(out["users"]))
    network.double()(as_double(batch))
    shops = network.encoders[network.tables.index("shops")].bias
    roots = after[0][: len(batch.index)].square().sum()
    (slope,) = torch.autograd.grad(roots, shops, allow_unused=True)
    assert (slope is not None and bool(slope.abs().sum() > 0)) == reached


@pytest.mark.parametrize("convolution", ["multi", "gatv2"])
@pytest.mark.parametrize("layers", [2, 3, 4])
def test_trimmed_layers_say_the_same_of_the_roots(built, convolution, layers):
    network, batch = built(layers=layers, routes="composite", convolution=convolution)
    batch = as_double(batch)
    assert sum(map(len, network.layer_routes)) >= layers
    channels = network.context.out_features
    assert torch.allclose(network.embed(batch)[:, :channels], untrimmed(network, batch), atol=1e-10)


def as_double(batch):
    """Return a batch whose floats are of double precision."""

    def double(part):
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
                object.__setattr__(part, name, value.double())

    for node in batch.nodes.values():
        double(node)
        double(node.table)
    double(batch)
    double(batch.features)
    return batch


def untrimmed(network, batch):
    """Compute the roots' vectors with every layer over all nodes and all edges."""
    trees, routed = batch.trees, composite_edges(batch.trees, network.routes)
    x = {name: each[batch.nodes[name].place] for name, each in network._encode(batch.nodes).items()}
    x[network.entity] = network._marked(x[network.entity], len(batch.index))
    before = x
    for layer in range(network.layers):
        senders, names = dict(x), list(network.layer_edges[layer])
        for route, fuse in zip(network.layer_routes[layer], network.fusions[layer], strict=True):
            bridge, far = routed.ends[route.edge_type]
            senders[route.fused] = fuse(x[route.bridge], bridge, before[route.far[0]], far)
            names.append(route.edge_type)
        edges = {name: routed.edge_index[name] for name in names}
        ranks = {name: ranks_of(pair[1]) for name, pair in edges.items()}
        out = network.updates[layer](x, network.convolutions[layer](senders, x, edges, ranks))
        before, x = x, {**x, **out}
    assert len(x[network.entity]) == len(trees.rows[network.entity])
    return x[network.entity][: len(batch.index)]
