"""From an address to a manifest that runs, on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from relselect.api import open_task
from relselect.cli.main import app
from relselect.configs import open_database
from relselect.database.manifest import load_manifest
from relselect.database.sources.uri import literal_password
from relselect.proposal import facts_of, propose, read_facts
from relselect.proposal.init import init_manifest
from relselect.proposal.manifest_text import placeholders
from relselect.queries import parse_query

SECRET = "hunter2"
REFERENCES = {
    ("Appearances", "playerID", "People"), ("Appearances", "team_season_id", "Teams"),
    ("Salaries", "playerID", "People"), ("Salaries", "team_season_id", "Teams"),
}  # fmt: skip


def run(*arguments: object):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def check(manifest: Path, place: str) -> None:
    """The manifest declares what Lahman is, and its examples build from what it reads."""
    database = open_database(manifest)
    found = {(name, key.name, key.table) for name, table in database.tables.items() for key in table.foreign_keys}
    assert found == REFERENCES, place
    assert {name: table.primary_key for name, table in database.tables.items() if table.primary_key} == {
        "People": ("playerID",),
        "Teams": ("team_season_id",),
    }
    assert {name for name, table in database.tables.items() if table.time == "time"} == {
        "Teams",
        "Appearances",
        "Salaries",
    }
    kinds = {open_task(database, name).kind for name in database.tasks}
    assert kinds == {"binary", "regression"}
    queries = [parse_query(spec.query) for spec in database.tasks.values()]
    assert all(query.keys[0].table == "People" and "-" in str(query.where) for query in queries), place


def test_postgres_to_a_recommendation(lahman_postgres, postgres, tmp_path, monkeypatch) -> None:
    postgres.run(postgres.uri, f"CREATE ROLE init_reader LOGIN PASSWORD '{SECRET}'")
    postgres.run(lahman_postgres, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO init_reader")
    postgres.ask_passwords("undeclared")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    out = tmp_path / "database.yaml"
    done = run("init", postgres.address("undeclared", "init_reader", SECRET), "--out", out)
    assert done.exit_code == 0, done.output
    text = out.read_text()
    assert SECRET not in done.output + done.stderr + text
    assert "init_reader:${PGPASSWORD}@" in text
    assert "set PGPASSWORD" in done.output
    monkeypatch.setenv("PGPASSWORD", SECRET)
    check(out, "postgresql")
    task = next(iter(load_manifest(out).tasks))
    told = run("recommend", out, "--task", task, "--json")
    assert told.exit_code == 0, told.output
    assert set(json.loads(told.stdout)["recommendation"]["families"]) <= {"dfs", "rdl"}
    assert SECRET not in told.output + told.stderr


def test_types_names_and_keys_as_people_have_them(postgres, tmp_path) -> None:
    script = """
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE "Order" (
            id uuid PRIMARY KEY, mood mood, tags text[], doc jsonb, pic bytea, "select" numeric(12, 2), at timestamptz);
        CREATE TABLE line (nr int, "order" uuid REFERENCES "Order", part int, PRIMARY KEY ("order", nr));
        CREATE TABLE note (line int, "order" uuid, FOREIGN KEY ("order", line) REFERENCES line ("order", nr));
        INSERT INTO "Order" SELECT gen_random_uuid(), 'ok', '{a}', '{"x": 1}', '\\x00', n,
            timestamp '2020-01-01' + n * interval '1 day' FROM generate_series(1, 50) n;
        INSERT INTO line SELECT 1, id, 7 FROM "Order";
        INSERT INTO note SELECT nr, "order" FROM line"""
    found = init_manifest(postgres.create("odd", script), tmp_path / "db.yaml")
    database = open_database(found.path)
    assert database["line"].primary_key == ("order", "nr")
    assert [key.columns for key in database["note"].foreign_keys] == [("order", "line")]
    assert database["Order"].time == "at"
    assert {each.origin for each in found.proposal.of("note", "foreign_key")} == {"declared"}
    assert not found.proposal.of("note", "primary_key")


def test_sqlite_file(lahman_sqlite, tmp_path, monkeypatch) -> None:
    done = run("init", lahman_sqlite, "--out", tmp_path / "db.yaml", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {each["origin"] for each in told["proposals"]} == {"inferred"}
    assert [task["kind"] for task in told["tasks"]] == ["binary", "regression"]
    assert "RELSELECT_ALLOW_PATHS=1" in " ".join(told["notes"])
    monkeypatch.setenv("RELSELECT_ALLOW_PATHS", "1")
    check(tmp_path / "db.yaml", "sqlite")
    again = run("init", lahman_sqlite, "--out", tmp_path / "again.yaml", "--json")
    assert "RELSELECT_ALLOW_PATHS" not in " ".join(json.loads(again.stdout)["notes"])


def test_csv_folder_beside_its_manifest(lahman_csv) -> None:
    plain = run("recommend", lahman_csv, "--task", "any")
    assert plain.exit_code == 2
    assert f"relselect init {lahman_csv}" in plain.stderr
    done = run("init", lahman_csv)
    assert done.exit_code == 0, done.output
    check(lahman_csv, "csv")
    assert "root" not in (lahman_csv / "database.yaml").read_text().split("tables:")[0]


def test_the_same_data_get_the_same_proposals(lahman_postgres, lahman_sqlite, lahman_csv) -> None:
    found = [propose(read_facts(place)[0]) for place in (lahman_postgres, lahman_sqlite, lahman_csv)]
    told = [{(e.table, e.columns, e.what, e.value) for e in each.lines} for each in found]
    assert told[0] == told[1] == told[2]


def test_overrides_on_the_command_line(lahman_sqlite, tmp_path) -> None:
    out = tmp_path / "db.yaml"
    done = run(
        "init", lahman_sqlite, "--out", out, "--set", "Salaries: time=none, drop=salary", "--tables", "People,Salaries"
    )
    assert done.exit_code == 0, done.output
    manifest = load_manifest(out)
    assert set(manifest.tables) == {"People", "Salaries"}
    assert (manifest.tables["Salaries"].time, manifest.tables["Salaries"].drop) == (None, ["salary"])
    assert "# was given" in out.read_text()


def test_nothing_is_replaced_or_left_behind(lahman_sqlite, tmp_path) -> None:
    out = tmp_path / "db.yaml"
    out.write_text("mine")
    refused = run("init", lahman_sqlite, "--out", out)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert out.read_text() == "mine"
    wrong = run("init", lahman_sqlite, "--out", out, "--force", "--set", "Nobody: time=x")
    assert wrong.exit_code == 2
    assert "Nobody" in wrong.stderr
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["db.yaml"]
    assert run("init", lahman_sqlite, "--out", out, "--force").exit_code == 0
    assert load_manifest(out).name == "lahman"
    assert [path.name for path in tmp_path.iterdir()] == ["db.yaml"]


def test_a_folder_that_lets_nobody_write_is_refused_before_anything_is_read(monkeypatch, tmp_path) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("relselect.files._probe", full)
    done = run("init", tmp_path / "no such database", "--out", tmp_path / "db.yaml")
    assert done.exit_code == 2
    assert "--out" in done.stderr
    assert "No space left" in done.stderr


def test_databases_that_are_not_read_say_which_are_and_how_to_export(tmp_path) -> None:
    done = run("init", "mysql://ann:secret@host/shop", "--out", tmp_path / "db.yaml")
    assert done.exit_code == 2
    told = " ".join(done.stderr.split())
    for word in ("postgresql://", "sqlite:///", "duckdb:///", "file:///", "COPY FROM DATABASE source TO shop"):
        assert word in told
    assert "secret" not in told


@pytest.mark.parametrize("out", ["nowhere/db.yaml", "db.txt", "."])
def test_places_that_cannot_be_written_are_refused_first(out: str, tmp_path) -> None:
    done = run("init", tmp_path / "no such database", "--out", tmp_path / out)
    assert done.exit_code == 2
    assert "--out" in done.stderr


def test_a_database_without_times_gets_gaps_to_fill(tmp_path) -> None:
    rows = 120
    parts = {
        "part_id": list(range(rows)),
        "colour": ["red", "blue", "grey"] * 40,
        "weight": [i * 0.37 for i in range(rows)],
    }
    pq.write_table(pa.table(parts), tmp_path / "parts.parquet")
    found = init_manifest(tmp_path)
    assert [(task.name, task.kind) for task in found.tasks] == [
        ("parts-colour", "multiclass"),
        ("parts-weight", "regression"),
    ]
    database = open_database(tmp_path)
    assert len(open_task(database, "parts-colour").splits["test"]) == 24


def test_years_as_times(tmp_path) -> None:
    seasons, teams = range(1980, 2020), range(12)
    played = [(year, team) for year in seasons for team in teams if (year * 7 + team * team) % 3]
    table = pa.table({"team_id": [team for _, team in played], "year": [year for year, _ in played]})
    pq.write_table(pa.table({"id": list(teams)}), tmp_path / "teams.parquet")
    pq.write_table(table, tmp_path / "seasons.parquet")
    found = init_manifest(tmp_path)
    assert [task.kind for task in found.tasks] == ["binary", "regression"]
    database = open_database(tmp_path)
    assert database.time_kind == "integer"
    assert open_task(database, found.tasks[0].name).has_test


def test_examples_are_queries_and_sql_where_several_keys_lead_to_the_entity(tmp_path) -> None:
    draw = np.random.default_rng(0)
    taste = draw.random(40) ** 2
    places = {"id": list(range(40))}
    days = np.sort(draw.integers(0, 900, 1500))
    trips = {
        "id": list(range(1500)),
        "from_place_id": draw.choice(40, 1500, p=taste / taste.sum()),
        "at": pa.array(days * 86_400_000_000).cast(pa.timestamp("us")),
        "price": draw.gamma(2.0, 10.0, 1500).round(2),
    }
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for folder, columns in (("one", trips), ("two", {**trips, "to_place_id": draw.choice(40, 1500)})):
        pq.write_table(pa.table(places), tmp_path / folder / "place.parquet")
        pq.write_table(pa.table(columns), tmp_path / folder / "trips.parquet")
    lines = [f"trips.{column} -> place" for column in ("from_place_id", "to_place_id")]
    one = init_manifest(tmp_path / "one", overrides=lines[:1])
    two = init_manifest(tmp_path / "two", overrides=lines)
    for found, is_query in ((one, True), (two, False)):
        database = open_database(found.path)
        assert [spec.query is not None for spec in database.tasks.values()] == [is_query, is_query]
        assert [spec.population is None for spec in database.tasks.values()] == [is_query, is_query]
        assert {task.kind for task in found.tasks} == {"binary", "regression"}
        assert "known_after" not in found.text
    frames = [next(task for task in found.tasks if task.kind == "regression").splits["train"] for found in (one, two)]
    assert len(frames[0]) > 100
    (again,) = {spec.query for spec in open_database(one.path).tasks.values() if "SUM" in (spec.query or "")}
    assert again.startswith("PREDICT SUM(trips.price, 0, ")


def test_where_nothing_can_be_asked_that_is_said(tmp_path) -> None:
    pq.write_table(pa.table({"id": [1, 2, 3]}), tmp_path / "few.parquet")
    done = run("init", tmp_path)
    assert done.exit_code == 0
    assert "No example task was found" in done.output
    told = run("recommend", tmp_path, "--task", "any")
    assert told.exit_code == 2
    assert "relselect init" in told.stderr


def test_names_that_yaml_would_read_otherwise(tmp_path) -> None:
    odd = {"null": [1, 2, 3], "größe: #1": [1.0, 2.0, 4.0], "yes\nno": ["a", "b", "b"], "2020": [1, 1, 1]}
    text = propose(facts_of({"on": pa.table(odd), "q\"u'x": pa.table({"id": [1, 2]})})).to_manifest()
    (tmp_path / "db.yaml").write_text(text)
    manifest = load_manifest(tmp_path / "db.yaml")
    assert set(manifest.tables) == {"on", "q\"u'x"}
    assert manifest.tables["on"].primary_key == "null"
    assert manifest.tables["on"].types == {"2020": "ignored"}


def test_a_manifest_comes_back_as_it_was_proposed(lahman_csv) -> None:
    found = init_manifest(lahman_csv)
    manifest = load_manifest(found.path)
    for name, spec in manifest.tables.items():
        wanted = found.proposal.spec(name)
        assert spec.model_dump(exclude={"description"}) == wanted.model_dump(exclude={"description"})
    assert dict(manifest.tasks) == dict(found.proposal.tasks)
    assert found.path is not None
    assert os.access(found.path, os.R_OK)


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("postgresql://ann:***@db/shop", "postgresql://ann:${PGPASSWORD}@db/shop"),
        ("postgresql://db/shop?user=ann&password=***", "postgresql://db/shop?user=ann&password=${PGPASSWORD}"),
        ("postgresql://ann:${SHOP}@db/shop", "postgresql://ann:${SHOP}@db/shop"),
        ("${DATABASE_URL}", "${DATABASE_URL}"),
    ],
)
def test_addresses_in_a_manifest(shown: str, written: str) -> None:
    assert placeholders(shown) == written
    assert not literal_password(placeholders(shown))
