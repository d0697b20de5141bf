"""The aggregates side by side: equal to plain loops, told the order of neighbours, and able to count what a sum cannot."""

from __future__ import annotations

import pytest
import torch

from relselect.rdl.network.convolutions import CONVOLUTIONS
from relselect.rdl.network.model import ranks_of
from relselect.rdl.network.multi_aggregate import PLACES, MultiAggregate, place_of
from relselect.rdl.network.scatter import scatter_max, segment_max

WIDTH = 6
UP, DOWN = ("orders", "user", "users"), ("users", "rev_user", "orders")


@pytest.fixture
def layer():
    torch.manual_seed(0)
    made = MultiAggregate([UP, DOWN], WIDTH, "sum").double()
    for part in made.relations:  # as if trained: the nonlinear part begins at zero
        torch.nn.init.normal_(part.linear.weight, std=0.3)
    return made


def world():
    draw = torch.Generator().manual_seed(1)
    x = {
        "orders": torch.randn(9, WIDTH, generator=draw).double(),
        "users": torch.randn(5, WIDTH, generator=draw).double(),
    }
    up = torch.tensor([[8, 3, 0, 5, 5, 1, 2], [0, 0, 1, 1, 1, 1, 3]])
    down = torch.tensor([[0, 0, 2], [0, 3, 4]])
    return x, {UP: up, DOWN: down}


def plain(layer, x, edges, ranks):
    """The formula of the class in loops."""
    norms = dict(zip(layer.senders, layer.norms, strict=True))
    active = {name: norms[name](each).relu() for name, each in x.items()}
    children, parents = layer.relations
    rising, falling = layer.linears
    users = []
    for user in range(len(x["users"])):
        of = [place for place in range(edges[UP].shape[1]) if edges[UP][1, place] == user]
        if not of:
            users.append(children.linear.bias)
            continue
        places = [0 if ranks is None else int(place_of(ranks[UP][place])) for place in of]
        sent = [
            (active["orders"][edges[UP][0, place]] + children.places[where]).relu()
            for place, where in zip(of, places, strict=True)
        ]
        mean, several = torch.stack(sent).mean(0), torch.log(torch.tensor([1.0 + len(of)], dtype=torch.float64))
        last = mean if ranks is None else sent[[int(ranks[UP][place]) for place in of].index(0)]
        joint = torch.cat([mean, several * mean, torch.stack(sent).amax(0), last, several])
        users.append(children.linear(joint) + rising @ sum(x["orders"][edges[UP][0, place]] for place in of))
    orders = []
    for order in range(len(x["orders"])):
        of = edges[DOWN][0, edges[DOWN][1] == order]
        bias, weight = parents.linear.bias, parents.linear.weight
        orders.append(bias + weight @ active["users"][of[0]] + falling @ x["users"][of[0]] if len(of) else bias)
    return {"users": torch.stack(users), "orders": torch.stack(orders)}


@pytest.mark.parametrize("ordered", [True, False])
def test_it_is_its_formula(layer, ordered):
    x, edges = world()
    ranks = {name: ranks_of(each[1]) for name, each in edges.items()} if ordered else None
    found, wanted = layer(x, x, edges, ranks), plain(layer, x, edges, ranks)
    for name in wanted:
        assert torch.allclose(found[name], wanted[name], atol=1e-12)


def test_the_order_of_edges_is_nothing_when_ranks_move_with_them(layer):
    x, edges = world()
    ranks = {name: ranks_of(each[1]) for name, each in edges.items()}
    wanted = layer(x, x, edges, ranks)
    draw = torch.Generator().manual_seed(3)
    mixed = {name: torch.randperm(each.shape[1], generator=draw) for name, each in edges.items()}
    shuffled = {name: edges[name][:, order] for name, order in mixed.items()}
    moved = {name: ranks[name][order] for name, order in mixed.items()}
    found = layer(x, x, shuffled, moved)
    for name in wanted:
        assert torch.allclose(found[name], wanted[name], atol=1e-12)


def test_the_latest_neighbour_is_told_apart(layer):
    x, edges = world()
    ranks = {name: ranks_of(each[1]) for name, each in edges.items()}
    turned = {**edges, UP: torch.tensor([[3, 8, 0, 5, 5, 1, 2], [0, 0, 1, 1, 1, 1, 3]])}
    first, second = (layer(x, x, some, ranks)["users"] for some in (edges, turned))
    assert not torch.allclose(first[0], second[0], atol=1e-3)
    assert torch.equal(first[1:], second[1:])


def test_ranks_count_from_the_first_edge_of_a_receiver():
    assert ranks_of(torch.tensor([0, 0, 0, 4, 7, 7])).tolist() == [0, 1, 2, 0, 0, 1]
    assert ranks_of(torch.empty(0, dtype=torch.int64)).tolist() == []
    assert place_of(torch.arange(300)).max() == PLACES - 1
    assert (place_of(torch.arange(300)).diff() >= 0).all()


def test_the_maximum_of_a_segment_is_that_of_any_device():
    draw = torch.Generator().manual_seed(5)
    segment = torch.randint(0, 4, (30,), generator=draw).sort().values
    x = torch.randn(30, WIDTH, generator=draw).double().requires_grad_()
    assert torch.equal(segment_max(x, segment, 4), scatter_max(x, segment, 4))
    assert torch.autograd.gradcheck(lambda one: segment_max(one, segment, 4), (x,))
    assert torch.autograd.gradgradcheck(lambda one: segment_max(one, segment, 4).square(), (x,))
    ties = torch.ones(3, 2).requires_grad_()
    segment_max(ties, torch.zeros(3, dtype=torch.int64), 1).sum().backward()
    assert ties.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_it_learns_to_count_rows_beyond_a_threshold():
    """The label is whether two or more children exceed 1: no function of sums of the children's columns tells it as well."""
    torch.manual_seed(0)
    users, children = 400, 6
    values = torch.randn(users * children, 1)
    label = ((values > 1).view(users, children).sum(1) >= 2).float()
    edges = {UP: torch.stack([torch.arange(users * children), torch.arange(users).repeat_interleave(children)])}
    losses = {}
    for name in ("multi", "sage"):
        torch.manual_seed(1)
        encode, layer = torch.nn.Linear(1, 16), CONVOLUTIONS[name]([UP], 16, "sum")
        head = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(16, 1))
        parts = torch.nn.ModuleList([encode, layer, head])
        optimiser = torch.optim.Adam(parts.parameters(), 0.02)
        for _ in range(150):
            out = layer({"orders": encode(values)}, {"users": torch.zeros(users, 16)}, edges)["users"]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(head(out)[:, 0], label)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        losses[name] = float(loss.detach())
    assert losses["multi"] < 0.5 * losses["sage"]
