"""`PerformanceBank`: the tasks and trials of one or several folders, to filter, merge, check, query and show.

A bank in memory never changes; what adds to one is a `BankFolder`. Nothing here trains or judges policies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from relselect.bank.arrays import LabelledPart, Part
from relselect.bank.checks import problems_of
from relselect.bank.folder import BankFolder, best_of_each
from relselect.bank.rows import BankTask, BankTrial, Origin
from relselect.errors import BankError
from relselect.hashing import fingerprint_json

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PerformanceBank"]


class PerformanceBank:
    """Tasks with their profiles, and trials with their scores, seconds and predictions.

    Args:
        tasks: The tasks.
        trials: Their trials; a trial of a task that is not there is left out.
        folders: Where labels and predictions lie.

    Attributes:
        tasks: The tasks, by id.
        trials: The trials, by id.
        folders: Where labels and predictions lie.

    Example:
        >>> bank = PerformanceBank([], [])
        >>> len(bank), bank.databases
        (0, ())
    """

    def __init__(
        self, tasks: Iterable[BankTask], trials: Iterable[BankTrial], folders: Sequence[BankFolder] = ()
    ) -> None:
        self.tasks = tuple(best_of_each(list(tasks)))
        known = {task.id for task in self.tasks}
        self.trials = tuple(trial for trial in best_of_each(list(trials)) if trial.task in known)
        self.folders = tuple(dict.fromkeys(folders))

    @classmethod
    def open(cls, path: str | Path) -> PerformanceBank:
        """Open the bank in a folder.

        Raises:
            BankError: There is none, it is of another format, or a file cannot be read.
        """
        folder = BankFolder.existing(Path(path))
        return cls(folder.tasks(), folder.trials(), [folder])

    def __len__(self) -> int:
        return len(self.trials)

    def __repr__(self) -> str:
        failed = sum(trial.failed for trial in self.trials)
        return (
            f"PerformanceBank({len(self.tasks)} tasks of {len(self.databases)} databases, {len(self.trials)} trials"
            f"{f', {failed} failed' if failed else ''})"
        )

    def _repr_html_(self) -> str:
        from relselect.bank.summary import coverage_html

        return coverage_html(self)

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

    def filter(
        self,
        *,
        databases: Iterable[str] | None = None,
        origin: Origin | None = None,
        families: Iterable[str] | None = None,
        generations: Mapping[str, int] | None = None,
        task: Callable[[BankTask], bool] | None = None,
        trial: Callable[[BankTrial], bool] | None = None,
    ) -> PerformanceBank:
        """Return the part of the bank that satisfies every condition given.

        Args:
            databases: Names of databases.
            origin: "real", "synthetic" or "imported".
            families: Names of families; trials of others are left out.
            generations: Family -> generation; trials of other generations of these families are left out.
            task: Returns whether a task stays.
            trial: Returns whether a trial stays.
        """
        named = None if databases is None else set(databases)
        known = None if families is None else set(families)
        tasks = [
            each
            for each in self.tasks
            if (named is None or each.database in named)
            and (origin is None or each.origin == origin)
            and (task is None or task(each))
        ]
        trials = [
            each
            for each in self.trials
            if (known is None or each.family in known)
            and (generations is None or generations.get(each.family, each.generation) == each.generation)
            and (trial is None or trial(each))
        ]
        return PerformanceBank(tasks, trials, self.folders)

    def current(self) -> PerformanceBank:
        """Return the bank without trials of earlier generations of the families that are registered."""
        from relselect.families.registry import family_infos

        return self.filter(generations={info.name: info.generation for info in family_infos()})

    def merge(self, *others: PerformanceBank) -> PerformanceBank:
        """Return the bank with the rows of all; of rows with one id a finished trial is kept before a failed one.

        Merging is associative and commutative in its rows.
        """
        banks = (self, *others)
        return PerformanceBank(
            [task for bank in banks for task in bank.tasks],
            [trial for bank in banks for trial in bank.trials],
            [folder for bank in banks for folder in bank.folders],
        )

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

    def validate(self) -> None:
        """Check ids, references, scores, arrays and the hashes of packed files.

        Raises:
            BankError: With every problem found.
        """
        problems = problems_of(self)
        if problems:
            listed = "\n".join(f"  - {each}" for each in problems)
            rule = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}:\n{listed}\n"
            raise BankError("bank", repr(self), rule, "Build the rows named above again")

    def to_duckdb(self, path: str | Path | None = None) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection with the tables `tasks`, `trials` and `measures` (task, name, value, stderr).

        Args:
            path: A database file to write; None for one in memory.

        Raises:
            UnwritableError: The file cannot be written.
        """
        from relselect.bank.summary import to_duckdb

        return to_duckdb(self, None if path is None else Path(path))

    def save(self, path: str | Path, *, shareable: bool = False, most_rows: int | None = None) -> PerformanceBank:
        """Write the bank to a folder, packed, and open it; rows that are there already are kept.

        Args:
            path: The folder.
            shareable: Whether labels and predictions of data that must not be handed on are left out.
            most_rows: Rows kept of each part of each task; None for all. They are a uniform sample.

        Raises:
            BankError: The folder holds something else.
            UnwritableError: It cannot be written.
        """
        folder = BankFolder.made(Path(path))
        for task in self.tasks:
            kept = task.shares_rows or not shareable
            labels = self.labels(task.id) if kept else None
            folder.add_task(task, None if labels is None else {name: _cut(p, most_rows) for name, p in labels.items()})
            arrays = self.predictions(task.id) if kept else {}
            for trial in self.trials_of[task.id]:
                parts = arrays.get(trial.id)
                cut = None if parts is None else {name: values[:most_rows] for name, values in parts.items()}
                folder.add_trial(trial, cut)
        folder.pack()
        return PerformanceBank.open(path)


def _cut(part: LabelledPart, most: int | None) -> LabelledPart:
    return replace(part, label=part.label[:most], cluster=part.cluster[:most])
