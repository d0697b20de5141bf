"""The protocol of a learner: what learns from a feature matrix. It knows nothing of databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from relselect.families.candidate import Checkpoint, Config, FitEnd, LearningCurve

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.dfs.prefix.matrix import FeatureMatrix
    from relselect.families.protocol import Probe
    from relselect.problem import Problem
    from relselect.tasks import Task

__all__ = ["LearnedModel", "Learner", "LearnerFit", "LearnerProgress", "ProbedModel", "TabularData", "weights_of_parts"]

T = TypeVar("T")
Floats = NDArray[np.float64]

#: Called with the round, the loss and the score on the stop rows. Where a model averages several members, these are those of the
#: first; when that one has ended before others begin, it is called again with the most rounds that it could have had and its last
#: figures. It may raise `FitPruned`, which ends the fit.
LearnerProgress = Callable[[int, float, float], None]


@dataclass(frozen=True)
class TabularData:
    """Labelled feature rows.

    Attributes:
        features: k features of n rows.
        label: Regression values, 0 and 1, or class numbers, shape (n,).
        weights: Positive weights of the rows in the loss, shape (n,); None where all are 1.
    """

    features: FeatureMatrix
    label: Floats
    weights: Floats | None = None
    _derived: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def derived(self, name: str, build: Callable[[], T]) -> T:
        """Return what a learner derives from these rows alone, built once and shared by every fit on them."""
        if name not in self._derived:
            self._derived[name] = build()
        found: T = self._derived[name]
        return found


def weights_of_parts(parts: Sequence[TabularData]) -> Floats | None:
    """Return the weights of the rows of all parts, one after another; None where none has any."""
    if all(part.weights is None for part in parts):
        return None
    return np.concatenate([np.ones(len(part.label)) if part.weights is None else part.weights for part in parts])


class LearnedModel(Protocol):
    """A trained model."""

    def predict(self, values: Floats) -> Floats:
        """Return predictions of shape (n,), or (n, classes), for feature values of shape (n, k)."""
        ...

    def importances(self) -> Floats | None:
        """Return each feature's share of all importance, shape (k,), or None where that is not known."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model's files into an existing folder; never pickle."""
        ...


@runtime_checkable
class ProbedModel(Protocol):
    """A trained model whose loss has a gradient in its weights; the states are those of a fit's checkpoints."""

    def at(self, state: Any) -> LearnedModel:
        """Return the model in another state."""
        ...

    def probe(self, data: TabularData, states: Sequence[Any]) -> Probe:
        """Return what flatness is measured on, for these rows and states."""
        ...

    def save_states(self, states: Sequence[Any], folder: Path) -> None:
        """Write states into an existing folder; never pickle."""
        ...

    def load_states(self, folder: Path, count: int) -> Sequence[Any]:
        """Return the states that `save_states` wrote."""
        ...


@dataclass(frozen=True)
class LearnerFit:
    """What a fit gives.

    Attributes:
        model: The model in its best state on the stop rows.
        rounds: Rounds, or steps, of the best state.
        curve: Loss and score on the stop rows.
        ended: Why training ended.
        seconds: What one member of the model took, at most: about what a refit takes per member.
        members: How many members the model averages.
        checkpoints: The best states, the best first, which is the model's; empty where the model keeps none.
        notes: What a user should know, such as another learner that stood in.
    """

    model: LearnedModel
    rounds: int
    curve: LearningCurve
    ended: FitEnd
    seconds: float
    members: int
    checkpoints: tuple[Checkpoint, ...] = ()
    notes: tuple[str, ...] = ()


class Learner(Protocol):
    """Something that learns from a feature matrix.

    Attributes:
        name: Its name in the configuration (`config["learner"]`).
        weighs_rows: Whether its loss takes weights of rows; where it does not, it is left out of studies of weighted tasks.
    """

    name: str
    weighs_rows: bool

    def tuned(self, problem: Problem) -> bool:
        """Return whether studies of the problem suggest it: what it needs is there, and it suits the kind of task."""
        ...

    def default(self, problem: Problem) -> Config:
        """Return its options of the default configuration."""
        ...

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
        """Train until the stop rows say so, or the budget ends.

        Args:
            task: Its kind, classes and metric choose the loss.
            config: The whole configuration.
            train: Training rows.
            stop: Rows that end the training.
            seed: Seed of everything random.
            budget: Ends training; the best state so far is kept.
            progress: Called now and then.

        Raises:
            BudgetExhausted: Nothing useful was trained.
        """
        ...

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
    ) -> LearnedModel | None:
        """Train on all labelled rows for as many rounds as were best, with as many members.

        Returns:
            The model, or None where the budget ended first or there is nothing to train.
        """
        ...

    def load(self, folder: Path) -> LearnedModel:
        """Return the model that `LearnedModel.save` wrote."""
        ...
