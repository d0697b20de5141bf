"""The `Family` protocol: what a way of predicting must offer. A fourth family fits in without edits elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from relselect.budget import Budget
from relselect.events import Emit
from relselect.problem import Problem
from relselect.tasks import Rows

if TYPE_CHECKING:
    import numpy as np
    import optuna
    import torch
    from numpy.typing import NDArray

__all__ = ["Candidate", "Checkpoint", "Config", "Family", "Portfolio", "Probe", "ReadsSome"]

#: A configuration: JSON-able values only.
Config = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A state of a model during training.

    Attributes:
        step: The training step, or boosting round, it was taken at.
        score: Its score on the rows used for early stopping, higher is better.
        state: The weights; only the family that made it reads them.
    """

    step: int
    score: float
    state: Any = None


@dataclass
class Candidate:
    """One fitted configuration of one family.

    Attributes:
        family: The family's name.
        config: The configuration.
        seed: The seed of the fit.
        number: The trial number within the family's study; 0 is the default configuration.
        val_predictions: Predictions of the validation rows, shape (n,) or (n, classes).
        val_score: Validation score, higher is better.
        val_interval: 90 % bootstrap interval of the score, clustered by entity.
        seconds: Wall-clock seconds of the fit.
        peak_memory_mb: Peak resident memory of the process after the fit.
        device: "cpu" or the accelerator.
        model: The fitted model; only its family reads it.
        checkpoints: The best states met in training, best first.
        notes: What a reader should know (fallbacks, columns left out).
        details: JSON-able facts for the report: importances, learning curve, sizes.
    """

    family: str
    config: Config
    seed: int
    number: int
    val_predictions: NDArray[np.float64]
    val_score: float
    val_interval: tuple[float, float]
    seconds: float
    peak_memory_mb: float
    device: str
    model: Any
    checkpoints: tuple[Checkpoint, ...] = ()
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The name under which reports speak of it."""
        return f"{self.family}-{self.number}"


class Probe(Protocol):
    """A differentiable loss on a fixed batch of validation rows: what flatness is measured on."""

    #: Only checkpoints with equal text are compared.
    architecture: str

    def parameters(self, checkpoint: int) -> dict[str, torch.Tensor]:
        """Return the weights of a checkpoint of the candidate."""
        ...

    def loss(self, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the scalar loss at these weights, in evaluation mode and single precision."""
        ...


@runtime_checkable
class Family(Protocol):
    """A way of predicting.

    `predict` is a pure function of the model, the database visible at each row's `asof`, and the row: it depends neither
    on the batch a row stands in nor on rows it cannot see (to 1e-5).
    """

    name: str

    def default(self, problem: Problem) -> Config:
        """Return the configuration that is always tried first."""
        ...

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return a configuration suggested by a study."""
        ...

    def fit(
        self,
        problem: Problem,
        config: Config,
        *,
        seed: int,
        number: int,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
    ) -> Candidate:
        """Train, and return the best met when the budget ends midway.

        `resume` is a folder of this very fit (problem, configuration, seed), which need not exist: a family may keep the
        state of an unfinished fit there and must then go on from a state it finds. None keeps nothing.

        Raises:
            BudgetExhausted: The budget ended before anything useful was trained.
        """
        ...

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Return predictions of shape (n,), or (n, classes) for multiclass tasks."""
        ...

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate with one of its checkpoints loaded."""
        ...

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write the model's files (safetensors, text, JSON, Parquet; never pickle) into an existing folder."""
        ...

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with its model read from the folder."""
        ...

    def probe(self, candidate: Candidate, problem: Problem) -> Probe | None:
        """Return what flatness is measured on, or None where the loss has no gradient."""
        ...


@runtime_checkable
class Portfolio(Protocol):
    """A family that knows other configurations worth trying before a sampler has anything to learn from."""

    def alternatives(self, problem: Problem) -> Sequence[Config]:
        """Return configurations of the search space that a study tries right after the default, in this order."""
        ...


@runtime_checkable
class ReadsSome(Protocol):
    """A family that knows which columns a model reads; of one that does not, all that training saw are read."""

    def reads(self, candidate: Candidate) -> dict[str, set[str]]:
        """Return table -> columns whose values predicting needs; tables of which only the rows count have none."""
        ...
