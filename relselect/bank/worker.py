"""What a worker does: opens a task of the manifest, measures it once, and makes the trials of a job one after another.

A worker is handed paths and names and returns ids; everything else goes through the bank's folder.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relselect.bank.claims import MOST_DEATHS, Claims
from relselect.bank.configurations import bank_configurations
from relselect.bank.folder import BankFolder
from relselect.bank.jobs import BankJob
from relselect.bank.manifest import BankManifest, BankSource, read_bank_manifest
from relselect.bank.measured import Asked, failed_trial, labels_of, measure_trial
from relselect.bank.rows import BankTask, task_id
from relselect.bank.sources import OpenedSource, licence_of, opened
from relselect.budget import Budget
from relselect.errors import BankError, LeakWarning, UnwritableError
from relselect.events import silent
from relselect.families.registry import baselines, family_of
from relselect.problem import LABELS, Problem
from relselect.problem.rows import SplitRows, fit_rows
from relselect.profile import profile_task
from relselect.threads import limited_threads

if TYPE_CHECKING:
    from relselect.families.candidate import Config
    from relselect.tasks.splits import Split

__all__ = ["JobDone", "claims_of", "run_job"]

#: Seconds beyond twice the cap after which the claim of another machine is stale.
_GRACE = 600.0


@dataclass(frozen=True)
class JobDone:
    """What came of a job.

    Attributes:
        job: The job.
        trials: Ids of the trials that are in the bank now, failed ones included.
        elsewhere: Trials that another process is fitting.
        refused: Why the task was not taken; "" if it was.
    """

    job: BankJob
    trials: tuple[str, ...] = ()
    elsewhere: int = 0
    refused: str = ""


def run_job(manifest: str, bank: str, job: BankJob) -> JobDone:
    """Make the trials of a job that the bank lacks.

    Args:
        manifest: Path of the manifest of the build.
        bank: The bank's folder.
        job: What to do.

    Raises:
        UnwritableError: The bank cannot be written; what was finished is kept.
        BankError: A file of the bank cannot be read.
    """
    plan, folder = read_bank_manifest(manifest), BankFolder.existing(Path(bank))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeakWarning)  # findings refuse the task below
            with limited_threads(plan.threads):
                opening = _Opening.of(plan, opened(manifest, job.database), job, folder)
    except (UnwritableError, BankError):
        raise
    except Exception as error:  # whatever a source raises: one unreadable database does not end the build
        return JobDone(job, refused=f"{type(error).__name__}: {error}")
    if opening.refused:
        return JobDone(job, refused=opening.refused)
    return opening.made()


def claims_of(folder: BankFolder, plan: BankManifest) -> Claims:
    """Return the claims of a bank."""
    return Claims(folder.path / "loose" / "claims", 2 * plan.cap_seconds + _GRACE)


@dataclass(frozen=True)
class _Opening:
    """A job whose task is open."""

    plan: BankManifest
    folder: BankFolder
    job: BankJob
    problem: Problem
    rows: SplitRows
    task: BankTask
    refused: str = ""

    @classmethod
    def of(cls, plan: BankManifest, source: OpenedSource, job: BankJob, folder: BankFolder) -> _Opening:
        problem = Problem(source.database, source.task(job.task))
        rows = fit_rows(problem, plan.validation)
        wanted = task_id(
            database=job.database,
            name=job.task,
            database_fingerprint=problem.user_database.fingerprint,
            task_fingerprint=problem.task.fingerprint,
            validation=rows.validation.way,
        )
        known = {task.id: task for task in folder.tasks()}
        if wanted in known:
            return cls(plan, folder, job, problem, rows, known[wanted])
        task, refused = _measured_task(plan, source, job, problem, rows, wanted)
        if not refused:
            test = problem.rows("test") if problem.task.has_test else None
            folder.add_task(task, labels_of(wanted, rows, test, plan.most_rows))
        return cls(plan, folder, job, problem, rows, task, refused)

    def made(self) -> JobDone:
        """Make the trials that the bank lacks, each written as soon as it is finished."""
        known = {trial.id for trial in self.folder.trials()}
        configs: dict[str, list[Asked]] = {}
        claims, done, elsewhere = claims_of(self.folder, self.plan), [], 0
        for each in self.job.trials:
            if each.family not in configs:
                configs[each.family] = self._asked(each.family)
            if each.number >= len(configs[each.family]):
                continue  # the space of this family is smaller
            asked = configs[each.family][each.number].with_seed(each.seed)
            row = asked.row
            if row.id not in known:
                with claims.claim(row.id) as mine:
                    if not mine:
                        elsewhere += 1
                        continue
                    self._make(asked, claims.deaths(row.id))
            done.append(row.id)
        return JobDone(self.job, tuple(done), elsewhere)

    def _make(self, asked: Asked, deaths: int) -> None:
        if deaths >= MOST_DEATHS:
            why = (
                f"the worker died {deaths} times during this trial: the machine has too little memory for it, as a rule"
            )
            self.folder.add_trial(failed_trial(asked, why), None)
            return
        self.folder.add_trial(*measure_trial(asked, self.problem, self.rows))

    def _asked(self, family: str) -> list[Asked]:
        found = bank_configurations(family_of(family), self.problem, self.plan.configurations)
        return [
            Asked(
                task=self.task,
                family=family,
                config=config,
                number=number,
                role=role,
                seed=self.plan.seeds[0],
                cap=self.plan.cap_seconds,
                threads=self.plan.threads,
                most_rows=self.plan.most_rows,
            )
            for number, (config, role) in enumerate(found)
        ]


def _measured_task(
    plan: BankManifest, source: OpenedSource, job: BankJob, problem: Problem, rows: SplitRows, wanted: str
) -> tuple[BankTask, str]:
    """Return the row of a task with its profile, and why it is refused, "" if it is not."""
    profile = profile_task(problem)
    declared = plan.databases.get(job.database, BankSource())
    accepted = declared.accept.get(job.task, "")
    refused = ""
    if profile.leaks.open and not accepted:
        shown = "; ".join(str(finding) for finding in profile.leaks.open[:3])
        refused = (
            f"the leak checks have open findings: {shown} Mend them, or accept the task with a reason in the manifest."
        )
    task, database = problem.task, problem.user_database
    splits = {split: len(frame) for split, frame in task.splits.items()}
    reference = _references(problem, rows)
    row = BankTask(
        id=wanted,
        database=job.database,
        name=job.task,
        origin=plan.origin,
        kind=task.kind,
        metric=task.metric.name,
        regime="static" if task.static else task.regime,
        label_history=LABELS in problem.database.tables,
        refitted_over_time=False,
        validation=rows.validation.way,
        database_fingerprint=database.fingerprint,
        task_fingerprint=task.fingerprint,
        entity=task.entity,
        classes=len(task.classes or ()) if task.kind == "multiclass" else 0,
        train_rows=splits["train"],
        stop_rows=len(rows.stop),
        select_rows=len(rows.select),
        test_rows=splits.get("test", 0),
        database_rows=sum(table.num_rows for table in database.tables.values()),
        tables=len(database.tables),
        reference_select=reference["select"],
        reference_test=reference["test"],
        bayes_val=_bayes(source, job.task, "val"),
        bayes_test=_bayes(source, job.task, "test"),
        licence=licence_of(plan, job.database),
        shares_rows=declared.shares_rows,
        facts={**source.facts, **({"accepted": accepted} if accepted else {})},
        profile=profile.to_json(),
    )
    return row, refused


def _references(problem: Problem, rows: SplitRows) -> dict[str, float]:
    """Return the score of the first baseline's default, the training constant, on select and test rows."""
    family = family_of(baselines()[0])
    config: Config = family.default(problem)
    constant = family.fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent)
    found = {"select": constant.score, "test": float("nan")}
    if problem.task.has_test:
        test = problem.rows("test")
        if test.label is not None:
            predicted = family.predict(constant, problem, test.unlabelled())
            found["test"] = problem.task.metric.score(test.label, predicted)
    return found


def _bayes(source: OpenedSource, task: str, split: Split) -> float:
    return float(source.bayes.get(task, {}).get(split, float("nan")))
