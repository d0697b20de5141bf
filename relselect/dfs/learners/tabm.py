"""TabM as a learner: an ensemble of multilayer perceptrons that share their weights, with a gradient that flatness can read.

PyTorch is imported when a network is trained or read, not before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from relselect.dfs.learners.constant import constant_fit
from relselect.dfs.learners.protocol import LearnerFit, TabularData, weights_of_parts
from relselect.dfs.learners.trees import TREES_FILE, Trees
from relselect.families.candidate import LearningCurve

if TYPE_CHECKING:
    from pathlib import Path

    from relselect.budget import Budget
    from relselect.dfs.learners.network.encoding import TabularEncoding
    from relselect.dfs.learners.network.fitted import NetworkModel
    from relselect.dfs.learners.network.module import NetworkShape
    from relselect.dfs.learners.network.objective import Objective
    from relselect.dfs.learners.network.training import NetworkTraining, TrainingRows
    from relselect.dfs.learners.protocol import LearnedModel, LearnerProgress
    from relselect.families.candidate import Config
    from relselect.problem import Problem
    from relselect.tasks import Task

__all__ = ["TabM"]

#: Numbers beyond which they are read without an embedding under embedding="auto": it multiplies the first layer.
_FEW_NUMBERS = 64
#: Channels of that embedding.
_EMBEDDING = 8
#: Multiplications of a layer in a step from which on a step gains from several threads.
_WORTH_SHARING = 200_000_000


class TabM:
    """TabM (Gorishniy et al. 2025); see `Learner`.

    Example:
        >>> TabM().name
        'tabm'
    """

    name = "tabm"
    weighs_rows = True

    def tuned(self, problem: Problem) -> bool:
        """Return True."""
        return True

    def default(self, problem: Problem) -> Config:
        """Return options for a network of about 100,000 weights."""
        return {
            "members": 8,
            "width": 128,
            "blocks": 2,
            "dropout": 0.1,
            "embedding": 0,
            "learning_rate": 0.002,
            "weight_decay": 3e-4,
            "batch_size": 256,
            "steps": 20_000,
            "patience": 12,
            "checkpoints": 4,
            "stop_on": "metric",
        }

    def fit(
        self,
        task: Task,
        config: Config,
        train: TabularData,
        stop: TabularData,
        *,
        seed: int,
        budget: Budget,
        progress: LearnerProgress,
    ) -> LearnerFit:
        """Train one network to its best step; see `Learner.fit`.

        Raises:
            BudgetExhausted: The network was not evaluated once.
        """
        constant = constant_fit(task, config, train)
        if constant is not None:
            return constant
        budget.check()
        begun = time.monotonic()
        with _reproducible(seed, config, train):
            training = _training(task, config, [train], seed, budget)
            training.run(stop, progress)
        best = training.checkpoints[0]
        seconds = (time.monotonic() - begun) * best.step / max(1, training.steps)
        return LearnerFit(
            training.model.at(best.state),
            best.step,
            LearningCurve("round", "stop", tuple(training.points)),
            training.ended,
            seconds,
            1,
            checkpoints=training.checkpoints,
        )

    def refit(
        self,
        task: Task,
        config: Config,
        parts: Sequence[TabularData],
        *,
        rounds: int,
        members: int,
        seed: int,
        budget: Budget,
    ) -> NetworkModel | None:
        """Train a new network on all rows for as many steps; see `Learner.refit`."""
        if not members or rounds < 1 or budget.spent:
            return None
        with _reproducible(seed, config, parts[0]):
            training = _training(task, config, parts, seed, budget)
            return training.current() if training.run_steps(rounds) else None

    def load(self, folder: Path) -> LearnedModel:
        """Return the network, or the constant, that was saved."""
        if (folder / TREES_FILE).exists():
            return Trees.load(folder)
        from relselect.dfs.learners.network.fitted import NetworkModel

        return NetworkModel.load(folder)


def _training(task: Task, config: Config, parts: Sequence[TabularData], seed: int, budget: Budget) -> NetworkTraining:
    """Return a training at its first step, on the rows of all parts."""
    from relselect.dfs.learners.network.fitted import NetworkModel
    from relselect.dfs.learners.network.module import TabularNetwork
    from relselect.dfs.learners.network.objective import Objective
    from relselect.dfs.learners.network.training import NetworkTraining, TrainingRows

    label = np.concatenate([part.label for part in parts])
    objective = Objective.of(task, config, label, weights_of_parts(parts))
    encoding, rows = _encoded(parts, objective)
    network = TabularNetwork(_shape(config, encoding, objective))
    network.start_at(objective.prior)
    model = NetworkModel(encoding, objective, network)
    return NetworkTraining(task, config, model, TrainingRows.joined(rows), seed, budget)


def _encoded(parts: Sequence[TabularData], objective: Objective) -> tuple[TabularEncoding, list[TrainingRows]]:
    """Return the encoding of the first part, fitted once per feature matrix, and the encoded rows of all parts."""
    from relselect.dfs.learners.network.encoding import TabularEncoding
    from relselect.dfs.learners.network.training import TrainingRows

    encoding = parts[0].derived("tabular encoding", lambda: TabularEncoding.fit(parts[0].features))
    return encoding, [TrainingRows.of(encoding, objective, part) for part in parts]


def _shape(config: Config, encoding: TabularEncoding, objective: Objective) -> NetworkShape:
    from relselect.dfs.learners.network.module import NetworkShape

    few = len(encoding.numeric) <= _FEW_NUMBERS
    return NetworkShape(
        numbers=len(encoding.numeric),
        flags=sum(encoding.flagged),
        cardinalities=encoding.cardinalities,
        embedding=(_EMBEDDING if few else 0) if config["embedding"] == "auto" else int(config["embedding"]),
        outputs=objective.outputs,
        members=int(config["members"]),
        width=int(config["width"]),
        blocks=int(config["blocks"]),
        dropout=float(config["dropout"]),
    )


@contextmanager
def _reproducible(seed: int, config: Config, train: TabularData) -> Iterator[None]:
    """Seed PyTorch's own draws (weights, dropout), put its state back afterwards, and let small steps use one thread.

    Whether a step is small follows from sizes alone, because sums by several threads differ in their last bits.
    """
    import torch

    from relselect.torch_threads import one_thread

    numbers = int(config["batch_size"]) * int(config["members"]) * int(config["width"])
    small = numbers * (train.features.values.shape[1] + int(config["width"])) < _WORTH_SHARING
    with torch.random.fork_rng(devices=[]), one_thread() if small else nullcontext():
        torch.manual_seed(seed)
        yield
