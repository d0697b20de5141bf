"""DuckDB files: catalog, types and failures."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from relselect.database import Database, ForeignKey
from relselect.database.sources.open import open_source
from relselect.errors import ConfigError, DataNotFound, SourceError

SCRIPT = """
CREATE TABLE users (id INTEGER PRIMARY KEY, mail VARCHAR NOT NULL UNIQUE);
COMMENT ON TABLE users IS 'People';
CREATE TABLE orders (
    a HUGEINT, b DECIMAL(30, 2), "user" INTEGER REFERENCES users, total DECIMAL(10, 2), pieces DECIMAL(9, 0), big HUGEINT,
    u UUID, mood ENUM ('sad', 'ok'), pause INTERVAL, placed TIMESTAMPTZ, valid TIMESTAMP, day DATE, tags INTEGER[],
    inner_ STRUCT(x INTEGER), pic BLOB, flags BIT, fine TIMESTAMP_NS, "it's ""odd"" here" VARCHAR, PRIMARY KEY (a, b));
CREATE TABLE lines (a HUGEINT, b DECIMAL(30, 2), n INTEGER, FOREIGN KEY (a, b) REFERENCES orders (a, b));
CREATE VIEW dear AS SELECT * FROM orders;
CREATE SCHEMA other; CREATE TABLE other.users (x INTEGER);
INSERT INTO users VALUES (1, 'a@x');
INSERT INTO orders VALUES (170141183460469231731687303715884105727, 2.50, 1, 1.25, 3, 7, '00000000-0000-0000-0000-000000000001',
    'ok', INTERVAL '1 day 2 hours', '2020-01-01 10:00:00+02', 'infinity', '2020-01-01', [1, 2], {'x': 1}, '\\x00'::BLOB,
    '101', '2020-01-01 00:00:00.000000001', 'x');
INSERT INTO lines VALUES (170141183460469231731687303715884105727, 2.50, 1), (NULL, NULL, 2);
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("duckdb") / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SCRIPT)
    return path


def test_catalog(file):
    with open_source(file) as source:
        tables = source.catalog().tables
    assert set(tables) == {"users", "orders", "lines", "dear"}
    assert tables["orders"].primary_key == ("a", "b")
    assert tables["orders"].foreign_keys == (ForeignKey(("user",), "users", ("id",)),)
    assert tables["lines"].foreign_keys == (ForeignKey(("a", "b"), "orders", ("a", "b")),)
    assert tables["users"].unique_keys == (("mail",),)
    assert tables["users"].comment == "People"
    assert tables["users"].row_estimate == 1
    assert tables["orders"].left_out == {"pic": "holds bytes"}
    assert str(tables["orders"].columns["tags"].type).startswith("list")
    assert tables["dear"].kind == "view"


def test_types_are_those_the_house_takes(file):
    database = Database.from_uri(f"duckdb:///{file}", times={"orders": "placed"})
    (row,) = database["orders"].data.drop_columns(["fine"]).to_pylist()
    assert row == {
        "a": "170141183460469231731687303715884105727", "b": "2.5", "user": 1, "total": 1.25, "pieces": 3, "big": 7.0,
        "u": "00000000-0000-0000-0000-000000000001", "mood": "ok", "pause": 93600.0,
        "placed": dt.datetime(2020, 1, 1, 8, tzinfo=row["placed"].tzinfo), "valid": None, "day": dt.date(2020, 1, 1),
        "tags": [1, 2], "inner_": {"x": 1}, "flags": "101", 'it\'s "odd" here': "x",
    }  # fmt: skip
    assert str(database["orders"].data["fine"].type) == "timestamp[ns]"
    assert str(database["orders"].data["placed"].type) == "timestamp[us, tz=UTC]"
    assert database.parents("lines")[0].tolist() == [0, -1]
    assert "dear" not in database.tables


def test_selection_and_schemas(file):
    cut = Database.from_uri(file, tables=["lines"], where={"lines": "n > 1 -- few"}, columns={"lines": ["n"]})
    assert cut["lines"].data.to_pylist() == [{"a": None, "b": None, "n": 2}]
    assert Database.from_uri(file, schema="other")["users"].columns == ["x"]
    both = Database.from_uri(file, schema=["main", "other"])
    assert both["main.orders"].foreign_keys[0].table == "main.users"
    with pytest.raises(DataNotFound, match="one of: main, other"):
        Database.from_uri(file, schema="none")
    for wrong in ("nope = 1", "1 = 1; DROP TABLE lines"):
        with pytest.raises(ConfigError, match="DuckDB refuses it"):
            Database.from_uri(file, where={"lines": wrong})


def test_failures(file, tmp_path):
    slow = tmp_path / "slow.duckdb"
    with duckdb.connect(str(slow)) as connection:
        connection.execute(
            "CREATE VIEW v AS SELECT count(*) AS c FROM range(10000000) a, range(1000000) b WHERE a.range = b.range + 1"
        )
        connection.execute("CREATE VIEW far AS SELECT 1 / 0 AS x")
    with pytest.raises(SourceError, match="longer than the time allowed"):
        Database.from_uri(slow, tables=["v"], statement_timeout=0.2)
    damaged = tmp_path / "damaged.duckdb"
    damaged.write_bytes(file.read_bytes()[:600])
    with pytest.raises(SourceError, match="DuckDB says"):
        Database.from_uri(damaged)
