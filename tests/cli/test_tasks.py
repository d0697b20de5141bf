"""`relselect tasks`, `--quiet`, `--at today`, and errors of metrics that are positive for people."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from relselect.cli.main import app
from tests.drift.places import in_sqlite, tables

MANIFEST = """
name: shop
tables:
  customers: {primary_key: id}
  orders: {time: date, foreign_keys: [{columns: customer, table: customers}]}
tasks:
  churn:
    entity: customers
    kind: binary
    target: y
    time: cutoff
    horizon: 30d
    description: Who leaves?
    files: {train: train.parquet, val: val.parquet}
  spend:
    entity: customers
    kind: regression
    target: y
    time: cutoff
    horizon: 60d
    files: {train: missing.parquet, val: val.parquet}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    days = pd.date_range("2024-01-01", periods=200)
    pd.DataFrame({"id": range(20)}).to_parquet(tmp_path / "customers.parquet")
    orders = {"customer": [day % 20 for day in range(200)], "date": days, "total": [float(day) for day in range(200)]}
    pd.DataFrame(orders).to_parquet(tmp_path / "orders.parquet")
    for name, start in (("train", "2024-02-01"), ("val", "2024-05-01")):
        rows = {"id": range(20), "cutoff": pd.Timestamp(start), "y": [row % 2 for row in range(20)]}
        pd.DataFrame(rows).to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "database.yaml").write_text(MANIFEST)
    return tmp_path


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_tasks_are_listed_with_their_rows_or_the_reason(shop):
    found = json.loads(run("tasks", shop, "--json").stdout)
    assert found["database"] == "shop"
    churn, spend = found["tasks"]
    assert (churn["task"], churn["entity"], churn["kind"], churn["metric"], churn["horizon"]) == (
        "churn", "customers", "binary", "roc_auc", "30d",
    )  # fmt: skip
    assert churn["rows"] == {"train": 20, "val": 20}
    assert churn["problem"] is None
    assert spend["rows"] is None
    assert "missing.parquet" in spend["problem"]
    text = run("tasks", shop).stdout
    for part in ("churn", "AUROC", "Who leaves?", "MAE", "60d"):
        assert part in text


def test_a_database_without_tasks_says_so(tmp_path):
    place = in_sqlite(tmp_path / "shop.sqlite", tables())
    result = run("tasks", place)
    assert result.exit_code == 0, result.output
    assert "declares no task" in result.stdout
    assert run("tasks", tmp_path / "none").exit_code == 2


def test_quiet_leaves_standard_error_empty(shop):
    loud = run("profile", shop, "--task", "churn", "--fresh")
    assert loud.exit_code == 0, loud.output
    assert "profile" in loud.stderr
    for command in ("profile", "recommend"):
        quiet = run(command, shop, "--task", "churn", "--fresh", "--quiet")
        assert quiet.exit_code == 0
        assert quiet.stderr == ""
        assert quiet.stdout


def test_predictions_of_today(trained, tmp_path):
    folder = trained("dfs")[0].save(tmp_path / "dfs")
    place = in_sqlite(tmp_path / "shop.sqlite", tables())
    result = run("predict", folder, "--uri", place, "--at", "today", "--out", tmp_path / "p.csv")
    assert result.exit_code == 0, result.output
    told = pd.to_datetime(pd.read_csv(tmp_path / "p.csv")["cutoff"])
    assert told.unique().tolist() == [pd.Timestamp.now("UTC").normalize().tz_localize(None)]
