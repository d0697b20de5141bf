"""Databases from folders of Parquet and CSV files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relselect.database import Database
from relselect.database.manifest import parse_manifest
from relselect.database.sources.files import read_file
from relselect.errors import ConfigError, DataNotFound, SchemaError

MANIFEST = """
name: shop
description: A shop.
tables:
  customers:
    primary_key: id
    types: {zip: categorical}
  orders:
    primary_key: [customer, number]
    time: placed
    foreign_keys:
      - {columns: customer, table: customers}
    drop: [internal]
    known_at: {paid: [method]}
tasks:
  churn:
    entity: customers
    kind: binary
    target: y
    files: {train: train.csv, val: val.csv}
"""
CUSTOMERS = "id,zip,league\n1,01234,NA\n2,99999,\n3,00000,AL\n"
ORDERS = pa.table(
    {
        "customer": [1, 1, 2],
        "number": [1, 2, 1],
        "placed": pa.array([10, 20, 30], pa.timestamp("s")),
        "paid": pa.array([11, None, 31], pa.timestamp("s")),
        "method": ["card", None, "cash"],
        "internal": [0, 0, 0],
    }
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "database.yaml").write_text(MANIFEST)
    (tmp_path / "customers.csv").write_text(CUSTOMERS)
    pq.write_table(ORDERS, tmp_path / "orders.parquet")
    return tmp_path


def problems(path: Path) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        Database.from_folder(path)
    return [str(problem) for problem in caught.value.problems]


def test_folder_with_manifest(shop: Path) -> None:
    database = Database.from_folder(shop)
    orders = database["orders"]
    assert (database.name, database.description, database.data_folder) == ("shop", "A shop.", shop)
    assert list(database.tasks) == ["churn"]
    assert orders.columns == ["customer", "number", "placed", "paid", "method"]
    assert orders.foreign_keys[0].ref_columns == ("id",)
    assert dict(orders.known_at) == {"paid": ("method",)}
    assert database.parents("orders")[0].tolist() == [0, 0, 1]


def test_manifest_file_and_manifest_apart_from_the_data(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Database.from_folder(shop / "database.yaml").num_rows == 6
    apart = tmp_path / "apart" / "shop.yaml"
    apart.parent.mkdir()
    (shop / "database.yaml").rename(apart)
    assert Database.from_folder(shop, apart).num_rows == 6
    apart.write_text(MANIFEST.replace("description", "root: ..\ndescription", 1))
    with pytest.raises(ConfigError, match=r"leads out of .*RELSELECT_ALLOW_PATHS=1"):
        Database.from_folder(apart)
    monkeypatch.setenv("RELSELECT_ALLOW_PATHS", "1")
    assert Database.from_folder(apart).num_rows == 6


def test_declared_categories_keep_leading_zeros_and_text_keeps_na(shop: Path) -> None:
    customers = Database.from_folder(shop)["customers"].data
    assert customers["zip"].to_pylist() == ["01234", "99999", "00000"]
    assert customers["league"].to_pylist() == ["NA", None, "AL"]


def test_several_files_make_one_table(shop: Path) -> None:
    (shop / "customers.csv").unlink()
    for number in (2, 1):
        (shop / f"part-{number}.csv.gz").write_bytes(gzip.compress(f"id,zip\n{number},0\n".encode()))
    manifest = MANIFEST.replace("primary_key: id", "primary_key: id\n    file: part-*.csv.gz")
    (shop / "database.yaml").write_text(manifest)
    assert Database.from_folder(shop)["customers"].data["id"].to_pylist() == [1, 2]
    (shop / "part-3.csv.gz").write_bytes(gzip.compress(b"id,area\n3,0\n"))
    assert problems(shop) == [
        "customers (part-3.csv.gz): differs from part-1.csv.gz in columns: area, zip. "
        "Give all files of a table the same columns, or narrow the glob."
    ]


def test_all_problems_come_at_once(shop: Path) -> None:
    (shop / "customers.csv").unlink()
    (shop / "database.yaml").write_text(
        MANIFEST.replace("time: placed", "time: place").replace("[internal]", "[intern]")
    )
    found = "\n".join(problems(shop))
    assert "customers.parquet or customers.csv" in found
    assert "orders.intern (drop)" in found
    (shop / "database.yaml").write_text(MANIFEST.replace("time: placed", "time: place"))
    found = "\n".join(problems(shop))
    assert "customers.parquet or customers.csv" in found
    assert "orders.place (time column)" in found
    assert "does not exist" not in found


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"id,zip\n1,caf\x81\n", "is not UTF-8 at byte 12"),
        (b"id,zip\n1,2\n3\n4,5,6\n", "row 3 has 1: 3; row 4 has 3: 4,5,6"),
        (b"id,id\n1,2\n", "occurs twice"),
        (b"", "Empty CSV file"),
    ],
)
def test_broken_csv_is_named(shop: Path, content: bytes, rule: str) -> None:
    (shop / "customers.csv").write_bytes(content)
    (found,) = problems(shop)
    assert "customers.csv" in found
    assert rule in found


def test_bad_byte_is_counted_over_chunks(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    filling = b"a\n" + b"\xc3\xa9\n" * 1_500_000
    path.write_bytes(filling + b"\xff\x81\n")
    (problem,) = read_file(path, "t")
    assert f"byte {len(filling)}" in problem.rule


def test_types_are_guessed_again_when_late_rows_disagree(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("code\n" + "1\n" * 1_000_000 + "A7\n")
    data = read_file(path, "t")
    assert isinstance(data, pa.Table)
    assert data["code"][-1].as_py() == "A7"


def test_quoted_line_breaks_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfid,text\n1,"two\nlines"\n')
    data = read_file(path, "t")
    assert isinstance(data, pa.Table)
    assert data.to_pydict() == {"id": [1], "text": ["two\nlines"]}


def test_broken_parquet_is_a_problem(shop: Path) -> None:
    (shop / "orders.parquet").write_bytes(b"PAR1 nothing")
    (found,) = problems(shop)
    assert "orders.parquet" in found
    assert "not readable" in found


def test_pandas_index_columns_are_left_out(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2, 3]})
    frame[frame["a"] > 1].to_parquet(tmp_path / "t.parquet")
    data = read_file(tmp_path / "t.parquet", "t")
    assert isinstance(data, pa.Table)
    assert data.column_names == ["a"]


def test_folder_without_manifest_shows_one(shop: Path) -> None:
    (shop / "database.yaml").unlink()
    with pytest.raises(ConfigError) as caught:
        Database.from_folder(shop)
    skeleton = caught.value.fix.split("\n\n", 1)[1]
    assert "    # primary_key: id" in skeleton
    assert "    # time: placed" in skeleton
    assert "    #   - {columns: customer, table: customers}" in skeleton or "foreign_keys" not in skeleton
    import yaml

    manifest = parse_manifest(yaml.safe_load(skeleton))
    assert all(table.primary_key is None for table in manifest.tables.values())


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="no such folder"):
        Database.from_folder(tmp_path / "nowhere")
    with pytest.raises(DataNotFound, match="holds neither"):
        Database.from_folder(tmp_path)
