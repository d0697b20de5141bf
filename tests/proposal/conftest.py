"""Some players of Lahman's baseball, as a database that declares nothing: in PostgreSQL, in SQLite, in CSV files."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv

import relselect as rs

TABLES = {
    "People": ["playerID", "birthYear", "birthCountry", "nameLast", "weight", "bats"],
    "Teams": ["team_season_id", "yearID", "lgID", "franchID", "W", "attendance", "time"],
    "Appearances": ["yearID", "playerID", "G_all", "GS", "team_season_id", "time"],
    "Salaries": ["playerID", "salary", "team_season_id", "time"],
}
TYPES = {"int64": "bigint", "double": "double precision", "string": "text", "timestamp[us]": "timestamp"}


@pytest.fixture(scope="session")
def lahman_tables() -> dict[str, pa.Table]:
    """Some hundred players since 1985."""
    database = rs.examples.lahman().database
    since = pa.scalar(pd.Timestamp("1985-01-01"), pa.timestamp("us"))
    found = {name: database[name].data.select(columns) for name, columns in TABLES.items()}
    found = {n: d.filter(pc.greater(d["time"], since)) if "time" in d.column_names else d for n, d in found.items()}
    players = pc.unique(found["Appearances"]["playerID"]).sort()[::25]
    return {
        n: d.filter(pc.is_in(d["playerID"], players)) if "playerID" in d.column_names else d for n, d in found.items()
    }


def without_constraints(name: str, data: pa.Table, types: dict[str, str]) -> str:
    columns = ", ".join(f'"{field.name}" {types[str(field.type)]}' for field in data.schema)
    return f'CREATE TABLE "{name}" ({columns})'


@pytest.fixture(scope="session")
def lahman_postgres(postgres, lahman_tables) -> str:
    script = ";".join(without_constraints(name, data, TYPES) for name, data in lahman_tables.items())
    uri = postgres.create("undeclared", script)
    with postgres.session(uri) as connection, connection.cursor() as cursor:
        for name, data in lahman_tables.items():
            text = io.BytesIO()
            csv.write_csv(data, text, csv.WriteOptions(include_header=False))
            with cursor.copy(f'COPY "{name}" FROM STDIN (FORMAT csv)') as copy:
                copy.write(text.getvalue())
    return uri


@pytest.fixture(scope="session")
def lahman_sqlite(lahman_tables, tmp_path_factory) -> str:
    place = tmp_path_factory.mktemp("sqlite") / "lahman.sqlite"
    with sqlite3.connect(place) as connection:
        for name, data in lahman_tables.items():
            connection.execute(without_constraints(name, data, TYPES))
            texts = [pc.cast(c, pa.string()) if pa.types.is_timestamp(c.type) else c for c in data.columns]
            rows = zip(*(column.to_pylist() for column in texts), strict=True)
            connection.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * data.num_columns)})', rows)
    return f"sqlite:///{place}"


@pytest.fixture
def lahman_csv(lahman_tables, tmp_path) -> Path:
    folder = tmp_path / "lahman"
    folder.mkdir()
    for name, data in lahman_tables.items():
        csv.write_csv(data, folder / f"{name}.csv")
    return folder
