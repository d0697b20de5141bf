"""From an address to a database: events, sizes in files, closing, and where a saved predictor finds its data again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from relselect.bundle import _relative, _resolved
from relselect.database import Database
from relselect.errors import SchemaError
from relselect.events import Event, Notice, StageFinished


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """CREATE TABLE users (id INTEGER PRIMARY KEY, pic BLOB);
            CREATE TABLE orders (user INTEGER REFERENCES users, placed DATE, total REAL)"""
        )
        connection.executemany("INSERT INTO users (id) VALUES (?)", [(n,) for n in range(500)])
        rows = [(n % 500, f"2020-01-{n % 28 + 1:02d}", n / 8) for n in range(5000)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    return path


def test_events_and_sizes(file, tmp_path):
    events: list[Event] = []
    database = Database.from_uri(
        file, times={"orders": "placed"}, memory_limit="5kB", cache=tmp_path / "cache", on_event=events.append
    )
    told = [event.detail for event in events if isinstance(event, StageFinished)]
    assert told == ["orders: 5,000 rows, 0 MiB in a file", "users: 500 rows"]
    assert [event.message for event in events if isinstance(event, Notice)] == ["users.pic holds bytes and is not read"]
    assert set(database.spooled) == {"orders"}
    assert database.spooled["orders"] > 5000 * 16
    assert list((tmp_path / "cache").iterdir()) == []
    assert database.fingerprint == Database.from_uri(file, times={"orders": "placed"}).fingerprint
    assert database.censored(0).num_rows == 500


def test_closing_lets_go(file):
    with Database.from_uri(file) as database:
        kept = database["users"].data
        assert database.num_rows == 5500
    assert len(database.tables) == 0
    assert kept.num_rows == 500


def test_problems_of_declarations_are_those_of_any_database(file):
    with pytest.raises(SchemaError, match="no duplicates"):
        Database.from_uri(file, keys={"orders": "user"})
    with pytest.raises(SchemaError, match="does not exist"):
        Database.from_uri(file, foreign_keys={"orders": {"user": "people"}})
    with pytest.raises(SchemaError, match="no column left"):
        Database.from_uri(file, drop={"orders": ["user", "placed", "total"]})


def test_a_bundle_keeps_the_address_without_its_password(tmp_path):
    source = "postgresql://ann:hunter2@db/shop"
    assert _relative(source, tmp_path) == "postgresql://ann:***@db/shop"
    assert _resolved("postgresql://ann:***@db/shop", tmp_path) == "postgresql://ann:***@db/shop"
    assert _relative(str(tmp_path / "shop.sqlite"), tmp_path / "fit") == "../shop.sqlite"
