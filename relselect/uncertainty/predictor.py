"""What a predictor says of its own uncertainty, from its select rows; `relselect.fitted.Fitted` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.errors import TaskError
from relselect.families.predictor import TrainedPredictor
from relselect.problem.rows import fit_rows
from relselect.uncertainty.intervals import ResidualIntervals
from relselect.uncertainty.probabilities import ProbabilityScale

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from relselect.database import Database
    from relselect.problem import Problem
    from relselect.tasks.splits import Split
    from relselect.uncertainty.intervals import Coverage

__all__ = ["KnowsItsErrors"]


class KnowsItsErrors(TrainedPredictor):
    """A predictor that gives intervals and calibrated probabilities.

    Both rest on the predictions of the validated state for the select rows. The deployed state, which has seen these rows too, is
    taken to be as good, not better.
    """

    def coverage(self, split: Split = "test", *, interval: float = 0.9, database: Database | None = None) -> Coverage:
        """Return how often the intervals of a regression hold the labels of a split.

        Args:
            split: The split; the intervals rest on a part of "val", where they hold by construction.
            interval: The share of labels that they are to hold.
            database: The database to read; the one trained on if None.

        Raises:
            TaskError: The task is no regression, has no such split, or too few rows chose the model for such intervals.
            ConfigError: The level is no share between 0 and 1.
        """
        problem = self.problem(database)
        rows = problem.rows(split)
        predictions = self.family.predict(self.state_for(split), problem, rows.unlabelled())
        labels = np.full(len(rows), np.nan) if rows.label is None else rows.label
        return self._intervals(problem).coverage(labels, predictions, interval)

    def _intervals(self, problem: Problem) -> ResidualIntervals:
        if self.task.kind != "regression":
            fix = "Read the probabilities, or ask for calibrated=True"
            raise TaskError("interval", self.task.name, "is no regression, and intervals are of numbers", fix)
        return ResidualIntervals(self._select_labels(problem), self.candidate.predictions)

    def _scale(self, problem: Problem) -> ProbabilityScale:
        if self.task.kind == "regression":
            rule = "is a regression, which has no probabilities"
            raise TaskError("calibrated", self.task.name, rule, "Ask for interval=0.9")
        return ProbabilityScale(self._select_labels(problem).astype(int), self.candidate.predictions)

    def _select_labels(self, problem: Problem) -> NDArray[np.float64]:
        """Return the labels of the rows that `candidate.predictions` are of."""
        labels = fit_rows(problem, self.validation_way).select.label
        if labels is None or len(labels) != len(self.candidate.predictions):
            rule = "has other validation rows than the predictor was chosen by"
            raise TaskError("task", self.task.name, rule, "Bind the database that it was trained on")
        return labels

    def _with_interval(
        self, frame: pd.DataFrame, values: NDArray[np.float64], problem: Problem, level: float
    ) -> pd.DataFrame:
        """Return a frame with the columns `low` and `high` of an interval around its predictions."""
        low, high = self._intervals(problem).around(values, level)
        return frame.assign(low=low, high=high)
