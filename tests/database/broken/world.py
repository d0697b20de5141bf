"""What the broken sources are made with, and what is asked of every one of them."""

from __future__ import annotations

import hashlib
import io
import logging
import sqlite3
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from relselect.database import Database
from relselect.errors import RelSelectError, SchemaError, UserError

#: Stands in every address that has room for a password.
SECRET = "s3cr3t-hunter2"


class World:
    """A folder for the source, one for the cache, and a PostgreSQL server.

    Attributes:
        folder: Where a case puts its files.
        cache: Where tables would go that do not fit into memory.
        postgres: The server.
    """

    def __init__(self, folder: Path, postgres: Any) -> None:
        self.folder, self.cache, self.postgres = folder / "source", folder / "cache", postgres
        self.on_end: Callable[[], None] = lambda: None
        self.folder.mkdir()

    def pg(self, script: str = "", name: str = "broken", user: str = "postgres") -> str:
        """Make a database anew; its address holds a password, which the server does not ask for."""
        self.postgres.create(name, script)
        return self.postgres.address(name, user, SECRET)

    def file(self, name: str, content: bytes | str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def parquet(self, name: str, data: pa.Table) -> Path:
        """Write a Parquet file."""
        pq.write_table(data, self.folder / name)
        return self.folder / name

    def sqlite(self, script: str) -> str:
        """Make an SQLite file."""
        connection = sqlite3.connect(self.folder / "a.sqlite")
        connection.executescript(script)
        connection.close()
        return f"sqlite:///{self.folder / 'a.sqlite'}"

    def duckdb(self, script: str) -> str:
        """Make a DuckDB file."""
        with duckdb.connect(str(self.folder / "a.duckdb")) as connection:
            connection.execute(script)
        return f"duckdb:///{self.folder / 'a.duckdb'}"

    def finish(self) -> None:
        """Put back what a case has changed outside its folder."""
        end, self.on_end = self.on_end, lambda: None
        end()

    def digest(self) -> str:
        """Return what the source folder holds, names and bytes."""
        found = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            found.update(str(path).encode())
            found.update(path.read_bytes() if path.is_file() else b"")
        return found.hexdigest()


Make = Callable[[World], Any]


@dataclass(frozen=True)
class Case:
    """One broken source.

    Attributes:
        name: What is broken.
        make: Builds it and returns its address.
        error: The error it ends in; None where it is read.
        says: A pattern in the error's message.
        options: Handed to `Database.from_uri`, on top of what `make` returned; a function of the world where it must be.
        check: Looks at what was read.
        plain: Whether the command line meets the same error, without options.
    """

    name: str
    make: Make
    error: type[RelSelectError] | None = None
    says: str = ""
    options: Mapping[str, Any] | Callable[[World], Mapping[str, Any]] = field(default_factory=dict)
    check: Callable[[Database], None] | None = None
    plain: bool = True

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def texts_of(error: BaseException) -> Iterator[str]:
    """Yield everything that an error can show: itself, its parts, its traceback, and what led to it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield from (str(each), repr(each), repr(each.args), repr(vars(each)))
        waiting += [each.__cause__, each.__context__]
    yield "".join(traceback.format_exception(error))


def ways_out(error: RelSelectError) -> list[str]:
    """Return the instructions an error holds."""
    if isinstance(error, SchemaError):
        return [problem.fix for problem in error.problems]
    assert isinstance(error, UserError)
    return [error.fix]


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Collect what any logger says."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
