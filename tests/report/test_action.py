"""What can be done, and whether it can be trusted, in words."""

from __future__ import annotations

from typing import Any

import pytest

from relselect.leaks import NO_TIME
from relselect.report import render_html, render_markdown
from relselect.report.action import action_figures, action_headline, action_sentences
from relselect.report.outcome_tables import ahead_table
from relselect.report.schema import check_record
from relselect.report.sections import sections
from relselect.report.trust import trust

from .records import advice_record, ahead, outcome, ranged, row, run_record


def told(record: dict[str, Any]) -> tuple[str, str, dict[str, str]]:
    whole = check_record(record)
    found = whole["outcome"]
    assert found is not None
    figures = {each.label: each.value for each in action_figures(whole, found)}
    return action_headline(whole, found), " ".join(action_sentences(whole, found)), figures


def of_kind(kind: str) -> dict[str, Any]:
    record = run_record() | {"outcome": outcome(kind)}
    record["task"] |= {"kind": kind}
    return record


def test_yes_or_no_in_words() -> None:
    headline, text, figures = told(run_record())
    assert headline == "Yes is expected for about 868 of 1,234 people"
    assert "Will a player who appeared in the last two seasons appear in the next one?" in text
    assert "on 2015-01-01: the answer yes was expected for about 868 (70 %) and came for 871." in text
    assert (
        "The tenth of the 7,351 test rows with the lowest predictions holds 28 % (interval 26 % to 30 %) of all answers no"
        in text
    )
    assert "2.8 times as much as a tenth drawn at random" in text
    assert figures == {
        "Asked about": "1,234",
        "Expected yes": "868",
        "Base rate of yes": "70 %",
        "Lowest tenth holds": "28 %",
    }


@pytest.mark.parametrize(
    ("kind", "headline", "sentence"),
    [
        ("binary", "Yes is expected for about 911 of 1,301 people", "the answer yes is expected for about 911 (70 %)."),
        ("regression", "active: 0.700 is expected on average for 1,301 people", "of active is expected in total."),
        ("multiclass", "“A” is the most frequent answer: predicted for 700 of 1,301 people", "people are asked about."),
    ],
)
def test_who_is_asked_about_now_comes_first(kind: str, headline: str, sentence: str) -> None:
    record = of_kind(kind)
    record["outcome"]["ahead"] = ahead(kind)
    first, text, figures = told(record)
    assert first == headline
    assert "Now, on 2016-10-02, the newest date of the database, 1,301 people" in text
    assert sentence in text
    assert "The newest evaluated rows ask about" in text  # what came of earlier ones stays
    assert figures["Asked about"] == "1,301"
    page, markdown = render_html(record), render_markdown(record)
    for told_of in (page, markdown):
        assert "player00" in told_of
        assert "Asked about at the newest date of the database" in told_of
    assert "player00" not in render_html(of_kind(kind))


def test_the_list_of_now_begins_where_the_sentences_look_and_says_yes_and_no() -> None:
    record = of_kind("binary")
    record["task"]["classes"] = ["0", "1"]
    record["outcome"]["ahead"] = ahead("binary") | {"lowest_first": True}
    record["outcome"]["ahead"]["listed"] = [
        {"key": ["player00"], "value": 0.01, "answer": "0"},
        {"key": ["player01"], "value": 0.6, "answer": "1"},
    ]
    table = ahead_table(check_record(record))
    assert table.caption.startswith(
        "Asked about at the newest date of the database, the lowest probabilities first (2 of 1,301)"
    )
    assert [column.name for column in table.columns] == ["playerID", "Probability of yes", "Predicted answer"]
    assert [row.cells for row in table.rows] == [("player00", "1.0 %", "no"), ("player01", "60 %", "yes")]
    record["task"]["classes"] = ["stays", "leaves"]
    record["outcome"]["ahead"]["listed"][0]["answer"] = "stays"
    record["outcome"]["ahead"]["listed"][1]["answer"] = "leaves"
    table = ahead_table(check_record(record))
    assert table.columns[1].name == "Probability of “leaves”"
    assert [row.cells[2] for row in table.rows] == ["stays", "leaves"]


def test_records_without_an_outlook_are_read() -> None:
    record = run_record() | {"version": 6}
    del record["outcome"]["ahead"]
    assert check_record(record)["outcome"]["ahead"] is None


def test_answers_have_the_names_of_their_classes() -> None:
    record = run_record()
    record["task"]["classes"] = ["stays", "leaves"]
    headline, text, _ = told(record)
    assert headline == "“leaves” is expected for about 868 of 1,234 people"
    assert "of all answers “stays”" in text
    record["task"]["classes"] = ["false", "true"]
    assert told(record)[0].startswith("Yes is expected")


def test_amounts_in_words() -> None:
    record = of_kind("regression")
    headline, text, figures = told(record)
    assert headline == "active: 0.704 is expected on average for 1,234 people"
    assert "868.4 of active was expected in total, and 871.0 came" in text
    assert "highest predictions holds 28 %" in text
    assert figures["Expected in total"] == "868.4"
    record["outcome"]["top"]["captured"] = ranged(None)
    record["outcome"]["gain"] = []
    assert "In the tenth of the 7,351 test rows with the highest predictions active is 0.840" in told(record)[1]


def test_classes_in_words() -> None:
    headline, text, figures = told(of_kind("multiclass"))
    assert headline == "“many” is the most frequent answer: 33 % of the rows"
    assert "with the surest predictions, 84 % (interval 81 % to 87 %) are right" in text
    assert figures["Predicted right"] == "78 %"


def test_validation_rows_are_called_so() -> None:
    record = run_record()
    record["outcome"] |= {"split": "select", "rows": 3_008}
    assert "3,008 validation rows that ended no training" in told(record)[1]
    assert any("No test rows were scored" in text for text in trust(check_record(record)).against)


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
def test_every_kind_renders_with_its_sections_in_order(kind: str) -> None:
    record = of_kind(kind)
    keys = [section.key for section in sections(check_record(record))]
    assert keys[:7] == ["action", "trust", "rests-on", "errors", "verdict", "evidence", "leaderboard"]
    page, text = render_html(record), render_markdown(record)
    assert page.index("What can be done") < page.index("Whether it can be trusted") < page.index("Which model, and why")
    assert ('id="fig-gain-wide-t"' in page) == (kind != "multiclass")
    assert 'id="fig-calibration-wide-t"' in page
    assert "Totals" not in text.splitlines()[0]
    assert "| Test | 7,351 |" in text
    assert ("| none |" in text) == (kind == "multiclass")


def test_a_good_run_can_be_trusted() -> None:
    record = run_record()
    for each in record["leaderboard"]:
        each["ended"] = "converged"
    known = trust(check_record(record))
    assert (known.badge, known.tone, known.against) == ("Can be trusted", "good", ())
    said = " ".join(known.sides)
    assert (
        "took no part in any choice, the model beats the best constant answer by 0.128 (interval 0.119 to 0.137) of AUROC"
        in said
    )
    assert "off by 1.4 % on average." in said
    assert "found nothing" in said


def test_everything_against_it_is_in_one_place() -> None:
    record = run_record()
    known = trust(check_record(record))
    assert known.badge == "With care"
    assert known.against == (
        "The time budget cut off the training of rdl-1: a longer time budget may give better scores.",
    )
    record["outcome"] |= {
        "rows": 120,
        "entities": 30,
        "mean": 0.1,
        "calibration_error": 0.09,
        "calibration_noise": 0.03,
    }
    record["unfinished"] = [{"family": "rdl", "why": "the budget ended"}]
    record["validation"] |= {"shared": True, "why": "There are few rows."}
    said = " ".join(trust(check_record(record)).against)
    assert "(120 rows, 30 entities, 12 rows of the rarer answer)" in said
    assert "off by 9.0 % on average, more than chance explains (3.0 %)" in said
    assert "Graph neural network did not finish" in said
    assert "The same validation rows ended training and chose the model." in said


def test_leaks_and_a_constant_that_is_not_beaten_come_first() -> None:
    record = run_record()
    finding = {
        "check": "columns",
        "severity": "warning",
        "subject": "a.b",
        "evidence": "tells the label",
        "fix": "Drop it",
    }
    record["profile"]["findings"] = [finding | {"accepted": None}]
    record["profile"]["unrun_checks"] = [{"check": "rows", "why": NO_TIME}]
    record["outcome"]["duels"][0]["lead"] = ranged(0.01, -0.01, 0.03)
    known = trust(check_record(record))
    assert (known.badge, known.tone) == ("Check first", "poor")
    assert known.against[0].startswith("Possible leak, a.b")
    assert "1 leak check did not run" in known.against[1]
    assert "not proven that the model is better than a constant answer" in known.against[2]
    assert len(set(known.against)) == len(known.against)


def test_a_constant_that_won_says_little() -> None:
    record = run_record()
    for each in record["leaderboard"]:
        each["chosen"] = each["candidate"] == "per-entity"
    known = trust(check_record(record))
    assert known.badge == "Check first"
    assert known.against[0].startswith("No trained model was better than a constant answer")


def test_a_recommendation_says_nothing_of_predictions() -> None:
    keys = [section.key for section in sections(check_record(advice_record()))]
    assert keys[0] == "verdict"
    assert not {"action", "trust", "errors"} & set(keys)
    lost = run_record() | {
        "choice": None,
        "deployed": None,
        "outcome": None,
        "leaderboard": [row("constants", 0.5, 0.5, 0.5)],
    }
    assert sections(check_record(lost))[0].headline.startswith("No model was finished")
