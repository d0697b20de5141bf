"""`relselect train` with options of the search, on real runs: what they change, what they leave alone, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

import relselect as rs
from relselect.blend import AVERAGED
from relselect.cli.main import app

MANIFEST = """
name: shop
tables:
  customers: {primary_key: id}
  orders: {time: date, foreign_keys: [{columns: customer, table: customers}]}
tasks:
  again: {entity: customers, kind: binary, target: y, time: cutoff, horizon: 30d, files: {train: train.parquet, val: val.parquet}}
"""
#: Options under which a fit takes a fraction of a second.
SMALL = [
    word for text in ("learner=lightgbm", "rounds=20", "bags=1", "search=false") for word in ("--option", f"dfs.{text}")
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database and a task: who orders often orders again."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    busy = rng.random(80)
    days = pd.date_range("2024-01-01", periods=360)
    pd.DataFrame({"id": range(80)}).to_parquet(folder / "customers.parquet")
    made = [(who, day) for day in days for who in np.flatnonzero(rng.random(80) < 0.1 * busy)]
    orders = pd.DataFrame(made, columns=["customer", "date"]).assign(total=rng.exponential(size=len(made)))
    orders.to_parquet(folder / "orders.parquet")
    for name, months in (("train", ("03", "04", "05", "06", "07", "08")), ("val", ("10", "11"))):
        parts = [
            pd.DataFrame({"id": range(80), "cutoff": pd.Timestamp(f"2024-{month}-01"), "y": (rng.random(80) < busy)})
            for month in months
        ]
        pd.concat(parts, ignore_index=True).to_parquet(folder / f"{name}.parquet")
    (folder / "database.yaml").write_text(MANIFEST)
    return folder


def train(shop: Path, out: Path, *words: object, ok: bool = True) -> dict[str, Any]:
    result = invoked(shop, out, *words)
    assert (result.exit_code == 0) is ok, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def invoked(shop: Path, out: Path, *words: object) -> Result:
    command = ["train", shop, "--task", "again", "--families", "dfs", "--time-budget", "10min", "--out", out]
    command += ["--no-explain", "--quiet", "--json", *SMALL, *words]
    return CliRunner().invoke(app, [str(word) for word in command])


def trials(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    rows = [row for row in found["leaderboard"] if row["family"] == "dfs"]
    return sorted((row["candidate"], row["score"], json.dumps(row["config"], sort_keys=True)) for row in rows)


@pytest.fixture(scope="module")
def usual(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return train(shop, tmp_path_factory.mktemp("usual") / "fit", "--max-trials", 7)


def test_trials_side_by_side_are_the_trials_one_after_another(
    shop: Path, usual: dict[str, Any], tmp_path: Path
) -> None:
    found = train(shop, tmp_path / "fit", "--max-trials", 7, "--jobs", 2)
    assert len(trials(found)) == 7
    assert trials(found) == trials(usual)
    assert found["choice"] == usual["choice"]
    assert found["failures"] == []
    one, other = rs.load(tmp_path / "fit"), rs.load(Path(usual["out"]))
    database = rs.Database.from_uri(shop)
    assert one.predict(split="val", database=database).equals(other.predict(split="val", database=database))


def test_parts_of_the_rows_come_first_and_are_no_candidates(shop: Path, usual: dict[str, Any], tmp_path: Path) -> None:
    found = train(shop, tmp_path / "fit", "--max-trials", 15, "--fidelity", "rows", "--jobs", 2)
    assert found["settings"]["fidelity"] == "rows"
    # the default, and of nine proposals on a ninth, three of them on a third, the one that was fitted on all rows
    assert [row[0] for row in trials(found)] == ["dfs-0", "dfs-13"]
    assert trials(found)[0] == trials(usual)[0]
    page = (tmp_path / "fit" / "report.html").read_text(encoding="utf-8")
    assert "--fidelity rows" in page
    auto = train(shop, tmp_path / "auto", "--max-trials", 7, "--fidelity", "auto")
    assert trials(auto) == trials(usual)  # there are too few rows for parts of them


def test_trials_that_are_behind_on_the_way_are_pruned(shop: Path, usual: dict[str, Any], tmp_path: Path) -> None:
    found = train(shop, tmp_path / "fit", "--max-trials", 16, "--fidelity", "length")
    assert found["settings"]["fidelity"] == "length"
    pruned = {f"dfs-{each['number']}": each["reason"] for each in found["pruned"]}
    assert pruned
    kept = {row[0] for row in trials(found)}
    assert kept | set(pruned) == {f"dfs-{number}" for number in range(16)}
    assert not kept & set(pruned)
    assert trials(found)[0] == trials(usual)[0]
    page = (tmp_path / "fit" / "report.html").read_text(encoding="utf-8")
    assert all(reason in page for reason in pruned.values())
    assert "--fidelity length" in page


def test_what_is_chosen_is_averaged_over_seeds(shop: Path, usual: dict[str, Any], tmp_path: Path) -> None:
    found = train(shop, tmp_path / "fit", "--max-trials", 7, "--average-seeds", 3, "--jobs", 2)
    chosen = found["choice"]["candidate"]
    assert chosen == usual["choice"]["candidate"]
    assert "the average of 3 fits" in found["choice"]["why"]
    fit = rs.load(tmp_path / "fit")
    assert len(fit.candidate.facts[AVERAGED]) == len(fit.candidate.model.members) == 3
    # all other trials are as they were
    assert [row for row in trials(found) if row[0] != chosen] == [row for row in trials(usual) if row[0] != chosen]
    assert "--average-seeds 3" in (tmp_path / "fit" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words", [("--jobs", 0), ("--jobs", 5), ("--fidelity", "columns"), ("--average-seeds", 0), ("--average-seeds", 6)]
)
def test_values_outside_their_range_are_refused_before_any_work(
    shop: Path, tmp_path: Path, words: tuple[str, Any]
) -> None:
    result = invoked(shop, tmp_path / "fit", *words)
    assert result.exit_code == 2
    assert words[0] in result.output
    assert not (tmp_path / "fit").exists()
