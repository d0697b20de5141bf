"""Builds the example tasks of a proposal: the first candidates whose labels can be computed and differ in every split."""

from __future__ import annotations

from itertools import islice

import numpy as np

from relselect.database import Database
from relselect.errors import UserError
from relselect.proposal.examples import Example, completion_examples, timed_examples
from relselect.tasks import Task

__all__ = ["built_examples"]

#: The number of candidates that are tried for each example.
_TRIES = 6


def built_examples(database: Database) -> tuple[list[Example], list[Task], list[str]]:
    """Return a classification and a regression task that can be built, and a note on each candidate that cannot."""
    notes: list[str] = []
    for pair in islice(timed_examples(database), _TRIES):
        built = [(example, task) for example in pair if (task := _built(database, example, notes)) is not None]
        if built:
            return [example for example, _ in built], [task for _, task in built], notes
    if database.time_kind is not None:
        notes.append("No example asks about the future: no timed table has enough that comes again all over its time.")
    examples, tasks = [], []
    for candidates in completion_examples(database):
        for example in candidates[:_TRIES]:
            task = _built(database, example, notes)
            if task is not None:
                examples.append(example)
                tasks.append(task)
                break
    if not examples:
        notes.append("No example task was found: too few rows, or nothing that comes again. Write one under `tasks:`.")
    return examples, tasks, notes


def _built(database: Database, example: Example, notes: list[str]) -> Task | None:
    """Return the task if it can be built and every split has at least two distinct labels; else add a note."""
    name, spec = example
    try:
        task = Task.from_spec(database, spec, name)
    except UserError as error:
        notes.append(f"The example {name} was left out: {error}")
        return None
    flat = [split for split, frame in task.splits.items() if len(np.unique(frame.label)) < 2]
    if flat or not task.has_test:
        notes.append(f"The example {name} was left out: its labels are all the same in {', '.join(flat) or 'no test'}.")
        return None
    return task
