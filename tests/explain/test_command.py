"""`relselect explain`: a saved predictor, one entity, words or one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import relselect as rs
from relselect.cli.main import app

MANIFEST = """
name: shop
tables:
  customers: {primary_key: id}
  orders: {time: date, foreign_keys: [{columns: customer, table: customers}]}
tasks:
  churn: {entity: customers, kind: binary, target: y, time: cutoff, horizon: 30d, files: {train: train.parquet, val: val.parquet}}
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor that was trained on a folder."""
    folder = tmp_path_factory.mktemp("shop")
    draw = np.random.default_rng(0)
    pd.DataFrame({"id": range(50)}).to_parquet(folder / "customers.parquet")
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(draw.integers(0, 200, 2000)), "D")
    orders = pd.DataFrame({"customer": draw.integers(0, 50, 2000), "date": days, "total": draw.gamma(2.0, 10.0, 2000)})
    orders.to_parquet(folder / "orders.parquet")
    for name, dates in (("train", ["2024-03-01", "2024-04-01", "2024-05-01"]), ("val", ["2024-06-01", "2024-07-01"])):
        parts = []
        for date in pd.to_datetime(dates):
            before = orders[(orders["date"] <= date) & (orders["date"] > date - pd.Timedelta("30D"))]
            spent = before.groupby("customer")["total"].sum().reindex(range(50)).fillna(0.0)
            parts.append(
                pd.DataFrame({"id": range(50), "cutoff": date, "y": (spent > spent.median()).astype(int).to_numpy()})
            )
        pd.concat(parts).to_parquet(folder / f"{name}.parquet")
    (folder / "database.yaml").write_text(MANIFEST)
    fit = rs.select_and_train(rs.Database.from_folder(folder), "churn", "60s", families="dfs", max_trials=1)
    return fit.save(folder / "saved")


def ran(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def test_it_prints_what_pushes_a_prediction(saved: Path) -> None:
    result = ran(saved, "--entity", 7, "--at", "2024-06-15")
    assert result.exit_code == 0, result.output
    assert "churn, id=7 at 2024-06-15: probability of 1" in result.stdout
    assert "orders" in result.stdout
    assert "usually one every" in result.stdout


def test_it_writes_one_json_object_whose_shares_add_up(saved: Path) -> None:
    result = ran(saved, "--entity", 7, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["explanation"]
    assert found["cutoff"] == "2024-07-01"
    assert sum(part["share"] for part in found["parts"]) == pytest.approx(found["prediction"] - found["base"], abs=1e-9)
    assert 0 < len(found["rows"]["orders"]) <= 20


def test_an_unknown_entity_and_a_bad_date_are_bad_input(saved: Path) -> None:
    for arguments in (("--entity", 999), ("--entity", 7, "--at", "soon")):
        result = ran(saved, *arguments)
        assert result.exit_code == 2, result.output
