"""What process 0 tells the others to train: the rows, the options and the seed of a fit or a refit.

The database is not sent: every process reads it by itself, and a hash of its content is compared.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relselect.errors import BudgetExhausted, ConfigError, ProcessLost

if TYPE_CHECKING:
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import RowSource
    from relselect.problem import Problem
    from relselect.rdl.settings import NetworkSettings
    from relselect.rdl.training.processes import Processes
    from relselect.tasks import Rows

__all__ = ["GivenRows", "TrainingJob", "led", "portable", "problem_identity"]


@dataclass(frozen=True)
class GivenRows:
    """The rows of one fit, or of one refit, taken out of their source: a `RowSource` that can be sent.

    Attributes:
        key: The key of the source.
        stop: Its stop rows.
        select: Its select rows.
        awaiting: Rows that will be predicted later.
        training: Seed and copies -> training rows.
        further: Seed and copies -> rows that a refit adds.
    """

    key: tuple[Hashable, ...]
    stop: Rows
    select: Rows
    awaiting: int
    training: Mapping[tuple[int, int], Rows]
    further: Mapping[tuple[int, int], Rows]

    @classmethod
    def of(cls, rows: RowSource, seed: int, copies: int, *, refit: bool = False) -> GivenRows:
        """Take out the rows that a fit or a refit of this seed and this number of delayed copies asks for."""
        asked = {(seed, copies), (0, 0)}
        training = {each: rows.train(seed=each[0], copies=each[1]) for each in asked}
        further = {(seed, copies): rows.added(seed=seed, copies=copies)} if refit else {}
        return cls(rows.key, rows.stop, rows.select, rows.awaiting, training, further)

    def train(self, *, seed: int, copies: int) -> Rows:
        """Return the training rows."""
        return self.training[seed, copies]

    def added(self, *, seed: int, copies: int) -> Rows:
        """Return the rows that a refit adds."""
        return self.further[seed, copies]


@dataclass(frozen=True)
class TrainingJob:
    """A fit or a refit that the processes do together.

    Attributes:
        kind: Which of both.
        problem: See `problem_identity`.
        rows: The rows.
        settings: The options.
        seed: The seed.
        candidate: What is refitted, see `portable`; None for a fit.
    """

    kind: Literal["fit", "refit"]
    problem: str
    rows: GivenRows
    settings: NetworkSettings
    seed: int
    candidate: Candidate | None = None

    def check(self, problem: Problem) -> None:
        """Refuse to train on other data than process 0.

        Raises:
            ConfigError: The database or the task differs.
        """
        if problem_identity(problem) != self.problem:
            rule = "is not the database and task that process 0 trains on"
            raise ConfigError("problem", repr(problem), rule, "Give all processes the same database and task")


def problem_identity(problem: Problem) -> str:
    """Return a hash of the content of a problem's database and of its task."""
    return f"{problem.database.fingerprint} {problem.task.fingerprint}"


def portable(candidate: Candidate) -> Candidate:
    """Return a candidate whose model is its blueprint alone; the weights are in its checkpoints."""
    model: Any = candidate.model
    return replace(candidate, model=model.blueprint, predictions=np.empty(0))


@contextmanager
def led(processes: Processes, job: TrainingJob | None) -> Iterator[None]:
    """Send a job to the other processes and do it with them in the block.

    The end of the budget is met by all at the same place. After any other error the others cannot be told what to do next: they
    are left, and so end.

    Args:
        processes: The processes; nothing is sent where there is but one, or from another than process 0.
        job: The job.

    Raises:
        ProcessLost: Another process has ended.
    """
    if processes.count == 1 or not processes.first:
        yield
        return
    processes.told(job)
    try:
        yield
    except BudgetExhausted:
        raise
    except BaseException as error:
        if processes.lost is None:
            rule = f"ended the common training after an error ({type(error).__name__})"
            processes.lost = ProcessLost(
                f"process {processes.rank}", rule, "Read that error and start all processes again"
            )
        processes.leave()
        raise
