"""Training: AdamW, early stopping on the task's own metric, the best states kept, the budget asked at every step."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.errors import BudgetExhausted
from relselect.events import EpochDone
from relselect.family import Checkpoint
from relselect.rdl.fitted import batcher_of, outputs_of, row_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.problem import Problem
    from relselect.rdl.batch import Batch, Batcher
    from relselect.rdl.model import Blueprint, RelationalNetwork
    from relselect.tasks import Rows

__all__ = ["STOPPING_ROWS", "Trainer", "stopping_rows"]

#: Most validation rows looked at after every epoch.
STOPPING_ROWS = 5000
_CLIP = 1.0
_WARM_UP = 10
#: Share of the budget after which the first epoch is cut short, so that something has been validated early.
_FIRST_EPOCH = 0.4
#: A step's time is measured on these parts of a batch first, and may take at most this share of what is left.
_PARTS, _LONGEST_STEP = (32, 8), 0.5


def stopping_rows(rows: Rows) -> Rows:
    """Return the validation rows used for early stopping: all of them, or a fixed draw of `STOPPING_ROWS`."""
    if len(rows) <= STOPPING_ROWS:
        return rows
    drawn = np.random.default_rng(0).choice(len(rows), STOPPING_ROWS, replace=False)
    return rows.take(np.sort(drawn))


@dataclass
class Trainer:
    """One training run of a network.

    Attributes:
        network: The network, on its device; trained in place.
        blueprint: What it was built from.
        problem: The problem.
        seed: Seed of orders and draws.
        number: The trial's number, for events.
        budget: Asked at every step.
        emit: Where events go.
        checkpoints: The best states so far, best first.
        curve: Per epoch: steps, loss, score, seconds.
        predictions: Those of the best state for all validation rows, None when only a draw of them is looked at.
    """

    network: RelationalNetwork
    blueprint: Blueprint
    problem: Problem
    seed: int
    number: int
    budget: Budget
    emit: Emit
    checkpoints: list[Checkpoint] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    predictions: NDArray[np.float64] | None = None

    def run(self) -> None:
        """Train until the score stops rising, the epochs are done or the budget nears its end.

        Raises:
            BudgetExhausted: The budget ended before the first validation.
        """
        settings = self.blueprint.settings
        self._prepare()
        try:
            for epoch in range(settings.epochs):
                if not self._epoch(epoch) or self._stale() > settings.patience:
                    break
        except BudgetExhausted:
            if not self.checkpoints:
                raise

    @property
    def training_rows(self) -> int:
        """Training rows per pass, delayed copies included."""
        return len(self._train)

    def _prepare(self) -> None:
        settings, device = self.blueprint.settings, next(self.network.parameters()).device
        self._train = row_tensors(self.blueprint, self.problem.training_rows(self.seed, settings.copies), device)
        self._val = stopping_rows(self.problem.rows("val"))
        self._val_rows = row_tensors(self.blueprint, self._val, device)
        self._val_batcher = batcher_of(self.blueprint, self.problem, device)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        # batches are small and the weights restless: their running mean scores higher and steadier (Polyak and Juditsky 1992)
        self._mean = copy.deepcopy(self.network).requires_grad_(False)
        self._order = self._shuffled()
        self._steps = 0
        self._step_seconds = 0.0
        self._pass_seconds = 0.0

    def _shuffled(self) -> Iterator[Tensor]:
        """Yield the numbers of the training rows of each step, pass after pass, each in an order of its own."""
        size, count = self.blueprint.settings.batch_size, len(self._train)
        generator = np.random.default_rng(self.seed)
        while True:
            order = torch.from_numpy(generator.permutation(count)).to(self._train.entity.device)
            yield from torch.split(order, size)

    def _epoch(self, epoch: int) -> bool:
        """Train one epoch and validate; False when the budget leaves no time for another."""
        begun, settings = time.monotonic(), self.blueprint.settings
        batcher = batcher_of(
            self.blueprint, self.problem, self._train.entity.device, seed=1 + self.seed + 1_000_003 * epoch
        )
        planned = min(settings.steps_per_epoch, -(-len(self._train) // settings.batch_size))
        allowance = self.budget.left() * (_FIRST_EPOCH if epoch == 0 else 1.0)
        losses: list[Tensor] = []
        self.network.train()
        if epoch == 0:
            self._measure_step(batcher)
        for index in self._order:
            self.budget.check()
            losses.append(self._step(batcher.batch(self._train, index)))
            spent = time.monotonic() - begun
            self._step_seconds = spent / len(losses)
            if len(losses) >= planned or spent + self._reserve() > allowance:
                break
        self._validate(epoch, float(torch.stack(losses).mean()), time.monotonic() - begun)
        # a first epoch that was cut only so that something is validated early goes on with the next
        return len(losses) >= planned or (epoch == 0 and self._reserve() < self.budget.left())

    def _measure_step(self, batcher: Batcher) -> None:
        """Estimate a step's time on a few rows, so that no step is begun that would outlast the budget by itself.

        Raises:
            BudgetExhausted: A single step would take most of what is left.
        """
        index = next(self._order)
        sizes = [max(1, len(index) // part) for part in _PARTS]
        few, more = (self._try_out(batcher, index[:size]) for size in sizes)
        slope = max(0.0, more - few) / max(1, sizes[1] - sizes[0])
        self._step_seconds = more + slope * (len(index) - sizes[1])
        if self._step_seconds > _LONGEST_STEP * self.budget.left():
            raise BudgetExhausted(
                f"one training step takes about {self._step_seconds:.0f} s and {self.budget.left():.0f} s are left"
            )

    def _try_out(self, batcher: Batcher, index: Tensor) -> float:
        """Return the seconds that forward and backward pass of some rows take; no weight moves."""
        begun, label = time.monotonic(), self._train.label
        if label is not None:
            torch.autograd.backward(
                self.blueprint.target.loss(self.network(batcher.batch(self._train, index)), label[index])
            )
        return time.monotonic() - begun

    def _reserve(self) -> float:
        """Seconds to keep: a step, the validation of this epoch, and the passes that follow the training.

        Those are all validation rows, unless every validation looks at them, and the test rows, which are scored after
        the tuning in time that nobody else keeps for a slow model.
        """
        guess = 0.5 * self._step_seconds * len(self._val) / self.blueprint.settings.batch_size
        one = max(self._pass_seconds, guess)
        rows = len(self.problem.rows("val"))
        final = 0 if rows == len(self._val) else rows
        if self.problem.task.has_test:
            final += len(self.problem.rows("test"))
        return self._step_seconds + 1.2 * one * (1 + final / max(len(self._val), 1))

    def _step(self, batch: Batch) -> Tensor:
        for group in self._optimizer.param_groups:
            group["lr"] = self.blueprint.settings.learning_rate * min(1.0, (self._steps + 1) / _WARM_UP)
        label = self._train.label
        if label is None:
            raise ValueError("training rows have no labels")
        self._optimizer.zero_grad()
        loss = self.blueprint.target.loss(self.network(batch), label[batch.index])
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self._optimizer.step()
        self._steps += 1
        self._average()
        return loss.detach()

    @torch.no_grad()
    def _average(self) -> None:
        # the share grows from nothing, so that the starting weights are forgotten at once
        share = min(self.blueprint.settings.averaging, 1 - 1 / self._steps)
        torch._foreach_lerp_(list(self._mean.parameters()), list(self.network.parameters()), 1 - share)

    def _validate(self, epoch: int, loss: float, seconds: float) -> None:
        begun = time.monotonic()
        size = self.blueprint.settings.batch_size
        output = outputs_of(self._mean, self._val_batcher, self._val_rows, size, self.budget)
        self._pass_seconds = max(self._pass_seconds, time.monotonic() - begun)
        predictions = self.blueprint.target.predictions(output)
        score = self._score(predictions)
        self.curve.append({"epoch": epoch, "steps": self._steps, "loss": loss, "score": score, "seconds": seconds})
        self._keep(score)
        if self.checkpoints[0].step == self._steps and len(self._val) == len(self.problem.rows("val")):
            self.predictions = predictions
        self.emit(EpochDone("rdl", self.number, epoch, loss, score, seconds))

    def _score(self, predictions: NDArray[np.float64]) -> float:
        label = self._val.label
        return float("nan") if label is None else self.problem.task.metric.score(label, predictions)

    def _keep(self, score: float) -> None:
        # an undefined score ranks below every other, but a state is kept all the same
        state = {name: tensor.detach().cpu().clone() for name, tensor in self._mean.state_dict().items()}
        self.checkpoints.append(Checkpoint(self._steps, score, state))
        self.checkpoints.sort(key=lambda each: -each.score if np.isfinite(each.score) else np.inf)
        del self.checkpoints[self.blueprint.settings.checkpoints :]

    def _stale(self) -> int:
        """Validations since the best score."""
        scores = [-np.inf if np.isnan(each["score"]) else each["score"] for each in self.curve]
        return len(scores) - 1 - int(np.argmax(scores))
