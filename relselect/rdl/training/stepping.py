"""Optimiser steps: shuffled batches, forward and backward pass, AdamW, gradient clipping, the running mean of the weights.

When to validate and when to stop is decided in `relselect.rdl.training.trainer`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from relselect.rdl.network.ensemble import ParallelMembers
from relselect.rdl.training.adamw import AdamW
from relselect.rdl.training.precision import PrecisionPlan, compile_network
from relselect.rdl.training.pretrained import split_parameters
from relselect.rdl.training.processes import ALONE, Processes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from relselect.rdl.network.batch import Batch, RowTensors
    from relselect.rdl.network.ensemble import NetworkEnsemble
    from relselect.rdl.network.model import Blueprint, RelationalNetwork
    from relselect.rdl.training.training_state import TrainingState

__all__ = ["BatchShare", "ShuffledBatches", "Stepper", "own_parts", "taken_share"]

#: Largest norm of a member's gradient; longer gradients are scaled down to it.
_CLIP = 1.0
#: Steps over which the learning rate rises linearly.
_WARM_UP = 10


class ShuffledBatches:
    """The training rows of each step, pass after pass, each pass shuffled anew.

    Args:
        count: Number of training rows.
        size: Rows per step; the last step of a pass takes the rows that are left.
        seed: Seed of the shuffles; the order of a pass follows from the seed and the number of the pass.
        position: Number of steps to skip.

    Example:
        >>> batches = ShuffledBatches(5, 2, seed=0)
        >>> sorted(row for _ in range(batches.steps_per_pass) for row in batches.next().tolist())
        [0, 1, 2, 3, 4]
    """

    def __init__(self, count: int, size: int, seed: int, position: int = 0) -> None:
        self.count, self.size, self.seed, self.position = count, size, seed, position
        self._pass = -1
        self._rows = np.empty(0, np.int64)

    @property
    def steps_per_pass(self) -> int:
        """Number of steps in which every row occurs once."""
        return -(-self.count // self.size)

    def next(self) -> Tensor:
        """Return the row numbers of the next step, int64 (at most `size`,), on the CPU."""
        number, step = divmod(self.position, self.steps_per_pass)
        if number != self._pass:
            self._pass = number
            self._rows = np.random.default_rng((self.seed, number)).permutation(self.count)
        self.position += 1
        return torch.from_numpy(self._rows[step * self.size : (step + 1) * self.size])

    def coming(self) -> Iterator[Tensor]:
        """Yield the rows of the coming steps without end; only `next` moves on."""
        ahead = ShuffledBatches(self.count, self.size, self.seed, self.position)
        while True:
            yield ahead.next()


@dataclass(frozen=True)
class BatchShare:
    """What one process computes of a batch.

    Attributes:
        parts: Its parts of the batch, by their number.
        rows: Rows of the whole batch.
        count: Number of parts of the whole batch, each of which has draws of its own.
    """

    parts: Mapping[int, Batch]
    rows: int
    count: int


def own_parts(indices: Iterable[Tensor], parts: int, processes: Processes) -> Iterator[Tensor]:
    """Yield the rows of the parts that this process computes, batch after batch; see `Processes.shares`."""
    for index in indices:
        yield from (part for _, part in processes.shares(index, parts))


def taken_share(batches: Iterator[Batch], index: Tensor, parts: int, processes: Processes) -> BatchShare:
    """Return this process's share of the batch of the rows `index`, its parts taken from what `own_parts` gave."""
    own = processes.shares(index, parts)
    return BatchShare({number: next(batches) for number, _ in own}, len(index), parts)


class Stepper:
    """Trains an ensemble step by step, in place, by AdamW (Loshchilov and Hutter, ICLR 2019).

    The running mean of the weights w after step t is m_t = a_t m_(t-1) + (1 - a_t) w_t with a_t = min(averaging, 1 - 1 / t), so
    the initial weights have no part in it (Polyak and Juditsky, 1992). Batches are small, so its scores are higher and vary
    less than those of the weights themselves; the mean is what is validated and kept.

    A batch may be cut into parts, which are computed one after another or by several processes. The gradient is that of the mean
    loss of the whole batch: the sum over the parts of (rows of the part / rows of the batch) times the gradient of its mean loss.

    Args:
        network: The ensemble, on its device.
        blueprint: What it was built from.
        rows: The training rows, labelled, on any device.
        processes: The processes that train together.

    Attributes:
        mean: The ensemble with the mean weights.
        steps: Number of steps taken.
        rate: Factor of the learning rate.
        plan: How steps are computed.
    """

    def __init__(
        self, network: NetworkEnsemble, blueprint: Blueprint, rows: RowTensors, processes: Processes = ALONE
    ) -> None:
        if rows.label is None:
            raise ValueError("training rows have no labels")
        self._processes = processes
        self.network, self.blueprint = network, blueprint
        self.label = rows.label.to(next(network.parameters()).device)
        self.weight = None if rows.weight is None else rows.weight.to(self.label.device)
        self.mean = copy.deepcopy(network).requires_grad_(False)
        self._optimizer = _optimizer(network, blueprint)
        self._members = ParallelMembers(network, self.label.device)
        # listed once: to walk through the modules at every step takes time
        self._weights = list(network.parameters())
        self._means: list[Tensor] = list(self.mean.parameters())
        self._weights_of_members = [list(member.parameters()) for member in network.members]
        self.steps, self.rate, self.plan = 0, 1.0, PrecisionPlan()

    def gradients(self, batch: Batch | BatchShare, plan: PrecisionPlan) -> Tensor:
        """Compute loss and gradients of a batch, or of a share of one; no weight changes.

        Returns:
            The mean loss of the batch, or of the part of it that is this process's, detached.
        """
        if not isinstance(batch, BatchShare):
            batch = BatchShare({0: batch}, len(batch.index), 1)
        self._optimizer.zero_grad()
        seeds = self._members.draw_seeds(batch.count)
        losses = [
            self._backward(part, len(part.index) / batch.rows, plan, seeds[number])
            for number, part in batch.parts.items()
        ]
        return torch.stack(losses).sum() if losses else self.label.new_zeros((), dtype=torch.float32)

    def _backward(self, batch: Batch, share: float, plan: PrecisionPlan, seeds: list[int]) -> Tensor:
        """Add the gradients of `share` times the mean loss of a batch; return that loss, detached."""
        label = self.label[batch.index]
        weight = None if self.weight is None else self.weight[batch.index]

        def work(member: RelationalNetwork) -> Tensor:
            with plan.autocast(label.device):
                output = member(batch)
            loss = self.blueprint.target.loss(output.float(), label, weight)
            loss = loss if share == 1.0 else loss * share
            torch.autograd.backward(loss)
            return loss.detach()

        return torch.stack(self._members.map(work, seeds)).mean()

    def step(self, batch: Batch | BatchShare) -> Tensor:
        """Take one optimiser step, together with the other processes; return the loss of the whole batch, detached."""
        for group in self._optimizer.param_groups:
            warm = min(1.0, (self.steps + 1) / _WARM_UP)
            group["lr"] = group["full_rate"] * self.rate * warm
        loss = self.gradients(batch, self.plan)
        loss = self._processes.sum_gradients(self._weights, loss)
        for weights in self._weights_of_members:
            torch.nn.utils.clip_grad_norm_(weights, _CLIP)
        self._optimizer.step()
        self.steps += 1
        self._average()
        return loss

    @torch.no_grad()
    def _average(self) -> None:
        # at the first step the share is 0, so the mean forgets the initial weights
        share = min(self.blueprint.settings.averaging, 1 - 1 / self.steps)
        torch._foreach_lerp_(self._means, [*self._weights], 1 - share)

    def facts(self) -> dict[str, Any]:
        """Return the JSON-able part of the training state."""
        return {"steps": self.steps, "rate": self.rate, "bf16": self.plan.bf16, "compiled": self.plan.compiled}

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the training state: weights, their mean, optimiser state, states of the random generators."""
        found = {f"network.{name}": each for name, each in self.network.state_dict().items()}
        found |= {f"mean.{name}": each for name, each in self.mean.state_dict().items()}
        for number, moments in self._optimizer.moments.items():
            found |= {f"optimizer.{number}.{name}": each for name, each in moments.items()}
        found["generator"] = torch.get_rng_state()
        if self.label.device.type == "cuda":
            found["generator_of_the_device"] = torch.cuda.get_rng_state(self.label.device)
        return found

    def restore(self, state: TrainingState) -> None:
        """Continue from a training state made of `facts` and `tensors`."""
        self.network.load_state_dict(state.under("network"))
        self.mean.load_state_dict(state.under("mean"))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in state.under("optimizer").items():
            number, what = name.split(".")
            moments.setdefault(int(number), {})[what] = tensor
        self._optimizer.restore(moments)
        torch.set_rng_state(state.tensors["generator"])
        if self.label.device.type == "cuda" and "generator_of_the_device" in state.tensors:
            torch.cuda.set_rng_state(state.tensors["generator_of_the_device"], self.label.device)
        self.steps, self.rate = state.facts["steps"], state.facts["rate"]
        self.plan = PrecisionPlan(state.facts["bf16"], state.facts["compiled"])
        if self.plan.compiled:
            compile_network(self.network)


def _optimizer(network: NetworkEnsemble, blueprint: Blueprint) -> AdamW:
    """Return AdamW, whose groups have learning rates of their own.

    One group is of the weights that began at random, one of those that began pretrained, unless they are frozen, and one of the
    trained layers of a language model.
    """
    settings = blueprint.settings
    fresh, begun = split_parameters(network, blueprint)
    language = network.language_parameters()
    apart = set(map(id, language))
    fresh = [each for each in fresh if id(each) not in apart]
    groups: list[dict[str, Any]] = [{"params": fresh, "full_rate": settings.learning_rate}]
    if settings.frozen:
        for parameter in begun:
            parameter.requires_grad_(False)
    elif begun:
        groups.append({"params": begun, "full_rate": settings.init_rate})
    if language:
        groups.append({"params": language, "full_rate": settings.language_rate})
    return AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
