"""Trains a tabular network: AdamW on a running mean of the weights, stopped early on the stop rows and by the budget."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from relselect.dfs.learners.network.fitted import NetworkModel
from relselect.errors import BudgetExhausted
from relselect.families.candidate import Checkpoint, CurvePoint

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.budget import Budget
    from relselect.dfs.learners.network.encoding import TabularEncoding
    from relselect.dfs.learners.network.objective import Objective
    from relselect.dfs.learners.protocol import LearnerProgress, TabularData
    from relselect.families.candidate import Config, FitEnd
    from relselect.tasks import Task

__all__ = ["NetworkTraining", "TrainingRows"]

Floats = NDArray[np.float64]

#: Steps between two evaluations on the stop rows, one pass over the rows within these bounds; stop rows evaluated at most.
_OFTEN, _SELDOM, _STOP_ROWS = 25, 200, 8192
#: The running mean of the weights after t steps keeps the share min(_MEAN, (1 + t) / (10 + t)) of itself.
_MEAN = 0.99
#: Largest norm of the gradient.
_NORM = 1.0
#: Share of categories that a step shows as unknown, so that the embedding of unknown ones is trained.
_UNKNOWN = 0.02
#: The first evaluation comes after this share of the budget at the latest.
_FIRST = 0.4


@dataclass(frozen=True)
class TrainingRows:
    """Encoded rows.

    Attributes:
        numbers: Shape (n, numbers + flags).
        codes: Category numbers, shape (n, c).
        target: Labels as the loss reads them, shape (n,).
        weight: Weights of the rows; None for equal ones.
    """

    numbers: Tensor
    codes: Tensor
    target: Tensor
    weight: Tensor | None = None

    @classmethod
    def of(cls, encoding: TabularEncoding, objective: Objective, data: TabularData) -> TrainingRows:
        """Encode labelled rows."""
        numbers, codes = map(torch.from_numpy, encoding.encode(data.features.values))
        weight = None if data.weights is None else torch.from_numpy(data.weights.astype(np.float32))
        return cls(numbers, codes, objective.targets(data.label), weight)

    @classmethod
    def joined(cls, parts: Sequence[TrainingRows]) -> TrainingRows:
        """Return the rows of all parts, their weights divided by the mean weight.

        Rows of a part without weights have the weight 1 where others have some.
        """
        weight = None
        if any(part.weight is not None for part in parts):
            weight = torch.cat([torch.ones(len(part)) if part.weight is None else part.weight for part in parts])
            weight = weight / weight.mean()
        numbers, codes = torch.cat([part.numbers for part in parts]), torch.cat([part.codes for part in parts])
        return cls(numbers, codes, torch.cat([part.target for part in parts]), weight)

    def __len__(self) -> int:
        return len(self.target)

    def take(self, places: Tensor) -> TrainingRows:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[places]
        return TrainingRows(self.numbers[places], self.codes[places], self.target[places], weight)


@dataclass
class NetworkTraining:
    """One training of a network.

    Attributes:
        task: Its metric scores the stop rows.
        config: The options of the learner.
        model: The network, trained in place until `restore_best`.
        rows: The training rows.
        seed: Seed of the order of rows, of dropout and of hidden categories.
        budget: Asked at every step.
        points: The learning curve.
        ended: Why the training ended.
        steps: Steps done.
    """

    task: Task
    config: Config
    model: NetworkModel
    rows: TrainingRows
    seed: int
    budget: Budget
    points: list[CurvePoint] = field(default_factory=list)
    ended: FitEnd = "limit"
    steps: int = 0

    def __post_init__(self) -> None:
        self._draw = torch.Generator().manual_seed(self.seed)
        network = self.model.network
        self._mean = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        self._optimiser = torch.optim.AdamW(
            network.parameters(), lr=self.config["learning_rate"], weight_decay=self.config["weight_decay"]
        )
        self._batches = self._shuffled()
        self._ranked: list[tuple[float, Checkpoint]] = []

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The best states so far, the best first, by the value that training follows."""
        return tuple(checkpoint for _, checkpoint in self._ranked)

    def run(self, stop: TabularData, progress: LearnerProgress) -> None:
        """Train until the stop rows no longer improve, the steps are done or the budget ends.

        Raises:
            BudgetExhausted: The budget ended before the first evaluation.
        """
        watched = _Watched.of(self.model, stop)
        first = self.budget.left() * (1 - _FIRST)
        every = max(_OFTEN, min(_SELDOM, -(-len(self.rows) // self._batch_size)))
        best, stale, measured, last = -np.inf, 0, 0.0, int(self.config["steps"])
        while self.steps < last:
            if self.budget.left() <= 2 * measured:
                self.ended = "budget"
                break
            self._step()
            early = not self._ranked and self.budget.left() <= first
            if self.steps % every and self.steps < last and not early:
                continue
            begun = time.monotonic()
            value = self._evaluate(watched, progress)
            measured = time.monotonic() - begun
            best, stale = (value, 0) if value > best else (best, stale + 1)
            if stale >= int(self.config["patience"]):
                self.ended = "converged"
                break
        if not self._ranked:
            raise BudgetExhausted("the budget ended before the network was evaluated once")

    def run_steps(self, steps: int) -> bool:
        """Train for so many steps; return whether the budget allowed it."""
        for _ in range(steps):
            if self.budget.spent:
                return False
            self._step()
        return True

    def current(self) -> NetworkModel:
        """Return the model at the running mean of the weights."""
        return self.model.at(self._mean)

    @property
    def _batch_size(self) -> int:
        return min(int(self.config["batch_size"]), len(self.rows))

    def _shuffled(self) -> Iterator[Tensor]:
        """Yield the rows of each step: every pass in an order of its own, what is left of it in the next step's batch."""
        size, waiting = self._batch_size, torch.empty(0, dtype=torch.int64)
        while True:
            while len(waiting) < size:
                waiting = torch.cat([waiting, torch.randperm(len(self.rows), generator=self._draw)])
            yield waiting[:size]
            waiting = waiting[size:]

    def _step(self) -> None:
        network, batch = self.model.network.train(), self.rows.take(next(self._batches))
        codes = batch.codes
        if codes.shape[1]:
            codes = codes * (torch.rand(codes.shape, generator=self._draw) >= _UNKNOWN)
        self._optimiser.zero_grad(set_to_none=True)
        loss = self.model.objective.loss(network(batch.numbers, codes), batch.target, batch.weight)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), _NORM)
        self._optimiser.step()
        self.steps += 1
        share = min(_MEAN, (1 + self.steps) / (10 + self.steps))
        for name, parameter in network.named_parameters():
            self._mean[name].lerp_(parameter.detach(), 1 - share)

    def _evaluate(self, watched: _Watched, progress: LearnerProgress) -> float:
        """Measure loss and score on the stop rows, keep the state, and return what is followed."""
        model = self.current()
        loss, score = watched.measure(model, self.task)
        self.points.append(CurvePoint(self.steps, loss, score))
        progress(self.steps, loss, score)
        by_metric = self.config["stop_on"] == "metric" and self.config.get("statistic", "auto") == "auto"
        value = score if by_metric and np.isfinite(score) else -loss
        self._ranked.append((value, Checkpoint(self.steps, score, model.network.state_dict())))
        self._ranked.sort(key=lambda each: -each[0] if np.isfinite(each[0]) else np.inf)
        del self._ranked[max(1, int(self.config["checkpoints"])) :]
        return value


@dataclass(frozen=True)
class _Watched:
    """Stop rows, encoded once."""

    rows: TrainingRows
    label: Floats

    @classmethod
    def of(cls, model: NetworkModel, stop: TabularData) -> _Watched:
        rows = TrainingRows.joined([TrainingRows.of(model.encoding, model.objective, stop)])
        if len(rows) <= _STOP_ROWS:
            return cls(rows, stop.label)
        places = np.linspace(0, len(rows) - 1, _STOP_ROWS).astype(np.int64)
        return cls(rows.take(torch.from_numpy(places)), stop.label[places])

    def measure(self, model: NetworkModel, task: Task) -> tuple[float, float]:
        """Return the loss of the mean over members' losses, and the score of the predictions."""
        with torch.no_grad():
            outputs = model.network.eval()(self.rows.numbers, self.rows.codes)
            loss = float(model.objective.loss(outputs, self.rows.target, self.rows.weight))
        return loss, task.metric.score(self.label, model.objective.predictions(outputs))
