"""What a new user stumbled over on a PostgreSQL of twelve tables in two schemas (docs/new_user.md), one test per place."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

import relselect as rs
from relselect.cli.main import app
from relselect.leaks import find_leaks
from relselect.problem import Problem

LAPSE = "PREDICT COUNT(loans.*, 0, 60, days) = 0 FOR EACH members.card_no WHERE COUNT(loans.*, -90, 0, days) > 0"


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def declared(manifest) -> dict:
    return yaml.safe_load(manifest.read_text())


def test_an_empty_default_schema_is_no_end(manifest, declared) -> None:
    assert declared["schema"] == ["catalog", "circulation"]
    assert "The default schema holds no tables; read instead: catalog, circulation" in (
        manifest.parent / "init.txt"
    ).read_text().replace("\n", " ")


def test_schemas_may_stand_behind_one_option(library, tmp_path) -> None:
    done = run("init", library, "--schema", "catalog, circulation, crm", "--out", tmp_path / "a.yaml")
    assert done.exit_code == 2
    assert "schema=crm: is no schema of the database" in done.stderr


def test_only_what_was_found_is_listed(manifest) -> None:
    shown = (manifest.parent / "init.txt").read_text()
    assert "24 keys and references are taken as the database declares them" in shown
    assert "is the declared primary key" not in shown
    assert "read" not in (manifest.parent / "init.err").read_text()  # no line per table that took no time


def test_a_column_refers_where_columns_of_its_name_refer(declared) -> None:
    keys = declared["tables"]["circulation.visits"]["foreign_keys"]
    assert {"columns": "member_no", "table": "circulation.members"} in keys


def test_what_is_overwritten_or_filled_in_later_is_found(declared) -> None:
    assert set(declared["tables"]["circulation.members"]["drop"]) == {"last_visit", "status"}
    assert declared["tables"]["circulation.loans"]["known_at"] == {"returned_at": []}
    assert declared["tables"]["circulation.fines"]["known_at"] == {"paid_at": []}


def test_examples_are_about_people_and_short(declared) -> None:
    """Books since 1960 are no reason to ask about publishers every two years."""
    first = declared["tasks"]["members-visits-next"]
    assert first["query"].startswith("PREDICT COUNT(visits.*, 0, 14, days) > 0 FOR EACH members.card_no")
    assert first["test_start"].startswith("2024")


def test_tasks_that_are_queries_are_listed_and_what_cannot_be_asked_with_its_reason(declared, tmp_path) -> None:
    tasks = {"next": declared["tasks"]["members-visits-next"]}
    tasks["broken"] = {"query": "PREDICT COUNT(lones.*, 0, 9, days) > 0 FOR EACH members.card_no"}
    (tmp_path / "database.yaml").write_text(yaml.safe_dump({**declared, "tasks": tasks}))
    done = run("tasks", tmp_path / "database.yaml", "--json")
    assert done.exit_code == 0, done.stderr
    listed = {each["task"]: each for each in json.loads(done.stdout)["tasks"]}
    first, broken = listed["next"], listed["broken"]
    assert broken["entity"] is None
    assert "lones is no table" in broken["problem"]
    assert (first["entity"], first["kind"], first["metric"]) == ("circulation.members", "binary", "roc_auc")
    assert (first["horizon"], first["problem"]) == ("14d", None)
    assert first["rows"]["train"] > 5000


@pytest.fixture(scope="module")
def problem(manifest) -> Problem:
    database = rs.Database.from_folder(manifest)
    return Problem(database, rs.Task.from_query(database, LAPSE))


def test_cutoffs_lie_where_the_tables_of_the_question_have_rows(problem) -> None:
    """The catalogue reaches back to 1960; the loans have thirty months."""
    cutoffs = sorted({cutoff for frame in problem.task.splits.values() for cutoff in frame.cutoff.tolist()})
    years = [rs.database.clock.format_time(cutoff, "timestamp")[:4] for cutoff in (cutoffs[0], cutoffs[-1])]
    assert years == ["2022", "2024"]
    assert len(cutoffs) == 14


def test_terms_and_the_name_of_a_label_that_nobody_chose_are_no_leaks(problem) -> None:
    """A due date is 28 days after its loan, always; a column of the subjects is called label."""
    assert "due" in problem.database["circulation.loans"].columns
    assert "label" in problem.database["catalog.subjects"].columns
    assert find_leaks(problem).findings == ()


def test_a_date_without_anybody_says_how_far_the_data_reach(problem) -> None:
    with pytest.raises(rs.errors.TaskError, match=r"the database's last row is of 2024-06-"):
        problem.at("2026-01-01")


def test_a_missing_task_says_how_to_find_one(manifest) -> None:
    assert "`relselect tasks DB` lists them" in run("recommend", manifest).stderr
