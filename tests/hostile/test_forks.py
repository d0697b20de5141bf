"""A forked child of a process in which LightGBM and PyTorch have worked predicts and trains; databases pickle."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


@pytest.mark.parametrize("families", ["dfs", "rdl"])
def test_a_forked_child_predicts_and_trains_as_its_parent(tmp_path: Path, families: str) -> None:
    words = [sys.executable, "-m", "tests.hostile.forking", families, str(tmp_path)]
    done = subprocess.run(
        words, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert answers == dict.fromkeys(("predict", "at", "load", "train"), "same"), done.stderr


def test_a_database_pickles_and_a_predictor_names_the_way_out(database, trained) -> None:
    again = pickle.loads(pickle.dumps(database))
    assert again.fingerprint == database.fingerprint
    assert list(again.tables) == list(database.tables)
    with pytest.raises(TypeError, match=r"Save it by fitted\.save\(folder\)"):
        pickle.dumps(trained("dfs")[0])
