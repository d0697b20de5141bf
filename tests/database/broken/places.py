"""Broken sources that are files, and addresses that are none."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database import Database
from relselect.errors import ConfigError, DataNotFound, SchemaError, SourceError
from relselect.events import StageStarted
from tests.database.broken.world import SECRET, Case, World

KEYED = {"keys": {"t": "id"}}
_ROWS = pa.table({"id": range(5000), "w": [f"word {n}" for n in range(5000)]})


def _damaged(world: World, uri: str, start: int, stop: int) -> str:
    """Overwrite a part of a database's file."""
    path = next(world.folder.iterdir())
    content = bytearray(path.read_bytes())
    content[start:stop] = b"\xff" * (min(stop, len(content)) - start)
    path.write_bytes(content)
    return uri


def _as_nobody(world: World):
    """Read as a user who may do nothing; without the rights to become one, take the rights away instead."""
    before = world.on_end
    if os.geteuid() == 0:
        os.seteuid(65534)
        world.on_end = lambda: (os.seteuid(0), before())
    else:
        world.folder.chmod(0)
        world.on_end = lambda: (world.folder.chmod(0o755), before())
    return {}


def _unreadable(world: World) -> str:
    """Return a file that nobody may read, in a folder that everybody may enter."""
    shared = Path(tempfile.mkdtemp())
    shared.chmod(0o755)
    path = shared / "t.csv"
    path.write_text("id\n1\n")
    path.chmod(0)
    world.on_end = lambda: shutil.rmtree(shared, ignore_errors=True)
    return str(path)


def _from_variable(world: World) -> str:
    os.environ["BROKEN_PASSWORD"] = SECRET
    world.on_end = lambda: os.environ.pop("BROKEN_PASSWORD", None)
    return "postgresql://u:${BROKEN_PASSWORD}@127.0.0.1:1/db"


def _truncated(world: World) -> str:
    path = world.parquet("t.parquet", _ROWS)
    path.write_bytes(path.read_bytes()[:-100])
    return str(path)


def _many(world: World) -> str:
    return world.sqlite("CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                        "SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT i, 'some text ' || i FROM n")  # fmt: skip


def _opened_elsewhere(world: World) -> str:
    uri = world.duckdb("CREATE TABLE t (id int)")
    other = duckdb.connect(str(world.folder / "a.duckdb"))
    world.on_end = other.close
    return uri


def _before_reading(action):
    """Something that happens after the catalog was read and before the rows are."""

    def options(world: World):
        def on_event(event) -> None:
            if isinstance(event, StageStarted):
                action(world)

        return {**KEYED, "on_event": on_event}

    return options


def _replace(world: World) -> None:
    draft = world.file("new", "id,other\nx,1\n" * 9000)
    os.replace(draft, world.folder / "t.csv")


def _full(world: World):
    """Hand out a disk with room for a megabyte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, hard))
    world.on_end = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    return {"memory_limit": 0}


def _zones(database: Database) -> None:
    assert pc.cast(database["t"].data["at"], pa.timestamp("us")).cast(pa.int64()).to_pylist() == [1577865600000000] * 3


def _marked(database: Database) -> None:
    assert database["t"].columns == ["id", "w"]


def _named(database: Database) -> None:
    assert database["t"].columns == ["id", "a\nb", "select", '"; DROP', "☃"]


def _mixed(database: Database) -> None:
    assert database["t"].data["x"].to_pylist() == ["1", "2.5", "three"]


MYSQL = f"mysql://u:{SECRET}@host/db"

CASES = [
    Case("an unknown scheme", lambda w: MYSQL, ConfigError, "are not read"),
    Case("an address with two at signs", lambda w: f"postgresql://u:{SECRET}@x@host/db", ConfigError, "no PostgreSQL address"),
    Case("a port that is no number", lambda w: f"postgresql://u:{SECRET}@host:port/db", ConfigError, "no PostgreSQL address"),
    Case("a connection string of keywords", lambda w: f"host=h user=u password={SECRET}", ConfigError, "of keywords"),
    Case("a variable that is not set", lambda w: "postgresql://u:${NO_SUCH_VARIABLE}@host/db", DataNotFound, "is not set"),
    Case("a password in a manifest", lambda w: w.file(
        "database.yaml", f"name: a\nuri: postgresql://u:{SECRET}@host/db\ntables: {{}}\n"), ConfigError, "holds no password"),
    Case("a password from a variable", _from_variable, SourceError, "nothing listens"),
    Case("a folder that may not be entered", lambda w: str(w.file("t.csv", "id")), DataNotFound, "cannot be looked at",
         _as_nobody, plain=False),
    Case("a file that may not be read", _unreadable, DataNotFound, "Permission denied", _as_nobody, plain=False),
    Case("no such file", lambda w: f"sqlite:///{w.folder}/none.sqlite", DataNotFound, "no such file"),
    Case("a folder that is no database", lambda w: f"duckdb:///{w.folder}", DataNotFound, "no duckdb file"),
    Case("a path that no file can have", lambda w: "a\0b", DataNotFound, "no such file"),
    Case("a path that is too long", lambda w: "x" * 5000, DataNotFound, "cannot be looked at"),
    Case("a folder without files", lambda w: w.folder, DataNotFound, "holds no Parquet or CSV", KEYED),
    Case("a folder that declares nothing", lambda w: w.file("t.csv", "id\n1\n").parent, ConfigError, "nothing declares"),
    Case("a text that calls itself SQLite", lambda w: f"sqlite:///{w.file('a.sqlite', 'none' * 99)}", SourceError,
         "no SQLite file"),
    Case("a damaged SQLite file", lambda w: _damaged(w, _many(w), 4096, 200_000), SourceError, "malformed|damaged|corrupt"),
    Case("a cut SQLite file", lambda w: _cut(w, _many(w)), SourceError, "malformed|damaged|corrupt"),
    Case("SQLite values of several types", lambda w: w.sqlite(
        "CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), ('two'), (3.5)"), SchemaError, "t.x"),
    Case("SQLite dates that are none", lambda w: w.sqlite(
        "CREATE TABLE t (at DATE); INSERT INTO t VALUES ('2020-01-01'), ('soon')"), SchemaError, "t.at"),
    Case("an SQLite view of a table that is gone", lambda w: w.sqlite(
        "CREATE TABLE a (x); CREATE VIEW v AS SELECT * FROM a; DROP TABLE a"), SourceError, "no such table"),
    Case("a damaged DuckDB file", lambda w: _damaged(w, w.duckdb("CREATE TABLE t AS SELECT range AS id FROM range(99999)"),
                                                     4096, 900_000), SourceError, "is damaged"),
    Case("a DuckDB file that is being written", _opened_elsewhere, SourceError, "open in another program"),
    Case("a cut Parquet file", _truncated, SchemaError, "is not readable", KEYED),
    Case("a Parquet file that is none", lambda w: w.file("t.parquet", "id,w\n1,2\n"), SchemaError, "is not readable", KEYED),
    Case("a Parquet file without columns", lambda w: w.parquet("t.parquet", pa.table({})), SchemaError, "no column left", KEYED),
    Case("rows of several lengths", lambda w: w.file("t.csv", "id,w\n1,a\n2\n3,b,c\n"), SchemaError, "row 3 has 1", KEYED),
    Case("text in no encoding that is read", lambda w: w.file("t.csv", b"id,w\n1,caf\x81\n"), SchemaError, "UTF-8", KEYED),
    Case("a column that is there twice", lambda w: w.file("t.csv", "id,w,w\n1,a,b\n"), SchemaError, "two columns", KEYED),
    Case("an empty file", lambda w: w.file("t.csv", ""), SchemaError, "Empty CSV", KEYED),
    Case("a link to nowhere", lambda w: _link(w), DataNotFound, "holds no Parquet or CSV", KEYED),
    Case("files of one table that differ", lambda w: _differing(w), SchemaError, "in columns: v, w", KEYED),
    Case("a file replaced in mid-read", lambda w: w.file("t.csv", "id,w\n" + "1,a\n" * 9).parent, SchemaError,
         "has been replaced while",
         _before_reading(_replace), plain=False),
    Case("a file removed in mid-read", lambda w: w.parquet("t.parquet", _ROWS).parent, SchemaError, "No such file",
         _before_reading(lambda w: (w.folder / "t.parquet").unlink(missing_ok=True)), plain=False),
    Case("a full disk", lambda w: w.sqlite(
        "CREATE TABLE t (w); INSERT INTO t SELECT hex(zeroblob(500000)) FROM (VALUES (1), (2), (3))"), SourceError,
         "no room left", _full, plain=False),
    Case("duplicate keys in a file", lambda w: w.file("t.csv", "id\n1\n1\n"), SchemaError, "no duplicates", KEYED),
    Case("null keys in a file", lambda w: w.file("t.csv", "id,w\n1,a\n,b\n"), SchemaError, "no nulls", KEYED),
    Case("values of several types in a file", lambda w: w.file("t.csv", "id,x\n1,1\n2,2.5\n3,three\n"), options=KEYED,
         check=_mixed),
    Case("mixed time zones in a file", lambda w: w.file(
        "t.csv", "id,at\n1,2020-01-01T08:00:00Z\n2,2020-01-01T03:00:00-0500\n3,2020-01-01T09:00:00+0100\n"), options=KEYED,
         check=_zones),
    Case("a byte order mark", lambda w: w.file("t.csv", b"\xef\xbb\xbfid,w\n1,a\n"), options=KEYED, check=_marked),
    Case("names with line breaks and quotes in a file", lambda w: w.file(
        "t.csv", 'id,"a\nb",select,"""; DROP",☃\n1,2,3,4,5\n'), options=KEYED, check=_named),
]  # fmt: skip


def _cut(world: World, uri: str) -> str:
    path = world.folder / "a.sqlite"
    path.write_bytes(path.read_bytes()[:20_000])
    return uri


def _link(world: World):
    (world.folder / "t.csv").symlink_to(world.folder / "nowhere.csv")
    return world.folder


def _differing(world: World):
    (world.folder / "t").mkdir()
    world.parquet("t/1.parquet", pa.table({"id": [1], "w": ["a"]}))
    world.parquet("t/2.parquet", pa.table({"id": [2], "v": [1.5]}))
    return world.folder
