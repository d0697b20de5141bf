"""Writing: one table by name, all rows or none, and nothing else is touched."""

from __future__ import annotations

import datetime as dt
import sqlite3

import duckdb
import pyarrow as pa
import pytest

from relselect.database import Database
from relselect.database.sources.uri import parse_uri
from relselect.database.sources.writers import PostgresWriter
from relselect.database.sources.writing import append_rows, parse_target
from relselect.errors import ConfigError, DataNotFound, SchemaError, SourceError

MOMENT = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
ROWS = pa.table({
    "run_id": ["r1", "r1", "r1"],
    "scored_at": pa.array([MOMENT] * 3, pa.timestamp("ns", "UTC")),
    "id": pa.array([7, 8, 9], pa.int32()),
    "Name": pa.array(["a", None, "Zoë'\"; DROP TABLE victim; --"]).dictionary_encode(),
    "cutoff": pa.array([dt.datetime(2024, 5, 1)] * 3, pa.timestamp("us")),
    "prediction": [True, False, None],
    "probability": [0.75, 0.25, float("nan")],
})  # fmt: skip
EVIL = 'x"; DROP TABLE victim; --'
KINDS = ("postgresql", "sqlite", "duckdb")


class Place:
    """A database of one kind with a table `victim` of one row, and a way to look into it."""

    def __init__(self, kind, postgres, folder):
        self.kind, self.postgres, self.path = kind, postgres, folder / f"scores.{kind}"
        script = "CREATE TABLE victim (a int); INSERT INTO victim VALUES (1)"
        if kind == "postgresql":
            self.uri = postgres.create("scores", script)
            return
        self.uri = f"{kind}:///{self.path}"
        for statement in script.split(";"):
            self.run(statement)

    def run(self, statement):
        if self.kind == "postgresql":
            return self.postgres.run(self.uri, statement)
        opened = (
            sqlite3.connect(self.path, isolation_level=None)
            if self.kind == "sqlite"
            else duckdb.connect(str(self.path))
        )
        try:
            return opened.execute(statement).fetchall()
        finally:
            opened.close()

    def data(self, table):
        return Database.from_uri(self.uri, tables=[table])[table].data


@pytest.fixture(params=KINDS)
def place(request, postgres, tmp_path):
    return Place(request.param, postgres, tmp_path)


def test_a_table_is_created_and_appended_to(place):
    first = append_rows(place.uri, "scores", ROWS)
    assert (first.rows, first.created) == (3, True)
    assert not append_rows(place.uri, "scores", ROWS).created
    data = place.data("scores")
    assert data.num_rows == 6
    assert data["id"].to_pylist() == [7, 8, 9] * 2
    assert data["Name"].to_pylist()[:3] == ROWS["Name"].to_pylist()
    assert data["prediction"].to_pylist()[:3] in ([True, False, None], [1, 0, None])
    assert data["probability"].to_pylist()[:2] == [0.75, 0.25]
    assert data["cutoff"].to_pylist()[0] == dt.datetime(2024, 5, 1)
    assert data["scored_at"].to_pylist()[0].replace(tzinfo=dt.UTC) == MOMENT
    assert place.data("victim").num_rows == 1


def test_names_inject_nothing(place):
    rows = ROWS.rename_columns([*ROWS.column_names[:-1], EVIL])
    quoted = '"' + EVIL.replace('"', '""') + '"'
    assert append_rows(place.uri, quoted, rows).created
    assert not append_rows(place.uri, quoted, rows).created
    assert place.data(EVIL).column_names[-1] == EVIL
    assert place.data("victim").num_rows == 1
    for name in ("a; DROP TABLE victim", "a.b.c.d", "", "a b", 'a"b', "."):
        with pytest.raises(ConfigError, match="no name of a table"):
            append_rows(place.uri, name, ROWS)


def test_a_table_that_does_not_fit_is_refused_with_everything(place):
    place.run(
        "CREATE TABLE scores (id int, prediction date, must text NOT NULL, fine text NOT NULL DEFAULT 'x', run_id text)"
    )
    with pytest.raises(SchemaError) as caught:
        append_rows(place.uri, "scores", ROWS)
    told = {problem.column for problem in caught.value.problems}
    assert told == {"scored_at", "Name", "cutoff", "probability", "prediction", "must"}
    assert "Give another table name" in str(caught.value)
    assert place.run("SELECT count(*) FROM scores") == [(0,)]


def test_columns_of_ones_own_are_converted_and_others_left_alone(place):
    place.run("CREATE TABLE scores (extra int DEFAULT 5, prediction boolean, id smallint, probability numeric(4, 2))")
    append_rows(place.uri, "scores", ROWS.select(["id", "prediction", "probability"]).slice(0, 2))
    found = place.run("SELECT extra, id, CAST(probability AS float) FROM scores ORDER BY id")
    assert found == [(5, 7, 0.75), (5, 8, 0.25)]


def test_all_rows_or_none(place):
    place.run(
        "CREATE TABLE scores (id int PRIMARY KEY)" if place.kind != "sqlite" else "CREATE TABLE scores (id int UNIQUE)"
    )
    place.run("INSERT INTO scores VALUES (9)")
    with pytest.raises(SourceError, match="table=scores: cannot be written"):
        append_rows(place.uri, "scores", ROWS.select(["id"]))
    assert place.run("SELECT id FROM scores") == [(9,)]


def test_views_are_no_tables_and_schemas_are_not_made(place):
    place.run("CREATE VIEW scores AS SELECT 1 AS id")
    with pytest.raises(SourceError, match="no table"):
        append_rows(place.uri, "scores", ROWS.select(["id"]))
    with pytest.raises((DataNotFound, SourceError), match="schema"):
        append_rows(place.uri, "nowhere.scores", ROWS)


def test_other_schemas(place):
    if place.kind == "sqlite":
        assert append_rows(place.uri, "main.scores", ROWS).created
        return
    place.run("CREATE SCHEMA other")
    assert append_rows(place.uri, "other.scores", ROWS).created
    assert not append_rows(place.uri, 'other."scores"', ROWS).created
    assert place.run("SELECT count(*) FROM other.scores") == [(6,)]


def test_what_is_no_database_is_not_written_to(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "database.yaml").write_text("name: a\ntables: {a: {}}\n")
    for place in (tmp_path, tmp_path / "a.csv", tmp_path / "database.yaml"):
        with pytest.raises(ConfigError, match="place of files"):
            append_rows(place, "scores", ROWS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "database.yaml"]


def test_a_manifest_names_the_database(tmp_path):
    place = Place("sqlite", None, tmp_path)
    (tmp_path / "database.yaml").write_text(f"name: a\nuri: sqlite:///{place.path.name}\ntables: {{victim: {{}}}}\n")
    assert append_rows(tmp_path, "scores", ROWS).created
    assert place.run("SELECT count(*) FROM scores") == [(3,)]


def test_rights_locks_and_lost_connections(postgres):
    uri = postgres.create(
        "limits",
        """CREATE TABLE scores (id int); DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN;
        GRANT SELECT ON scores TO reader; REVOKE CREATE ON SCHEMA public FROM PUBLIC""",
    )
    reader, rows = postgres.address("limits", "reader"), pa.table({"id": [7, 8]})
    for table in ("scores", "new"):
        with pytest.raises(SourceError, match=rf"table={table}: cannot be written .*let this user write"):
            append_rows(reader, table, rows)
    with postgres.session(uri) as other:
        other.execute("BEGIN; LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceError, match=r"longer than the time allowed|locked"):
            append_rows(uri, "scores", rows, statement_timeout=0.3)
    with PostgresWriter(parse_uri(uri), ("scores",), 600) as writer:
        writer.columns()
        writer.append(rows, {"id": "integer"})
        postgres.run(uri, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                          "WHERE datname = 'limits' AND pid <> pg_backend_pid()")  # fmt: skip
        with pytest.raises(SourceError, match="connection"):
            writer.commit()
    assert postgres.run(uri, "SELECT count(*) FROM scores") == [(0,)]


def test_names_of_tables():
    assert parse_target("scores") == ("scores",)
    assert parse_target('"a.b"."c""d"') == ("a.b", 'c"d')


def of_run(run: str, day: int, ids: list[int]) -> pa.Table:
    cutoffs = pa.array([dt.datetime(2024, 5, day)] * len(ids), pa.timestamp("us"))
    return pa.table(
        {"run_id": pa.array([run] * len(ids), pa.string()), "id": pa.array(ids, pa.int64()), "cutoff": cutoffs}
    )


def test_a_run_replaces_what_earlier_runs_wrote_for_its_dates(place):
    append_rows(place.uri, "scores", of_run("a1", 1, [1, 2, 3]))
    append_rows(place.uri, "scores", of_run("b2", 2, [4]))
    append_rows(place.uri, "scores", pa.table({"run_id": [None], "id": [0], "cutoff": [dt.datetime(2024, 5, 1)]}).cast(
        of_run("", 1, [1]).schema))  # fmt: skip
    found = append_rows(place.uri, "scores", of_run("c3", 1, [2, 5]), replaces=("run_id", "cutoff"))
    assert (found.rows, found.created, found.replaced) == (2, False, 3)
    data = place.data("scores")
    assert sorted(zip(data["id"].to_pylist(), data["run_id"].to_pylist(), strict=True)) == [
        (0, None),
        (2, "c3"),
        (4, "b2"),
        (5, "c3"),
    ]
    assert append_rows(place.uri, "scores", of_run("d4", 3, [6]), replaces=("run_id", None)).replaced == 3
    assert append_rows(place.uri, "other", of_run("e5", 3, [6]), replaces=("run_id", "cutoff")).replaced == 0
    assert append_rows(place.uri, "other", of_run("f6", 3, []), replaces=("run_id", None)).replaced == 0
    assert place.data("victim").num_rows == 1


def test_a_replacement_that_fails_deletes_nothing(place):
    append_rows(place.uri, "scores", of_run("a1", 1, [1, 2]))
    rows = of_run("b2", 1, [3]).append_column("new", [["x"]])
    with pytest.raises(SchemaError):
        append_rows(place.uri, "scores", rows, replaces=("run_id", "cutoff"))
    with pytest.raises(ValueError, match="letters and digits"):
        append_rows(place.uri, "scores", of_run("x' OR '1'='1", 1, [3]), replaces=("run_id", "cutoff"))
    assert place.data("scores")["id"].to_pylist() == [1, 2]
