"""Records of real runs: they validate against the published schema, and a saved predictor gives the same record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

import relselect as rs
from relselect.cli.main import app
from relselect.problem.rows import fit_rows
from relselect.report import Report, read_record, record_of
from relselect.report.schema import check_record
from relselect.run import RunResult
from relselect.run.outcome import run_outcome

SCHEMA = json.loads((Path(__file__).parents[2] / "configs" / "report.schema.json").read_text(encoding="utf-8"))

pytestmark = pytest.mark.usefixtures("brief_networks")


def test_a_runs_record_is_complete(trained: Any) -> None:
    fit, _ = trained("dfs,rdl")
    jsonschema.validate(json.loads(json.dumps(fit.record)), SCHEMA)
    record = check_record(fit.record)
    names = [family["name"] for family in record["families"]]
    assert names[:3] == ["constants", "dfs", "rdl"]
    assert names[3:] in ([], ["blended"])
    assert all(family["description"] for family in record["families"])
    assert record["settings"] == {
        "seed": 0,
        "families": ["dfs", "rdl"],
        "time_budget": 600.0,
        "max_trials": 1,
        "evaluate_test": True,
        "final": "auto",
        "explain": True,
        "options": {},
        "device": None,
        "metric": None,
        "class_weight": None,
        "preset": None,
        "spaces": {},
        "fidelity": "full",
        "average_seeds": None,
    }
    assert record["task"]["metric_title"] == fit.task.metric.title
    assert record["deployed"] is not None
    assert record["deployed"]["test_score"] == pytest.approx(fit.result.score_of("test", "deployed").value)
    assert record["validation"]["select_rows"] > 0
    described = record["candidates"]
    assert all(row["candidate"] in described for row in record["leaderboard"])
    assert described["rdl-0"]["learning_curve"] is not None
    assert described["dfs-0"]["importances"] is not None
    assert [row["note"] for row in record["leaderboard"] if row["family"] == "constants"] != ["", ""]


def test_a_saved_predictor_reports_the_same(trained: Any, tmp_path: Path) -> None:
    fit, _ = trained("dfs")
    folder = fit.save(tmp_path / "saved")
    assert rs.load(folder).record == fit.record
    result = CliRunner().invoke(app, ["report", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    assert read_record(folder / "report.json") == check_record(fit.record)
    assert (folder / "report.html").read_bytes() == fit.report(tmp_path / "again.html").read_bytes()


def test_a_recommendation_has_a_report(problem: Any, database: Any, tmp_path: Path) -> None:
    page = rs.recommend(database, problem.task).report(tmp_path / "advice.html")
    record = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    jsonschema.validate(record, SCHEMA)
    assert (record["kind"], record["choice"], record["deployed"]) == ("recommendation", None, None)


def test_a_runs_outcome_is_that_of_its_own_predictions(trained: Any) -> None:
    fit, _ = trained("dfs,rdl")
    outcome = check_record(fit.record)["outcome"]
    assert outcome is not None
    labels, shown = fit.task.splits["test"].label, fit.predict(split="test")
    assert (outcome["split"], outcome["rows"], outcome["refitted"]) == ("test", len(labels), fit.decision.refitted)
    test = outcome["totals"][0]
    assert test["actual"] == labels.sum()
    assert test["expected"] == pytest.approx(shown["probability"].sum())
    assert test["score"] == pytest.approx(fit.result.score_of("test", "deployed").value)
    assert outcome["totals"][1]["score"] == pytest.approx(fit.candidate.score)
    assert {each["first"] for each in outcome["duels"]} == {fit.candidate.id}
    assert {each["second"] for each in outcome["duels"]} & {"dfs-0", "rdl-0"}
    assert fit.report().html() == fit.report().html()
    assert "outcome" in {each.stage for each in fit.result.stages}


def test_a_bundle_without_an_outcome_reports_what_is_absent(trained: Any) -> None:
    fit, _ = trained("dfs,rdl")
    older = {name: value for name, value in fit.result.to_json().items() if name != "outcome"}
    del older["decision"]["landscape"]
    found = RunResult.from_json(older)
    assert (found.outcome, found.decision.landscape) == (None, ())
    assert "gain, calibration and errors by segment are absent" in Report(record_of(found)).html()


def test_a_failure_of_the_outcome_costs_no_predictor(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, _ = trained("dfs,rdl")
    problem, heard = fit.problem(), []
    select = fit_rows(problem, fit.validation_way).select
    tested = {"deployed": fit.predict(split="test")["probability"].to_numpy()}
    asked = (problem, fit.decision, (), select, tested, heard.append)
    assert run_outcome(*asked, seed=0).totals[0].split == "test"
    assert run_outcome(*asked[:4], {}, heard.append, seed=0).split == "select"
    monkeypatch.setattr("relselect.run.outcome.measure_outcome", lambda *given, **named: 1 / 0)
    assert run_outcome(*asked, seed=0) is None
    assert "ZeroDivisionError" in heard[0].message
