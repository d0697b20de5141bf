"""`build_bank`: makes every trial of a manifest that a bank lacks, with joblib's workers, and goes on after any interruption.

Which trials there are is `jobs`' business, how one is made that of `worker`.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relselect.bank.bank import PerformanceBank
from relselect.bank.folder import BankFolder
from relselect.bank.jobs import BankJob, TrialPlan, jobs_of
from relselect.bank.manifest import BankManifest, read_bank_manifest
from relselect.bank.rows import BankTask, BankTrial
from relselect.bank.sources import databases_of, task_names
from relselect.bank.worker import JobDone, claims_of, run_job
from relselect.counts import check_count
from relselect.errors import ConfigError, MissingExtra, RelSelectError
from relselect.events import BankProgress, Emit, Notice
from relselect.families.registry import baselines, info_of, trained, trained_names
from relselect.files import unwritable, write_json
from relselect.hashing import fingerprint_json
from relselect.progress import watched
from relselect.threads import wait_passively

__all__ = ["BankBuild", "build_bank"]

#: joblib backend -> module and function that make it known.
_BACKENDS = {
    "ray": ("ray.util.joblib", "register_ray"),
    "spark": ("joblibspark", "register_spark"),
    "dask": ("distributed", ""),
}
#: Names of the errors by which backends say that a worker was lost, not that its work raised.
_WORKER_LOST = {
    "TerminatedWorkerError", "BrokenProcessPool", "ActorDiedError", "RayActorError", "WorkerCrashedError", "KilledWorker",
}  # fmt: skip
#: Pools in a row that ended without a finished job, after which a build gives up.
_MOST_POOLS = 5


@dataclass(frozen=True)
class BankBuild:
    """What a build gave.

    Attributes:
        bank: The bank, packed.
        added: Trials that this build added.
        failed: Trials of the manifest that failed, with their reasons in the bank.
        elsewhere: Trials that another builder is making.
        refused: Database and task -> why it was not taken.
        seconds: Wall-clock seconds.
    """

    bank: PerformanceBank
    added: int
    failed: int
    elsewhere: int
    refused: dict[tuple[str, str], str]
    seconds: float


def build_bank(
    manifest: str | Path | BankManifest,
    bank: str | Path,
    *,
    n_jobs: int = 1,
    backend: str = "loky",
    on_event: Emit | None = None,
    progress: bool | None = None,
) -> BankBuild:
    """Make every trial of a manifest that the bank lacks, the defaults of all tasks first.

    Each trial runs to its natural end under the manifest's cap and is written as soon as it is finished: the same call goes on
    after a kill. Two builders may work on one folder and share the trials. A failed trial is a row with its reason and is not
    repeated; a task with open findings of the leak checks is refused unless the manifest accepts it with a reason.

    Args:
        manifest: What to build, or the YAML file that says it.
        bank: The bank's folder, made where there is none.
        n_jobs: Workers; with one, everything happens in this process.
        backend: joblib's backend: "loky" for processes of this machine; "ray", "dask" or "spark" for a cluster that is connected,
            which must see both paths.
        on_event: Called with `BankProgress` after every job, and with a `Notice` for every refused task.
        progress: Whether a line in the terminal or the notebook shows how far it is; None for yes where there is no `on_event`.
            Events go to the logger "relselect" in any case.

    Returns:
        The bank and what was added.

    Raises:
        ConfigError: The manifest or an option is not understood.
        BankError: The folder holds something else, or a file of the bank cannot be read.
        UnwritableError: The disk is full or the folder cannot be written; what was finished is kept.
        RelSelectError: Workers were lost again and again before any finished a job.
    """
    wait_passively()
    n_jobs = check_count("n_jobs", n_jobs)
    plan = manifest if isinstance(manifest, BankManifest) else read_bank_manifest(manifest)
    folder = BankFolder.made(Path(bank))
    place = folder.path / "builds" / f"{plan.name}-{fingerprint_json(plan.model_dump())[:8]}.json"
    with unwritable("bank", folder.path):
        write_json(place, plan.model_dump())
    with watched(on_event, progress) as emit:
        return _Build(plan, str(place), folder, n_jobs, backend, emit).run()


class _Build:
    """One call of `build_bank`."""

    def __init__(
        self, plan: BankManifest, place: str, folder: BankFolder, n_jobs: int, backend: str, emit: Emit
    ) -> None:
        self.plan, self.place, self.folder, self.n_jobs, self.emit = plan, place, folder, n_jobs, emit
        self.backend = _known_backend(backend)
        self.refused: dict[tuple[str, str], str] = {}
        self.elsewhere: dict[BankJob, int] = {}
        self.begun = time.monotonic()

    def run(self) -> BankBuild:
        jobs = self._jobs()
        self.planned = [(job, trial) for job in jobs for trial in job.trials]
        before = len(self.folder.trials())
        pending, pools = self._pending(jobs), 0
        self._report("")
        while pending:
            try:
                for done in self._parallel(pending):
                    pools = 0
                    pending = [job for job in pending if job != done.job]
                    self._note(done)
            except Exception as error:
                if type(error).__name__ not in _WORKER_LOST:
                    raise
                pools += 1
                if pools >= _MOST_POOLS:
                    raise RelSelectError(
                        f"workers were lost {pools} times before any finished a job: {error}"
                    ) from error
                claims_of(self.folder, self.plan).count_deaths()
                self.emit(
                    Notice("bank", f"A worker was lost ({type(error).__name__}); its trial is tried again.", "warning")
                )
        self.folder.pack()
        bank = PerformanceBank.open(self.folder.path)
        failed = sum(trial.failed for trial in self._found(bank.tasks, bank.trials).values())
        elsewhere = sum(self.elsewhere.values())
        return BankBuild(bank, len(bank) - before, failed, elsewhere, self.refused, time.monotonic() - self.begun)

    def _jobs(self) -> list[BankJob]:
        families = trained() if self.plan.families is None else trained_names(self.plan.families)
        tasks = []
        for name in databases_of(self.plan):
            try:
                tasks += [(name, task) for task in task_names(self.plan, self.place, name)]
            except Exception as error:  # whatever a source or a generator raises: the other databases are built
                self._refuse(name, "", f"{type(error).__name__}: {error}")
        return jobs_of(self.plan, tasks, families, baselines())

    def _pending(self, jobs: Sequence[BankJob]) -> list[BankJob]:
        """Return the jobs without the trials that are in the bank, whatever the content of their database is now."""
        found = self._found(self.folder.tasks(), self.folder.trials())
        left = [
            replace(job, trials=tuple(each for each in job.trials if (job.database, job.task, each) not in found))
            for job in jobs
        ]
        return [job for job in left if job.trials]

    def _found(
        self, tasks: Sequence[BankTask], trials: Sequence[BankTrial]
    ) -> dict[tuple[str, str, TrialPlan], BankTrial]:
        """Return the trials of the families' present generation by what was planned."""
        title = {task.id: (task.database, task.name) for task in tasks}
        wanted = {plan.family: info_of(plan.family).generation for _, plan in self.planned}
        return {
            (*title[each.task], TrialPlan(each.family, each.number, each.seed)): each
            for each in trials
            if each.task in title and wanted.get(each.family) == each.generation
        }

    def _parallel(self, pending: Sequence[BankJob]) -> Iterator[JobDone]:
        from joblib import Parallel, delayed, parallel_config

        calls = (delayed(run_job)(self.place, str(self.folder.path), job) for job in list(pending))
        options: dict[str, Any] = {"inner_max_num_threads": self.plan.threads} if self.backend == "loky" else {}
        with parallel_config(self.backend, n_jobs=self.n_jobs, **options):
            try:
                pool = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
            except (ValueError, NotImplementedError):  # this backend hands back all results at the end
                pool = Parallel(batch_size=1)
            yield from pool(calls)

    def _note(self, done: JobDone) -> None:
        if done.refused:
            self._refuse(done.job.database, done.job.task, done.refused)
        if done.elsewhere:
            self.elsewhere[done.job] = done.elsewhere
        self._report(f"{done.job.database}/{done.job.task}")

    def _refuse(self, database: str, task: str, why: str) -> None:
        if (database, task) not in self.refused:
            self.emit(Notice("bank", f"{database}{'/' if task else ''}{task} is not taken: {why}", "warning"))
        self.refused[database, task] = why

    def _report(self, detail: str) -> None:
        found = self._found(self.folder.tasks(), self.folder.trials())
        wanted = [(job.database, job.task, trial) for job, trial in self.planned]
        done = [found[each] for each in wanted if each in found]
        left = [each for each in wanted if each not in found and each[:2] not in self.refused]
        failed = sum(trial.failed for trial in done)
        seconds = time.monotonic() - self.begun
        self.emit(
            BankProgress(
                len(done), len(wanted), failed, len(self.refused), seconds, self._seconds_left(found, left), detail
            )
        )

    def _seconds_left(
        self, found: dict[tuple[str, str, TrialPlan], BankTrial], left: Sequence[tuple[str, str, TrialPlan]]
    ) -> float:
        """Return the wall-clock that the rest will take: of each trial what its family took on the task, else on all tasks."""
        of_task: dict[tuple[str, str, str], list[float]] = {}
        of_family: dict[str, list[float]] = {}
        for (database, task, plan), trial in found.items():
            spent = _wall_clock(trial)
            of_task.setdefault((database, task, plan.family), []).append(spent)
            of_family.setdefault(plan.family, []).append(spent)
        total = 0.0
        for database, task, plan in left:
            known = of_task.get((database, task, plan.family)) or of_family.get(plan.family)
            if not known:
                return math.nan
            total += sum(known) / len(known)
        return total / self.n_jobs


def _wall_clock(trial: BankTrial) -> float:
    parts = (trial.seconds, trial.seconds_refit, 2 * trial.seconds_prediction)
    return sum(part for part in parts if math.isfinite(part))


def _known_backend(name: str) -> str:
    """Make a backend known to joblib and return its name.

    Raises:
        MissingExtra: Its package is not installed.
        ConfigError: joblib has no such backend.
    """
    from joblib.parallel import BACKENDS

    if name in _BACKENDS:
        module, function = _BACKENDS[name]
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            raise MissingExtra(module.split(".")[0], name) from error
        if function:
            getattr(found, function)()
    elif name not in BACKENDS:
        rule = "is no backend of joblib"
        raise ConfigError("backend", name, rule, f"Use one of: {', '.join(sorted({*BACKENDS, *_BACKENDS}))}")
    return name
