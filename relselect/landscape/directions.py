"""Seeded, filter-normalised direction pairs in parameter space.

Formula source: filter normalisation is Li et al., "Visualizing the Loss Landscape of Neural Nets" (NeurIPS
2018), section 4; the orthogonal second direction is ours.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

__all__ = ["Direction", "direction_pair", "moved", "rays", "seeded_generator"]

Direction = dict[str, torch.Tensor]


def direction_pair(parameters: dict[str, torch.Tensor], *, seed: int, pair: int) -> tuple[Direction, Direction]:
    """Draw two random directions, orthogonal filter by filter, each filter as long as the parameters' own.

    A filter is a row (first axis) of a floating tensor with two or more axes. Tensors with fewer axes
    (biases, normalisation scales) do not move, nor do filters of norm zero, as in the source. The draw
    depends on the seed, the pair and the shapes only, so that checkpoints of one architecture are probed
    along the same Gaussian draws.

    Args:
        parameters: Name to tensor, any shapes.
        seed: Seed of the study of the landscape.
        pair: Number of the pair.

    Returns:
        Two directions, one tensor per moving parameter with that parameter's shape, dtype and device.
    """
    generator = seeded_generator(seed, pair)
    first: Direction = {}
    second: Direction = {}
    for name in sorted(parameters):
        tensor = parameters[name].detach()
        if tensor.ndim < 2 or not tensor.is_floating_point() or tensor.numel() == 0:
            continue
        filters = tensor.reshape(tensor.shape[0], -1).to("cpu", torch.float64)
        draws = torch.randn((2, *filters.shape), generator=generator, dtype=torch.float64)
        one = _scaled(draws[0], filters)
        other = draws[1] - _projection(draws[1], one)
        first[name] = one.reshape(tensor.shape).to(tensor)
        second[name] = _scaled(other, filters).reshape(tensor.shape).to(tensor)
    return first, second


def rays(first: Direction, second: Direction) -> list[Direction]:
    """Return the four rays of a pair: both directions and their opposites."""
    return [{name: sign * ray[name] for name in ray} for ray in (first, second) for sign in (1.0, -1.0)]


def moved(theta: Mapping[str, torch.Tensor], along: Direction, step: float) -> dict[str, torch.Tensor]:
    """Return the parameters after a step along a direction; those that it does not name stay."""
    return {name: tensor + step * along[name] if name in along else tensor for name, tensor in theta.items()}


def seeded_generator(*parts: int) -> torch.Generator:
    """Return a generator of draws that depend on all the numbers."""
    words = np.random.SeedSequence(parts).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) << 20 ^ int(words[1]))


def _scaled(draw: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Return `draw` with each row as long as the row of `filters` (a row of zeros stays zero)."""
    length = draw.norm(dim=1, keepdim=True).clamp_min(1e-30)
    return draw / length * filters.norm(dim=1, keepdim=True)


def _projection(draw: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
    """Return the part of each row of `draw` along the row of `onto`; none where a row has a single entry."""
    if draw.shape[1] < 2:
        return torch.zeros_like(draw)
    square = onto.square().sum(dim=1, keepdim=True).clamp_min(1e-30)
    return (draw * onto).sum(dim=1, keepdim=True) / square * onto
