"""P1: how steep the loss is around a checkpoint, by finite differences.

For pair p of directions, with rays d of length |theta| filter by filter and a relative radius r,

    slope_p = max over the four rays d of  |L(theta + r d) - L(theta)| / r

and the value is the mean of slope_p over the pairs, its standard error the spread over pairs. Because d is as
long as the filter it moves, r is a relative step and the value does not change when a filter is rescaled
without changing the function; dividing by r * |d| instead would make larger weights look flatter. The idea
(largest finite-difference slope on a random plane) is Relatron's P1; the normalisation, the radius and the
averaging are ours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.budget import Budget
from relselect.landscape.directions import direction_pair, moved, rays

if TYPE_CHECKING:
    from relselect.families.protocol import Probe

__all__ = ["Slope", "slope"]


@dataclass(frozen=True)
class Slope:
    """The slope of the loss around one checkpoint, in loss per relative step.

    Attributes:
        value: Mean over direction pairs of the pair's worst slope; nan when the loss is not finite.
        stderr: Standard error over pairs; nan with one pair.
        seconds: Time it took.
        pairs: The worst slope of each pair. Checkpoints of one architecture share their draws, so that
            differences can be taken pair by pair.
        loss: Loss at the checkpoint itself.
    """

    value: float
    stderr: float
    seconds: float
    pairs: tuple[float, ...]
    loss: float


def slope(
    probe: Probe,
    checkpoint: int,
    *,
    seed: int,
    pairs: int = 5,
    radius: float = 0.1,
    budget: Budget | None = None,
) -> Slope:
    """Measure P1 at a checkpoint (formula in the module's docstring).

    Args:
        probe: A differentiable loss on a fixed batch of validation rows.
        checkpoint: Index of the checkpoint.
        seed: Seed of the directions.
        pairs: Direction pairs, five or more for a usable standard error.
        radius: Relative step.
        budget: Checked before every evaluation of the loss (4 * pairs + 1 of them).

    Returns:
        Value and standard error, in units of the loss.

    Raises:
        BudgetExhausted: The budget ended before the last pair.
    """
    clock, limit = time.monotonic(), budget or Budget(None)
    theta = {name: tensor.detach() for name, tensor in probe.parameters(checkpoint).items()}
    with torch.no_grad():
        centre = _loss(probe, theta, limit)
        worst = []
        for pair in range(pairs):
            first, second = direction_pair(theta, seed=seed, pair=pair)
            rises = [abs(_loss(probe, moved(theta, ray, radius), limit) - centre) for ray in rays(first, second)]
            worst.append(float(np.max(rises)) / radius)
    value = float(np.mean(worst)) if worst else float("nan")
    stderr = float(np.std(worst, ddof=1) / np.sqrt(len(worst))) if len(worst) > 1 else float("nan")
    return Slope(value, stderr, time.monotonic() - clock, tuple(worst), centre)


def _loss(probe: Probe, parameters: dict[str, torch.Tensor], budget: Budget) -> float:
    budget.check()
    return float(probe.loss(parameters))
