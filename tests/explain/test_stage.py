"""The stage of a run: it explains the decision within its share, or says that it did not, and costs no predictor."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from relselect.budget import Budget
from relselect.explain import stage
from relselect.explain.stage import RunExplanation, explain_run, explaining_budget, reserved_seconds
from relselect.report import record_of, render_html, render_markdown
from relselect.run import RunResult
from tests.explain.planted import fit_of


def explained(budget: Budget) -> RunExplanation:
    fit = fit_of("dfs")
    return explain_run(
        fit.problem, fit.family, fit.candidate, fit.candidate, fit.rows.select, budget=budget, seed=0, split="test"
    )


def test_it_measures_both_and_survives_json():
    found = explained(Budget(60))
    assert found.importance is not None
    assert found.importance.tables[0].table == "payments"
    assert found.staleness is not None
    assert found.staleness.decay is not None
    assert found.why == ""
    assert RunExplanation.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_without_time_nothing_is_begun_and_the_way_out_is_told():
    found = explained(Budget(0.5))
    assert (found.importance, found.staleness) == (None, None)
    assert "fitted.importance()" in found.why


def test_its_share_of_the_budget():
    assert reserved_seconds(Budget(None)) == reserved_seconds(Budget(30)) == 0.0
    assert reserved_seconds(Budget(300)) == 12.0
    assert reserved_seconds(Budget(36_000)) == 60.0
    assert explaining_budget(Budget(100)).seconds == pytest.approx(10.0, abs=0.1)
    assert explaining_budget(Budget(None)).seconds == 60.0


def test_a_run_has_it_in_result_and_report(trained):
    fit, _ = trained("dfs,rdl")
    found = fit.result.explanation
    assert found is not None
    assert found.importance is not None
    assert found.staleness is not None
    assert "explanation" in {each.stage for each in fit.result.stages}
    record = record_of(fit.result)
    page, text = render_html(record), render_markdown(record)
    for sentence in (*found.importance.sentences, found.staleness.sentence):
        assert sentence.split(" (")[0] in text.replace("\\", "")
    assert "What it rests on" in page
    assert 'aria-labelledby="fig-ablations-wide-t' in page
    assert 'aria-labelledby="fig-staleness-narrow-t' in page
    assert render_html(record_of(RunResult.from_json(fit.result.to_json()))) == page


def test_a_result_without_it_is_read(trained):
    fit, _ = trained("dfs,rdl")
    older = {name: value for name, value in fit.result.to_json().items() if name != "explanation"}
    assert RunResult.from_json(older).explanation is None
    record = record_of(replace(fit.result, explanation=None))
    assert "What it rests on" not in render_html(record)


def test_a_failure_costs_no_predictor(monkeypatch, database, tables):
    import relselect as rs
    from tests.shop import shop_task

    def fails(*given, **named):
        raise RuntimeError("no luck")

    monkeypatch.setattr(stage, "measure_importance", fails)
    task = shop_task(database, tables)
    fit = rs.select_and_train(database, task, "60s", families="dfs", max_trials=1)
    assert "no luck" in fit.result.explanation.why
    assert any("no luck" in each.message for each in fit.result.notices)
    assert len(fit.predict(split="test"))
    again = rs.select_and_train(database, task, "60s", families="dfs", max_trials=1, explain=False)
    assert again.result.explanation is None
