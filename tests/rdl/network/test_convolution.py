"""Contract of every registered convolution, and equality with PyG's layers where PyG has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.nn import GATv2Conv, SAGEConv

from relselect.rdl.network.convolutions import CONVOLUTIONS
from relselect.rdl.network.scatter import gather, gather_scatter_sum, scatter_max, scatter_sum
from relselect.rdl.sampling.sampler import TemporalSampler

WIDTH = 8
OF, IN, AFTER = ("b", "of", "a"), ("c", "in", "a"), ("a", "after", "a")
KINDS = [(name, how) for name in CONVOLUTIONS for how in (("mean", "sum", "max") if name == "sage" else ("sum",))]


@pytest.fixture(params=KINDS, ids=["-".join(kind) for kind in KINDS])
def build(request):
    """A layer over given relations, in double precision, the same weights for the same relations."""
    name, aggregation = request.param

    def make(edge_types=(OF, IN, AFTER), channels=WIDTH):
        torch.manual_seed(3)
        made = CONVOLUTIONS[name](edge_types, channels, aggregation).double()
        with torch.no_grad():
            for weight in made.parameters():  # as if trained a little: some weights begin at zero
                weight += 0.1 * torch.randn_like(weight)
        return made

    return make


def vectors(seed=0, **sizes):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(size, WIDTH, generator=generator, dtype=torch.float64) for name, size in sizes.items()}


def some_edges(senders, receivers, count, seed=0):
    draw = np.random.default_rng(seed)
    return torch.tensor(np.stack([draw.integers(0, senders, count), draw.integers(0, receivers, count)]))


@pytest.fixture
def layer():
    """Senders, receivers (their first rows) and edges; receiver 5 of `a` has no neighbour anywhere."""
    x = vectors(a=9, b=20, c=4)
    edges = {OF: some_edges(20, 5, 30), IN: some_edges(4, 5, 7, 1), AFTER: some_edges(9, 5, 12, 2)}
    return x, {"a": x["a"][:6], "b": x["b"][:0], "c": x["c"][:0]}, edges


def test_every_reached_table_gets_a_vector_per_receiver(build, layer):
    reached = build()(*layer)
    assert {name: tuple(out.shape) for name, out in reached.items()} == {"a": (6, WIDTH)}
    assert torch.isfinite(reached["a"]).all()


@pytest.mark.parametrize("channels", [1, 6, 16])
def test_any_width_will_do(build, channels):
    out = build((AFTER,), channels)(
        {"a": torch.ones(3, channels).double()},
        {"a": torch.ones(2, channels).double()},
        {AFTER: torch.tensor([[2], [0]])},
    )
    assert out["a"].shape == (2, channels)


def test_the_order_of_edges_and_of_senders_is_nothing(build, layer):
    senders, receivers, edges = layer
    convolution, draw = build(), torch.Generator().manual_seed(1)
    wanted = convolution(senders, receivers, edges)["a"]
    shuffled = {name: each[:, torch.randperm(each.shape[1], generator=draw)] for name, each in edges.items()}
    assert torch.allclose(convolution(senders, receivers, shuffled)["a"], wanted, atol=1e-12)
    order = torch.randperm(20, generator=draw)
    renamed = {**edges, OF: torch.stack([torch.argsort(order)[edges[OF][0]], edges[OF][1]])}
    assert torch.allclose(
        convolution({**senders, "b": senders["b"][order]}, receivers, renamed)["a"], wanted, atol=1e-12
    )


def test_receivers_move_with_their_numbers(build, layer):
    senders, receivers, edges = layer
    convolution, order = build(), torch.tensor([3, 0, 5, 1, 4, 2])
    wanted = convolution(senders, receivers, edges)["a"]
    moved = {name: torch.stack([each[0], torch.argsort(order)[each[1]]]) for name, each in edges.items()}
    out = convolution(senders, {**receivers, "a": receivers["a"][order]}, moved)["a"]
    assert torch.allclose(out, wanted[order], atol=1e-12)


def test_nothing_passes_without_an_edge(build, layer):
    """A receiver without neighbours gets the same whatever the vectors; another's neighbours change nothing of a receiver."""
    senders, receivers, edges = layer
    convolution = build()
    wanted = convolution(senders, receivers, edges)["a"]
    other = {name: each + 1 for name, each in senders.items()}
    assert torch.equal(convolution(other, {**receivers, "a": receivers["a"] - 1}, edges)["a"][5], wanted[5])
    fewer = {name: each[:, each[1] != 2] for name, each in edges.items()}
    out = convolution(senders, receivers, fewer)["a"]
    kept = torch.tensor([0, 1, 3, 4, 5])
    assert torch.allclose(out[kept], wanted[kept], atol=1e-12)
    assert torch.allclose(out[2], out[5], atol=1e-12)
    assert not torch.allclose(wanted[2], wanted[5], atol=1e-3)


def test_a_relation_without_edges_and_a_table_without_rows_do_no_harm(build, layer):
    senders, receivers, edges = layer
    nothing = torch.empty(2, 0, dtype=torch.int64)
    convolution = build()
    empty = {"a": senders["a"], "b": senders["b"][:0], "c": senders["c"]}
    out = convolution(empty, receivers, {**edges, OF: nothing})["a"]
    assert torch.isfinite(out).all()
    assert torch.allclose(out, convolution(senders, receivers, {**edges, OF: nothing})["a"])
    assert convolution(empty, {**receivers, "a": senders["a"][:0]}, dict.fromkeys(edges, nothing))["a"].shape == (
        0,
        WIDTH,
    )


def test_an_edge_given_twice_counts_as_two_neighbours(build, layer):
    senders, receivers, edges = layer
    convolution = build()
    twice = {**edges, OF: torch.cat([edges[OF], edges[OF][:, :1]], dim=1)}
    twin = {**senders, "b": torch.cat([senders["b"], senders["b"][edges[OF][0, :1]]])}
    apart = {**edges, OF: torch.cat([edges[OF], torch.stack([torch.tensor([20]), edges[OF][1, :1]])], dim=1)}
    out = convolution(senders, receivers, twice)["a"]
    assert torch.allclose(out, convolution(twin, receivers, apart)["a"], atol=1e-12)


def test_gradients_flow_to_every_weight_and_vector_twice(build, layer):
    senders, receivers, edges = layer
    convolution = build()
    leaves = [each.clone().requires_grad_() for each in senders.values()]
    x = dict(zip(senders, leaves, strict=True))
    out = convolution(x, {name: x[name][: len(each)] for name, each in receivers.items()}, edges)["a"]
    wanted = [*leaves, *convolution.parameters()]
    slopes = torch.autograd.grad(out.square().sum(), wanted, create_graph=True)
    assert all(torch.isfinite(slope).all() and slope.abs().sum() > 0 for slope in slopes)
    again = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), wanted)
    assert all(torch.isfinite(slope).all() for slope in again)

    def first(one):
        return convolution({**senders, "b": one}, receivers, edges)["a"]

    assert torch.autograd.gradcheck(first, (senders["b"].clone().requires_grad_(),))


def test_trimmed_layers_say_the_same_of_the_roots(build, make_world):
    """Each layer may leave out the hop that no later layer reads."""
    worlds, hops = (make_world(seed) for seed in range(100)), 3
    world = next(each for each in worlds if len(each.times["a"]) > 1 and len(each.times["b"]) > 20)
    columns = (torch.tensor([0, 1, 0, -1]), torch.tensor([9, 9, 5, 9]), torch.tensor([9, 7, 5, 9]))
    trees = TemporalSampler(world.graph, (4, 3, 2)).sample("a", *columns)
    x = vectors(**{name: len(rows) for name, rows in trees.rows.items()})
    layers = [build(world.graph.edge_types) for _ in range(hops)]

    def run(trim):
        vectors_of = x
        for number, convolution in enumerate(layers):
            left = hops - number if trim else hops
            count = {name: sum(each[:left]) for name, each in trees.nodes_per_hop.items()}
            edges = {name: each[:, : sum(trees.edges_per_hop[name][:left])] for name, each in trees.edge_index.items()}
            receivers = {name: each[: count[name] if trim else len(each)] for name, each in vectors_of.items()}
            reached = convolution(vectors_of, receivers, edges)
            vectors_of = {name: torch.tanh(each + reached[name]) for name, each in receivers.items()}
        return vectors_of["a"][:4]

    assert sum(trees.edges_per_hop["b", "of", "a"]) > 4
    assert torch.allclose(run(trim=True), run(trim=False), atol=1e-12)


#: Senders, receivers and edges: each is the fewest once.
SIZES = [(4, 9, 30), (20, 6, 30), (20, 9, 5)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("aggregation", ["mean", "sum", "max"])
def test_sage_is_pygs(aggregation, sizes):
    x = vectors(b=sizes[0], a=sizes[1])
    ours = CONVOLUTIONS["sage"]((OF,), WIDTH, aggregation).double()
    theirs = SAGEConv((WIDTH, WIDTH), WIDTH, aggr=aggregation, root_weight=False).double()
    assert_equal(ours, theirs, x["b"], x["a"], some_edges(*sizes))


@pytest.mark.parametrize("sizes", SIZES)
def test_gatv2_is_pygs(sizes):
    x = vectors(b=sizes[0], a=sizes[1])
    ours = CONVOLUTIONS["gatv2"]((OF,), WIDTH, "sum").double()
    theirs = GATv2Conv((WIDTH, WIDTH), WIDTH // 4, heads=4, add_self_loops=False).double()
    nn.init.normal_(theirs.bias)
    assert_equal(ours, theirs, 30 * x["b"], x["a"], some_edges(*sizes))


def assert_equal(ours, theirs, senders, receivers, edges):
    """Outputs and slopes of a layer of one relation are those of PyG's with the same weights."""
    ours.relations[0].load_state_dict(theirs.state_dict())
    told = []
    for compute in (
        lambda x: ours({"b": x}, {"a": receivers}, {OF: edges})["a"],
        lambda x: theirs((x, receivers), edges),
    ):
        x = senders.clone().requires_grad_()
        out = compute(x)
        told.append((out, torch.autograd.grad(out.square().sum(), x)[0]))
    for mine, other in zip(*told, strict=True):
        assert torch.allclose(mine, other, atol=1e-10)


def test_sums_along_edges_are_sums_and_have_slopes_of_any_order():
    x = vectors(x=7)["x"].requires_grad_()
    edges = some_edges(7, 4, 20)
    wanted = torch.zeros(4, WIDTH, dtype=torch.float64).index_add_(0, edges[1], x[edges[0]])
    assert torch.allclose(gather_scatter_sum(x, edges[0], edges[1], 4), wanted)
    assert torch.equal(gather(x, edges[0]), x[edges[0]])
    assert torch.allclose(scatter_sum(x[edges[0]], edges[1], 4), wanted)

    def curved(value):
        return gather_scatter_sum(value, edges[0], edges[1], 4).square().sum()

    assert torch.autograd.gradcheck(curved, (x,))
    assert torch.autograd.gradgradcheck(curved, (x,))


def test_sums_on_other_devices_and_precisions_are_the_same():
    """Half precision takes the way of every device but the CPU."""
    x, edges = vectors(x=7)["x"].round(), some_edges(7, 4, 20)
    wanted = gather_scatter_sum(x, edges[0], edges[1], 4)
    found = gather_scatter_sum(x.bfloat16().requires_grad_(), edges[0], edges[1], 4)
    assert torch.equal(found.double(), wanted)
    on_meta = gather_scatter_sum(x.to("meta"), edges[0].to("meta"), edges[1].to("meta"), 4)
    assert on_meta.device.type == "meta"
    assert on_meta.shape == wanted.shape


def test_the_largest_of_nothing_is_nothing():
    x, target = vectors(x=3)["x"] - 5, torch.tensor([0, 0, 2])
    out = scatter_max(x, target, 4)
    assert torch.equal(out[0], x[:2].amax(0))
    assert (out[[1, 3]] == 0).all()
