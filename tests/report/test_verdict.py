"""The verdict says what the numbers say, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from relselect.report.record import complete
from relselect.report.verdict import Verdict, margin_text, verdict

from .records import advice_record, run_record


def said(record: dict[str, Any]) -> Verdict:
    return verdict(complete(record))


def words(found: Verdict) -> str:
    return " ".join(found.sentences)


def row(family: str, score: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"family": family, "candidate": f"{family}-0", "score": score, "low": low, "high": high, **more}


def run(*rows: dict[str, Any], metric: str = "roc_auc", **more: Any) -> dict[str, Any]:
    return {"kind": "run", "task": {"metric": metric}, "leaderboard": list(rows), **more}


def test_separated_intervals_are_a_clear_difference() -> None:
    found = said(run_record())
    assert (found.headline, found.badge, found.tone, found.family) == (
        "Use feature synthesis",
        "Clear difference",
        "good",
        "dfs",
    )
    assert "ROC AUC 0.846 (interval 0.835 to 0.857)" in words(found)
    assert "constant baseline (per-entity) reaches 0.721" in words(found)
    assert "test rows" in words(found)


@pytest.mark.parametrize(
    ("rival", "badge"),
    [
        (row("rdl", 0.79, 0.78, 0.80), "Clear difference"),
        (row("rdl", 0.81, 0.79, 0.835), "Likely"),
        (row("rdl", 0.84, 0.82, 0.86), "Close call"),
        (row("rdl", 0.86, 0.84, 0.88), "Close call"),
        (row("rdl", 0.79, 0.78, None), "No interval"),  # type: ignore[arg-type]
        (row("rdl", float("nan"), 0.0, 0.0), "Not compared"),
    ],
)
def test_badge_follows_the_intervals(rival: dict[str, Any], badge: str) -> None:
    chosen = row("dfs", 0.85, 0.83, 0.87, chosen=True)
    assert said(run(chosen, rival, row("constants", 0.5, 0.5, 0.5))).badge == badge


def test_a_score_inside_the_baselines_is_called_unproven() -> None:
    found = said(run(row("dfs", 0.55, 0.49, 0.61, chosen=True), row("constants", 0.5, 0.5, 0.5)))
    assert (found.badge, found.tone) == ("Weak", "poor")
    assert "not proven" in words(found)


def test_a_constant_that_wins_on_the_test_rows_is_named() -> None:
    rows = (row("dfs", 0.8, 0.7, 0.9, chosen=True, test_score=0.6), row("constants", 0.5, 0.5, 0.5, test_score=0.65))
    assert "the constant is no worse there, with 0.650" in words(said(run(*rows)))


def test_a_winning_constant_is_said_so() -> None:
    found = said(run(row("constants", 0.5, 0.5, 0.5, chosen=True), row("dfs", 0.48, 0.4, 0.5)))
    assert found.headline == "Nothing beats the constant baseline"
    assert found.badge == "No signal found"


def test_errors_are_shown_positive_with_the_share_that_is_saved() -> None:
    rows = (row("rdl", -3.0, -3.3, -2.8, chosen=True), row("constants", -4.0, -4.2, -3.8))
    found = said(run(*rows, metric="neg_mean_absolute_error"))
    assert "mean absolute error 3.000 (interval 2.800 to 3.300)" in words(found)
    assert "25 % of the error is gone" in words(found)


def test_a_family_that_did_not_finish_is_named() -> None:
    unfinished = [{"family": "rdl", "why": "the budget ended in its first epoch"}]
    found = said(run(row("dfs", 0.8, 0.7, 0.9, chosen=True), unfinished=unfinished))
    assert found.alerts == ("Graph neural network did not finish: the budget ended in its first epoch.",)
    assert "No other family finished" in words(found)


def test_advice_is_no_result() -> None:
    found = said(advice_record())
    assert found.headline == "Start with feature synthesis"
    assert "Nothing was trained" in words(found)
    assert found.badge == "A rule of thumb"


def test_margin_names_its_side() -> None:
    assert margin_text(0.034, [-0.01, 0.08]).startswith("3.4 % in favour of RDL (interval −1.0 % to 8.0 %")
    assert margin_text(-0.2, []) == "20 % in favour of DFS"
    assert margin_text(None, []) == "no margin was estimated"
