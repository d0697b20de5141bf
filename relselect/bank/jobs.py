"""The work of a build, cut into jobs: some trials of one task, in the order in which they are worth most.

Every task gets the defaults of all families with the first seed before any task gets more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relselect.bank.manifest import BankManifest

__all__ = ["BankJob", "TrialPlan", "jobs_of"]


@dataclass(frozen=True)
class TrialPlan:
    """A trial to make: which configuration of which family, with which seed.

    Attributes:
        family: Name of the family.
        number: Number of the configuration within it; see `bank_configurations`.
        seed: The seed.
    """

    family: str
    number: int
    seed: int


@dataclass(frozen=True)
class BankJob:
    """Trials of one task that one worker makes one after another.

    Attributes:
        database: Name of the database in the manifest.
        task: Name of the task.
        trials: What to fit, in this order.
    """

    database: str
    task: str
    trials: tuple[TrialPlan, ...]


def jobs_of(
    manifest: BankManifest, tasks: Iterable[tuple[str, str]], families: Sequence[str], baselines: Sequence[str]
) -> list[BankJob]:
    """Return the jobs: baselines and defaults with the first seed, defaults with the other seeds, further configurations.

    Args:
        manifest: What to build.
        tasks: Database and name of each task.
        families: The families to fit.
        baselines: Families that are fitted once per task, because skill is measured against them.
    """
    first, *others = manifest.seeds
    stages = [
        [*(TrialPlan(name, 0, first) for name in baselines), *(TrialPlan(name, 0, first) for name in families)],
        [TrialPlan(name, 0, seed) for seed in others for name in families],
        [TrialPlan(name, number, first) for number in range(1, manifest.configurations + 1) for name in families],
    ]
    listed = list(tasks)
    return [BankJob(database, task, tuple(stage)) for stage in stages if stage for database, task in listed]
