"""The fit where there is nothing to learn: no feature, or one label only. Every learner asks for it first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.dfs.learners.labels import constant_of
from relselect.dfs.learners.protocol import LearnerFit, TabularData
from relselect.dfs.learners.trees import Trees
from relselect.families.candidate import LearningCurve

if TYPE_CHECKING:
    from relselect.families.candidate import Config
    from relselect.tasks import Task

__all__ = ["constant_fit"]


def constant_fit(task: Task, config: Config, train: TabularData) -> LearnerFit | None:
    """Return the fit of a constant where the rows have no feature or one label only; None where there is something to learn."""
    if train.features.values.shape[1] and len(np.unique(train.label)) >= 2:
        return None
    constant = Trees((), constant_of(task, config, train.label, train.weights))
    return LearnerFit(constant, 0, LearningCurve("round", "stop", ()), "constant", 0.0, 0)
