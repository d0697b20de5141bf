"""Tasks: who is asked about, when, what, and by which rules of time."""

from relselect.tasks.metrics import Metric
from relselect.tasks.rows import Rows
from relselect.tasks.task import Task

__all__ = ["Metric", "Rows", "Task"]
