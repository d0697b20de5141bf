"""Builds one bank in forked children that kill themselves at a file operation, and prints what came of it.

A fresh interpreter runs this: a fork of a process in which LightGBM or PyTorch have worked is a case of its own.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

from relselect.bank import BankFolder, BankSource, PerformanceBank, build_bank
from relselect.families.registry import registered
from relselect.memory import collect_seldom
from tests.bank.worlds import manifest
from tests.families.ridge import RIDGE

#: Audit events that change what lies on disk, or open a file for it.
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"}
PLAN = manifest(databases={"b": BankSource(tasks=["high"])}, seeds=list(range(6)), configurations=4)
#: Kills before the measured task is given to the killed bank: measuring it again and again takes long.
_WITHOUT_TASK = 2


def child(folder: Path, kill_at: int | None) -> bool:
    """Build in a fork; return whether it ended by itself."""
    pid = os.fork()
    if pid == 0:
        try:
            _watch(folder, kill_at)
            with registered(RIDGE):
                build_bank(PLAN, folder)
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 1:
        raise SystemExit(1)
    return code == 0


def _watch(folder: Path, kill_at: int | None) -> None:
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

    sys.addaudithook(hook)


def finished(folder: Path) -> dict[str, list[float]]:
    """Return what is finished: trial id -> scores."""
    if not (folder / "manifest.json").exists():
        return {}
    trials = PerformanceBank.open(folder).trials
    return {trial.id: [trial.stop_score, trial.select_score, trial.test_score] for trial in trials}


def main(home: Path, kills: int) -> dict[str, Any]:
    """Kill one build `kills` times, and finish it; a trial that was finished once must never be gone again."""
    whole, folder, draw = home / "whole", home / "killed", random.Random(0)
    child(whole, None)
    killed = lost = 0
    before: dict[str, list[float]] = {}
    while killed < kills:
        if killed == _WITHOUT_TASK:
            task = PerformanceBank.open(whole).tasks[0]
            BankFolder.made(folder).add_task(task, PerformanceBank.open(whole).labels(task.id))
        killed += not child(folder, draw.randint(1, 9 if killed < _WITHOUT_TASK else 16))
        after = finished(folder)
        lost += sum(trial not in after for trial in before)
        before = after
    child(folder, None)
    bank = PerformanceBank.open(folder)
    bank.validate()
    partial = [str(path) for path in folder.rglob("*.json") if "loose" in path.parts]
    same = json.dumps(finished(folder), sort_keys=True) == json.dumps(finished(whole), sort_keys=True)
    return {"killed": killed, "same": same, "lost": lost, "partial": partial, "trials": len(bank)}


if __name__ == "__main__":
    collect_seldom()
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
