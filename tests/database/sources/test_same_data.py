"""The same data in PostgreSQL, SQLite, DuckDB and CSV files: the same fingerprint, features and predictions."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from pyarrow import csv
from typer.testing import CliRunner

import relselect as rs
from relselect.api import select_and_train
from relselect.cli.main import app
from relselect.configs import open_database
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.problem import Problem

KEPT = {
    "People": ["playerID", "birthYear", "birthCountry", "nameLast", "weight", "height", "bats", "throws"],
    "TeamsFranchises": ["franchID", "franchName"],
    "Teams": ["yearID", "lgID", "franchID", "Rank", "G", "W", "ERA", "attendance", "DivWin", "team_season_id", "time"],
    "Appearances": ["yearID", "playerID", "G_all", "GS", "G_p", "team_season_id", "time"],
    "Batting": ["playerID", "stint", "lgID", "G", "AB", "H", "HR", "SB", "team_season_id", "time"],
    "Salaries": ["playerID", "salary", "team_season_id", "time"],
}
KEYS = {"People": "playerID", "TeamsFranchises": "franchID", "Teams": "team_season_id"}
PARENTS = {"franchID": "TeamsFranchises", "playerID": "People", "team_season_id": "Teams"}
TYPES = {"People": {"bats": "categorical"}, "Batting": {"stint": "categorical"}}
#: How databases name the types of columns; what is not named goes by its Arrow type.
NAMED = {
    "postgresql": {"salary": "numeric(12,0)", "ERA": "numeric(6,2)", "Rank": "smallint", "lgID": "char(2)",
                   "Teams.time": "timestamptz", "Salaries.time": "date"},
    "duckdb": {"salary": "HUGEINT", "ERA": "DECIMAL(6,2)", "Rank": "UTINYINT", "Teams.time": "TIMESTAMPTZ",
               "Salaries.time": "DATE", "HR": "DOUBLE"},
    "sqlite": {"salary": "NUMERIC", "ERA": "DECIMAL(6,2)", "Salaries.time": "DATE", "height": "REAL"},
}  # fmt: skip
PLAIN = {
    "postgresql": {"int64": "integer", "double": "double precision", "string": "text", "timestamp[us]": "timestamp"},
    "duckdb": {"int64": "INTEGER", "double": "DOUBLE", "string": "VARCHAR", "timestamp[us]": "TIMESTAMP"},
    "sqlite": {"int64": "INTEGER", "double": "REAL", "string": "TEXT", "timestamp[us]": "TIMESTAMP"},
}
AT = "2020-01-01"
TIMES = {name: "time" for name, columns in KEPT.items() if "time" in columns}


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    """Some hundred players since 1995, a few thousand rows a table."""
    database = rs.examples.lahman().database
    found = {name: database[name].data.select(columns) for name, columns in KEPT.items()}
    since = pa.scalar(pd.Timestamp("1995-01-01"), pa.timestamp("us"))
    for name in TIMES:
        found[name] = found[name].filter(pc.greater(found[name]["time"], since))
    players = pc.unique(found["Appearances"]["playerID"]).sort()[::16]
    for name, data in found.items():
        if "playerID" in data.column_names:
            data = data.filter(pc.is_in(data["playerID"], players))
        for column, parent in PARENTS.items():
            if column in data.column_names and parent != name:
                data = data.filter(pc.or_(pc.is_in(data[column], found[parent][column]), pc.is_null(data[column])))
        found[name] = data
    return found


def ddl(kind: str, name: str, data: pa.Table) -> str:
    def column(field: pa.Field) -> str:
        named = NAMED[kind]
        dtype = named.get(f"{name}.{field.name}", named.get(field.name, PLAIN[kind][str(field.type)]))
        parent = PARENTS.get(field.name)
        key = " PRIMARY KEY" if KEYS.get(name) == field.name else ""
        return f'"{field.name}" {dtype}{key}' + (f' REFERENCES "{parent}"' if parent and not key else "")

    return f'CREATE TABLE "{name}" ({", ".join(map(column, data.schema))})'


def in_postgres(postgres, tables: dict[str, pa.Table]) -> str:
    uri = postgres.create("lahman", ";".join(ddl("postgresql", name, data) for name, data in tables.items()))
    with postgres.session(uri) as connection, connection.cursor() as cursor:
        for name, data in tables.items():
            text = io.BytesIO()
            csv.write_csv(data, text, csv.WriteOptions(include_header=False))
            with cursor.copy(f'COPY "{name}" FROM STDIN (FORMAT csv)') as copy:
                copy.write(text.getvalue())
    return uri


def in_sqlite(folder: Path, tables: dict[str, pa.Table]) -> str:
    with sqlite3.connect(folder / "lahman.sqlite") as connection:
        for name, data in tables.items():
            connection.execute(ddl("sqlite", name, data))
            texts = [
                pc.cast(column, pa.string()) if str(column.type) == "timestamp[us]" else column
                for column in data.columns
            ]
            rows = zip(*(column.to_pylist() for column in texts), strict=True)
            connection.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * data.num_columns)})', rows)
    return f"sqlite:///{folder / 'lahman.sqlite'}"


def in_duckdb(folder: Path, tables: dict[str, pa.Table]) -> str:
    with duckdb.connect(str(folder / "lahman.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, data in tables.items():
            connection.execute(ddl("duckdb", name, data))
            connection.register("data", data)
            connection.execute(f'INSERT INTO "{name}" SELECT * FROM data')
    return f"duckdb:///{folder / 'lahman.duckdb'}"


def in_files(folder: Path, tables: dict[str, pa.Table]) -> str:
    declared = {}
    for name, data in tables.items():
        csv.write_csv(data, folder / f"{name}.csv")
        references = [{"columns": c, "table": p} for c, p in PARENTS.items() if c in KEPT[name] and p != name]
        declared[name] = {"primary_key": KEYS.get(name), "time": TIMES.get(name), "foreign_keys": references}
        declared[name]["types"] = TYPES.get(name, {})
    (folder / "database.yaml").write_text(yaml.safe_dump({"name": "lahman", "tables": declared}))
    return str(folder)


@pytest.fixture(scope="module")
def places(postgres, tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("same")
    files = folder / "files"
    files.mkdir()
    return {
        "postgresql": in_postgres(postgres, tables),
        "sqlite": in_sqlite(folder, tables),
        "duckdb": in_duckdb(folder, tables),
        "files": in_files(files, tables),
    }


@pytest.fixture(scope="module")
def databases(places, tmp_path_factory):
    declared = {"times": TIMES, "types": TYPES, "name": "lahman"}
    found = {kind: rs.Database.from_uri(uri, **declared) for kind, uri in places.items() if kind != "files"}
    found["files"] = open_database(places["files"])
    cache = tmp_path_factory.mktemp("cache")
    found["spooled"] = rs.Database.from_uri(places["postgresql"], memory_limit=0, cache=cache, **declared)
    return found


@pytest.fixture(scope="module")
def asked(databases):
    def task(database: rs.Database) -> rs.Task:
        return rs.Task.from_sql(
            database,
            name="plays-on",
            entity="People",
            kind="binary",
            horizon="365d",
            cutoffs=[f"{year}-01-01" for year in range(2006, 2020)],
            population="SELECT DISTINCT c.cutoff, a.playerID FROM cutoffs c JOIN Appearances a "
            "ON a.time <= c.cutoff AND a.time > c.cutoff - INTERVAL 365 DAY",
            label="SELECT p.cutoff, p.playerID, COUNT(n.playerID) > 0 AS label FROM population p LEFT JOIN Appearances n "
            "ON n.playerID = p.playerID AND n.time > p.cutoff GROUP BY 1, 2",
        )

    return {kind: task(database) for kind, database in databases.items()}


def test_fingerprints_are_the_same(databases, asked):
    first = databases["postgresql"]
    assert first.num_rows > 6_000
    for database in databases.values():
        for table in first.tables:
            assert database.table_fingerprint(table) == first.table_fingerprint(table), table
    assert len({database.fingerprint for database in databases.values()}) == 1
    assert len({task.fingerprint for task in asked.values()}) == 1


def test_features_are_the_same(databases, asked):
    found = {}
    for kind, database in databases.items():
        problem = Problem(database, asked[kind])
        plan = default_plan(problem, cap=150)
        rows = problem.rows("val").unlabelled()
        found[kind] = compute(problem, plan, rows, Vocabulary.fit(problem, plan))
    for matrix in found.values():
        assert matrix.names == found["files"].names
        np.testing.assert_array_equal(matrix.values, found["files"].values)


@pytest.fixture(scope="module")
def fit(databases, asked):
    return select_and_train(databases["sqlite"], asked["sqlite"], "20s", families="dfs", max_trials=1)


def test_predictions_are_the_same(databases, fit):
    expected = fit.predict(at=AT)
    for database in databases.values():
        pd.testing.assert_frame_equal(fit.predict(database, at=AT), expected)
        assert {finding.severity for finding in fit.drift(database).findings} <= {"note"}


def test_one_saved_predictor_predicts_the_same_wherever_the_data_are(places, fit, tmp_path):
    bundle = fit.save(tmp_path / "bundle")
    expected = fit.predict(at=AT)
    for kind, place in places.items():
        out = tmp_path / f"{kind}.parquet"
        words = ["predict", bundle, "--uri", place, "--at", AT, "--out", out, "--json"]
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        pd.testing.assert_frame_equal(pd.read_parquet(out), expected)
        assert {finding["severity"] for finding in json.loads(result.stdout)["drift"]} <= {"note"}
