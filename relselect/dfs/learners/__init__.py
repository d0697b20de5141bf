"""What learns from a feature matrix: a protocol, and the learners that follow it."""

from relselect.dfs.learners.protocol import LearnedModel, Learner, LearnerFit, TabularData
from relselect.dfs.learners.registry import LEARNERS, learner_of

__all__ = ["LEARNERS", "LearnedModel", "Learner", "LearnerFit", "TabularData", "learner_of"]
