"""PyG's heterogeneous layers and `trim_to_layer` accept the sampled trees unchanged."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import HeteroConv, SAGEConv
from torch_geometric.utils import trim_to_layer

from relselect.rdl.sampling.sampler import TemporalSampler

WIDTH = 6


@pytest.mark.parametrize("strategy", ["last", "uniform"])
@pytest.mark.parametrize("fan_out", [(4, 3), (3, 2, 2), (2, 2, 1, 1)])
def test_trimmed_pyg_layers_say_the_same_of_the_roots(make_world, fan_out, strategy):
    compared = 0
    for seed in range(6):
        world = make_world(seed)
        roots = torch.arange(-1, len(world.times["a"]))
        cutoff, asof = torch.full_like(roots, 9), torch.arange(len(roots)) % 3 + 6
        trees = TemporalSampler(world.graph, fan_out, strategy).sample("a", roots, cutoff, asof)
        generator = torch.Generator().manual_seed(seed)
        x = {name: torch.randn(len(rows), WIDTH, generator=generator) for name, rows in trees.rows.items()}
        layers = [
            HeteroConv({each: SAGEConv((WIDTH, WIDTH), WIDTH) for each in trees.edge_index}).eval() for _ in fan_out
        ]
        whole, trimmed = (run(layers, x, trees, trim) for trim in (False, True))
        assert torch.allclose(whole["a"][: len(roots)], trimmed["a"][: len(roots)], atol=1e-5)
        assert {name: len(each) for name, each in trimmed.items()} == {
            name: sum(counts[:2]) for name, counts in trees.nodes_per_hop.items()
        }
        compared += sum(count[-1] for count in trees.nodes_per_hop.values())
    assert compared > 0


def run(layers, x, trees, trim):
    """Return the vectors after all layers; nodes that nothing reaches keep theirs."""
    edges = trees.edge_index
    for number, layer in enumerate(layers):
        if trim:
            x, edges, _ = trim_to_layer(number, trees.nodes_per_hop, trees.edges_per_hop, x, edges)
        x = {**x, **{name: torch.tanh(out) for name, out in layer(x, edges).items() if out is not None}}
    return x
