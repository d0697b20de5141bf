"""Average adaptive sharpness, and P_bar: the largest rise of the loss along rays.

Average adaptive sharpness of radius rho is

    S = E[L(w + e)] - L(w),    e_i ~ N(0, rho² w_i²)

(Kwon et al., "ASAM", ICML 2021; averaged as in Andriushchenko et al., "A modern look at the relationship between sharpness and
generalization", ICML 2023). A rescaling of single weights that leaves the function as it is leaves S as it is. Draws come in
pairs e and -e, so that the slope's part cancels, and checkpoints of one architecture share them.

P_bar is, for pair p of directions with filters as long as the parameters' own (`relselect.landscape.directions`),

    rise_p = max over the four rays d and the steps t of  L(theta + t d) - L(theta)

with the mean over pairs as its value: the height of the barrier around the checkpoint, after Relatron's P_bar.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.budget import Budget
from relselect.landscape.directions import Direction, direction_pair, moved, rays, seeded_generator
from relselect.landscape.measurement import Measurement

if TYPE_CHECKING:
    from relselect.families.protocol import Probe

__all__ = ["RISE_STEPS", "rise", "sharpness"]

#: The steps along a ray, relative to the filters' lengths.
RISE_STEPS = (0.1, 0.2, 0.3, 0.5)


def sharpness(
    probe: Probe, checkpoint: int, *, seed: int, pairs: int = 8, radius: float = 0.05, budget: Budget | None = None
) -> Measurement:
    """Measure the average adaptive sharpness at a checkpoint (formula in the module's docstring).

    Args:
        probe: A differentiable loss on a fixed batch.
        checkpoint: Index of the checkpoint.
        seed: Seed of the draws.
        pairs: Pairs of draws e and -e.
        radius: rho.
        budget: Checked before every evaluation of the loss (2 * pairs + 1 of them).

    Raises:
        BudgetExhausted: The budget ended before the last pair.
    """

    def rises(theta: dict[str, torch.Tensor], loss: Callable[[dict[str, torch.Tensor]], float]) -> list[float]:
        centre, found = loss(theta), []
        for pair in range(pairs):
            noise = _noise(theta, seed, pair)
            both = [loss(moved(theta, noise, sign * radius)) for sign in (1.0, -1.0)]
            found.append((both[0] + both[1]) / 2 - centre)
        return found

    return _measured(probe, checkpoint, rises, budget or Budget(None))


def rise(probe: Probe, checkpoint: int, *, seed: int, pairs: int = 5, budget: Budget | None = None) -> Measurement:
    """Measure P_bar, the largest rise along rays, at a checkpoint (formula in the module's docstring).

    Args:
        probe: A differentiable loss on a fixed batch.
        checkpoint: Index of the checkpoint.
        seed: Seed of the directions.
        pairs: Direction pairs.
        budget: Checked before every evaluation of the loss (4 * pairs * steps + 1 of them).

    Raises:
        BudgetExhausted: The budget ended before the last pair.
    """

    def rises(theta: dict[str, torch.Tensor], loss: Callable[[dict[str, torch.Tensor]], float]) -> list[float]:
        centre, found = loss(theta), []
        for pair in range(pairs):
            first, second = direction_pair(theta, seed=seed, pair=pair)
            heights = [loss(moved(theta, ray, step)) for ray in rays(first, second) for step in RISE_STEPS]
            found.append(float(np.max(heights)) - centre)
        return found

    return _measured(probe, checkpoint, rises, budget or Budget(None))


def _measured(
    probe: Probe,
    checkpoint: int,
    rises: Callable[[dict[str, torch.Tensor], Callable[[dict[str, torch.Tensor]], float]], list[float]],
    limit: Budget,
) -> Measurement:
    clock = time.monotonic()
    theta = {name: tensor.detach() for name, tensor in probe.parameters(checkpoint).items()}

    def loss(parameters: dict[str, torch.Tensor]) -> float:
        limit.check()
        return float(probe.loss(parameters))

    with torch.no_grad():
        parts = rises(theta, loss)
    stderr = float(np.std(parts, ddof=1) / np.sqrt(len(parts))) if len(parts) > 1 else float("nan")
    return Measurement(float(np.mean(parts)), stderr, tuple(parts), time.monotonic() - clock)


def _noise(theta: dict[str, torch.Tensor], seed: int, pair: int) -> Direction:
    """Return w * z with z standard normal, for the floating parameters."""
    generator = seeded_generator(seed, pair, 1)
    noise = {}
    for name in sorted(theta):
        tensor = theta[name]
        if tensor.is_floating_point() and tensor.numel():
            draw = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            noise[name] = tensor * draw.to(tensor)
    return noise
