"""Trains a validated network further, or anew, on training and validation rows.

The labels next to the rows that will be predicted are worth more than a network that can be checked against them, and
validation has used them already: for the choice and for the score.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from relselect.errors import BudgetExhausted
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.network.thread_limit import one_thread_if_small
from relselect.rdl.training import trainer as training
from relselect.rdl.training.fitted import batcher_of, row_tensors
from relselect.rdl.training.precision import PrecisionPlan, compile_network, restore_eager
from relselect.rdl.training.prefetch import prefetched
from relselect.rdl.training.pretrained import new_network
from relselect.rdl.training.processes import ALONE, Processes
from relselect.rdl.training.stepping import ShuffledBatches, Stepper, own_parts, taken_share
from relselect.rdl.training.trainer import sampler_seed
from relselect.rdl.training.training_state import read_training_state, write_training_state
from relselect.tasks import Rows

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.families.candidate import Candidate, Checkpoint, CurvePoint
    from relselect.families.protocol import RowSource
    from relselect.problem import Problem
    from relselect.rdl.training.fitted import FittedNetwork
    from relselect.rdl.training.training_state import StateFile

__all__ = ["train_again"]

#: How a refit may be done by the option `refit`, the first that there is time for.
_WAYS = {"auto": ("anew", "continue")}
#: What continuing adds to the steps that were best, and the part of the learning rate it goes on with.
_MORE, _SLOWER = 0.5, 0.5
#: Epochs of the refit draw other trees than those of the fit.
_LATER = 1_000


def train_again(
    candidate: Candidate,
    problem: Problem,
    rows: RowSource,
    budget: Budget,
    storage: StateFile | None,
    processes: Processes = ALONE,
) -> NetworkEnsemble | None:
    """Train on all labelled rows for as many passes as were best, or from the checkpoint a little further.

    Args:
        candidate: A fitted network with the states of its checkpoints and its curve.
        problem: The problem.
        rows: The rows of the fit.
        budget: Asked at every step.
        storage: Where the state is stored and restored from; None stores nothing.
        processes: The processes that train together; all of them call, and all with an `AgreedBudget`.

    Returns:
        The network, or None where there is no time for it.
    """
    fitted: FittedNetwork = candidate.model
    # the global generator draws initial weights and dropout: seed it for this refit only
    generators = torch.random.fork_rng(devices=[fitted.device] if fitted.device.type == "cuda" else [])
    with generators, one_thread_if_small(fitted.blueprint.settings, fitted.device):
        # the facts are those of process 0 in all processes
        seconds, option = float(candidate.facts["seconds_per_step"]), fitted.blueprint.settings.refit
        for way in _WAYS.get(option, (option,)):
            torch.manual_seed(candidate.seed + _LATER)
            again = _Refit(candidate, problem, rows, _stored(storage, way), processes, way)
            if (again.steps - again.stepper.steps) * seconds <= budget.left():
                try:
                    return again.run(budget)
                except BudgetExhausted:
                    return None
    return None


def _stored(storage: StateFile | None, way: str) -> StateFile | None:
    """Return where the state of a refit is kept; that of another way does not go on here."""
    return None if storage is None else replace(storage, identity=f"{storage.identity} {way}")


class _Refit:
    """One refit, "anew" or "continue": the steps to take, their rows and their rates."""

    def __init__(
        self,
        candidate: Candidate,
        problem: Problem,
        rows: RowSource,
        storage: StateFile | None,
        processes: Processes,
        way: str,
    ) -> None:
        fitted: FittedNetwork = candidate.model
        self.processes = processes
        self.blueprint, self.device = fitted.blueprint, fitted.device
        self.problem, self.seed, self.storage = problem, candidate.seed, storage
        settings = self.blueprint.settings
        train = rows.train(seed=self.seed, copies=settings.copies)
        every = Rows.concat([train, rows.added(seed=self.seed, copies=settings.copies)])
        self.rows = row_tensors(self.blueprint, every, batcher_of(self.blueprint, problem, self.device).device)
        self.best: Checkpoint = candidate.checkpoints[candidate.checkpoint or 0]
        self.curve: tuple[CurvePoint, ...] = () if candidate.curve is None else candidate.curve.points
        self.anew = way == "anew"
        self.ratio = len(every) / len(train)
        self.steps = max(1, round(self.best.step * (self.ratio if self.anew else _MORE)))
        if self.anew:
            network = new_network(self.blueprint, problem, self.device)
        else:
            network = NetworkEnsemble(self.blueprint).to(self.device)
            network.load_state_dict(self.best.state)
        self.processes.copy_state(network)
        self.stepper = Stepper(network, self.blueprint, self.rows, processes)
        self.stepper.plan = PrecisionPlan(candidate.facts["precision"] == "bf16", bool(candidate.facts["compiled"]))
        if self.stepper.plan.compiled:
            compile_network(network)
        self.order = ShuffledBatches(len(self.rows), settings.batch_size, self.seed + _LATER)
        self._restore()

    def run(self, budget: Budget) -> NetworkEnsemble:
        """Take all steps and return the running mean of the weights.

        Raises:
            BudgetExhausted: The budget ended first.
        """
        saved, settings = time.monotonic(), self.blueprint.settings
        self.stepper.network.train()
        while self.stepper.steps < self.steps:
            drawn_for, into = divmod(self.stepper.steps, settings.steps_per_epoch)
            seed = sampler_seed(self.seed, _LATER + drawn_for)
            batcher = batcher_of(self.blueprint, self.problem, self.device, seed=seed)
            count = min(settings.steps_per_epoch - into, self.steps - self.stepper.steps)
            left = own_parts(itertools.islice(self.order.coming(), count), settings.parts, self.processes)
            with prefetched(batcher, self.rows, left, self.device) as batches:
                for _ in range(count):
                    share = taken_share(batches, self.order.next(), settings.parts, self.processes)
                    budget.check()
                    self.stepper.rate = self._rate()
                    self.stepper.step(share)
                    if time.monotonic() - saved > training.SAVE_SECONDS:
                        self._store()
                        saved = time.monotonic()
        restore_eager(self.stepper.network)
        return self.stepper.mean

    def _rate(self) -> float:
        """Return the learning rate's factor: what it was at this part of the fit, or falling to nothing."""
        steps = self.stepper.steps
        if self.anew:
            done = steps / self.ratio
            return next((each.rate for each in self.curve if each.step > done), self.curve[-1].rate)
        best = next(each.rate for each in self.curve if each.step == self.best.step)
        return best * _SLOWER * (1 - steps / self.steps)

    def _store(self) -> None:
        if self.storage is not None:
            facts = {**self.stepper.facts(), "position": self.order.position}
            write_training_state(self.storage.path, self.storage.identity, facts, self.stepper.tensors())

    def _restore(self) -> None:
        stored = None if self.storage is None else read_training_state(self.storage.path, self.storage.identity)
        stored = self.processes.told(stored)
        if stored is not None:
            self.stepper.restore(stored)
            self.order.position = stored.facts["position"]
