"""Studies that are killed again and again equal the unbroken study."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


def killed(way: str, family: str, home: Path, trials: int, amount: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "tests.hostile.killing", way, family, str(home), str(trials), str(amount)]
    done = subprocess.run(
        words, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_two_kills_at_any_file_operation_lose_nothing(tmp_path: Path) -> None:
    found = killed("every_point", "bowl", tmp_path, 5, 6)
    assert found["points"] >= 15
    assert found["differing"] == []


@pytest.mark.parametrize(
    ("family", "trials"),
    [
        ("bowl", 12),
        pytest.param("dfs", 4, marks=pytest.mark.slow),
        pytest.param("rdl", 3, marks=pytest.mark.slow),
    ],
)
def test_a_study_killed_twelve_times_equals_the_unbroken_one(tmp_path: Path, family: str, trials: int) -> None:
    found = killed("chain", family, tmp_path, trials, 12)
    assert found["killed"] >= 10
    assert found["same"]
