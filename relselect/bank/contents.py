"""What a bank holds: rows in memory, labels and predictions in its folders. Nothing here changes or judges them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from relselect.bank.arrays import LabelledPart, Part
from relselect.bank.folder import BankFolder, best_of_each
from relselect.bank.rows import BankTask, BankTrial
from relselect.hashing import fingerprint_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BankContents"]


class BankContents:
    """Tasks, trials, and where their labels and predictions lie.

    Args:
        tasks: The tasks.
        trials: Their trials; a trial of a task that is not there is left out.
        folders: Where labels and predictions lie.

    Attributes:
        tasks: The tasks, by id.
        trials: The trials, by id.
        folders: Where labels and predictions lie.
    """

    def __init__(
        self, tasks: Iterable[BankTask], trials: Iterable[BankTrial], folders: Sequence[BankFolder] = ()
    ) -> None:
        self.tasks = tuple(best_of_each(list(tasks)))
        known = {task.id for task in self.tasks}
        self.trials = tuple(trial for trial in best_of_each(list(trials)) if trial.task in known)
        self.folders = tuple(dict.fromkeys(folders))

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def databases(self) -> tuple[str, ...]:
        """Names of the databases, sorted."""
        return tuple(sorted({task.database for task in self.tasks}))

    @cached_property
    def task_of(self) -> Mapping[str, BankTask]:
        """Task id -> task."""
        return {task.id: task for task in self.tasks}

    @cached_property
    def trials_of(self) -> Mapping[str, tuple[BankTrial, ...]]:
        """Task id -> its trials."""
        found: dict[str, list[BankTrial]] = {task.id: [] for task in self.tasks}
        for trial in self.trials:
            found[trial.task].append(trial)
        return {task: tuple(trials) for task, trials in found.items()}

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of all rows: banks of equal content teach equal selectors."""
        return fingerprint_json([[row.to_json() for row in rows] for rows in (self.tasks, self.trials)])

    def labels(self, task: str) -> dict[Part, LabelledPart] | None:
        """Return labels and clusters of a task's select and test rows; None where no folder keeps them."""
        found = [labels for folder in self.folders if (labels := folder.labels(task)) is not None]
        return max(found, key=lambda labels: len(labels["test"]), default=None)

    def predictions(self, task: str) -> dict[str, dict[Part, NDArray[np.float32]]]:
        """Return trial id -> predictions of the select and test rows of one task, in the order of `labels`.

        A bank that was cut down keeps the first rows only, so arrays of several folders may differ in length.
        """
        wanted = [trial.id for trial in self.trials_of[task]]
        found: dict[str, dict[Part, NDArray[np.float32]]] = {}
        for folder in self.folders:
            for trial, parts in folder.predictions(task, wanted).items():
                if trial not in found or len(parts["test"]) > len(found[trial]["test"]):
                    found[trial] = parts
        return found
