"""Prediction intervals and calibrated probabilities, from the rows that neither trained nor stopped a model."""

from relselect.uncertainty.intervals import Coverage, ResidualIntervals
from relselect.uncertainty.probabilities import ProbabilityScale

__all__ = ["Coverage", "ProbabilityScale", "ResidualIntervals"]
