"""A command that outlasts its time budget ends with exit code 3 and a message, and leaves no part of a predictor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relselect.bundle import LEFTOVERS
from relselect.cli.clock import CommandClock
from relselect.cli.hard_end import HardEnd
from relselect.display.console import CommandSession
from tests.cli.test_commands import shop

__all__ = ["shop"]

#: A command in which one call never comes back; the watch begins with that call, so that a slow start-up matters to no test.
CODE = """
import sys, time
from pathlib import Path
from relselect import api, budget
from relselect.cli import hard_end, main
budget._ALLOWANCE_SECONDS, hard_end._LAST_SECONDS = 0.2, 0.1
ends, enter = [], hard_end.HardEnd.__enter__
hard_end.HardEnd.__enter__ = lambda end: ends.append(end) or end

def hang():
    enter(ends[0])
    time.sleep(600)

class Fitted:
    record = {}

    def save(self, folder):
        draft = Path(folder) / ".partial"
        draft.mkdir(parents=True)
        (draft / "manifest.json").write_text("{}")
        hang()

def hanging(*args, on_event, workdir, **options):
    from relselect.events import StageStarted

    on_event(StageStarted("tuning"))
    (workdir / "dfs").mkdir(parents=True)
    hang()

api.select_and_train = hanging if sys.argv.pop(1) == "training" else lambda *args, **options: Fitted()
main.main()
"""


def ended(shop: Path, out: Path, where: str, *more: str) -> tuple[subprocess.CompletedProcess[str], float]:
    words = ["train", str(shop), "--task", "churn", "--time-budget", "1s", "--out", str(out), *more]
    begun = time.monotonic()
    command = [sys.executable, "-c", CODE, where, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done, time.monotonic() - begun


@pytest.mark.parametrize(
    ("where", "stage", "kept"), [("training", "tuning", "Run the same command again"), ("saving", "saving", "")]
)
def test_a_process_that_hangs_is_ended(shop: Path, tmp_path: Path, where: str, stage: str, kept: str) -> None:
    out = tmp_path / "out"
    done, seconds = ended(shop, out, where, "--json")
    assert done.returncode == 3, done.stderr
    assert seconds < 30
    answer = json.loads(done.stdout)
    assert answer["exit_code"] == 3
    message = answer["error"]["message"]
    assert f"in the stage '{stage}'" in message
    assert kept in message
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in out.iterdir()} <= {"work", *LEFTOVERS} - {"manifest.json", ".ready"}


def test_a_full_pipe_delays_no_end(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from relselect.display.console import CommandSession\n"
        "os.set_blocking(2, False)\n"
        "try:\n"
        "    while True: os.write(2, bytes(65536))\n"
        "except BlockingIOError: os.set_blocking(2, True)\n"
        "CommandSession().end_process(3, 'BudgetError', 'late')\n"
    )
    read, write = os.pipe()
    try:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=write)
        assert process.wait(timeout=60) == 3
    finally:
        os.close(read)
        os.close(write)


def test_a_process_of_somebody_else_is_not_ended() -> None:
    from relselect.budget import Budget

    spent = Budget(0.01, begun=time.monotonic() - 60)
    with HardEnd(CommandSession(), spent, CommandClock(time.monotonic())):
        time.sleep(0.05)


def test_a_block_that_ends_in_time_is_left_alone() -> None:
    code = (
        "import time\n"
        "from relselect import budget\n"
        "from relselect.cli import hard_end\n"
        "from relselect.cli.clock import CommandClock\n"
        "from relselect.display.console import CommandSession\n"
        "budget._ALLOWANCE_SECONDS = hard_end._LAST_SECONDS = 0.1\n"
        "with hard_end.HardEnd(CommandSession(), budget.Budget(0.5), CommandClock(time.monotonic(), True)): pass\n"
        "time.sleep(0.8)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
