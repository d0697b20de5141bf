"""Trains networks by several processes together (data-parallel), each of which computes its share of every batch.

Process 0 runs as it would alone: it tunes, decides, writes files. Whenever it fits or refits a graph network, the others, which
wait in `follow`, compute their shares of batches and validations with it. Started by `torchrun`, such as

    torchrun --nproc-per-node 2 -m relselect train DATABASE --task TASK --families rdl

or in a script of one's own:

    with joined_processes() as processes:
        if processes.first:
            with leading():
                fitted = relselect.select_and_train(database, task, "10min")
        else:
            follow(Problem(database, task))

Other families are fitted by process 0 alone. How the processes talk is in `relselect.rdl.training.processes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from relselect.budget import Budget
from relselect.errors import BudgetExhausted
from relselect.events import silent
from relselect.rdl.family import RDL
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.training.fitted import FittedNetwork
from relselect.rdl.training.jobs import TrainingJob
from relselect.rdl.training.processes import current_processes, joined_processes
from relselect.rdl.training.refit import train_again

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["follow", "joined_processes", "leading"]


@contextmanager
def leading() -> Iterator[None]:
    """Lead the other processes in the block, in process 0; they are released when it ends, also by an error.

    Raises:
        ProcessLost: Another process ended meanwhile.
    """
    processes = current_processes()
    yield
    if processes.lost is not None:
        raise processes.lost
    processes.told(None)


def follow(problem: Problem, device: str | None = None) -> int:
    """Train together with process 0, in any other process, until it is done.

    Args:
        problem: The database and the task of process 0.
        device: Where to compute; None for a GPU where there is one.

    Returns:
        The number of fits and refits.

    Raises:
        ConfigError: Process 0 trains on other data.
        ProcessLost: Another process has ended.
    """
    processes, family, count = current_processes(), RDL(device), 0
    while True:
        job: TrainingJob | None = processes.told(None)
        if job is None:
            return count
        job.check(problem)
        with suppress(BudgetExhausted):
            _take_part(job, problem, family)
        count += 1


def _take_part(job: TrainingJob, problem: Problem, family: RDL) -> None:
    processes, budget = current_processes(), Budget(None)
    if job.candidate is None:
        family.train(problem, job.rows, job.settings, seed=job.seed, number=0, budget=budget, emit=silent)
        return
    blueprint = job.candidate.model
    model = FittedNetwork(blueprint, NetworkEnsemble(blueprint), family.device)
    candidate = replace(job.candidate, model=model)
    train_again(candidate, problem, job.rows, processes.budget(budget), None, processes)
