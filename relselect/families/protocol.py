"""The protocol of a family of models, of the rows it is given, and of the loss that flatness is measured on.

A family that follows it is trained, reported, saved and loaded without an edit elsewhere, once it is registered
(`relselect.families.registry`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from relselect.budget import Budget
from relselect.events import Emit
from relselect.families.candidate import Candidate, Config, CurvePoint
from relselect.problem import Problem
from relselect.tasks import Rows

if TYPE_CHECKING:
    import numpy as np
    import optuna
    import torch
    from numpy.typing import NDArray

    from relselect.families.space import SearchSpace

__all__ = [
    "Adjustable",
    "Designed",
    "Family",
    "FitWatch",
    "Movable",
    "Portfolio",
    "Probe",
    "ReadsSome",
    "RowSource",
    "TrainingLength",
    "Watched",
    "columns_read",
]


class RowSource(Protocol):
    """The rows that a fit may use: a family asks for no others.

    The rows may carry columns beyond the task's declared features (`Rows.features`); a family reads those too, and is then
    asked to predict rows that carry them.
    """

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Equal keys of one problem mean equal rows: what is computed from the rows is cached under it."""
        ...

    def train(self, *, seed: int, copies: int) -> Rows:
        """Return the training rows, and `copies` copies of each under the delays of the evaluation rows, if there are any."""
        ...

    @property
    def stop(self) -> Rows:
        """The rows that end training and rank checkpoints within a fit."""
        ...

    @property
    def select(self) -> Rows:
        """The rows that choose family, configuration and checkpoint, and carry the reported score."""
        ...

    def added(self, *, seed: int, copies: int) -> Rows:
        """Return the rows that a refit trains on beside the training rows: all validation rows, shown as training rows are."""
        ...

    @property
    def awaiting(self) -> int:
        """Rows that will be predicted after the studies (test rows, where they are scored): families keep time for them."""
        ...


class Probe(Protocol):
    """A differentiable loss on a fixed batch of rows: what flatness is measured on."""

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
        rows: RowSource,
        config: Config,
        *,
        seed: int,
        number: int,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
    ) -> Candidate:
        """Train on the training rows until the stop rows say so, and score on the select rows.

        Args:
            problem: The database and the task.
            rows: The rows to train on, to stop on and to be scored on.
            config: The configuration.
            seed: Seed of everything random in the fit.
            number: The trial's number, for events.
            budget: Asked all the while; the best state met so far is returned when it ends midway.
            emit: Listener.
            resume: A folder of this very fit (problem, rows, configuration, seed), which need not exist: a family may keep
                the state of an unfinished fit there and must then go on from a state it finds. None keeps nothing.

        Raises:
            BudgetExhausted: The budget ended before anything useful was trained.
            ConfigError: The configuration has an unknown option or value.
        """
        ...

    def refit(
        self,
        candidate: Candidate,
        problem: Problem,
        rows: RowSource,
        *,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
    ) -> Candidate | None:
        """Train the candidate's checkpoint further, or anew, on training and validation rows.

        Args:
            candidate: What was decided; it stays as it is.
            problem: The database and the task.
            rows: The rows of the fit.
            budget: Asked all the while.
            emit: Listener.
            resume: As for `fit`, the folder of this very refit.

        Returns:
            The candidate with a model that has seen all labelled rows but those of the test; None where there is no time
            for it, or nothing to gain.
        """
        ...

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Return predictions of shape (n,), or (n, classes) for multiclass tasks."""
        ...

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate with one of its checkpoints loaded; its scores stay those of the checkpoint it had."""
        ...

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write the model's files (safetensors, text, JSON, Parquet; never pickle) into an existing folder."""
        ...

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with its model, and the states of its checkpoints, read from the folder."""
        ...

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> Probe | None:
        """Return what flatness is measured on, or None where the loss has no gradient."""
        ...


#: Called with the learning curve of a fit so far each time that it has a further point; may raise `FitPruned` to end the fit.
FitWatch = Callable[[Sequence[CurvePoint]], None]


@dataclass(frozen=True)
class TrainingLength:
    """How long the training of a configuration can be.

    Attributes:
        most: Rounds or epochs at most; training usually ends earlier by itself. Where a model averages several members that are
            trained one after another, this is the length of the first.
        pace: How far a round of this configuration goes, in rounds of the default; a part of the longest training is one of the
            default's.
        unit: What is counted, in the plural.
        loss_of: The rows that the loss of the learning curve is measured on.
        track: Learning curves of one problem and one track are measured alike, so that they may be compared at equal lengths.
    """

    most: float
    unit: str
    loss_of: Literal["train", "stop"]
    track: str
    pace: float = 1.0


@runtime_checkable
class Watched(Protocol):
    """A family whose fits can be ended on the way, by what their learning curves show."""

    def training_length(self, config: Config) -> TrainingLength | None:
        """Return how long the training of a configuration can be; None where it has no learning curve."""
        ...

    def fit(
        self,
        problem: Problem,
        rows: RowSource,
        config: Config,
        *,
        seed: int,
        number: int,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
        watch: FitWatch | None = None,
    ) -> Candidate:
        """Train as `Family.fit` does, and call `watch` at each point of the learning curve.

        Raises:
            FitPruned: `watch` ended the fit.
        """
        ...


@runtime_checkable
class Portfolio(Protocol):
    """A family that knows other configurations worth trying before a sampler has anything to learn from."""

    def alternatives(self, problem: Problem) -> Sequence[Config]:
        """Return configurations of the search space that a study tries right after the default, in this order."""
        ...


@runtime_checkable
class Adjustable(Protocol):
    """A family whose default depends on options that a caller has fixed, or that checks such options."""

    def adjusted(self, problem: Problem, options: Config) -> Config:
        """Return the default configuration for a caller who fixed some options.

        Raises:
            ConfigError: The family has no such option, or the option no such value.
        """
        ...


@runtime_checkable
class Designed(Protocol):
    """A family whose search space is data, in whose place a caller can put another one.

    Attributes:
        design: The space; the shipped one unless a caller gave another.
    """

    design: SearchSpace

    def known(self, problem: Problem) -> Mapping[str, Any]:
        """Return what names with a $ in a space stand for on a problem."""
        ...

    def designed(self, problem: Problem, suggested: Config) -> Config:
        """Return the configuration that suggested values of parameters stand for."""
        ...

    def with_space(self, space: SearchSpace) -> Family:
        """Return the family with another space."""
        ...


@runtime_checkable
class Movable(Protocol):
    """A family that computes where it is told to."""

    def on_device(self, device: str) -> Family:
        """Return the family on a device, such as "cpu" or "cuda:0".

        Raises:
            ConfigError: There is no such device.
        """
        ...


@runtime_checkable
class ReadsSome(Protocol):
    """A family that knows which columns a model reads; see `columns_read`."""

    def reads(self, candidate: Candidate) -> dict[str, set[str]] | None:
        """Return table -> columns whose values predicting needs, None where that is not known of this model.

        Tables of which only the rows count have no columns.
        """
        ...


def columns_read(family: Family, candidate: Candidate) -> dict[str, set[str]] | None:
    """Return table -> columns that a model reads; None where the family does not know, so that all that training saw count."""
    return family.reads(candidate) if isinstance(family, ReadsSome) else None
