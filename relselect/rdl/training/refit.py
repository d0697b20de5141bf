"""A last training on training and validation rows, after validation has said for how long.

The labels next to the rows that are predicted are worth more than a model that can be checked against them, and they have been
used: for the score.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from relselect.errors import BudgetExhausted
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.training import trainer as training
from relselect.rdl.training.fitted import batcher_of, row_tensors
from relselect.rdl.training.stepping import ShuffledBatches, Stepper
from relselect.rdl.training.trainer import sampler_seed
from relselect.rdl.training.training_state import read_training_state, write_training_state
from relselect.tasks import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.problem import Problem
    from relselect.rdl.training.trainer import Storage, Trainer

__all__ = ["all_labelled", "train_again"]

#: What continuing adds to the steps that were best, and the part of the learning rate it goes on with.
_MORE, _SLOWER = 0.5, 0.5
#: Epochs of the last training draw other trees than those of the first.
_LATER = 1_000


def all_labelled(problem: Problem, seed: int, copies: int) -> Rows:
    """Return training and validation rows as training shows them: fresh, and under the delays of the evaluation rows.

    Args:
        problem: The problem.
        seed: Seed of the delays drawn.
        copies: Delayed copies of each row, where evaluation is delayed.
    """
    train, frame = problem.training_rows(seed, copies), problem.task.splits["val"]
    if problem.task.static:
        return Rows.concat([train, problem.rows("val")])

    def bound(delay: NDArray[np.int64]) -> Rows:
        rows = problem.bind(frame.keys, frame.cutoff, frame.cutoff - delay, frame.features)
        return replace(rows, label=frame.label)

    shown = [bound(np.zeros(len(frame), np.int64))]
    delays = problem.evaluation_delays()
    delays = delays[delays > 0]
    if len(delays):
        draw = np.random.default_rng(seed + 1)
        shown += [bound(draw.choice(delays, size=len(frame))) for _ in range(copies)]
    return Rows.concat([train, *shown])


def train_again(trainer: Trainer, budget: Budget, storage: Storage | None) -> NetworkEnsemble | None:
    """Train on all labelled rows for as many passes as were best, or from the best state a little further.

    Args:
        trainer: The training that validation ended.
        budget: Asked at every step.
        storage: Where the state is kept and taken up from; None keeps none.

    Returns:
        The network, or None where there is no time for it.
    """
    again = _Again(trainer, storage)
    if (again.steps - again.stepper.steps) * trainer.step_seconds > budget.left():
        return None
    try:
        return again.run(budget)
    except BudgetExhausted:
        return None


class _Again:
    """The last training."""

    def __init__(self, trainer: Trainer, storage: Storage | None) -> None:
        self.trainer, self.storage = trainer, storage
        settings, seed = trainer.blueprint.settings, trainer.seed
        self.device = next(trainer.network.parameters()).device
        rows = all_labelled(trainer.problem, seed, settings.copies)
        self.rows = row_tensors(trainer.blueprint, rows, self.device)
        self.anew, best = settings.refit == "anew", trainer.checkpoints[0]
        self.ratio = len(rows) / trainer.training_rows
        self.steps = max(1, round(best.step * (self.ratio if self.anew else _MORE)))
        network = NetworkEnsemble(trainer.blueprint).to(self.device)
        if not self.anew:
            network.load_state_dict(best.state)
        self.stepper = Stepper(network, trainer.blueprint, self.rows)
        self.stepper.plan = trainer.precision_plan
        self.order = ShuffledBatches(len(self.rows), settings.batch_size, seed + _LATER)
        self._take_up()

    def run(self, budget: Budget) -> NetworkEnsemble:
        """Take all steps and return the running mean of the weights.

        Raises:
            BudgetExhausted: The budget ended first.
        """
        saved, batcher, drawn_for = time.monotonic(), None, -1
        per_epoch = self.trainer.blueprint.settings.steps_per_epoch
        self.stepper.network.train()
        while self.stepper.steps < self.steps:
            budget.check()
            if batcher is None or self.stepper.steps // per_epoch != drawn_for:
                drawn_for = self.stepper.steps // per_epoch
                seed = sampler_seed(self.trainer.seed, _LATER + drawn_for)
                batcher = batcher_of(self.trainer.blueprint, self.trainer.problem, self.device, seed=seed)
            self.stepper.rate = self._rate()
            self.stepper.step(batcher.batch(self.rows, self.order.next().to(self.device)))
            if time.monotonic() - saved > training.SAVE_SECONDS:
                self._store()
                saved = time.monotonic()
        return self.stepper.mean

    def _rate(self) -> float:
        """Return the learning rate's factor: what it was at this part of the first training, or falling to nothing."""
        curve, steps = self.trainer.curve, self.stepper.steps
        if self.anew:
            done = steps / self.ratio
            return next((each["rate"] for each in curve if each["steps"] > done), curve[-1]["rate"])
        best = next(each["rate"] for each in curve if each["steps"] == self.trainer.checkpoints[0].step)
        return best * _SLOWER * (1 - steps / self.steps)

    def _store(self) -> None:
        if self.storage is not None:
            facts = {**self.stepper.facts(), "position": self.order.position}
            write_training_state(self.storage.path, self.storage.identity, facts, self.stepper.tensors())

    def _take_up(self) -> None:
        stored = None if self.storage is None else read_training_state(self.storage.path, self.storage.identity)
        if stored is not None:
            self.stepper.restore(stored)
            self.order.position = stored.facts["position"]
