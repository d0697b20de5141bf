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
from relselect.report import read_record
from relselect.report.schema import check_record

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
        "time_budget": 90.0,
        "max_trials": 1,
        "evaluate_test": True,
        "final": "auto",
        "explain": True,
        "options": {},
        "device": None,
        "metric": None,
        "preset": None,
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
