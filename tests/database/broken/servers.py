"""Broken sources on a server: who may not, what is not there, what breaks on the way, and odd things that are read."""

from __future__ import annotations

import threading
import time

import pyarrow as pa

from relselect.database import Database
from relselect.errors import ConfigError, DataNotFound, SchemaError, SourceError
from relselect.events import StageStarted
from tests.database.broken.world import SECRET, Case, World

EVIL = 'x"; DROP TABLE victim; --'
_EVIL = EVIL.replace('"', '""')
ODD = "a\nb 'c' \"d\" ☃ %s {0} select"
_ODD = ODD.replace('"', '""')


def _guarded(world: World) -> str:
    world.pg("DROP ROLE IF EXISTS locked_out; CREATE ROLE locked_out LOGIN PASSWORD 'other'", "guarded_too")
    world.postgres.ask_passwords("guarded_too")
    return world.postgres.address("guarded_too", "locked_out", SECRET)


def _rights(world: World) -> str:
    script = """CREATE TABLE open (x int); CREATE TABLE closed (x int); INSERT INTO open VALUES (1);
        DROP ROLE IF EXISTS visitor; CREATE ROLE visitor LOGIN; GRANT SELECT ON open TO visitor"""
    world.pg(script, "rights_too")
    return world.postgres.address("rights_too", "visitor", SECRET)


def _killed(world: World) -> str:
    """A read that takes a second, and somebody who ends its connection while it runs."""
    uri = world.pg("CREATE VIEW slow AS SELECT repeat('x', 1000) || i AS t, pg_sleep(0.001)::text AS s "
                   "FROM generate_series(1, 2000) AS i", "killed")  # fmt: skip
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'killed' AND query LIKE '%slow%' " \
        "AND state = 'active' AND pid <> pg_backend_pid()"  # fmt: skip

    def kill() -> None:
        for _ in range(100):
            time.sleep(0.05)
            if world.postgres.run(world.postgres.uri, query):
                return

    threading.Thread(target=kill, daemon=True).start()
    return uri


def _before_reading(world: World, statement: str, name: str = "broken"):
    """Something that happens after the catalog was read and before the rows are."""
    done = []

    def on_event(event) -> None:
        if isinstance(event, StageStarted) and not done:
            done.append(True)
            world.postgres.run(world.postgres.address(name), statement)

    return {"on_event": on_event}


def _locked(world: World) -> str:
    uri = world.pg("CREATE TABLE a (x int)", "locked_too")
    holder = world.postgres.session(uri)
    connection = holder.__enter__()
    connection.execute("BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
    world.on_end = lambda: holder.__exit__(None, None, None)
    return uri


def _cache_is_a_file(world: World):
    world.cache.write_text("")
    return {"memory_limit": 0}


def _names(database: Database) -> None:
    assert set(database.tables) == {EVIL, ODD, "victim", "Victim", "select"}
    assert database[EVIL].columns == [EVIL, "select", "SELECT", ODD]
    assert database[ODD].data.to_pylist() == [{ODD: "'; DROP TABLE victim; --"}]
    assert database.parents(EVIL)[0].tolist() == [0, -1]


def _moments(database: Database) -> None:
    data = database["t"].data
    for column in ("a", "b", "c"):
        assert data[column].null_count == 2, column  # both infinities
    assert data["a"].cast(pa.int64()).to_pylist()[2] < -(10**15)  # before our era


def _numbers(database: Database) -> None:
    data = database["t"].data
    assert data["id"].to_pylist() == ["123456789012345678901234567890", "2", "3"]
    assert data["n"].to_pylist()[0] == 1e30
    assert data["n"].to_pylist()[1] is None
    assert database.parents("u")[0].tolist() == [0, 1]


def _kinds(database: Database) -> None:
    assert database["t"].columns == ["j", "a", "aa", "p", "r"]
    assert database["t"].data.to_pylist()[0] == {
        "j": '{"x": [1]}',
        "a": [1, None],
        "aa": [1, 2],
        "p": "(1,2)",
        "r": "[1,3)",
    }
    assert database.notes == ("t.b holds bytes and is not read",)


def _circle(database: Database) -> None:
    assert database.parents("a")[0].tolist() == [1, 0]
    assert database.parents("b")[0].tolist() == [0, 1]
    assert database.parents("c")[0].tolist() == [0, 0]


def _dangling(database: Database) -> None:
    assert dict(database.counts.dangling_keys) == {("b", "a"): 1, ("c", "x+y"): 1}
    assert dict(database.counts.null_keys) == {("b", "a"): 1, ("c", "x+y"): 1}
    assert database.parents("c")[0].tolist() == [0, -1, -1]


def _nulls(database: Database) -> None:
    table = database["t"].data
    assert table.num_rows == 1_000_000
    assert {name: table[name].null_count for name in table.column_names} == {
        "x": 1_000_000,
        "y": 1_000_000,
        "z": 1_000_000,
    }


def _zones(database: Database) -> None:
    assert database["t"].data["at"].cast(pa.int64()).to_pylist() == [1577865600000000] * 3


_NAMES = f"""
CREATE TABLE victim (id int PRIMARY KEY); CREATE TABLE "Victim" (a int); CREATE TABLE "select" (id int);
CREATE TABLE "{_ODD}" ("{_ODD}" text); INSERT INTO "{_ODD}" VALUES ('''; DROP TABLE victim; --');
CREATE TABLE "{_EVIL}" ("{_EVIL}" int REFERENCES victim, "select" int, "SELECT" int, "{_ODD}" int);
INSERT INTO victim VALUES (1); INSERT INTO "{_EVIL}" VALUES (1), (NULL)"""
_MOMENTS = """
CREATE TABLE t (a timestamptz, b timestamp, c date);
INSERT INTO t VALUES ('infinity', 'infinity', 'infinity'), ('-infinity', '-infinity', '-infinity'),
('4000-01-01 BC', '0044-03-15 BC', '0001-01-01 BC')"""
_NUMBERS = """
CREATE TABLE t (id numeric PRIMARY KEY, n numeric); CREATE TABLE u (t numeric REFERENCES t);
INSERT INTO t VALUES (123456789012345678901234567890, 1e30), (2, 'NaN'), (3, 4); INSERT INTO u VALUES
(123456789012345678901234567890), (2.0)"""
_CIRCLE = """
CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
CREATE TABLE c (id int PRIMARY KEY, boss int REFERENCES c); ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE;
INSERT INTO c VALUES (1, 1), (2, 1); INSERT INTO a VALUES (1, NULL), (2, NULL); INSERT INTO b VALUES (1, 1), (2, 2);
UPDATE a SET b = 3 - id"""
_DANGLING = """
CREATE TABLE a (id int PRIMARY KEY, x int, y int, UNIQUE (x, y)); CREATE TABLE b (a int);
CREATE TABLE k (x int, y int, PRIMARY KEY (y, x)); CREATE TABLE c (x int, y int);
INSERT INTO a VALUES (1); INSERT INTO b VALUES (1), (NULL), (7); INSERT INTO k VALUES (1, 2);
INSERT INTO c VALUES (1, 2), (1, NULL), (2, 1); ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES a NOT VALID;
ALTER TABLE c ADD FOREIGN KEY (x, y) REFERENCES k (x, y) NOT VALID"""
_KINDS = """
CREATE TABLE t (b bytea, j jsonb, a int[], aa int[][], p point, r int4range);
INSERT INTO t VALUES ('\\x00', '{"x": [1]}', '{1,NULL}', '{{1,2}}', '(1,2)', '[1,2]')"""
_ZONES = """
CREATE TABLE t (at timestamptz); INSERT INTO t VALUES ('2020-01-01 08:00+00'), ('2020-01-01 03:00-05'),
('2020-01-01 09:00 Europe/Berlin')"""
_BASE = "CREATE TABLE t (id int, w text); INSERT INTO t VALUES (1, 'a'), (1, NULL)"

CASES = [
    Case("wrong password", _guarded, SourceError, "refuses the user or the password"),
    Case("no such user", lambda w: w.postgres.address("postgres", "nobody", SECRET), SourceError, "does not know the user"),
    Case("no such host", lambda w: f"postgresql://u:{SECRET}@no-such-host.invalid/db", SourceError, "no such host"),
    Case("nothing listens", lambda w: f"postgresql://u:{SECRET}@127.0.0.1:1/db", SourceError, "nothing listens"),
    Case("no such database", lambda w: w.postgres.address("nowhere", password=SECRET), DataNotFound, "no such database"),
    Case("no such schema", lambda w: w.pg(_BASE), DataNotFound, "no schema of the database", {"schema": "nope"}),
    Case("no such table", lambda w: w.pg(_BASE), SchemaError, "is no table", {"tables": ["t", "u"]}),
    Case("no such column", lambda w: w.pg(_BASE), SchemaError, "is no column", {"columns": {"t": ["v"]}}),
    Case("one table without permission, asked for", _rights, SchemaError, "closed.*that may be read",
         {"tables": ["open", "closed"]}),
    Case("one table without permission, not asked for", _rights, check=lambda d: _reports(d, "may not be read by this user")),
    Case("an empty schema", lambda w: w.pg(), DataNotFound, "holds no tables"),
    Case("an unknown option in the address", lambda w: w.pg(_BASE) + "&colour=red", ConfigError, "not understood"),
    Case("a password in the query", lambda w: w.postgres.address("postgres", "nobody") + f"&password={SECRET}", SourceError,
         "does not know the user"),
    Case("a connection lost in mid-read", _killed, SourceError, "the connection was",
         lambda w: {"memory_limit": 1000, "tables": ["slow"]}, plain=False),
    Case("a statement that takes too long", lambda w: w.pg("CREATE VIEW v AS SELECT pg_sleep(9)::text AS x"), SourceError,
         "longer than the time allowed", {"statement_timeout": 0.2}),
    Case("a table that is locked", _locked, SourceError, "longer than the time allowed", {"statement_timeout": 0.3}),
    Case("a view that fails in mid-read", lambda w: w.pg(
        "CREATE VIEW v AS SELECT 1 / (90000 - i) AS x FROM generate_series(1, 100000) AS i"), SourceError,
        "division by zero.*Correct the view",
        {"memory_limit": 1000}),
    Case("a table dropped in mid-read", lambda w: w.pg(_BASE), SourceError, "not there any more.*Read again",
         lambda w: _before_reading(w, "DROP TABLE t"), plain=False),
    Case("a column dropped in mid-read", lambda w: w.pg(_BASE), SourceError, "not there any more.*Read again",
         lambda w: _before_reading(w, "ALTER TABLE t DROP COLUMN w"), plain=False),
    Case("a number beyond what a float holds", lambda w: w.pg("CREATE TABLE t AS SELECT 1e400 AS x"), SourceError, "beyond"),
    Case("a predicate that is no SQL", lambda w: w.pg(_BASE), ConfigError, "refuses it", {"where": {"t": "w LIKE"}}),
    Case("a predicate that would do more", lambda w: w.pg(_BASE), ConfigError, "refuses it",
         {"where": {"t": "true); DELETE FROM t; --"}}),
    Case("duplicate keys", lambda w: w.pg(_BASE), SchemaError, "no duplicates", {"keys": {"t": "id"}}),
    Case("null keys", lambda w: w.pg(_BASE), SchemaError, "no nulls", {"keys": {"t": ["w"]}}),
    Case("a time that is text", lambda w: w.pg(_BASE), SchemaError, "time column holds", {"times": {"t": "w"}}),
    Case("a cache that is a file", lambda w: w.pg(_BASE), SourceError, "cannot be written",
         _cache_is_a_file),
    Case("names with SQL, quotes, line breaks, reserved words and cases", lambda w: w.pg(_NAMES), check=_names),
    Case("infinite times and times before our era", lambda w: w.pg(_MOMENTS), check=_moments),
    Case("numbers that are none or beyond 64 bits", lambda w: w.pg(_NUMBERS), check=_numbers),
    Case("bytes, JSON, arrays, points and ranges", lambda w: w.pg(_KINDS), check=_kinds),
    Case("references in a circle", lambda w: w.pg(_CIRCLE), check=_circle),
    Case("references that dangle, composite ones too", lambda w: w.pg(_DANGLING), check=_dangling),
    Case("a table without rows", lambda w: w.pg("CREATE TABLE t (x int)"), check=lambda d: _rows(d, 0)),
    Case("a table without columns", lambda w: w.pg(_BASE + "; CREATE TABLE z (); INSERT INTO z DEFAULT VALUES"),
         check=lambda d: _reports(d, "z has no columns")),
    Case("a million nulls", lambda w: w.pg("CREATE TABLE t AS SELECT NULL::int AS x, NULL::text AS y, NULL::timestamp AS z "
                                           "FROM generate_series(1, 1000000)"), check=_nulls),
    Case("mixed time zones on a server", lambda w: w.pg(_ZONES), check=_zones),
]  # fmt: skip


def _reports(database: Database, note: str) -> None:
    assert any(note in each for each in database.notes), database.notes


def _rows(database: Database, count: int) -> None:
    assert database.num_rows == count
