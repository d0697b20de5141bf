"""Runs one study in forked children that kill themselves at a file operation, and prints what each study found.

A fresh interpreter runs this: a fork of a process in which LightGBM or PyTorch have worked is a case of its own.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from relselect.budget import Budget
from relselect.families.registry import family_of
from relselect.memory import collect_seldom
from relselect.tuning import Study, tune
from tests.rows import shared_rows
from tests.tuning.cheap import Bowl, tiny_problem

#: Audit events (`sys.addaudithook`) that change what lies on disk, or open a file for it.
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"}
PROBLEM = tiny_problem()


def study(name: str, folder: Path, trials: int) -> Study:
    """Continue the study in `folder`."""
    family: Any = Bowl(fail=(2, 3)) if name == "bowl" else brief(name)
    problem = PROBLEM if name == "bowl" else tiny_problem()
    rows = shared_rows(problem)
    return tune(family, problem, rows, budget=Budget(None), seed=7, folder=folder, max_trials=trials)


def brief(name: str) -> Any:
    """Return a family whose space is its default with another learning rate, and whose networks train for a few steps."""
    family: Any = family_of(name)
    usual = family.default
    short = {"epochs": 3, "fewest_steps": 4} if name == "rdl" else {}
    family.default = lambda problem: {**usual(problem), **short}
    family.space = lambda trial, problem: {
        **family.default(problem),
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True),
    }
    family.alternatives = lambda problem: ()
    return family


def facts(found: Study) -> list[Any]:
    """Return what must be equal, however often the study was killed."""
    candidates = [
        [each.number, each.config, each.seed, each.score, hashlib.sha256(np.asarray(each.predictions)).hexdigest()]
        for each in found.candidates
    ]
    return [candidates, [[each.number, each.config, each.error] for each in found.failures]]


def child(name: str, folder: Path, trials: int, kill_at: int | None) -> tuple[bool, int]:
    """Run in a fork; return whether it ended by itself, and its file operations below `folder`."""
    modules = folder.parent / "modules.txt"
    if modules.exists():  # what is imported here is not imported in every fork; nothing is computed here
        for module in modules.read_text().split():
            with suppress(Exception):
                importlib.import_module(module)
        modules.unlink()
    counter = folder.with_suffix(".count")
    pid = os.fork()
    if pid == 0:
        try:
            _watch(folder, counter, kill_at)
            found = study(name, folder, trials)
            folder.with_suffix(".json").write_text(json.dumps(facts(found), sort_keys=True))
            if kill_at is None:
                modules.write_text("\n".join(sorted(sys.modules)))
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    if os.waitstatus_to_exitcode(status) == 1:
        raise SystemExit(1)
    done = os.waitstatus_to_exitcode(status) == 0
    return done, int(counter.read_text()) if counter.exists() else 0


def _watch(folder: Path, counter: Path, kill_at: int | None) -> None:
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in CHANGES or not str(arguments[0]).startswith(str(folder) + "/"):
            return
        if event == "open" and str(arguments[1])[:1] not in "wxa":
            return
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if kill_at is None:
            with open(counter, "w") as handle:
                handle.write(str(count))

    sys.addaudithook(hook)


def every_point(name: str, home: Path, trials: int, step: int) -> dict[str, Any]:
    """Kill at every `step`-th file operation, twice at the same place each, and finish."""
    whole = home / "whole"
    _, operations = child(name, whole, trials, None)
    expected = whole.with_suffix(".json").read_text()
    points = range(1, operations + 1, step)
    differing = []
    for point in points:
        folder = home / f"at{point}"
        child(name, folder, trials, point)
        child(name, folder, trials, point)
        child(name, folder, trials, None)
        if folder.with_suffix(".json").read_text() != expected:
            differing.append(point)
    return {"operations": operations, "points": len(points), "differing": differing}


def chain(name: str, home: Path, trials: int, kills: int) -> dict[str, Any]:
    """Kill one study `kills` times at random file operations, and finish."""
    whole, folder, draw = home / "whole", home / "killed", random.Random(0)
    _, operations = child(name, whole, trials, None)
    survived = 0
    for _ in range(kills):
        survived += child(name, folder, trials, draw.randint(2, max(14, operations // 8)))[0]
    child(name, folder, trials, None)
    same = folder.with_suffix(".json").read_text() == whole.with_suffix(".json").read_text()
    return {"killed": kills - survived, "same": same, "operations": operations}


if __name__ == "__main__":
    collect_seldom()
    way, wanted, place, number, amount = sys.argv[1:]
    run = every_point if way == "every_point" else chain
    print(json.dumps(run(wanted, Path(place), int(number), int(amount))))
