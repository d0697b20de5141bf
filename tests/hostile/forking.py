"""Trains, then asks the same of a forked child, as servers with preloaded applications do; prints what the child answered."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import relselect as rs
from tests.conftest import few_steps
from tests.shop import shop, shop_tables, shop_task

LIMIT = 60


def main(families: str, folder: Path) -> dict[str, str]:
    """Return, for each kind of work, "same", or what went wrong in the child."""
    tables = shop_tables()
    database = shop(tables)
    task = shop_task(database, tables)
    fit = rs.select_and_train(database, task, "90s", families=families, max_trials=1)
    fit.save(folder / "bundle")
    expected, score = fit.predict_proba(split="test"), fit.candidate.score
    asked = len(fit.predict(at="1970-10-20"))

    def train() -> bool:
        return rs.select_and_train(database, task, "90s", families=families, max_trials=1).candidate.score == score

    work: dict[str, Callable[[], bool]] = {
        "predict": lambda: bool((fit.predict_proba(split="test") == expected).all()),
        "at": lambda: len(fit.predict(at="1970-10-20")) == asked,
        "load": lambda: bool((rs.load(folder / "bundle").predict_proba(database, split="test") == expected).all()),
        "train": train,
    }
    return {name: in_child(each) for name, each in work.items()}


def in_child(work: Callable[[], bool]) -> str:
    """Run in a fork that ends after `LIMIT` seconds."""
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        try:
            os._exit(0 if work() else 3)
        except BaseException:
            traceback.print_exc()
            os._exit(4)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {0: "same", 1: "hangs", 3: "differs", 4: "raises"}.get(code, f"ends with {code}")


if __name__ == "__main__":
    with few_steps():
        print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
