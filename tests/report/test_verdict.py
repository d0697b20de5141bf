"""The verdict says what the numbers say, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from relselect.display.terminal import verdict_lines
from relselect.leaks import DOMINANT, NO_TIME
from relselect.report.margins import margin_text
from relselect.report.schema import check_record
from relselect.report.verdict import Verdict, verdict
from relselect.report.words import percent

from .records import advice_record, duel, outcome, row, run_record, small_run, three_families

CONSTANT = row("constants", 0.5, 0.5, 0.5)


def found(record: dict[str, Any]) -> Verdict:
    return verdict(check_record(record))


def words(verdict: Verdict) -> str:
    return " ".join(verdict.sentences)


def test_separated_intervals_are_a_clear_difference() -> None:
    whole = found(run_record())
    assert (whole.headline, whole.badge, whole.tone, whole.family) == (
        "Use feature synthesis",
        "Clear difference",
        "good",
        "dfs",
    )
    assert "AUROC 0.846 (interval 0.835 to 0.857)" in words(whole)
    assert "the constant baseline (mean label of the same player) reaches 0.721" in words(whole)
    assert "test rows" in words(whole)


@pytest.mark.parametrize(
    ("rival", "badge"),
    [
        (row("rdl", 0.79, 0.78, 0.80), "Clear difference"),
        (row("rdl", 0.79, 0.78, 0.80, ended="limit"), "Clear difference"),
        (row("rdl", 0.79, 0.78, 0.80, ended="budget"), "Likely"),
        (row("rdl", 0.81, 0.79, 0.835), "Likely"),
        (row("rdl", 0.84, 0.82, 0.86), "Close call"),
        (row("rdl", 0.86, 0.84, 0.88), "Close call"),
        (row("rdl", 0.79, 0.78, None), "No interval"),
        (row("rdl", None, None, None), "Not compared"),
        (row("rdl", float("nan"), 0.0, 0.0), "Not compared"),
    ],
)
def test_badge_follows_the_intervals(rival: dict[str, Any], badge: str) -> None:
    assert found(small_run(row("dfs", 0.85, 0.83, 0.87, chosen=True), rival, CONSTANT)).badge == badge


def test_a_model_that_the_budget_cut_off_is_no_clear_loser_and_no_clear_winner() -> None:
    rival = row("rdl", 0.79, 0.78, 0.80)
    assert "rdl-0 was cut off by the time budget" in words(
        found(small_run(row("dfs", 0.85, 0.83, 0.87, chosen=True), rival | {"ended": "budget"}))
    )
    cut = found(small_run(row("dfs", 0.85, 0.83, 0.87, chosen=True, ended="budget"), rival))
    assert (cut.badge, "dfs-0 was cut off" in words(cut)) == ("Likely", True)


@pytest.mark.parametrize(
    ("lead", "ended", "badge", "reading"),
    [
        (
            (0.03, 0.02, 0.04),
            "converged",
            "Clear difference",
            "better by 0.030 (interval 0.020 to 0.040), which is beyond chance",
        ),
        ((0.03, 0.02, 0.04), "budget", "Likely", "rdl-0 was cut off by the time budget"),
        ((0.03, -0.01, 0.07), "converged", "Close call", "inside the noise"),
        ((-0.01, -0.02, 0.001), "converged", "Close call", "worse by 0.010 (interval −0.001 to 0.020)"),
    ],
)
def test_the_paired_interval_decides_where_it_was_measured(
    lead: tuple[float, float, float], ended: str, badge: str, reading: str
) -> None:
    rival = row("rdl", 0.84, 0.82, 0.86, ended=ended)
    record = small_run(row("dfs", 0.85, 0.83, 0.87, chosen=True), rival, CONSTANT)
    record["outcome"] = outcome() | {"duels": [duel("select", "rdl-0", *lead, first="dfs-0")]}
    whole = found(record)
    assert whole.badge == badge
    assert reading in words(whole)


def test_test_rows_that_say_the_opposite_make_it_a_close_call() -> None:
    record = small_run(row("dfs", 0.85, 0.83, 0.87, chosen=True), row("rdl", 0.79, 0.78, 0.80), CONSTANT)
    pairs = [
        duel("select", "rdl-0", 0.06, 0.04, 0.08, first="dfs-0"),
        duel("test", "rdl-0", -0.02, -0.03, -0.01, first="dfs-0"),
    ]
    record["outcome"] = outcome() | {"duels": pairs}
    assert found(record).badge == "Close call"
    assert "On the test rows it is worse by 0.020 (interval 0.010 to 0.030)." in words(found(record))


def test_a_score_inside_the_baselines_is_called_unproven() -> None:
    weak = found(small_run(row("dfs", 0.55, 0.49, 0.61, chosen=True), CONSTANT))
    assert (weak.badge, weak.tone) == ("Weak", "poor")
    assert "not proven" in words(weak)


def test_the_validation_score_says_which_rows_carry_it() -> None:
    divided = run_record()
    assert "3,008 validation rows that neither trained nor stopped a model" in words(found(divided))
    shared = run_record()
    shared["validation"] = {
        "way": "shared",
        "stop_rows": 80,
        "select_rows": 80,
        "shared": True,
        "why": "There are fewer than 100 validation rows.",
    }
    assert "The rows that ended training also carry this score" in words(found(shared))
    assert "fewer than 100 validation rows" in words(found(shared))
    assert "these rows also ended training" in found(shared).figures[0].note


def test_the_test_score_is_the_deployed_models() -> None:
    whole = found(run_record())
    assert "refitted on training and validation rows, reaches 0.843 (interval 0.832 to 0.854)" in words(whole)
    assert [(figure.label, figure.value) for figure in whole.figures][1] == ("Test", "0.843")
    assert [figure.note.split("; ")[-1] for figure in whole.figures[:2]] == [
        "best constant there 0.721",
        "best constant there 0.715",
    ]
    record = run_record() | {"outcome": None}
    record["deployed"] |= {"test_score": None, "test_low": None, "test_high": None}
    assert "test rows" not in words(found(record))
    assert "Test" not in [figure.label for figure in found(record).figures]


def test_a_constant_that_wins_on_the_test_rows_is_named() -> None:
    record = small_run(row("dfs", 0.8, 0.7, 0.9, chosen=True), CONSTANT | {"test_score": 0.65})
    record["deployed"]["test_score"] = 0.6
    assert "the constant is no worse there, with 0.650" in words(found(record))


def test_a_winning_constant_is_said_so() -> None:
    lost = found(small_run(CONSTANT | {"chosen": True}, row("dfs", 0.48, 0.4, 0.5)))
    assert lost.headline == "Nothing beats the constant baseline"
    assert lost.badge == "No signal found"


def test_errors_are_shown_positive_with_the_share_that_is_saved() -> None:
    rows = (row("rdl", -3.0, -3.3, -2.8, chosen=True), row("constants", -4.0, -4.2, -3.8))
    errors = found(small_run(*rows, metric="neg_mean_absolute_error"))
    assert "MAE 3.000 (interval 2.800 to 3.300)" in words(errors)
    assert "25 % of the error is gone" in words(errors)


def test_the_metric_is_called_by_its_title() -> None:
    record = run_record()
    record["task"] |= {"kind": "multiclass", "metric": "roc_auc_ovr", "metric_title": "AUROC (one against rest)"}
    whole = found(record)
    assert "it reaches AUROC (one against rest) 0.846" in words(whole)
    assert "AUROC (one against rest)" in whole.figures[0].note
    assert "ovr" not in words(whole)


def test_a_family_that_did_not_finish_is_named() -> None:
    unfinished = [{"family": "rdl", "why": "the budget ended in its first epoch"}]
    alone = found(small_run(row("dfs", 0.8, 0.7, 0.9, chosen=True), unfinished=unfinished))
    assert alone.alerts == ("Graph neural network did not finish: the budget ended in its first epoch.",)
    assert "No other family finished" in words(alone)


def test_the_leak_checks_are_in_the_verdict() -> None:
    assert "The leak checks found nothing." in words(found(run_record()))
    record = run_record()
    finding = {"check": "columns", "severity": "warning", "subject": "orders.status", "evidence": "it tells the label"}
    finding |= {"fix": "Drop it", "accepted": None}
    record["profile"]["findings"] = [finding, finding | {"subject": "b", "accepted": "known"}]
    record["profile"]["unrun_checks"] = [{"check": "rows", "why": "no time was left"}]
    whole = found(record)
    assert whole.alerts == (
        "Possible leak, orders.status: It tells the label. Drop it.",
        "1 leak check did not run: rows (no time was left).",
    )
    assert "found nothing" not in words(whole)
    record["profile"]["findings"] = [finding] * 5
    assert "2 more findings of the leak checks below." in found(record).alerts


def test_advice_is_no_result() -> None:
    advice = found(advice_record())
    assert advice.headline == "Start with feature synthesis"
    assert "Nothing was trained" in words(advice)
    assert advice.badge == "A rule of thumb"


def test_advice_for_several_families_names_them() -> None:
    record = advice_record() | {key: three_families()[key] for key in ("families", "recommendation")}
    advice = found(record)
    assert advice.headline == "Too close to call: train DFS, RDL and Hybrid"
    assert (advice.badge, advice.family) == ("Undecided", None)


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (
            0.012,
            -0.003,
            0.027,
            "feature synthesis is expected to be better by 1.2 % (interval: 0.3 % worse to 2.7 % better)",
        ),
        (0.2, 0.1, 0.3, "feature synthesis is expected to be better by 20 % (interval: 10 % to 30 % better)"),
        (0.2, None, None, "feature synthesis is expected to be better by 20 %"),
        (0.0, -0.1, 0.1, "no family is expected to be better (interval: 10 % worse to 10 % better)"),
    ],
)
def test_margin_names_its_family(value: float, low: float | None, high: float | None, text: str) -> None:
    record = advice_record()
    record["recommendation"]["margins"] = {
        "rdl": {"value": -value, "low": None, "high": None},
        "dfs": {"value": value, "low": low, "high": high},
    }
    if value == 0:
        del record["recommendation"]["margins"]["rdl"]
    assert margin_text(check_record(record)) == text
    record["recommendation"]["basis"] = "bank"
    if value:
        assert f"{percent(value)} of skill" in margin_text(check_record(record))
    record["recommendation"]["margins"] = {}
    assert margin_text(check_record(record)) == "no margin was estimated"


@pytest.mark.parametrize("make", [run_record, advice_record])
def test_an_open_finding_is_in_the_headline(make: Callable[[], dict[str, Any]]) -> None:
    record = make()
    finding = {"check": "overwritten_column", "severity": "warning", "subject": "customers.ltv", "evidence": "equals"}
    record["profile"]["findings"] = [finding | {"fix": "Drop it", "accepted": None}]
    record["profile"]["unrun_checks"] = [{"check": "rows", "why": NO_TIME}, {"check": "queries", "why": "no query"}]
    whole = found(record)
    assert whole.headline.endswith(". The scores cannot be trusted yet: 1 possible leak and 1 leak check had no time")
    assert (whole.badge, whole.tone) == ("Check for leaks", "poor")
    assert "customers.ltv" in verdict_lines(record)[1]
    record["profile"]["findings"][0]["accepted"] = "known"
    record["profile"]["unrun_checks"] = []
    assert "trusted" not in found(record).headline


def test_a_column_that_carries_the_model_is_an_alert_and_no_doubt() -> None:
    record = run_record()
    finding = {"check": DOMINANT, "severity": "info", "subject": "customers.age", "evidence": "carries 40% of the gain"}
    record["profile"]["findings"] = [finding | {"fix": "Drop it", "accepted": None}]
    assert found(record).alerts == ("To look at, customers.age: Carries 40% of the gain. Drop it.",)
    assert "trusted" not in found(record).headline
