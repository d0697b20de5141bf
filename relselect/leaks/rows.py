"""Finds rows that two splits share, rows that repeat, and columns named like the label.

It compares entities and cutoffs only; labels and features of the rows are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.leaks.finding import Finding, Severity
from relselect.problem import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.problem import Problem
    from relselect.tasks import Rows
    from relselect.tasks.splits import Split

__all__ = ["check_label_names", "check_rows"]


def check_rows(problem: Problem) -> list[Finding]:
    """Return the findings `repeated_rows` in train and `rows_shared_with_training` in validation and test.

    Two rows are equal when they have the same entity and cutoff; in a static task, the same entity.
    """
    found = []
    train = _keys(problem, problem.rows("train"))
    twice = len(train) - len(np.unique(train))
    if twice:
        text = f"{twice:,} of {len(train):,} training rows repeat an entity and date"
        found.append(
            Finding("repeated_rows", "info", "train", text, "Keep one row of each, or give them weight on purpose")
        )
    splits: list[Split] = ["val", "test"] if problem.task.has_test else ["val"]
    for split in splits:
        keys = _keys(problem, problem.rows(split))
        shared = int(np.isin(keys, train).sum())
        if shared:
            what = "entity" if problem.task.static else "entity and date"
            text = f"{shared:,} of {len(keys):,} {split} rows have the {what} of a training row"
            found.append(
                Finding("rows_shared_with_training", "warning", split, text, "Take them out of one of the two")
            )
    return found


def _keys(problem: Problem, rows: Rows) -> NDArray[np.int64]:
    """Return one number per (entity, cutoff), shape (rows with a known entity,)."""
    known = rows.entity >= 0
    if problem.task.static:
        return rows.entity[known]
    _, moment = np.unique(rows.cutoff[known], return_inverse=True)
    dates = {int(date): number for number, date in enumerate(np.unique(_cutoffs(problem)))}
    numbers = np.array([dates[int(date)] for date in np.unique(rows.cutoff[known])], dtype=np.int64)
    return rows.entity[known] * np.int64(len(dates)) + (numbers[moment.reshape(-1)] if len(numbers) else 0)


def _cutoffs(problem: Problem) -> NDArray[np.int64]:
    return np.concatenate([problem.rows(split).cutoff for split in problem.task.splits])


def check_label_names(problem: Problem) -> list[Finding]:
    """Return the finding `column_named_like_label` for every column that has the name of the task's target."""
    found: list[Finding] = []
    if problem.task.query is not None and problem.task.population is not None:
        return found  # the label of a predictive query has a name that nobody chose
    for name, table in problem.database.tables.items():
        if name == LABELS:
            continue
        for column in table.columns:
            if column.lower() == problem.task.target.lower() and column not in table.structural:
                masked = table.clock_of(column) is not None
                text = f"has the name of the task's label{' and is masked until its clock' if masked else ''}"
                severity: Severity = "info" if masked or table.time is not None else "warning"
                fix = "Make sure that it is known at the row's time; else declare known_at or drop it"
                found.append(Finding("column_named_like_label", severity, f"{name}.{column}", text, fix))
    return found
