"""Training: early stopping on the task's own metric, the best states kept, the budget asked at every step.

The state of an unfinished training is written now and then where a folder is given for it; training then goes on from there
as if nothing had happened, on a CPU to the last bit.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from relselect.errors import BudgetExhausted
from relselect.events import EpochDone
from relselect.families.candidate import Checkpoint, CurvePoint, FitEnd, LearningCurve
from relselect.rdl.training.fitted import batcher_of, outputs_of, row_tensors
from relselect.rdl.training.pace import Pace
from relselect.rdl.training.precision import PrecisionPlan, choose_precision
from relselect.rdl.training.prefetch import prefetched
from relselect.rdl.training.processes import ALONE, Processes
from relselect.rdl.training.stepping import ShuffledBatches, Stepper, own_parts, taken_share
from relselect.rdl.training.training_state import (
    StateFile,
    TrainingState,
    read_training_state,
    write_training_state,
)
from relselect.serialization import number_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.families.protocol import FitWatch, RowSource
    from relselect.problem import Problem
    from relselect.rdl.network.batch import Batcher
    from relselect.rdl.network.ensemble import NetworkEnsemble
    from relselect.rdl.network.model import Blueprint
    from relselect.tasks import Rows

__all__ = ["SAVE_SECONDS", "STOPPING_ROWS", "Trainer", "sampler_seed", "stopping_rows"]

#: Most stop rows looked at after every epoch.
STOPPING_ROWS = 5000
#: Seconds between two writings of the state.
SAVE_SECONDS = 20.0
#: Share of the budget after which the first epoch is cut short, so that something has been validated early.
_FIRST_EPOCH = 0.4
#: A network has begun to learn when its loss is below this part of the first epoch's, or after this many steps; before, neither
#: the learning rate falls nor training ends. A signal of several columns together shows no slope at first.
_BEGUN, _LONGEST_PLATEAU = 0.98, 300
#: A step's time is measured on these parts of a batch first, and may take at most this share of what is left.
_PARTS, _LONGEST_STEP = (32, 8), 0.5
#: Part of a step that the forward pass takes, until one was measured; factor of the time that is kept for passes.
_FORWARD, _MARGIN = 0.5, 1.2


def stopping_rows(rows: Rows) -> Rows:
    """Return the stop rows that are scored after every epoch: all of them, or a fixed draw of `STOPPING_ROWS`."""
    return rows.drawn(STOPPING_ROWS)


def sampler_seed(seed: int, epoch: int) -> int:
    """Return the seed of the trees of one epoch: each epoch draws others."""
    return 1 + seed + 1_000_003 * epoch


@dataclass
class Trainer:
    """One training run of a network.

    Attributes:
        network: The network, on its device; trained in place.
        blueprint: What it was built from.
        problem: The problem.
        rows: The rows to train and to stop on.
        seed: Seed of orders and draws.
        number: The trial's number, for events.
        budget: Asked at every step.
        emit: Where events go.
        storage: Where the state is stored and restored from; None stores nothing.
        processes: The processes that train together; all of them run, and all with an `AgreedBudget`.
        watch: Sees the learning curve after every epoch and may end the training; not asked where several processes train.
        checkpoints: The best states so far, best first.
        curve: Per epoch: steps, loss, score, seconds, factor of the learning rate.
        ended: Why training ended.
        resumed: Steps that were taken before this process.
    """

    network: NetworkEnsemble
    blueprint: Blueprint
    problem: Problem
    rows: RowSource
    seed: int
    number: int
    budget: Budget
    emit: Emit
    storage: StateFile | None = None
    processes: Processes = ALONE
    watch: FitWatch | None = None
    checkpoints: list[Checkpoint] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    ended: FitEnd = "budget"
    resumed: int = 0

    def run(self) -> None:
        """Train until the score stops rising, the epochs are done or the budget nears its end.

        Raises:
            BudgetExhausted: The budget ended before the first validation.
            FitPruned: `watch` ended the training.
        """
        self._prepare()
        try:
            while not self._done:
                self._run_epoch()
                if self.watch is not None and not self._done and self.processes.count == 1:
                    self.watch(self.learning_curve.points)
                self._store()
        except BudgetExhausted:
            if not self.checkpoints:
                raise

    @property
    def training_rows(self) -> int:
        """Training rows per pass, delayed copies included."""
        return len(self._train)

    @property
    def learning_curve(self) -> LearningCurve:
        """Loss of the training rows and score of the stop rows, epoch by epoch."""
        points = [
            CurvePoint(
                step=int(each["steps"]),
                loss=each["loss"],
                score=each["score"],
                epoch=int(each["epoch"]),
                seconds=each["seconds"],
                rate=each["rate"],
            )
            for each in self.curve
        ]
        return LearningCurve("epoch", "train", tuple(points))

    @property
    def precision_plan(self) -> PrecisionPlan:
        """How steps are computed."""
        return self._stepper.plan

    @property
    def step_seconds(self) -> float:
        """Seconds that a step takes."""
        return self._steps.seconds

    def _prepare(self) -> None:
        settings, device = self.blueprint.settings, next(self.network.parameters()).device
        self._stop_batcher = batcher_of(self.blueprint, self.problem, device)
        there = self._stop_batcher.device
        self._train = row_tensors(self.blueprint, self.rows.train(seed=self.seed, copies=settings.copies), there)
        self._stop = stopping_rows(self.rows.stop)
        self._stop_tensors = row_tensors(self.blueprint, self._stop, there)
        self.processes.copy_state(self.network)
        self._stepper = Stepper(self.network, self.blueprint, self._train, self.processes)
        self._order = ShuffledBatches(len(self._train), settings.batch_size, self.seed)
        self._epoch, self._done, self._spent = 0, False, 0.0
        self._losses: list[Tensor] = []
        self._steps, self._batches = Pace(), Pace()
        self._saved = time.monotonic()
        self._restore()

    @property
    def _parts(self) -> int:
        return self.blueprint.settings.parts

    def _planned(self) -> int:
        settings = self.blueprint.settings
        return max(settings.fewest_steps, min(settings.steps_per_epoch, self._order.steps_per_pass))

    def _run_epoch(self) -> None:
        """Train one epoch, validate, and see whether to go on."""
        begun, settings = time.monotonic() - self._spent, self.blueprint.settings
        device = self._stepper.label.device
        batcher = batcher_of(self.blueprint, self.problem, device, seed=sampler_seed(self.seed, self._epoch))
        planned = self._planned()
        allowance = self.budget.left() * (_FIRST_EPOCH if self._epoch == 0 else 1.0) + self._spent
        self.network.train()
        if self._steps.seconds == 0.0:
            self._measure_step(batcher)
        before = time.monotonic()
        missing = planned - len(self._losses)
        left = own_parts(itertools.islice(self._order.coming(), missing), self._parts, self.processes)
        with prefetched(batcher, self._train, left, device) as batches:
            for _ in range(missing):
                share = taken_share(batches, self._order.next(), self._parts, self.processes)
                self.budget.check()
                self._losses.append(self._stepper.step(share))
                now = time.monotonic()
                self._steps.add(now - before)
                self._spent, before = now - begun, now
                if self.processes.told(self._spent + self._reserve() > allowance):
                    break
                if len(self._losses) < planned and time.monotonic() - self._saved > SAVE_SECONDS:
                    self._store()
        finished = len(self._losses) >= planned
        self._validate(float(torch.stack(self._losses).mean()), time.monotonic() - begun)
        # a first epoch that was cut only so that something is validated early goes on with the next
        time_left = finished or (self._epoch == 0 and self.processes.told(self._reserve() < self.budget.left()))
        self._epoch += 1
        stale = self._stale() > settings.patience and self._has_begun()
        last = self._epoch >= settings.epochs
        self.ended = "converged" if stale else "limit" if last else "budget"
        self._done = not time_left or stale or last
        self._losses.clear()
        self._spent = 0.0

    def _measure_step(self, batcher: Batcher) -> None:
        """Estimate a step's time on a few rows, so that no step is begun that would outlast the budget by itself.

        Raises:
            BudgetExhausted: A single step would take most of what is left.
        """
        index = self._order.next().to(batcher.device)
        sizes = [max(1, len(index) // part) for part in _PARTS]
        few, more = (self._try_out(batcher, index[:size]) for size in sizes)
        slope = max(0.0, more - few) / max(1, sizes[1] - sizes[0])
        rows = max(sizes[1], len(index) // self.processes.count)
        self._steps = Pace(self.processes.told(more + slope * (rows - sizes[1])))
        if self._steps.seconds > _LONGEST_STEP * self.budget.left():
            raise BudgetExhausted(
                f"one training step takes about {self._steps.seconds:.0f} s and {self.budget.left():.0f} s are left"
            )
        settings = self.blueprint.settings
        if self.processes.count > 1:  # what is measured would differ from process to process
            precision = "fp32" if settings.precision == "auto" else settings.precision
            compiled = "off" if settings.compile == "auto" else settings.compile
            settings = replace(settings, precision=precision, compile=compiled)
        batch = batcher.batch(self._train, index[: max(1, len(index) // self.processes.count)])
        self._stepper.plan = choose_precision(
            settings,
            self._stepper.label.device,
            self.network,
            lambda plan: self._stepper.gradients(batch, plan),
            settings.epochs * self._planned(),
        )

    def _try_out(self, batcher: Batcher, index: Tensor) -> float:
        """Return the seconds that forward and backward pass of some rows take; no weight moves."""
        begun = time.monotonic()
        self._stepper.gradients(batcher.batch(self._train, index), PrecisionPlan())
        return time.monotonic() - begun

    def _reserve(self) -> float:
        """Seconds to keep: a step, the validation of this epoch, and the passes that follow the training.

        Those are the select rows, and the rows that are predicted after the tuning in time that nobody else keeps for a slow
        model. Each of the two passes pays once for what the first batch of a pass does.
        """
        batch = self._batches.seconds or _FORWARD * self._steps.seconds
        rows = len(self._stop) + len(self.rows.select) + self.rows.awaiting
        passes = batch * rows / self.blueprint.settings.batch_size + 2 * self._batches.once
        return self._steps.seconds + _MARGIN * passes

    def _validate(self, loss: float, seconds: float) -> None:
        settings, steps = self.blueprint.settings, self._stepper.steps
        output = outputs_of(
            self._stepper.mean,
            self._stop_batcher,
            self._stop_tensors,
            settings.batch_size,
            self.budget,
            self._batches,
            self.processes,
        )
        score = self.processes.told(self._score(self.blueprint.target.predictions(output)))
        facts = {"epoch": self._epoch, "steps": steps, "loss": loss, "score": score, "seconds": seconds}
        self.curve.append({**facts, "rate": self._stepper.rate})
        self._keep(score)
        if self._stale() and self._has_begun():
            self._stepper.rate *= settings.decay
        self.emit(EpochDone("rdl", self.number, self._epoch, loss, score, seconds))

    def _score(self, predictions: NDArray[np.float64]) -> float:
        label = self._stop.label
        return float("nan") if label is None else self.problem.task.metric.score(label, predictions)

    def _keep(self, score: float) -> None:
        # an undefined score ranks below every other, but a state is kept all the same
        state = {name: tensor.detach().cpu().clone() for name, tensor in self._stepper.mean.state_dict().items()}
        self.checkpoints.append(Checkpoint(self._stepper.steps, score, state))
        self.checkpoints.sort(key=lambda each: -each.score if np.isfinite(each.score) else np.inf)
        del self.checkpoints[self.blueprint.settings.checkpoints :]

    def _stale(self) -> int:
        """Validations since the last one with progress: a score above all before it or, if asked for, above the one before."""
        scores = [-np.inf if np.isnan(each["score"]) else each["score"] for each in self.curve]
        last = int(np.argmax(scores))
        if self.blueprint.settings.rising:
            last = max([last, *(place for place in range(1, len(scores)) if scores[place] > scores[place - 1])])
        return len(scores) - 1 - last

    def _has_begun(self) -> bool:
        """Whether the training loss has left its first plateau, or has been on it for too long."""
        return self.curve[-1]["loss"] < _BEGUN * self.curve[0]["loss"] or self._stepper.steps >= _LONGEST_PLATEAU

    def _store(self) -> None:
        if self.storage is None:
            return
        tensors = self._stepper.tensors()
        for place, each in enumerate(self.checkpoints):
            tensors |= {f"checkpoint.{place}.{name}": tensor for name, tensor in each.state.items()}
        if self._losses:
            tensors["losses"] = torch.stack(self._losses)
        write_training_state(self.storage.path, self.storage.identity, self._facts(), tensors)
        self._saved = time.monotonic()

    def _facts(self) -> dict[str, Any]:
        return {
            **self._stepper.facts(),
            "position": self._order.position,
            "epoch": self._epoch,
            "done": self._done,
            "ended": self.ended,
            "spent": self._spent,
            "step_seconds": self._steps.seconds,
            "batch_seconds": self._batches.seconds,
            "curve": self.curve,
            "checkpoints": [[each.step, each.score] for each in self.checkpoints],
        }

    def _restore(self) -> None:
        """Go on from the stored state, if there is one."""
        stored = None if self.storage is None else read_training_state(self.storage.path, self.storage.identity)
        stored = self.processes.told(stored)
        if stored is None:
            return
        self._stepper.restore(stored)
        facts = stored.facts
        self._order.position = facts["position"]
        self._epoch, self._done, self._spent = facts["epoch"], facts["done"], facts["spent"]
        self.ended = facts["ended"]
        # a state of an earlier version has no time of a batch
        self._steps, self._batches = Pace(facts["step_seconds"]), Pace(facts.get("batch_seconds", 0.0))
        self.curve = [{name: number_of(value) for name, value in each.items()} for each in facts["curve"]]
        self.resumed = facts["steps"]
        self._losses = (
            list(stored.tensors["losses"].to(self._stepper.label.device)) if "losses" in stored.tensors else []
        )
        self.checkpoints = self._stored_checkpoints(stored)

    def _stored_checkpoints(self, stored: TrainingState) -> list[Checkpoint]:
        steps_and_scores = stored.facts["checkpoints"]
        return [
            Checkpoint(step, number_of(score), stored.under(f"checkpoint.{place}"))
            for place, (step, score) in enumerate(steps_and_scores)
        ]
