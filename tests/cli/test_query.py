"""Questions on the command line: what they stand for, and training from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from relselect import api
from relselect.cli.main import app

ASK = "PREDICT COUNT(orders.*, 0, 20, days) > 1 FOR EACH customers.id"
MANIFEST = """
name: shop
tables:
  customers: {primary_key: id}
  orders: {time: date, foreign_keys: [{columns: customer, table: customers}]}
tasks:
  often: {query: "PREDICT COUNT(orders.*, 0, 20, days) > 1 FOR EACH customers.id"}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a database and a task that is a query."""
    folder = tmp_path / "shop"
    folder.mkdir()
    days = pd.date_range("2024-01-01", periods=400)
    pd.DataFrame({"id": range(20)}).to_parquet(folder / "customers.parquet")
    orders = {"customer": [(day * day) % 23 % 20 for day in range(400)], "date": days}
    pd.DataFrame(orders).to_parquet(folder / "orders.parquet")
    (folder / "database.yaml").write_text(MANIFEST)
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_sql_of_a_query_is_shown(shop: Path) -> None:
    result = run("query", shop, ASK)
    assert result.exit_code == 0
    assert 'CROSS JOIN "customers" e' in result.stdout
    assert 'x."date" <= p.cutoff + INTERVAL 20 DAY' in result.stdout
    found = json.loads(run("query", shop, ASK, "--json").stdout)
    assert found["task"] == "customers-count-orders-20-days"
    assert (found["kind"], found["entity"], found["horizon"]) == ("binary", "customers", "20d")
    assert found["population"].startswith("SELECT c.cutoff")


def test_a_wrong_query_shows_the_place(shop: Path) -> None:
    result = run("query", shop, "PREDICT COUNT(order.*, 0, 20, days) > 1 FOR EACH customers.id")
    assert result.exit_code == 2
    assert "Did you mean orders?" in result.stderr
    assert result.stderr.splitlines()[2].index("^") == 2 + len("PREDICT COUNT(")
    assert json.loads(run("query", shop, "PREDICT", "--json").stdout)["error"]["kind"] == "QueryError"


@pytest.mark.parametrize("command", ["profile", "recommend", "train"])
def test_a_task_or_a_query_is_needed_and_not_both(shop: Path, command: str) -> None:
    for words, message in (
        ((), "`relselect tasks DB` lists them"),
        (("--task", "often", "--query", ASK), "exclude each other"),
    ):
        result = run(command, shop, *words)
        assert result.exit_code == 2
        assert message in result.stderr
    assert run(command, shop, "--query", "PREDICT x").exit_code == 2


@pytest.mark.parametrize("command", ["profile", "recommend"])
def test_a_query_is_the_task_that_the_manifest_declares(
    shop: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    asked: list[Any] = []

    def stand_in(database: Any, task: Any, **_: Any) -> Any:
        asked.append(task)
        raise SystemExit

    monkeypatch.setattr(api, command, stand_in)
    run(command, shop, "--query", ASK)
    run(command, shop, "--task", "often")
    assert [task.name for task in asked] == ["customers-count-orders-20-days", "often"]
    assert asked[0].query == asked[1].query == ASK
    assert asked[0].splits["train"].to_arrow().equals(asked[1].splits["train"].to_arrow())


def test_training_from_a_query_names_its_folder(shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def stand_in(database: Any, task: Any, *_: Any, workdir: Path, **__: Any) -> Any:
        asked.update(task=task, workdir=workdir)
        raise SystemExit

    monkeypatch.setattr(api, "select_and_train", stand_in)
    monkeypatch.chdir(tmp_path)
    run("train", shop, "--query", ASK)
    assert asked["workdir"].parent == Path("relselect-customers-count-orders-20-days")
    assert asked["task"].query == ASK
