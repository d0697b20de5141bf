"""Trains in a process of its own that kills itself in the middle of an epoch.

Run as `python -m tests.rdl.training.killed FOLDER STEP`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import relselect.rdl.training.trainer as training
from relselect.budget import Budget
from relselect.events import silent
from relselect.families.candidate import Candidate
from relselect.memory import collect_seldom
from relselect.problem import Problem
from relselect.rdl import RDL
from relselect.rdl.training.stepping import Stepper
from relselect.tuning import tune
from tests.rows import shared_rows
from tests.tuning.cheap import tiny_problem

#: Folder of the unfinished refit.
REFIT = "refit.unfinished"
#: Several epochs of several steps, and a refit; dropout and draws read random numbers.
CONFIG = {
    "channels": 8,
    "layers": 2,
    "fan_out": 4,
    "batch_size": 32,
    "epochs": 4,
    "strategy": "uniform",
    "steps_per_epoch": 6,
    "fewest_steps": 1,
    "patience": 4,
    "refit": "anew",
}


class Small(RDL):
    """The family with a default that trains in no time."""

    def default(self, problem: Problem) -> dict[str, object]:
        return dict(CONFIG)


def study(folder: Path):
    """Tune for one trial."""
    problem = tiny_problem()
    return tune(
        Small("cpu"),
        problem,
        shared_rows(problem),
        budget=Budget(None),
        emit=silent,
        seed=3,
        folder=folder,
        max_trials=1,
    )


def refit(candidate: Candidate, folder: Path) -> Candidate:
    """Refit a candidate, its unfinished state kept in the folder."""
    problem = tiny_problem()
    found = Small("cpu").refit(
        candidate, problem, shared_rows(problem), budget=Budget(None), emit=silent, resume=folder
    )
    assert found is not None
    return found


def main() -> None:
    folder, last = Path(sys.argv[1]), int(sys.argv[2])
    training.SAVE_SECONDS = 0.0
    step, taken = Stepper.step, 0

    def counted(self, batch):
        nonlocal taken
        taken += 1
        if taken > last:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch)

    Stepper.step = counted
    refit(study(folder).best, folder / REFIT)


if __name__ == "__main__":
    collect_seldom()
    main()
