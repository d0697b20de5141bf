"""What moves the weights: orders of the rows, forward and backward pass, AdamW, the running mean of the weights."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from relselect.rdl.network.ensemble import Crew
from relselect.rdl.training.pace import Pace, compiled

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.network.ensemble import NetworkEnsemble
    from relselect.rdl.network.model import Blueprint, RelationalNetwork
    from relselect.rdl.sampling.batch import Batch, RowTensors
    from relselect.rdl.training.snapshot import Snapshot

__all__ = ["Order", "Stepper"]

_CLIP = 1.0
_WARM_UP = 10


class Order:
    """Numbers of the training rows of each step, pass after pass, each pass in an order of its own.

    Args:
        count: Training rows.
        size: Rows per step; the last step of a pass takes what is left.
        seed: Seed of the orders.
        position: Steps taken before.
    """

    def __init__(self, count: int, size: int, seed: int, position: int = 0) -> None:
        self.count, self.size, self.seed, self.position = count, size, seed, position
        self._pass = -1
        self._rows = np.empty(0, np.int64)

    @property
    def steps_per_pass(self) -> int:
        """Steps until every row was seen once."""
        return -(-self.count // self.size)

    def next(self) -> Tensor:
        """Return the rows of the next step, int64 (at most `size`,), on the CPU."""
        number, step = divmod(self.position, self.steps_per_pass)
        if number != self._pass:
            self._pass = number
            self._rows = np.random.default_rng((self.seed, number)).permutation(self.count)
        self.position += 1
        return torch.from_numpy(self._rows[step * self.size : (step + 1) * self.size])


class Stepper:
    """Trains networks step by step, in place.

    Batches are small and the weights restless: their running mean scores higher and steadier (Polyak and Juditsky 1992).
    The mean is what is validated and kept.

    Args:
        network: The networks, on their device.
        blueprint: What it was built from.
        rows: The training rows, labelled.

    Attributes:
        mean: The networks with their mean weights.
        steps: Steps taken.
        rate: What the learning rate is multiplied by.
        pace: How steps are computed.
    """

    def __init__(self, network: NetworkEnsemble, blueprint: Blueprint, rows: RowTensors) -> None:
        if rows.label is None:
            raise ValueError("training rows have no labels")
        self.network, self.blueprint, self.label = network, blueprint, rows.label
        self.mean = copy.deepcopy(network).requires_grad_(False)
        settings = blueprint.settings
        self._optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._crew = Crew(network, rows.label.device)
        self.steps, self.rate, self.pace = 0, 1.0, Pace()

    def gradients(self, batch: Batch, pace: Pace) -> Tensor:
        """Compute loss and gradients of a batch; no weight moves.

        Returns:
            The loss, detached.
        """
        self._optimizer.zero_grad()
        label = self.label[batch.index]

        def work(member: RelationalNetwork) -> Tensor:
            with pace.autocast(label.device):
                output = member(batch)
            loss = self.blueprint.target.loss(output.float(), label)
            torch.autograd.backward(loss)
            return loss.detach()

        return torch.stack(self._crew.each(work)).mean()

    def step(self, batch: Batch) -> Tensor:
        """Move the weights once; return the loss, detached."""
        for group in self._optimizer.param_groups:
            warm = min(1.0, (self.steps + 1) / _WARM_UP)
            group["lr"] = self.blueprint.settings.learning_rate * self.rate * warm
        loss = self.gradients(batch, self.pace)
        for member in self.network.members:
            torch.nn.utils.clip_grad_norm_(member.parameters(), _CLIP)
        self._optimizer.step()
        self.steps += 1
        self._average()
        return loss

    @torch.no_grad()
    def _average(self) -> None:
        # the share grows from nothing, so that the starting weights are forgotten at once
        share = min(self.blueprint.settings.averaging, 1 - 1 / self.steps)
        torch._foreach_lerp_(list(self.mean.parameters()), list(self.network.parameters()), 1 - share)

    def facts(self) -> dict[str, Any]:
        """Return the plain part of the state."""
        return {"steps": self.steps, "rate": self.rate, "bf16": self.pace.bf16, "compiled": self.pace.compiled}

    def tensors(self) -> dict[str, Tensor]:
        """Return the rest of the state: weights, their mean, the optimiser's moments, the generators that dropout reads."""
        found = {f"network.{name}": each for name, each in self.network.state_dict().items()}
        found |= {f"mean.{name}": each for name, each in self.mean.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{number}.{name}": each for name, each in moments.items()}
        found["generator"] = torch.get_rng_state()
        if self.label.device.type == "cuda":
            found["generator_of_the_device"] = torch.cuda.get_rng_state(self.label.device)
        return found

    def restore(self, snapshot: Snapshot) -> None:
        """Take up a state that `facts` and `tensors` described."""
        self.network.load_state_dict(snapshot.under("network"))
        self.mean.load_state_dict(snapshot.under("mean"))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in snapshot.under("optimizer").items():
            number, what = name.split(".")
            moments.setdefault(int(number), {})[what] = tensor
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        torch.set_rng_state(snapshot.tensors["generator"])
        if self.label.device.type == "cuda" and "generator_of_the_device" in snapshot.tensors:
            torch.cuda.set_rng_state(snapshot.tensors["generator_of_the_device"], self.label.device)
        self.steps, self.rate = snapshot.facts["steps"], snapshot.facts["rate"]
        self.pace = Pace(snapshot.facts["bf16"], snapshot.facts["compiled"])
        if self.pace.compiled:
            compiled(self.network)
