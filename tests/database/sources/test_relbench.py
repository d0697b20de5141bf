"""RelBench datasets and tasks from a cache on this machine, in the layouts of versions 1, 2 and 3."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from relselect.database import Database
from relselect.database.clock import DAY
from relselect.errors import ConfigError, DataNotFound, SchemaError, TaskError
from relselect.tasks import Task

TABLES = {
    "drivers": ({"driverId": "pkey_col"}, {}, None),
    "results": ({"resultId": "pkey_col"}, {"driverId": "drivers"}, "date"),
    "views": ({}, {"driverId": "drivers"}, "date"),
}


def frames() -> dict[str, pa.Table]:
    days = pd.to_datetime("2020-01-01") + pd.to_timedelta(np.arange(200), "D")
    return {
        "drivers": pa.table({"driverId": np.arange(20), "name": [f"d{n}" for n in range(20)]}),
        "results": pa.table(
            {
                "resultId": np.arange(200),
                "driverId": np.arange(200) % 21,
                "date": days,
                "position": np.arange(200) % 7 * 1.0,
            }
        ),
        "views": pa.table({"driverId": np.arange(200) % 20, "date": days, "added": np.arange(200) % 2}),
    }


def labels(split: str, column: str = "label", values: int = 2) -> pa.Table:
    months = {"train": ("2020-02-01", 3), "val": ("2020-05-01", 1), "test": ("2020-06-01", 1)}[split]
    dates = pd.to_datetime(months[0]) + pd.to_timedelta(np.repeat(np.arange(months[1]) * 30, 20), "D")
    number = len(dates)
    label = np.random.default_rng(0).integers(0, values, number)
    return pa.table({"date": dates, "driverId": np.arange(number) % 20, column: label if values < 99 else label * 0.5})


def old(folder: Path) -> Path:
    """The layout of versions 1 and 2: what tables mean stands in their Parquet metadata."""

    def write(table: pa.Table, path: Path, key: str | None, references: dict[str, str], time: str | None) -> None:
        meta = {"fkey_col_to_pkey_table": references, "pkey_col": key, "time_col": time}
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.replace_schema_metadata({k: json.dumps(v) for k, v in meta.items()}), path)

    for name, table in frames().items():
        keys, references, time = TABLES[name]
        write(table, folder / "db" / f"{name}.parquet", next(iter(keys), None), references, time)
    for split in ("train", "val", "test"):
        tasks = folder / "tasks"
        write(labels(split), tasks / "wins" / f"{split}.parquet", None, {"driverId": "drivers"}, "date")
        write(
            labels(split, "points", 100), tasks / "points" / f"{split}.parquet", None, {"driverId": "drivers"}, "date"
        )
        both = {"driverId": "drivers", "label": "drivers"}
        write(labels(split), tasks / "next" / f"{split}.parquet", None, both, "date")
        done = frames()["results"].select(["date", "resultId", "position"])
        part = {"train": (0, 120), "val": (120, 40), "test": (160, 40)}[split]
        write(done.slice(*part), tasks / "positions" / f"{split}.parquet", None, {"resultId": "results"}, "date")
    return folder


def new(folder: Path) -> Path:
    """The layout of version 3: plain Parquet, manifests beside it."""
    tables = {}
    for name, table in frames().items():
        keys, references, time = TABLES[name]
        tables[name] = {"pkey": next(iter(keys), None), "time_col": time, "fkeys": references}
        (folder / "db").mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / "db" / f"{name}.parquet")
    manifest = {"name": "rel-small", "val_timestamp": "2020-05-01", "test_timestamp": "2020-06-01", "tables": tables}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    common = {"task_type": "binary_classification", "entity_table": "drivers", "entity_col": "driverId",
              "target_col": "label", "time_col": "date", "timedelta": "30 days", "kind": "forecast"}  # fmt: skip
    tasks = {
        "wins": {**common, "sql": "SELECT 1", "description": "Who wins?"},
        "points": {**common, "task_type": "regression", "target_col": "points"},
        "adds": {**common, "kind": "external", "remove_columns": [["views", "added"]]},
        "next": {"task_type": "recommendation", "kind": "external"},
        "positions": {
            "kind": "autocomplete",
            "task_type": "regression",
            "entity_table": "results",
            "target_col": "position",
        },
    }
    for name, told in tasks.items():
        path = folder / "tasks" / name
        path.mkdir(parents=True)
        (path / "manifest.yaml").write_text(yaml.safe_dump({"name": name, **told}))
        for number, split in enumerate(("train", "val", "test")):
            table = labels(split, told.get("target_col", "label"), 100 if name == "points" else 2)
            if name == "positions":
                table = frames()["results"].select(["date", "resultId", "position"]).slice(60 * number, 60)
            pq.write_table(table, path / f"{split}.parquet")
    return folder


@pytest.fixture(params=[old, new], ids=["old", "new"])
def folder(request, tmp_path):
    return request.param(tmp_path / "rel-small")


def test_keys_times_and_references(folder):
    database = Database.from_relbench(folder)
    assert database.name == "rel-small"
    assert database["drivers"].primary_key == ("driverId",)
    assert database["results"].time == "date"
    assert database.parents("results")[0][:22].tolist() == [*range(20), -1, 0]
    assert database["views"].primary_key == ()
    assert database.source == str(folder)


def test_tasks(folder):
    database = Database.from_relbench(folder)
    wins = Task.from_relbench(database, "wins")
    assert (wins.entity, wins.kind, wins.target, wins.regime) == ("drivers", "binary", "label", "frozen")
    assert wins.horizon == 30 * DAY
    assert {split: len(frame) for split, frame in wins.splits.items()} == {"train": 60, "val": 20, "test": 20}
    assert Task.from_relbench(database, "points", regime="rolling").kind == "regression"
    assert Task.from_relbench(database, "points", regime="rolling").regime == "rolling"
    positions = Task.from_relbench(database, "positions")
    assert positions.hidden_columns == ("position",)
    assert positions.horizon is None
    assert Task.from_relbench(database, "wins", folder=folder / "tasks" / "wins").fingerprint == wins.fingerprint


def test_what_cannot_be_asked_says_why(folder):
    database = Database.from_relbench(folder)
    with pytest.raises(TaskError, match="recommendation"):
        Task.from_relbench(database, "next")
    with pytest.raises(TaskError, match=r"Use one of: .*points, positions, wins"):
        Task.from_relbench(database, "nope")
    with pytest.raises(SchemaError, match="no table"):
        Database.from_relbench(folder, drop={"nope": ["x"]})


def test_columns_that_a_task_must_not_see(tmp_path):
    folder = new(tmp_path / "rel-small")
    with pytest.raises(TaskError, match=r"needs views.added left out: pass drop="):
        Task.from_relbench(Database.from_relbench(folder), "adds")
    database = Database.from_relbench(folder, drop={"views": ["added"]})
    assert "added" not in database["views"].columns
    assert Task.from_relbench(database, "adds").kind == "binary"


def test_a_test_split_without_labels_is_no_test(tmp_path):
    folder = new(tmp_path / "rel-small")
    path = folder / "tasks" / "wins" / "test.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["label"]), path)
    assert not Task.from_relbench(Database.from_relbench(folder), "wins").has_test


def test_a_task_about_a_table_that_does_not_exist_keeps_no_other_from_being_read(tmp_path):
    folder = new(tmp_path / "rel-small")
    place = folder / "tasks" / "wins" / "manifest.yaml"
    place.write_text(place.read_text().replace("entity_table: drivers", "entity_table: pilots"))
    database = Database.from_relbench(folder)
    assert "points" in database.tasks
    with pytest.raises(TaskError, match=r"task wins .*pilots"):
        Task.from_relbench(database, "wins")


def test_names_are_looked_up_in_the_caches(tmp_path, monkeypatch):
    for variable in ("RELBENCH_CACHE_DIR", "HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataNotFound, match="not on this machine"):
        Database.from_relbench("rel-small")
    old(tmp_path / "xdg" / "relbench" / "rel-small")
    first = Database.from_relbench("rel-small")
    snapshot = tmp_path / "hub" / "datasets--stanford-star--relbench-v1" / "snapshots" / "abc"
    new(snapshot / "rel-small")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert Database.from_relbench("stanford-star/relbench-v1/rel-small").data_folder == snapshot / "rel-small"
    assert Database.from_relbench("stanford-star/relbench-v1/rel-small").fingerprint == first.fingerprint
    monkeypatch.setenv("RELBENCH_CACHE_DIR", str(tmp_path / "named"))
    old(tmp_path / "named" / "rel-small")
    assert Database.from_relbench("rel-small").data_folder == tmp_path / "named" / "rel-small"
    with pytest.raises(DataNotFound):
        Database.from_relbench("rel-small", cache=tmp_path / "elsewhere")


def test_folders_that_are_none(tmp_path):
    (tmp_path / "db").mkdir()
    with pytest.raises(DataNotFound, match="holds no tables"):
        Database.from_relbench(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "db" / "a.parquet")
    with pytest.raises(ConfigError, match="metadata"):
        Database.from_relbench(tmp_path)
    (tmp_path / "manifest.yaml").write_text("[")
    with pytest.raises(ConfigError, match="not readable"):
        Database.from_relbench(tmp_path)
