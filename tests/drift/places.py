"""The small shop of the tests, put where data are: SQLite, DuckDB, PostgreSQL or a folder of CSV files."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from tests.shop import shop_tables

KEYS = {"users": "id", "products": "sku", "orders": "oid"}
PARENTS = {"user_id": "users(id)"}
_TYPES = {"int64": "bigint", "double": "double precision", "string": "text", "timestamp[us]": "timestamp"}


def tables(**changed: pa.Table) -> dict[str, pa.Table]:
    """The shop's tables, some of them replaced; columns that no model reads stand among the others."""
    found = {**shop_tables(), **changed}
    users = found["users"]
    return {**found, "users": users.append_column("remark", pa.array([f"r{n}" for n in range(users.num_rows)]))}


def ddl(name: str, data: pa.Table) -> str:
    def column(field: pa.Field) -> str:
        extra = " PRIMARY KEY" if KEYS.get(name) == field.name else ""
        extra += f" REFERENCES {PARENTS[field.name]}" if field.name in PARENTS else ""
        return f'"{field.name}" {_TYPES[str(field.type)]}{extra}'

    return f'CREATE TABLE "{name}" ({", ".join(map(column, data.schema))})'


def in_sqlite(path: Path, shop: Mapping[str, pa.Table]) -> str:
    with sqlite3.connect(path) as connection:
        for name, data in shop.items():
            connection.execute(ddl(name, data))
            texts = [
                pc.cast(column, pa.string()) if str(column.type) == "timestamp[us]" else column
                for column in data.columns
            ]
            rows = zip(*(column.to_pylist() for column in texts), strict=True)
            connection.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * data.num_columns)})', rows)
    connection.close()
    return f"sqlite:///{path}"


def in_duckdb(path: Path, shop: Mapping[str, pa.Table]) -> str:
    with duckdb.connect(str(path)) as connection:
        for name, data in shop.items():
            connection.execute(ddl(name, data))
            connection.register("data", data)
            connection.execute(f'INSERT INTO "{name}" SELECT * FROM data')
    return f"duckdb:///{path}"


def in_postgres(server, name: str, shop: Mapping[str, pa.Table]) -> str:
    uri = server.create(name, ";".join(ddl(table, data) for table, data in shop.items()))
    with server.session(uri) as connection, connection.cursor() as cursor:
        for table, data in shop.items():
            text = io.BytesIO()
            csv.write_csv(data, text, csv.WriteOptions(include_header=False))
            with cursor.copy(f'COPY "{table}" FROM STDIN (FORMAT csv)') as copy:
                copy.write(text.getvalue())
    return uri


def in_files(folder: Path, shop: Mapping[str, pa.Table]) -> str:
    folder.mkdir()
    for name, data in shop.items():
        csv.write_csv(data, folder / f"{name}.csv")
    return str(folder)
