"""The declaration of a task; defined beside the manifest, which holds it, and found here by those who build tasks."""

from __future__ import annotations

from relselect.database.task_spec import LabelFiles, TaskSpec

__all__ = ["LabelFiles", "TaskSpec"]
