"""Folders, globs and hive partitions by address, and manifests that name a database."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from relselect.configs import open_database
from relselect.database import Database
from relselect.database.sources.open import open_source
from relselect.errors import ConfigError, DataNotFound, SchemaError, SourceError

KEYS = {"customers": "id"}
REFERENCES = {"orders": {"customer": "customers"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    for year, month in ((2020, 1), (2020, 12), (2021, 1)):
        part = root / "orders" / f"year={year}" / f"month={month:02d}" / f"day={year}-{month:02d}-01" / "shop=a%20b"
        part.mkdir(parents=True)
        pq.write_table(pa.table({"customer": [1, 2], "total": [year + 0.5, None]}), part / "0.parquet")
    (root / "customers.csv").write_text("id,zip\n1,01234\n2,99999\n")
    (root / "tasks" / "churn").mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), root / "tasks" / "churn" / "train.parquet")
    (root / "README.md").write_text("words")
    return root


def test_a_folder_by_address(folder):
    with open_source(folder) as source:
        tables = source.catalog().tables
        assert set(tables) == {"customers", "orders"}
        assert tables["orders"].row_estimate == 6
        assert {name: str(column.type) for name, column in tables["orders"].columns.items()} == {
            "customer": "int64", "total": "double", "year": "int64", "month": "string", "day": "date32[day]",
            "shop": "string",
        }  # fmt: skip
        assert source.read("orders", columns=["day"], limit=3)["day"].to_pylist() == [
            dt.date(2020, 1, 1), dt.date(2020, 1, 1), dt.date(2020, 12, 1)
        ]  # fmt: skip
        assert (
            source.read("orders", columns=["month"], where="year = 2021 -- the last")["month"].to_pylist() == ["01"] * 2
        )
    database = Database.from_uri(
        folder, keys=KEYS, foreign_keys=REFERENCES, times={"orders": "day"}, types={"customers": {"zip": "categorical"}}
    )
    assert database.parents("orders")[0].tolist() == [0, 1] * 3
    assert database["orders"].data["shop"].to_pylist() == ["a b"] * 6
    assert database["customers"].data["zip"].to_pylist() == ["01234", "99999"]
    assert database.source == str(folder)


def test_a_manifest_in_the_folder_goes_with_it(folder):
    manifest = {
        "name": "shop",
        "tables": {
            "customers": {"primary_key": "id"},
            "orders": {
                "file": "orders/**/*.parquet",
                "time": "day",
                "foreign_keys": [{"columns": "customer", "table": "customers"}],
            },
        },
    }
    (folder / "database.yaml").write_text(yaml.safe_dump(manifest))
    database = Database.from_uri(f"file://{folder}")
    assert database.name == "shop"
    assert (
        database.fingerprint
        == Database.from_folder(folder).fingerprint
        == Database.from_uri(folder / "database.yaml").fingerprint
    )
    assert Database.from_uri(folder, limit={"orders": 2}, drop={"customers": ["zip"]})["orders"].num_rows == 2


def test_globs_and_single_files(folder, tmp_path):
    with open_source(f"{folder}/*.csv") as source:
        assert set(source.catalog().tables) == {"customers"}
    with open_source(folder / "customers.csv") as source:
        assert source.read("customers").num_rows == 2
    with open_source(f"{folder}/orders/year=2020/**/*.parquet") as source, pytest.raises(DataNotFound):
        source.catalog()
    with open_source(f"{folder}/*/year=2020/**/*.parquet") as source:
        assert source.read("orders").num_rows == 4
        assert source.address.name == "shop"


def test_nothing_declared_shows_a_manifest(folder, tmp_path):
    with pytest.raises(ConfigError, match="nothing declares keys"):
        Database.from_uri(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataNotFound, match="holds no"):
        Database.from_uri(tmp_path / "empty", keys={"a": "b"})


def test_broken_files_are_problems_all_at_once(folder):
    (folder / "bad.parquet").write_bytes(b"PAR1 nothing")
    (folder / "worse.csv").write_bytes(b"")
    with pytest.raises(SchemaError) as caught:
        Database.from_uri(folder, keys=KEYS)
    assert {problem.table for problem in caught.value.problems} == {"bad", "worse"}
    (folder / "bad.parquet").unlink()
    for content, rule in ((b"a,b\n1,2\n3\n", "row 3 has 1"), (b"a\n\x81\n", "not UTF-8 at byte 2")):
        (folder / "worse.csv").write_bytes(content)
        with pytest.raises(SchemaError, match=rule):
            Database.from_uri(folder, keys=KEYS)
    with pytest.raises(ConfigError, match="DuckDB refuses it"):
        Database.from_uri(folder, tables=["customers"], keys=KEYS, where={"customers": "nope"})


def database_file(folder: Path) -> Path:
    path = folder / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE orders (id INTEGER PRIMARY KEY, user INTEGER REFERENCES users, placed TIMESTAMP, total REAL);
            INSERT INTO users VALUES (1, 'a'), (2, 'b');
            INSERT INTO orders VALUES (1, 1, '2020-01-01', 5), (2, 2, '2020-01-02', 6), (3, 2, '2020-01-03', 7)"""
        )
    return path


def test_a_manifest_may_name_a_database(tmp_path, monkeypatch):
    database_file(tmp_path)
    path = tmp_path / "database.yaml"
    path.write_text(
        """name: shop
uri: sqlite:///${RELSELECT_SHOP_FILE}
tables:
  users: {}
  orders: {time: placed, drop: [total], where: "id < 3"}
tasks:
  again: {entity: users, kind: binary, target: y, files: {train: train.csv, val: val.csv}}
"""
    )
    with pytest.raises(DataNotFound, match="RELSELECT_SHOP_FILE is not set"):
        open_database(path)
    monkeypatch.setenv("RELSELECT_SHOP_FILE", "shop.sqlite")
    database = open_database(path)
    assert database.source == str(path)
    assert database.data_folder == tmp_path
    assert database["orders"].columns == ["id", "user", "placed"]
    assert database.parents("orders")[0].tolist() == [0, 1]
    assert list(database.tasks) == ["again"]
    for other in (Database.from_folder(tmp_path), Database.from_uri(path), Database.from_uri(tmp_path)):
        assert other.fingerprint == database.fingerprint
    assert Database.from_uri(tmp_path / "shop.sqlite", manifest=path).fingerprint == database.fingerprint
    path.write_text("name: shop\nuri: shop.sqlite\n")
    assert set(open_database(path).tables) == {"users", "orders"}


@pytest.mark.parametrize(
    ("text", "error", "rule"),
    [
        ("uri: postgresql://ann:hunter2@db/shop", ConfigError, "holds no password"),
        ("uri: shop.sqlite\nroot: .", SchemaError, "exclude each other"),
        ("schema: public\ntables: {a: {}}", SchemaError, "schema goes with uri"),
        ("description: nothing", SchemaError, "at least one"),
        ("tables: {a: {where: x > 1}}", SchemaError, "there is no uri"),
        ("uri: shop.sqlite\ntables: {nope: {}}", SchemaError, "no table of the database"),
        ("uri: shop.sqlite\ntables: {users: {drop: [nope], primary_key: [nope]}}", SchemaError, "nope"),
        ("uri: shop.sqlite\nurl: postgresql://ann:hunter2@db/shop", SchemaError, "url"),
        ("uri: [postgresql://ann:hunter2@db/shop]", SchemaError, "string"),
        ('uri: "postgresql://ann:hunter2@db/shop', ConfigError, "YAML"),
        ("root: postgresql://ann:hunter2@db/shop\ntables: {a: {}}", DataNotFound, "no such folder"),
    ],
)
def test_what_a_manifest_may_not_say(tmp_path, text, error, rule):
    database_file(tmp_path)
    path = tmp_path / "database.yaml"
    path.write_text(f"name: shop\n{text}\n")
    with pytest.raises(error, match=rule) as caught:
        open_database(path)
    assert "hunter2" not in str(caught.value)


def test_what_a_manifest_says_goes_over_the_catalog(tmp_path):
    database_file(tmp_path)
    path = tmp_path / "other.yaml"
    path.write_text(
        """name: shop
tables:
  users: {primary_key: null}
  orders: {foreign_keys: [], primary_key: [id, user]}
"""
    )
    database = Database.from_uri(tmp_path / "shop.sqlite", manifest=path, times={"orders": "placed"})
    assert database["users"].primary_key == ()
    assert database["orders"].foreign_keys == ()
    assert database["orders"].primary_key == ("id", "user")
    assert database["orders"].time == "placed"


def test_missing_driver_is_named(monkeypatch):
    import sys

    from relselect.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(MissingExtra, match=r"relselect\[postgres\]"):
        Database.from_uri("postgresql://db/shop")
    assert issubclass(SourceError, ValueError)
