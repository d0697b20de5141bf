"""SQLite: one type per column out of dynamic ones, dates in every dress, and broken files."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest

from relselect.database import Database, ForeignKey
from relselect.database.sources.open import open_source
from relselect.errors import ConfigError, DataNotFound, SchemaError, SourceError


def made(folder: Path, script: str) -> Path:
    path = folder / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(script)
    return path


def column(folder: Path, declared: str, *values: str) -> pa.ChunkedArray:
    rows = ", ".join(f"({value})" for value in values)
    path = made(folder, f"CREATE TABLE t (k INTEGER, x {declared}); INSERT INTO t (x) VALUES {rows}")
    return Database.from_uri(path)["t"].data["x"]


def test_catalog(tmp_path):
    path = made(
        tmp_path,
        """CREATE TABLE Users (id INTEGER PRIMARY KEY, mail TEXT NOT NULL UNIQUE, pic BLOB);
        CREATE TABLE orders (a INT, b INT, user INTEGER REFERENCES users, PRIMARY KEY (a, b)) WITHOUT ROWID;
        CREATE TABLE lines (A INT, B INT, note TEXT, FOREIGN KEY (a, b) REFERENCES ORDERS (A, B));
        CREATE VIEW dear AS SELECT * FROM orders; CREATE VIRTUAL TABLE words USING fts5(note);
        CREATE TABLE gone (x INT REFERENCES nowhere)""",
    )
    with open_source(path) as source:
        tables = source.catalog().tables
        assert source.catalog().notes == ("gone.x refers to nowhere, which is not there",)
    assert tables["Users"].primary_key == ("id",)
    assert tables["Users"].unique_keys == (("mail",),)
    assert tables["Users"].left_out == {"pic": "holds bytes"}
    assert tables["orders"].primary_key == ("a", "b")
    assert tables["orders"].foreign_keys == (ForeignKey(("user",), "Users", ("id",)),)
    assert tables["lines"].foreign_keys == (ForeignKey(("A", "B"), "orders", ("a", "b")),)
    assert tables["dear"].kind == "view"
    assert not any(name.startswith("words_") for name in tables)


@pytest.mark.parametrize(
    ("declared", "values", "dtype", "read"),
    [
        ("INTEGER", ["1", "NULL", "''"], "int64", [1, None, None]),
        ("INT", ["1", "2.5"], "double", [1.0, 2.5]),
        ("REAL", ["1", "2.5"], "double", [1.0, 2.5]),
        ("NUMERIC(8, 0)", ["1", "2"], "int64", [1, 2]),
        ("DECIMAL(8, 2)", ["1", "2.5"], "double", [1.0, 2.5]),
        ("VARCHAR(5)", ["1", "''", "'é'"], "string", ["1", "", "é"]),
        ("BOOLEAN", ["1", "0", "NULL"], "bool", [True, False, None]),
        ("BOOL", ["'true'", "'f'"], "bool", [True, False]),
        ("BOOLEAN", ["1", "7"], "int64", [1, 7]),
        ("DATE", ["'2020-01-31'", "''"], "date32[day]", [dt.date(2020, 1, 31), None]),
        ("DATE", ["'2020-01-31 10:00:00'"], "timestamp[us]", [dt.datetime(2020, 1, 31, 10)]),
        ("DATE", ["2019", "2020"], "int64", [2019, 2020]),
        ("TIMESTAMP", ["'2020-01-31T10:00:00.5+02:00'", "'2020-01-31'"], "timestamp[us]",
         [dt.datetime(2020, 1, 31, 8, 0, 0, 500_000), dt.datetime(2020, 1, 31)]),
        ("DATETIME", ["1577836800", "0"], "timestamp[us]", [dt.datetime(2020, 1, 1), dt.datetime(1970, 1, 1)]),
        ("DATETIME", ["1577836800000", "-1000"], "timestamp[us]",
         [dt.datetime(2020, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59)]),
        ("DATETIME", ["2458849.75"], "timestamp[us]", [dt.datetime(2020, 1, 1, 6)]),
        ("DATETIME", ["1577836800.25"], "timestamp[us]", [dt.datetime(2020, 1, 1, 0, 0, 0, 250_000)]),
        ("TIME", ["'10:30:00'"], "time64[us]", [dt.time(10, 30)]),
        ("", ["'a'", "'1'"], "string", ["a", "1"]),
        ("", ["1", "2.5"], "double", [1.0, 2.5]),
        ("INTEGER", ["NULL"], "int64", [None]),
        ("TEXT", ["NULL"], "string", [None]),
        ("INTEGER", ["9223372036854775807", "-9223372036854775808"], "int64", [2**63 - 1, -(2**63)]),
    ],
)  # fmt: skip
def test_types(tmp_path, declared, values, dtype, read):
    found = column(tmp_path, declared, *values)
    assert (str(found.type), found.to_pylist()) == (dtype, read)


@pytest.mark.parametrize(
    ("declared", "values", "rule"),
    [
        ("INTEGER", ["1", "'many'"], "1 whole numbers, 1 texts, e.g. 'many'): mixes kinds"),
        ("INTEGER", ["'many'"], "declared as a number and holds text"),
        ("TEXT", ["'a'", "x'00'"], "1 texts, 1 blobs"),
        ("DATE", ["'2020-13-01'"], "does not read as date32"),
        ("TIMESTAMP", ["'yesterday'"], "e.g. 'yesterday'"),
        ("BOOLEAN", ["'maybe'"], "declared as a boolean and holds 'maybe'"),
        ("", ["1", "'a'"], "mixes kinds"),
    ],
)
def test_mixed_columns_are_problems(tmp_path, declared, values, rule):
    with pytest.raises(SchemaError) as caught:
        column(tmp_path, declared, *values)
    assert rule in str(caught.value)
    assert caught.value.problems[0].column == "x"


def test_problems_of_all_tables_come_at_once(tmp_path):
    path = made(
        tmp_path,
        """CREATE TABLE a (x INT, y DATE); INSERT INTO a VALUES ('one', 'two'), (1, 1);
        CREATE TABLE b (z INT); INSERT INTO b VALUES ('three')""",
    )
    with pytest.raises(SchemaError) as caught:
        Database.from_uri(path)
    assert [(problem.table, problem.column) for problem in caught.value.problems] == [
        ("a", "x"),
        ("a", "y"),
        ("b", "z"),
    ]
    assert Database.from_uri(path, where={"a": "typeof(x) = 'integer'"}, drop={"a": ["y"]}, tables=["a"]).num_rows == 1


def test_selection_and_order(tmp_path):
    rows = ", ".join(f"({n}, {9 - n}, 'w{n}')" for n in range(9))
    path = made(
        tmp_path,
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, w TEXT); CREATE INDEX i ON t (n); INSERT INTO t VALUES {rows}",
    )
    assert Database.from_uri(path, columns={"t": ["n"]})["t"].data["n"].to_pylist() == list(range(9, 0, -1))
    cut = Database.from_uri(path, where={"t": "n < 8 -- not all"}, limit=3)
    assert cut["t"].data["id"].to_pylist() == [2, 3, 4]
    with pytest.raises(ConfigError, match="SQLite refuses it"):
        Database.from_uri(path, where={"t": "nope = 1"})
    with pytest.raises(ConfigError, match="SQLite refuses it"):
        Database.from_uri(path, where={"t": "1 = 1; DROP TABLE t"})
    with pytest.raises(ConfigError, match="schema"):
        Database.from_uri(path, schema="public")


def test_names_and_nothing_written(tmp_path):
    evil = 'x"; DROP TABLE t; --'.replace('"', '""')
    path = made(
        tmp_path,
        f'CREATE TABLE t (a INT); CREATE TABLE "{evil}" ("select" INT, "{evil}" INT); INSERT INTO t VALUES (1)',
    )
    before = path.read_bytes()
    assert set(Database.from_uri(path).tables) == {"t", evil.replace('""', '"')}
    assert path.read_bytes() == before
    with open_source(path) as source, pytest.raises(SourceError, match="readonly"):
        source._fetch("INSERT INTO t VALUES (2)")


def test_broken_files(tmp_path):
    empty = made(tmp_path, "")
    with pytest.raises(DataNotFound, match="holds no tables"):
        Database.from_uri(f"sqlite:///{empty}")
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"SQLite format 3\0" + b"\1" * 4096)
    with pytest.raises(SourceError, match="damaged"):
        Database.from_uri(damaged)
    other = tmp_path / "other.db"
    other.write_bytes(b"nothing of the kind")
    with pytest.raises(SourceError, match="damaged or no SQLite file"):
        Database.from_uri(f"sqlite:///{other}")
    (tmp_path / "text").mkdir()
    text = made(tmp_path / "text", "CREATE TABLE t (w TEXT); INSERT INTO t VALUES (CAST(x'ff' AS TEXT))")
    with pytest.raises(SchemaError, match="UTF-8"):
        Database.from_uri(text)


def test_a_slow_query_is_cut_off(tmp_path):
    path = made(
        tmp_path,
        """CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1e12)
        SELECT count(*) AS c FROM n""",
    )
    with pytest.raises(SourceError, match="longer than the time allowed"):
        Database.from_uri(path, statement_timeout=0.2)


def test_a_file_that_is_being_written_is_reported(tmp_path, monkeypatch):
    from relselect.database.sources import sqlite

    monkeypatch.setattr(sqlite, "_WAIT_SECONDS", 0.1)
    path = made(tmp_path, "CREATE TABLE t (a INT)")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match="locked"):
            Database.from_uri(path)
        other.execute("ROLLBACK")
