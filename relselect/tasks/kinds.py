"""The kinds of task."""

from __future__ import annotations

from typing import Final, Literal, get_args

__all__ = ["TASK_KINDS", "TaskKind"]

TaskKind = Literal["binary", "multiclass", "regression"]
TASK_KINDS: Final[tuple[TaskKind, ...]] = get_args(TaskKind)
