"""The compiled pass over children equals the composed operations: values, derivatives, second derivatives."""

from __future__ import annotations

import pytest
import torch

from relselect.rdl.network.child_aggregates import child_aggregates, composed_aggregates


def world(seed: int, dtype: torch.dtype, *, edges: int = 60, nodes: int = 12, channels: int = 5, segments: int = 9):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(nodes, channels, generator=draw, dtype=dtype)
    places = torch.randn(8, channels, generator=draw, dtype=dtype)
    segment = torch.cat([torch.arange(segments), torch.randint(0, segments, (edges - segments,), generator=draw)])
    segment = segment.sort().values
    source = torch.randint(0, nodes, (edges,), generator=draw)
    place = torch.arange(edges) - torch.searchsorted(segment, segment)
    mixed = torch.argsort(segment + torch.rand(edges, generator=draw) * 0.5)  # place 0 is not always the first edge
    return x, places, source, segment, place.clamp(max=7)[mixed]


def derivatives(function, x, places, *rest, ordered):
    x, places = x.clone().requires_grad_(), places.clone().requires_grad_()
    out = function(x, places, *rest, ordered=ordered)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(7), dtype=out.dtype)
    plain = torch.autograd.grad((out.square() * weight).sum(), (x, places), retain_graph=True)
    first = torch.autograd.grad((out.square() * weight).sum(), (x, places), create_graph=True)
    second = torch.autograd.grad(sum((each**2).sum() for each in first), (x, places))
    return (out, *plain, *first, *second)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_it_equals_the_composed_operations(ordered, seed, dtype, tolerance):
    x, places, source, segment, place = world(seed, dtype)
    rest = (source, segment, place, int(segment.max()) + 1)
    found = derivatives(child_aggregates, x, places, *rest, ordered=ordered)
    wanted = derivatives(composed_aggregates, x, places, *rest, ordered=ordered)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("ordered", [True, False])
def test_its_derivatives_are_those_of_differences(ordered):
    x, places, source, segment, place = world(11, torch.float64, edges=20, nodes=5, channels=2, segments=4)
    leaves = x.requires_grad_(), places.requires_grad_()

    def function(x, places):
        return child_aggregates(x, places, source, segment, place, 4, ordered=ordered)

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


def test_one_of_both_may_be_fixed():
    x, places, source, segment, place = world(2, torch.float64)
    for fixed in (0, 1):
        leaves = [x.clone(), places.clone()]
        leaves[1 - fixed].requires_grad_()
        out = child_aggregates(*leaves, source, segment, place, 9, ordered=True)
        (first,) = torch.autograd.grad((out**2).sum(), leaves[1 - fixed], create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), leaves[1 - fixed])
        assert torch.isfinite(second).all()


def test_no_edges_give_nothing():
    x, places = torch.randn(3, 4), torch.randn(8, 4)
    nothing = torch.empty(0, dtype=torch.int64)
    assert child_aggregates(x, places, nothing, nothing, nothing, 0, ordered=True).shape == (0, 16)
