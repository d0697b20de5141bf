"""Planted leaks are found, and clean data give no finding."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relselect.api import open_task
from relselect.configs import known_databases, open_database
from relselect.database import Database
from relselect.leaks import Finding, find_leaks
from relselect.leaks.columns import score_alone
from relselect.leaks.finding import accept
from relselect.leaks.moments import check_dates, check_late_values
from relselect.problem import Problem
from relselect.tasks import Task
from tests.profile import worlds

EXPECTED = Path(__file__).parents[2] / "docs" / "findings.json"
needs_data = pytest.mark.skipif(not os.environ.get("RELSELECT_DATA"), reason="RELSELECT_DATA is not set")


def orders(rng: np.random.Generator, size: int = 1000) -> pd.DataFrame:
    at = worlds.day(np.sort(rng.integers(0, 300, size)))
    shipped = pd.Series(at + pd.to_timedelta(rng.integers(2, 20, size), "D")).mask(rng.random(size) < 0.3)
    return pd.DataFrame(
        {
            "customer": rng.integers(0, 50, size),
            "at": at,
            "shipped": shipped,
            "carrier": pd.Series(rng.choice(["x", "y"], size)).mask(shipped.isna()),
            "amount": rng.normal(size=size),
        }
    )


def base(frame: pd.DataFrame, **how: object) -> Database:
    return Database.from_dataframes(
        {"customers": pd.DataFrame({"id": range(50)}), "orders": frame},
        keys={"customers": "id"}, times={"orders": "at"}, foreign_keys={"orders": {"customer": "customers"}}, **how,
    )  # fmt: skip


def found(database: Database) -> dict[tuple[str, str], Finding]:
    findings = [*check_dates(database), *check_late_values(database)]
    return {(finding.check, finding.subject): finding for finding in findings}


def test_a_date_after_its_row_is_found_with_what_comes_with_it() -> None:
    frame = orders(np.random.default_rng(0))
    finding = found(base(frame))["later_than_row", "orders.shipped"]
    assert "carrier" in finding.evidence
    assert "known_at: {shipped: ['carrier']}" in finding.fix
    assert found(base(frame, known_at={"orders": {"shipped": ["carrier"]}})) == {}


def test_no_date_is_said_to_hang_on_an_earlier_one() -> None:
    """Delivered is missing in the same rows as shipped, and comes later."""
    rng = np.random.default_rng(0)
    frame = orders(rng)
    frame["delivered"] = frame["shipped"] + pd.to_timedelta(rng.integers(1, 15, len(frame)), "D")
    fixes = {subject: finding.fix for (check, subject), finding in found(base(frame)).items()}
    assert "drop it" in fixes["orders.shipped"]
    assert "known_at: {delivered: ['shipped', 'carrier']}" in fixes["orders.delivered"]


def test_defaults_and_placeholders_among_dates_are_found() -> None:
    rng = np.random.default_rng(1)
    frame = orders(rng).drop(columns=["shipped", "carrier"])
    frame["seen"] = frame["at"]
    assert found(base(frame)) == {}
    frame.loc[:60, "seen"] = pd.Timestamp("1970-01-01 00:00:00")
    frame.loc[61:63, "seen"] = pd.Timestamp("2199-12-31")
    kinds = {check for check, subject in found(base(frame)) if subject == "orders.seen"}
    assert {"epoch_dates", "far_future_dates"} <= kinds


def test_a_column_that_is_filled_in_later_is_found() -> None:
    rng = np.random.default_rng(2)
    frame = orders(rng, 2000).drop(columns=["shipped", "carrier"])
    newest = np.arange(2000) >= 1820
    frame["outcome"] = pd.Series(rng.normal(size=2000)).mask(newest & (rng.random(2000) < 0.9))
    frame["rare"] = pd.Series(rng.normal(size=2000)).mask(rng.random(2000) < 0.8)
    assert set(found(base(frame))) == {("filled_later", "orders.outcome")}


def task(frame: pd.DataFrame, label: pd.DataFrame) -> Problem:
    database = base(frame)
    return Problem(
        database,
        Task.from_labels(
            database,
            label,
            name="t",
            entity="customers",
            kind="binary",
            time="date",
            entity_columns="id",
            horizon="10d",
        ),
    )


def test_a_feature_that_is_the_label_is_found_and_a_good_one_is_not() -> None:
    rng = np.random.default_rng(3)
    asked = pd.DataFrame([(c, d) for d in range(60, 280, 20) for c in range(50)], columns=["id", "day"])
    value = rng.integers(0, 2, len(asked))
    label = pd.DataFrame({"id": asked["id"], "label": value, "date": worlds.day(asked["day"])})
    # a row is written on the asked date that says the answer, beside one that says it four times in five
    good = np.where(rng.random(len(asked)) < 0.8, value, 1 - value)
    frame = pd.DataFrame({"customer": asked["id"], "at": label["date"], "told": value, "hint": good})
    warned = [f for f in find_leaks(task(frame, label)).findings if f.check == "near_perfect_feature"]
    assert warned
    assert all("told" in finding.subject for finding in warned)


@pytest.mark.parametrize("known_after", ["horizon", "1d"])
def test_where_a_label_repeats_itself_what_says_no_more_than_the_last_one_is_no_leak(known_after: str) -> None:
    rng = np.random.default_rng(8)
    asked = pd.DataFrame([(c, d) for d in range(60, 280, 20) for c in range(50)], columns=["id", "day"])
    level = rng.normal(size=50)[asked["id"]]
    value = level + 0.1 * rng.normal(size=len(asked))
    date = worlds.day(asked["day"])
    # a row of the asked date holds the level, and the answer itself
    frame = pd.DataFrame({"customer": asked["id"], "at": date, "level": level, "told": value})
    database = base(frame)
    given = Task.from_labels(
        database,
        pd.DataFrame({"id": asked["id"], "label": value, "date": date}),
        name="t", entity="customers", kind="regression", time="date", entity_columns="id", horizon="10d",
        known_after=known_after,
    )  # fmt: skip
    leaks = find_leaks(Problem(database, given)).findings
    warned = {finding.subject for finding in leaks if finding.check == "near_perfect_feature"}
    assert any("told" in subject for subject in warned)
    # a label that is said to be known before its horizon ends excuses nothing, and is reported itself
    early = known_after == "1d"
    assert any("label" in subject for subject in warned) == early
    assert any("level" in subject for subject in warned) == early


def test_rows_shared_by_splits_are_found() -> None:
    rng = np.random.default_rng(5)
    database = base(orders(rng))
    label = pd.DataFrame({"id": rng.permutation(50), "label": rng.integers(0, 2, 50)})
    parts = {"train": label[:30], "val": label[30:40], "test": pd.concat([label[40:], label[:7]])}
    found_ = []
    for shown in (parts, {**parts, "test": label[40:]}):
        given = Task.from_labels(
            database, shown, name="t", entity="customers", kind="binary", entity_columns="id", target="label"
        )
        leaks = find_leaks(Problem(database, given))
        found_.append([f for f in leaks.findings if f.check == "rows_shared_with_training"])
    assert [(f.subject, f.evidence[:7]) for f in found_[0]] == [("test", "7 of 17")]
    assert found_[1] == []


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_scores_of_single_features(classes: int) -> None:
    rng = np.random.default_rng(4)
    label = rng.normal(size=2000) if classes == 0 else rng.integers(0, classes, 2000).astype(float)
    noise = rng.normal(size=2000)
    assert score_alone(noise, label, classes, None)[0] < 0.1
    # many categories must not tell the label by memory alone
    assert score_alone(rng.integers(0, 900, 2000).astype(float), label, classes, rng.random(2000) < 0.5)[0] < 0.15
    if classes != 3:
        assert score_alone(-2 * label, label, classes, None)[0] == pytest.approx(1.0)
    else:
        assert score_alone(label, label, classes, rng.random(2000) < 0.5)[0] == pytest.approx(1.0)


def test_reasons_accept_warnings_and_never_errors() -> None:
    warning = Finding("late", "warning", "orders.shipped", "seen", "drop it")
    error = Finding("late", "error", "orders.label", "seen", "drop it")
    assert accept([warning, error], {"late": "a plan"})[0].accepted == "a plan"
    assert accept([warning, error], {"late": "a plan"})[1].accepted is None
    assert accept([warning], {"late orders.shipped": "one", "late": "two"})[0].accepted == "one"
    assert accept([warning], {"late orders.other": "one"})[0].accepted is None


@needs_data
@pytest.mark.parametrize("database", known_databases())
def test_findings_of_known_tasks_are_the_committed_ones(database: str) -> None:
    expected = json.loads(EXPECTED.read_text(encoding="utf-8")).get(database, {})
    known = open_database(database)
    assert set(expected) == set(known.tasks)
    for name in known.tasks:
        findings = find_leaks(Problem(known, open_task(known, name))).findings
        told = [[f.check, f.severity, f.subject, f.accepted] for f in findings]
        assert told == expected[name], name
