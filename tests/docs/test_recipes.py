"""The recipes run: scripts by bash, models in DuckDB, a predictor of one database on another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

import relselect as rs
from tests.docs.conftest import DOCS
from tests.docs.test_tutorials import replaced
from tests.test_readme import blocks

AT = "2024-11-01"
TABLES = """
CREATE TABLE customers (id bigint PRIMARY KEY, age bigint, joined timestamp);
CREATE TABLE orders (
    id bigint PRIMARY KEY, customer_id bigint REFERENCES customers (id), placed timestamp, total double precision
);
"""


def shop_frames() -> dict[str, pd.DataFrame]:
    """Customers who order at gaps of their own until they stop: how long they have been silent, in usual gaps, tells it."""
    draw, day = np.random.default_rng(0), pd.Timestamp("2023-01-01")
    made = []
    for customer in range(150):
        days = np.cumsum(draw.uniform(0.7, 1.3, 400) * draw.integers(4, 40))
        days = days[days < min(730.0, draw.exponential(600.0) + 60.0)]
        made.append(pd.DataFrame({"customer_id": customer, "placed": day + pd.to_timedelta(days.round(), "D")}))
    orders = pd.concat(made, ignore_index=True)
    orders = orders.assign(id=range(len(orders)), total=draw.gamma(2.0, 10.0, len(orders)).round(2))
    customers = pd.DataFrame({"id": range(150), "age": draw.integers(18, 80, 150), "joined": day})
    return {"customers": customers, "orders": orders[["id", "customer_id", "placed", "total"]]}


def recipe(name: str) -> str:
    return (DOCS / "recipes" / f"{name}.md").read_text(encoding="utf-8")


def run(script: str, folder: Path, *words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script by bash, with the commands of this Python."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    command = ["bash", "-e", "-c", script, "recipe", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A folder with shop.duckdb and, as the recipe on warehouses makes them, shop.yaml and the predictor `churn`."""
    folder = tmp_path_factory.mktemp("shop")
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(TABLES)
        for name, frame in shop_frames().items():
            connection.register("frame", frame)
            connection.execute(f"INSERT INTO {name} SELECT * FROM frame")
    (script,) = blocks("bash", recipe("warehouse"))
    script = replaced(script, ("--time-budget 5min", "--time-budget 5min --families dfs --max-trials 1 --no-explain"))
    made = run(script.partition("relselect predict")[0], folder)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.slow
def test_a_predictor_of_a_file_scores_a_server(shop, postgres) -> None:
    server = postgres.create("shop_warehouse", TABLES)
    with postgres.session(server) as connection, connection.cursor() as cursor:
        for name, frame in shop_frames().items():
            marks = ", ".join(["%s"] * len(frame.columns))
            cursor.executemany(f"INSERT INTO {name} VALUES ({marks})", frame.astype(object).values.tolist())
    (script,) = blocks("bash", recipe("warehouse"))
    command = script[script.index("relselect predict") :]
    there = run(command, shop, WAREHOUSE=server)
    assert there.returncode == 0, there.stderr
    here = rs.load(shop / "churn").predict(rs.Database.from_folder(shop / "shop.yaml"), at=AT)
    scores = pd.read_parquet(shop / "scores.parquet")
    assert scores["probability"].nunique() > 20  # a model, no constant
    assert scores["probability"].to_numpy() == pytest.approx(here["probability"].to_numpy(), abs=1e-6)


@pytest.mark.slow
def test_a_script_for_cron_writes_the_file_of_the_day(shop) -> None:
    (script,) = (text for text in blocks("bash", recipe("cron")) if "predictor=$1" in text)
    (shop / "score.sh").write_text(script, encoding="utf-8")
    done = run('bash score.sh "$@"', shop, "churn", "shop.yaml", "scores", AT)
    assert done.returncode == 0, done.stderr
    (day,) = (shop / "scores").glob("*.parquet")
    assert set(pd.read_parquet(day)["cutoff"].astype(str)) == {AT}
    failed = run('bash score.sh "$@"', shop, "no-such", "shop.yaml", "elsewhere", AT)
    assert failed.returncode == 2
    assert not list((shop / "elsewhere").glob("20*"))


@pytest.mark.slow
def test_an_equal_predictor_takes_the_place_of_another(shop, tmp_path) -> None:
    for name in ("old", "new"):
        shutil.copytree(shop / "churn", tmp_path / name)
    (script,) = (text for text in blocks("bash", recipe("compare")) if "set -euo" in text)
    (tmp_path / "replace.sh").write_text(script, encoding="utf-8")
    done = run('bash replace.sh "$@"', tmp_path, "old", "new", shop / "shop.yaml")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} >= {"old", "old.before", "difference.json"}
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_models_of_dbt_compute_what_python_does(shop, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.duckdb").symlink_to(shop / "shop.duckdb")
    (code,) = blocks("python", recipe("dbt"))
    names: dict[str, object] = {}
    exec(code, names)
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        for model in ("churn_asked", "churn_features"):
            sql = (tmp_path / "models" / f"{model}.sql").read_text(encoding="utf-8").replace('{{ var("at") }}', AT)
            connection.execute(f"CREATE TEMP TABLE {model} AS {sql}")
        computed = connection.sql("SELECT * FROM churn_asked JOIN churn_features USING (row_id) ORDER BY row_id").df()
    expected = rs.features(names["db"], names["task"], plan="plan.json", at=AT).to_pandas()
    assert len(computed) == len(expected) > 20
    columns = [name for name in names["plan"].names if expected[name].dtype.kind in "fiub"]
    assert len(columns) > 20
    pd.testing.assert_frame_equal(
        computed[columns].astype(float), expected[columns].astype(float), check_exact=False, rtol=1e-9
    )
