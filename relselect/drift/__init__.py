"""Between training and scoring: what a predictor needs of a database, and what has changed since it was trained."""

from __future__ import annotations

from relselect.drift.findings import Drift, Finding, Severity, changed_data, changed_shapes
from relselect.drift.needs import Needs, needs_of
from relselect.drift.reading import Reading, read_for
from relselect.drift.snapshot import ColumnFacts, Shape, Snapshot

__all__ = [
    "ColumnFacts",
    "Drift",
    "Finding",
    "Needs",
    "Reading",
    "Severity",
    "Shape",
    "Snapshot",
    "changed_data",
    "changed_shapes",
    "needs_of",
    "read_for",
]
