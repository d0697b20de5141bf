"""Quoted names name one thing, whatever they hold."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relselect
from relselect.database.quoting import quote_name, split_name

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@given(NAMES, NAMES)
def test_what_was_quoted_is_split_into_the_same_parts(schema: str, table: str) -> None:
    assert split_name(quote_name(table)) == (table,)
    assert split_name(quote_name(schema, table)) == (schema, table)


@pytest.mark.parametrize("name", ['a"b', 'a"; DROP TABLE t; --', "a.b", "a'b", "select", "ü\n"])
def test_databases_read_the_name_back(name: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE SCHEMA {quote_name(name)}")
        connection.execute(f"CREATE TABLE {quote_name(name, name)} AS SELECT 1 AS {quote_name(name)}")
        found = connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        )
        assert found.fetchall() == [(name, name, name)]
    with sqlite3.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE {quote_name(name)} ({quote_name(name)})")
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [(name,)]
    connection.close()


@pytest.mark.parametrize("name", ["", "a.b.c", "a b", 'a"b', '"a', "a.", ".a", '""', "a\n"])
def test_what_is_no_name_of_a_table_is_not_split(name: str) -> None:
    assert split_name(name) is None


def test_names_are_quoted_in_one_module() -> None:
    package = Path(relselect.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "quoting.py":
            assert """replace('"', '""')""" not in path.read_text(encoding="utf-8"), path
