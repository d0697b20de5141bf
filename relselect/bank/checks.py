"""Checks of a bank: every problem at once, as sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from relselect.bank.rows import trial_id
from relselect.hashing import sha256_of_file

if TYPE_CHECKING:
    from relselect.bank.contents import BankContents
    from relselect.bank.rows import BankTask, BankTrial

__all__ = ["problems_of"]


def problems_of(bank: BankContents) -> list[str]:
    """Return what is wrong with a bank, one sentence each."""
    found = list(_damaged_files(bank))
    for task in bank.tasks:
        found += _of_task(bank, task)
    for trial in bank.trials:
        found += _of_trial(trial)
    return found


def _damaged_files(bank: BankContents) -> Iterator[str]:
    for folder in bank.folders:
        for name, digest in folder.manifest()["files"].items():
            place = folder.path / name
            if not place.is_file():
                yield f"{place} is missing."
            elif sha256_of_file(place) != digest:
                yield f"{place} is not the file that was packed: its sha256 differs."


def _of_task(bank: BankContents, task: BankTask) -> Iterator[str]:
    if task.kind not in ("binary", "multiclass", "regression"):
        yield f"Task {task.title} ({task.id}) is of the unknown kind {task.kind!r}."
    labels = bank.labels(task.id)
    if labels is None:
        return
    for trial, parts in bank.predictions(task.id).items():
        for part, values in parts.items():
            if len(values) > len(labels[part]):
                yield f"Trial {trial} of {task.title} has {len(values)} {part} predictions for {len(labels[part])} labels."


def _of_trial(trial: BankTrial) -> Iterator[str]:
    expected = trial_id(
        task=trial.task, family=trial.family, config=trial.config, seed=trial.seed, generation=trial.generation
    )
    if trial.role != "imported" and trial.id != expected:
        yield f"Trial {trial.id} should have the id {expected}: its row was changed."
    if not trial.failed and math.isnan(trial.test_score) and math.isnan(trial.select_score):
        yield f"Trial {trial.id} has neither scores nor an error."
