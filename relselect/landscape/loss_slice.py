"""The loss along lines through a checkpoint, for pictures: two random directions that all checkpoints of a choice share.

The directions are the first pair of `relselect.landscape.directions`, as long as the weights filter by filter, so that a step is
relative to the weights (Li et al. 2018, NeurIPS, section 4). Nothing is decided by a picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relselect.budget import Budget
from relselect.serialization import jsonable, number_of

if TYPE_CHECKING:
    from relselect.families.protocol import Probe

__all__ = ["SLICE_EVALUATIONS", "LossSlice", "loss_lines"]

#: Steps on each side of the checkpoint, and the longest of them.
_SIDE, _REACH = 4, 0.2
#: Evaluations of the loss for one checkpoint.
SLICE_EVALUATIONS = 4 * _SIDE + 1


@dataclass(frozen=True)
class LossSlice:
    """The loss of one checkpoint along one direction.

    Attributes:
        family: Family of the candidate.
        number: Its number in the family's study.
        checkpoint: Index of the checkpoint.
        direction: 0 or 1: the first or the second of the shared directions.
        steps: Steps relative to the weights, ascending, 0 among them.
        losses: The loss after each step; nan where it is not finite.
        chosen: Whether it is the chosen checkpoint.
    """

    family: str
    number: int
    checkpoint: int
    direction: int
    steps: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: bool

    def to_json(self) -> dict[str, Any]:
        """Return the slice as JSON-able values, null for nan."""
        plain: dict[str, Any] = jsonable(vars(self) | {"steps": list(self.steps), "losses": list(self.losses)})
        return plain

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> LossSlice:
        """Return the slice that `to_json` wrote."""
        lines = {name: tuple(number_of(each) for each in stored[name]) for name in ("steps", "losses")}
        return cls(**{**stored, **lines})


def loss_lines(
    probe: Probe, checkpoint: int, *, seed: int, budget: Budget | None = None
) -> tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]:
    """Return steps and losses along each of the two shared directions.

    Args:
        probe: A differentiable loss on a fixed batch of validation rows.
        checkpoint: Index of the checkpoint.
        seed: Seed of the directions.
        budget: Checked before every evaluation of the loss.

    Raises:
        BudgetExhausted: The budget ended before the last step.
    """
    import torch

    from relselect.landscape.directions import direction_pair, moved

    limit = budget or Budget(None)
    theta = {name: tensor.detach() for name, tensor in probe.parameters(checkpoint).items()}
    steps = tuple(_REACH * place / _SIDE for place in range(-_SIDE, _SIDE + 1))

    def loss(parameters: Mapping[str, torch.Tensor]) -> float:
        limit.check()
        found = float(probe.loss(dict(parameters)))
        return found if math.isfinite(found) else math.nan

    with torch.no_grad():
        centre = loss(theta)
        lines = [
            (steps, tuple(loss(moved(theta, along, step)) if step else centre for step in steps))
            for along in direction_pair(theta, seed=seed, pair=0)
        ]
    return tuple(lines)
