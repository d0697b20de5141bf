"""Tasks: populations, labels, splits and regimes, metrics."""

from relselect.tasks.kinds import TaskKind
from relselect.tasks.metrics import Metric
from relselect.tasks.rows import Rows
from relselect.tasks.task import Task

__all__ = ["Metric", "Rows", "Task", "TaskKind"]
