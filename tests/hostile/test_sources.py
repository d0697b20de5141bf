"""Database files from strangers: their views and functions reach nothing outside, and every query ends in its time."""

from __future__ import annotations

import sqlite3
import time

import duckdb
import pandas as pd
import pytest

from relselect.database.sources import duckdb_file, file_source
from relselect.database.sources.open import open_source
from relselect.errors import ConfigError, SourceError, UserError

SECRET = "a line of another file"
#: Macros under the names of functions that reading a DuckDB file needs.
MACROS = (
    "epoch(x)",
    "isfinite(x)",
    "lower(x)",
    "hex(x)",
    "regexp_replace(a, b, c)",
    "timezone(a, b)",
    "current_database()",
)
TABLE_MACROS = ("duckdb_tables", "duckdb_views", "duckdb_columns", "duckdb_constraints")


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text(SECRET)
    return path


def in_duckdb(path, *statements):
    with duckdb.connect(str(path)) as connection:
        for statement in (
            "CREATE TABLE t (k DECIMAL(30, 2) PRIMARY KEY, i INTERVAL, d DATE, z TIMETZ)",
            "INSERT INTO t VALUES (2.50, INTERVAL 1 DAY, '2020-01-01', '10:00:00+02')",
            *statements,
        ):
            connection.execute(statement)
    return path


def in_sqlite(path, *statements):
    with sqlite3.connect(path) as connection:
        for statement in ("CREATE TABLE t (k INTEGER)", "INSERT INTO t VALUES (1)", *statements):
            connection.execute(statement)
    return path


def test_functions_of_a_file_are_not_called(tmp_path):
    path = in_duckdb(
        tmp_path / "x.duckdb",
        *(f"CREATE MACRO {macro} AS 'mine'" for macro in MACROS),
        *(
            f"CREATE MACRO {name}() AS TABLE SELECT 'main' AS schema_name, 'ghost' AS table_name"
            for name in TABLE_MACROS
        ),
    )
    with open_source(path) as source:
        catalog = source.catalog().tables
        assert set(catalog) == {"t"}
        assert catalog["t"].primary_key == ("k",)
        (row,) = source.read("t").to_pylist()
    assert row["k"] == "2.5"
    assert row["i"] == 86400.0
    assert str(row["d"]) == "2020-01-01"
    assert str(row["z"]) == "08:00:00"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT content AS x FROM read_text('{path}')",
        "SELECT * FROM read_csv('{path}', header=false)",
        "SELECT file AS x FROM glob('{folder}/*')",
        "SELECT * FROM '{path}'",
    ],
)
def test_views_and_predicates_read_no_other_file(tmp_path, secret, query):
    query = query.format(path=secret, folder=tmp_path)
    path = in_duckdb(tmp_path / "x.duckdb", f"CREATE VIEW v AS {query}")
    with open_source(path) as source:
        with pytest.raises(UserError) as raised:
            source.read("v")
        assert SECRET not in str(raised.value)
        with pytest.raises(UserError) as raised:
            source.read("t", where=f"exists ({query})")
        assert SECRET not in str(raised.value)


ESCAPES = (
    "1 = 1); COPY t TO '{out}'; SELECT (1",
    "1 = 1) UNION ALL SELECT * FROM t WHERE (1 = 1",
    "1 = 1; SELECT 1",
    "1 = 1) --",
    "1 = 1 /* /* */ ) */",
    "1 = 1) /*",
    "(1 = 1",
    "name = 'x",
    "name = $$)$$",
    "k = 1 \x00",
)


@pytest.mark.parametrize("where", ESCAPES)
@pytest.mark.parametrize("make", [in_duckdb, in_sqlite])
def test_a_predicate_is_one_predicate(tmp_path, where, make):
    out = tmp_path / "out.csv"
    with open_source(make(tmp_path / "x.db")) as source, pytest.raises(ConfigError, match="refuses it"):
        source.read("t", where=where.format(out=out))
    assert not out.exists()


@pytest.mark.parametrize(
    "where", ["k > 0 -- few", "k > 0 AND 'a;)' <> '('", "(k > 0) /* all */", "k > 0 AND 'it''s)' <> ''"]
)
@pytest.mark.parametrize("make", [in_duckdb, in_sqlite])
def test_a_predicate_with_brackets_in_text_is_one(tmp_path, where, make):
    with open_source(make(tmp_path / "x.db")) as source:
        assert source.read("t", where=where).num_rows == 1


def test_settings_are_locked(tmp_path):
    with open_source(in_duckdb(tmp_path / "x.duckdb")) as source:
        source.catalog()
        for statement in (
            "SET enable_external_access = true",
            "SET memory_limit = '99GB'",
            "ATTACH ':memory:' AS other",
        ):
            with pytest.raises(duckdb.Error):
                source._connection.execute(statement)


BOMBS = {
    "duckdb": (
        "SELECT count(*) AS x FROM range(100000000000)",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) AS x FROM r",
        "SELECT count(*) AS x FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 3",
        "SELECT list_sum(range(4000000 + a.range)) AS x FROM range(60) a",  # one call that notices no interrupt; lists of 2 GB
    ),
    "sqlite": (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) AS x FROM r",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 100000) SELECT count(*) AS x FROM r a, r b, r c",
        "SELECT instr(zeroblob(3000000), zeroblob(100000) || x'01') AS x",  # one call that notices no interrupt
        "SELECT length(replace(hex(zeroblob(100000000)), '0', 'abc')) AS x",
    ),
}


@pytest.mark.parametrize(("kind", "bomb"), [(kind, bomb) for kind, bombs in BOMBS.items() for bomb in bombs])
def test_a_query_that_does_not_end_is_left_alone(tmp_path, monkeypatch, kind, bomb):
    monkeypatch.setattr(duckdb_file, "memory_limit", lambda: 1 << 30)  # a query that is given up goes on in its thread
    make = in_duckdb if kind == "duckdb" else in_sqlite
    path = make(tmp_path / "x.db", f"CREATE VIEW v AS {bomb}")
    begun = time.monotonic()
    with (
        open_source(path, statement_timeout=0.3) as source,
        pytest.raises(SourceError, match=r"longer than|too big|memory"),
    ):
        source.read("v")
    assert time.monotonic() - begun < 20


PREDICATES = (
    "x < (SELECT count(*) FROM range(1000000000), range(1000000000))",
    "x < list_sum(range(4000000000))",
    "x < len(list_reduce(list_transform(range(40), lambda x: 'xy'), lambda a, b: a || a))",
)


@pytest.mark.parametrize("predicate", PREDICATES)
def test_a_predicate_on_files_ends_in_time_and_memory(tmp_path, monkeypatch, predicate):
    monkeypatch.setattr(file_source, "memory_limit", lambda: 256 << 20)
    (tmp_path / "t.csv").write_text("x\n1\n2\n")
    begun = time.monotonic()
    with (
        open_source(tmp_path, statement_timeout=1.0) as source,
        pytest.raises(UserError, match=r"took longer than|Out of Memory"),
    ):
        source.read("t", where=predicate)
    assert time.monotonic() - begun < 20


def test_a_predicate_on_files_reads_no_variable_of_python(tmp_path):
    (tmp_path / "t.csv").write_text("x\n1\n2\n")
    secret_frame = pd.DataFrame({"x": [1]})
    with open_source(tmp_path) as source, pytest.raises(ConfigError, match="secret_frame"):
        source.read("t", where="x IN (SELECT x FROM secret_frame)")
    assert len(secret_frame) == 1
