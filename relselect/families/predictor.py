"""What a trained predictor has, as the rooms see it that explain it or say how sure it is; `relselect.fitted.Fitted` is one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family
    from relselect.problem import Problem
    from relselect.problem.validation import ValidationWay
    from relselect.tasks import Task

__all__ = ["TrainedPredictor"]


class TrainedPredictor(ABC):
    """A task, the family of a model, and the model's two states: validated and deployed.

    Attributes:
        task: The task.
        family: The family of its model.
    """

    task: Task
    family: Family

    @property
    @abstractmethod
    def candidate(self) -> Candidate:
        """What was validated: its model has seen no validation row."""

    @property
    @abstractmethod
    def validation_way(self) -> ValidationWay:
        """How validation rows were divided into stop and select rows."""

    @abstractmethod
    def state_for(self, split: str | None) -> Candidate:
        """Return the state that predicts the rows of a split."""

    @abstractmethod
    def problem(self, database: Database | None = None) -> Problem:
        """Return the task bound to a database: the given one, or the one trained on."""
