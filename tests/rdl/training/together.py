"""Trains in several processes; `python -m tests.rdl.training.together` forks them for every line of its input.

A line is JSON: the folder, the case, the number of processes and the port at which they meet; the answer is their exit codes.
What they write to stderr lies in the folder. They are forked from a process that has imported everything and computed nothing,
because the imports took longer than the training.

Process 0 writes what it predicts to the folder. Cases: "same" for fits and refits, "lost" and "first_lost" for a process that
kills itself, "other" for processes with different data, "failed" for a process 0 that goes on after an error of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path

import numpy as np
import torch

import relselect.rdl.training.trainer as training
from relselect.budget import Budget
from relselect.database import Database
from relselect.errors import BudgetExhausted
from relselect.events import silent
from relselect.memory import collect_seldom
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.rdl import RDL
from relselect.rdl.distributed import follow, joined_processes, leading
from relselect.rdl.training.stepping import Stepper
from tests.shop import labels, shop_problem, shop_tables

BASE = {
    "channels": 16,
    "layers": 2,
    "fan_out": 6,
    "batch_size": 50,
    "epochs": 3,
    "learning_rate": 1e-2,
    "fewest_steps": 1,
}
#: Dropout, category draws, uneven parts; two members and an unfinished state; a refit anew.
DRAWS = {**BASE, "dropout": 0.3, "refit": "continue"}
MEMBERS = {**BASE, "members": 2, "strategy": "uniform", "refit": "anew"}
#: Nothing is drawn in training: parts change nothing.
PLAIN = {**BASE, "dropout": 0.0, "refit": "none"}


def numeric_problem() -> Problem:
    """A shop of numbers alone: no category and no text, of which training would drop some."""
    from relselect.tasks import Task

    tables = shop_tables()
    orders = tables["orders"].select(["oid", "user_id", "total", "when"])
    database = Database.from_dataframes(
        {"users": tables["users"].select(["id", "age"]), "orders": orders},
        keys={"users": "id", "orders": "oid"},
        times={"orders": "when"},
        foreign_keys={"orders": {"user_id": "users"}},
    )
    rows = labels(tables, "regression")
    task = Task.from_labels(
        database, rows, name="spending", entity="users", kind="regression", time="cutoff", horizon="30d"
    )
    return Problem(database, task)


def trained(problem: Problem, config: dict[str, object], folder: Path | None = None) -> dict[str, np.ndarray]:
    """Fit and refit; return what both predict for the select rows."""
    family, rows = RDL("cpu"), fit_rows(problem, score_test=False)
    common = {"budget": Budget(None), "emit": silent, "resume": folder}
    found = family.fit(problem, rows, dict(config), seed=5, number=0, **common)
    again = family.refit(found, problem, rows, **common)
    told = {"fit": found.predictions, "steps": np.array([point.step for point in found.curve.points])}
    if again is not None:
        told["refit"] = family.predict(again, problem, rows.select)
    return told


def kill_at(step: int) -> None:
    """Let this process kill itself at a step."""
    usual = Stepper.step

    def stepped(self, batch):
        if self.steps == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(self, batch)

    Stepper.step = stepped


def lead(folder: Path, case: str) -> None:
    problem = shop_problem()
    if case == "same":
        training.SAVE_SECONDS = 0.0
        found = {"draws": trained(problem, DRAWS), "members": trained(problem, MEMBERS, folder / "state")}
        try:  # a budget that ends at once ends in all processes, which then go on
            RDL("cpu").fit(problem, fit_rows(problem), dict(DRAWS), seed=0, number=0, budget=Budget(1e-9), emit=silent)
            raise SystemExit("the budget did not end")
        except BudgetExhausted:
            pass
        found["later"] = trained(problem, {**DRAWS, "parts": 3})
        flat = {f"{name}.{what}": each for name, all_of in found.items() for what, each in all_of.items()}
        np.savez(folder / "found.npz", **flat)
    elif case == "failed":
        usual = Stepper.step

        def broken(self, batch):
            raise ZeroDivisionError("of process 0")

        Stepper.step = broken
        try:
            trained(problem, DRAWS)
        except ZeroDivisionError:
            Stepper.step = usual
        trained(problem, DRAWS)
    else:
        if case == "first_lost":
            kill_at(2)
        trained(problem, DRAWS)


def trained_together(folder: Path, case: str) -> None:
    plain = case == "plain"
    with joined_processes() as processes:
        if processes.first:
            with leading():
                if plain:
                    np.savez(folder / "found.npz", **trained(numeric_problem(), PLAIN))
                else:
                    lead(folder, case)
            return
        if case == "lost":
            kill_at(2)
        if case == "other":
            follow(shop_problem("regression"))
        follow(numeric_problem() if plain else shop_problem(), "cpu")


def process_of(folder: Path, case: str, count: int, port: int, rank: int) -> None:
    """Be one of the processes, and end."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count), "RANK": str(rank)}
    os.dup2(os.open(folder / f"stderr{rank}.txt", os.O_WRONLY | os.O_CREAT), 2)
    code = 0
    try:
        trained_together(folder, case)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    for line in sys.stdin:
        folder, case, count, port = json.loads(line)
        pids = []
        for rank in range(count):
            pids.append(os.fork())
            if pids[-1] == 0:
                process_of(Path(folder), case, count, port, rank)
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]), flush=True)


if __name__ == "__main__":
    collect_seldom()
    torch.set_num_threads(1)
    main()
