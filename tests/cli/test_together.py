"""`relselect train` under torchrun: two real processes, one predictor, one JSON object."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relselect.cli.main import app
from relselect.cli.together import leading, number_of_process
from relselect.errors import ConfigError
from tests.shop import labels, shop_tables

ROOT = Path(__file__).parents[2]
MANIFEST = """
name: shop
tables:
  users: {primary_key: id}
  orders:
    primary_key: oid
    time: when
    foreign_keys: [{columns: user_id, table: users}]
tasks:
  reorder: {entity: users, kind: binary, target: label, time: cutoff, horizon: 30d, file: labels.parquet}
"""
SMALL = ("epochs=2", "channels=8", "layers=1", "fan_out=4", "fewest_steps=1", "refit=none")


@pytest.fixture
def folder(tmp_path):
    import pyarrow.parquet as pq

    home = tmp_path / "shop"
    home.mkdir()
    tables = shop_tables()
    pq.write_table(tables["users"], home / "users.parquet")
    pq.write_table(tables["orders"].drop_columns(["closed", "state", "sku"]), home / "orders.parquet")
    pq.write_table(labels(tables), home / "labels.parquet")
    (home / "database.yaml").write_text(MANIFEST, encoding="utf-8")
    return home


@pytest.mark.slow
def test_two_processes_train_one_predictor(folder, tmp_path):
    options = [word for option in SMALL for word in ("--option", f"rdl.{option}")]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "relselect",
    ]
    words = [
        "train",
        str(folder),
        "--task",
        "reorder",
        "--families",
        "rdl",
        "--max-trials",
        "1",
        "--time-budget",
        "20min",
    ]
    words += ["--no-explain", "--no-test", "--final", "one", "--out", str(tmp_path / "out"), "--json", "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *words, *options], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (tmp_path / "out" / "manifest.json").is_file()
    record = (tmp_path / "out").rglob("*.json")
    assert any("2 processes trained it together" in path.read_text(encoding="utf-8") for path in record)
    assert [row for row in found["leaderboard"] if row["family"] == "rdl"]


def test_a_process_alone_is_number_0(monkeypatch):
    for size, rank, number in (("1", "0", 0), ("2", "1", 1), ("2", "x", 0), ("", "3", 0)):
        monkeypatch.setenv("WORLD_SIZE", size)
        monkeypatch.setenv("RANK", rank)
        assert number_of_process() == number
    monkeypatch.delenv("WORLD_SIZE")
    assert number_of_process() == 0
    with leading(4):
        pass


def test_jobs_and_torchrun_exclude_each_other(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match="--jobs"), leading(2):
        pass


def test_a_follower_refuses_a_wrong_database_like_the_leader(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("MASTER_PORT", "no port")
    result = CliRunner().invoke(app, ["train", str(tmp_path / "nothing"), "--task", "reorder"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "cannot meet" in result.stderr
