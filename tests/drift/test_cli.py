"""`relselect predict --uri`: the file is whole or not there, drift is told, a table is written only when it is named."""

from __future__ import annotations

import json
import sqlite3

import pandas as pd
import pytest
from typer.testing import CliRunner

from relselect.cli.main import app
from tests.drift.places import in_files, in_postgres, in_sqlite, tables

AT = "1970-10-20"


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    return trained("dfs")[0].save(tmp_path_factory.mktemp("bundle") / "dfs")


@pytest.fixture
def place(tmp_path):
    return in_sqlite(tmp_path / "shop.sqlite", tables())


def run(*words):
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def test_a_file_with_predictions_and_what_has_changed(bundle, place, trained, tmp_path):
    out = tmp_path / "p.parquet"
    result = run(bundle, "--uri", place, "--at", AT, "--out", out)
    assert result.exit_code == 0, result.output
    pd.testing.assert_frame_equal(pd.read_parquet(out), trained("dfs")[0].predict(at=AT))
    for word in ("Since training", "remark", "note", f"{out}"):
        assert word in result.stdout.replace("\n", "")
    told = json.loads(run(bundle, "--uri", place, "--at", AT, "--out", out, "--json").stdout)
    assert told["written"] is None
    assert {"severity", "table", "column", "what", "trained", "now", "advice"} == set(told["drift"][0])
    assert sqlite3.connect(tmp_path / "shop.sqlite").execute(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
    ).fetchone() == (3,)


def test_plain_output_stays_a_table(bundle, place):
    result = run(bundle, "--uri", place, "--at", AT)
    assert result.stdout.splitlines()[0] == "id,cutoff,prediction,probability"
    assert "since training:" in result.stderr


def test_now(bundle, place, tmp_path):
    result = run(bundle, "--uri", place, "--at", "now", "--out", tmp_path / "p.csv")
    assert result.exit_code == 0, result.output
    assert (
        pd.Timestamp.now("UTC") - pd.to_datetime(pd.read_csv(tmp_path / "p.csv")["cutoff"], utc=True)
    ).max() < pd.Timedelta("9min")


def test_a_table_asked_for_by_name(bundle, postgres, trained):
    uri = in_postgres(postgres, "written", tables())
    for _ in range(2):
        result = run(bundle, "--uri", uri, "--at", AT, "--write-to", "public.scores", "--json")
        assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    expected = trained("dfs")[0].predict(at=AT)
    written = {"table": "public.scores", "rows": len(expected), "created": False, "replaced": 0}
    assert told["written"] == written
    rows = postgres.run(
        uri, "SELECT id, cutoff, probability, prediction, run_id, scored_at FROM scores ORDER BY run_id, id"
    )
    assert len(rows) == 2 * len(expected)
    assert len({row[4] for row in rows}) == len({row[5] for row in rows}) == 2
    first = sorted(rows[: len(expected)])
    assert [row[0] for row in first] == expected["id"].tolist()
    assert [row[2] for row in first] == expected["probability"].tolist()
    assert {name for (name,) in postgres.run(uri, "SELECT relname FROM pg_class WHERE relkind = 'r' AND "
                                                  "relnamespace = 'public'::regnamespace")} == {*tables(), "scores"}  # fmt: skip
    again = run(bundle, "--uri", uri, "--at", AT, "--write-to", "public.scores", "--replace")
    assert again.exit_code == 0, again.output
    assert f"in the place of {len(rows):,} earlier ones" in again.output
    assert len(postgres.run(uri, "SELECT id FROM scores")) == len(expected)
    refused = run(bundle, "--uri", uri, "--at", AT, "--replace")
    assert refused.exit_code == 2
    assert "Name the table with --write-to" in refused.stderr


def test_nothing_is_half_written(bundle, place, tmp_path):
    out = tmp_path / "p.parquet"
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        connection.execute("CREATE TABLE narrow (id int)")
    result = run(bundle, "--uri", place, "--at", AT, "--out", out, "--write-to", "narrow")
    assert result.exit_code == 2
    assert "run_id" in result.stderr
    assert not [path for path in tmp_path.iterdir() if path.name != "shop.sqlite"]
    assert connection.execute("SELECT count(*) FROM narrow").fetchone() == (0,)
    folder = tmp_path / "out.csv"
    folder.mkdir()
    result = run(bundle, "--uri", place, "--at", AT, "--out", folder)
    assert (result.exit_code, "is a folder" in result.stderr) == (2, True), result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "shop.sqlite"]


def test_places_that_are_not_written_to_are_refused_before_any_work(bundle, tmp_path):
    files = in_files(tmp_path / "files", tables())
    result = run(bundle, "--uri", files, "--at", "1000-01-01", "--write-to", "scores")
    assert (result.exit_code, "place of files" in result.stderr) == (2, True)
    result = run(bundle, "--at", AT, "--write-to", "scores")
    assert (result.exit_code, "--uri" in result.stderr) == (2, True)


def test_what_is_missing_is_one_table_of_problems(bundle, tmp_path):
    data = tables()
    data["orders"] = data["orders"].drop_columns(["total", "when"])
    result = run(
        bundle, "--uri", in_sqlite(tmp_path / "shop.sqlite", data), "--at", AT, "--out", tmp_path / "p.csv", "--json"
    )
    assert result.exit_code == 2
    told = json.loads(result.stdout)["error"]
    assert told["kind"] == "SchemaError"
    assert {problem["column"] for problem in told["problems"]} == {"total", "when"}
    assert not (tmp_path / "p.csv").exists()
