"""Scoring on a live database: the data that a predictor needs, and what has changed since training."""

from __future__ import annotations

from relselect.drift.changes import Change, ChangeSeverity, DatabaseDrift, changed_data, changed_schemas
from relselect.drift.needs import Needs, needs_of
from relselect.drift.scoring_data import ScoringData, read_scoring_data
from relselect.drift.snapshot import ColumnSummary, TrainingSnapshot

__all__ = [
    "Change",
    "ChangeSeverity",
    "ColumnSummary",
    "DatabaseDrift",
    "Needs",
    "ScoringData",
    "TrainingSnapshot",
    "changed_data",
    "changed_schemas",
    "needs_of",
    "read_scoring_data",
]
