"""The shell completes databases and the tasks of the manifest that stands before the cursor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MANIFEST = """
name: shop
tables: {customers: {primary_key: id}}
tasks:
  churn: {entity: customers, kind: binary, target: y, time: cutoff, horizon: 30d, files: {train: t.csv, val: v.csv}}
  churn-late: {entity: customers, kind: binary, target: y, time: cutoff, horizon: 90d, files: {train: t.csv, val: v.csv}}
  value: {entity: customers, kind: regression, target: v, time: cutoff, horizon: 30d, files: {train: t.csv, val: v.csv}}
"""


def completed(folder: Path, *words: str) -> list[str]:
    """Return what bash would offer for the last word."""
    given = {
        "_RELSELECT_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("relselect", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-m", "relselect"],
        cwd=folder,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("shell")
    (folder / "database.yaml").write_text(MANIFEST)
    (folder / "broken.yaml").write_text("tasks: [")
    return folder


@pytest.mark.parametrize("source", ["database.yaml", "."])
def test_tasks_of_the_manifest(folder: Path, source: str) -> None:
    assert completed(folder, "train", source, "--task", "churn") == ["churn", "churn-late"]


def test_known_databases_and_their_tasks(folder: Path) -> None:
    assert completed(folder, "recommend", "rel") == ["rel-f1"]
    assert "driver-dnf" in completed(folder, "recommend", "rel-f1", "--task", "driver")


@pytest.mark.parametrize("source", ["broken.yaml", "nowhere.yaml", "postgresql://ann@host/shop"])
def test_what_cannot_be_read_completes_nothing(folder: Path, source: str) -> None:
    assert completed(folder, "train", source, "--task", "") == []
