"""`relselect train` under torchrun: which process leads, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import relselect as rs
from relselect.cli.main import app
from relselect.cli.together import leading, number_of_process
from relselect.errors import ConfigError


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


MANIFEST = """
name: shop
tables:
  customers: {primary_key: id}
  orders: {primary_key: id, time: date, foreign_keys: [{columns: customer_id, table: customers}]}
"""
QUERY = "PREDICT COUNT(orders.*, 0, 30, days) > 0 FOR EACH customers.id"


@pytest.mark.slow
def test_torchrun_trains_one_predictor(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    days = pd.date_range("2023-01-01", periods=600)
    orders = {"id": range(600), "customer_id": [day * day % 23 for day in range(600)], "date": days, "total": 1.0}
    pd.DataFrame({"id": range(23)}).to_csv(shop / "customers.csv", index=False)
    pd.DataFrame(orders).to_csv(shop / "orders.csv", index=False)
    (shop / "database.yaml").write_text(MANIFEST)
    words = (
        "train --families rdl --max-trials 1 --option rdl.epochs=2 --no-explain --average-seeds 1 --time-budget 5min"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "relselect"),
            *words.split(), str(shop), "--query", QUERY, "--out", str(tmp_path / "out"), "--json",
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"command"') == 1  # process 0 alone reports
    fit = rs.load(tmp_path / "out")
    assert fit.candidate.family == "rdl"
    assert fit.predict(rs.Database.from_folder(shop), split="test").notna().all(axis=None)
