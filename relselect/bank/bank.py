"""`PerformanceBank`: the tasks and trials of one or several folders, to filter, merge, check, query and show.

A bank in memory never changes; what adds to one is a `BankFolder`. Nothing here trains or judges policies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from relselect.bank.arrays import LabelledPart
from relselect.bank.checks import problems_of
from relselect.bank.contents import BankContents
from relselect.bank.evidence import evidence_of
from relselect.bank.folder import BankFolder
from relselect.bank.pairs import PairEvidence
from relselect.bank.rows import BankTask, BankTrial, Origin
from relselect.bank.summary import coverage_html, title_of, to_duckdb
from relselect.errors import BankError

if TYPE_CHECKING:
    import duckdb

__all__ = ["PerformanceBank"]


class PerformanceBank(BankContents):
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

    @classmethod
    def open(cls, path: str | Path) -> PerformanceBank:
        """Open the bank in a folder.

        Raises:
            BankError: There is none, it is of another format, or a file cannot be read.
        """
        folder = BankFolder.existing(Path(path))
        return cls(folder.tasks(), folder.trials(), [folder])

    def __repr__(self) -> str:
        return f"PerformanceBank({title_of(self)})"

    def _repr_html_(self) -> str:
        return coverage_html(self)

    @cached_property
    def evidence(self) -> tuple[PairEvidence, ...]:
        """The defaults of every two trained families compared on every task and seed; see `relselect.bank.evidence`."""
        return tuple(evidence_of(self))

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
        """Return the bank without trials of earlier generations of the families that are registered, and of earlier defaults.

        Where a task has several defaults of one family, seed and generation, because options were added to it, the one that was
        begun last is the default; a finished one goes before a failed one.
        """
        from relselect.families.registry import family_infos

        found = self.filter(generations={info.name: info.generation for info in family_infos()})
        latest: dict[tuple[str, str, int, int], BankTrial] = {}
        for trial in sorted(found.trials, key=lambda each: (not each.failed, each.begun, each.id)):
            if trial.role == "default":
                latest[trial.task, trial.family, trial.seed, trial.generation] = trial
        kept = {trial.id for trial in latest.values()}
        return found.filter(trial=lambda each: each.role != "default" or each.id in kept)

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
        folder.write_evidence(self.evidence)
        folder.pack()
        return PerformanceBank.open(path)


def _cut(part: LabelledPart, most: int | None) -> LabelledPart:
    return replace(part, label=part.label[:most], cluster=part.cluster[:most])
