"""Every check is reported as run or as not run, with the reason."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from relselect import examples
from relselect.budget import Budget
from relselect.database import Database
from relselect.errors import LeakWarning
from relselect.events import Event, Notice, StageFinished, StageStarted
from relselect.leaks import LEAK_CHECKS, Finding, LeakReport, UnrunCheck, check_leaks, find_leaks, leak_budget
from relselect.leaks.report import NO_TIME
from relselect.problem import Problem
from relselect.profile import Profile, profile_task
from relselect.tasks import Task
from tests.leaks.test_data import base, orders, task
from tests.profile import worlds

NAMES = {name for check in LEAK_CHECKS for name in check.names}
POPULATION = "SELECT c.cutoff, o.customer AS id FROM cutoffs c JOIN orders o ON o.at > c.cutoff - INTERVAL 30 DAY"


def labelled(rows: int, classes: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    asked = pd.DataFrame([(c, d) for d in range(60, 280, 20) for c in range(50)], columns=["id", "day"])[:rows]
    label = np.arange(len(asked)) % classes
    return pd.DataFrame({"id": asked["id"], "label": rng.permutation(label), "date": worlds.day(asked["day"])})


def unrun(report: LeakReport) -> dict[str, str]:
    return {each.check: each.why for each in report.unrun}


def test_every_check_is_named_once() -> None:
    report = find_leaks(task(orders(np.random.default_rng(0)), labelled(550)))
    named = [*report.ran, *(each.check for each in report.unrun)]
    assert sorted(named) == sorted(NAMES)
    assert {finding.check for finding in report.findings} <= set(report.ran)
    assert report.complete


def test_checks_that_do_not_apply_say_why() -> None:
    report = find_leaks(task(orders(np.random.default_rng(0)), labelled(550)))
    assert unrun(report) == {name: "The task has no query." for name in LEAK_CHECKS[0].names}
    few = find_leaks(task(orders(np.random.default_rng(0)), labelled(150)))
    assert unrun(few)["near_perfect_feature"] == "There are fewer than 100 training rows."
    people = pd.DataFrame({"id": range(200), "x": range(200)})
    database = Database.from_dataframes({"customers": people}, keys={"customers": "id"})
    label = pd.DataFrame({"id": range(200), "label": np.arange(200) % 2})
    static = Task.from_labels(
        database, {"train": label[:120], "val": label[120:]}, name="t", entity="customers", kind="binary",
        entity_columns="id",
    )  # fmt: skip
    report = find_leaks(Problem(database, static))
    assert unrun(report)["later_than_row"] == "No table has a time column."
    assert unrun(report)["epoch_dates"] == "No column holds dates."


def test_checks_without_time_are_reported_and_emitted() -> None:
    problem = task(orders(np.random.default_rng(0)), labelled(550))
    report = find_leaks(problem, budget=Budget(10).until(0.0))
    assert report.ran == ()
    assert set(report.out_of_time) == NAMES - set(LEAK_CHECKS[0].names)
    assert not report.complete
    heard: list[Event] = []
    profile = profile_task(problem, budget=Budget(10).until(0.0), emit=heard.append)
    assert profile.unrun_checks == report.unrun
    assert not profile.checked
    messages = [event.message for event in heard if isinstance(event, Notice) and event.topic == "leaks"]
    assert len(messages) == 1
    assert "near_perfect_feature" in messages[0]


def test_queries_of_tasks_made_in_python_are_checked() -> None:
    database = base(orders(np.random.default_rng(0)))
    asked = Task.from_labels(
        database, labelled(550), name="t", entity="customers", kind="binary", time="date", entity_columns="id",
        horizon="10d", population=POPULATION,
    )  # fmt: skip
    found = [each.check for each in find_leaks(Problem(database, asked)).findings]
    assert "population_reads_past_cutoff" in found


def test_a_report_is_json() -> None:
    finding = Finding("late", "warning", "orders.shipped", "seen", "drop it", "a plan")
    report = LeakReport.of([finding], ran=["late"], unrun=[UnrunCheck("early", NO_TIME)])
    stored = json.loads(json.dumps(report.to_json()))
    assert LeakReport.from_json(stored) == report
    assert stored["unrun_checks"] == [{"check": "early", "why": NO_TIME}]
    profile = Profile((), 1.0, leaks=report)
    again = Profile.from_json(json.loads(json.dumps(profile.to_json())))
    assert again == profile
    assert (again.findings, again.unrun_checks, again.checked) == (report.findings, report.unrun, False)


def test_the_seed_and_the_order_of_rows_change_no_finding() -> None:
    frame, label = orders(np.random.default_rng(7)), labelled(550)
    one = find_leaks(task(frame, label))
    other = find_leaks(task(frame.sample(frac=1, random_state=1), label.sample(frac=1, random_state=2)))
    assert one == other


def test_the_examples_have_no_warning() -> None:
    example = examples.synthetic(customers=60)
    assert find_leaks(Problem(example.database, example.task("planted"))).findings == ()


def test_the_stage_names_its_findings_and_warns() -> None:
    database = base(orders(np.random.default_rng(0)))
    asked = Task.from_labels(
        database, labelled(550), name="t", entity="customers", kind="binary", time="date", entity_columns="id",
        horizon="10d", population=POPULATION,
    )  # fmt: skip
    heard: list[Event] = []
    with pytest.warns(LeakWarning, match="population: orders") as warned:
        report = check_leaks(Problem(database, asked), emit=heard.append)
    assert isinstance(heard[0], StageStarted)
    assert isinstance(heard[-1], StageFinished)
    assert "population_reads_past_cutoff population: orders" in heard[-1].detail
    assert len(warned) == len(report.open) == len([event for event in heard if isinstance(event, Notice)])
    assert {each.filename for each in warned} == {__file__}


def test_the_profile_takes_a_report_as_it_is() -> None:
    problem = task(orders(np.random.default_rng(0)), labelled(550))
    given = LeakReport.of([Finding("late", "warning", "orders.shipped", "seen", "drop it")], ran=["late"], unrun=[])
    heard: list[Event] = []
    assert profile_task(problem, budget=Budget(10).until(0.0), emit=heard.append, leaks=given).leaks == given
    assert [event.stage for event in heard if isinstance(event, StageStarted)] == ["profile"]


@pytest.mark.parametrize("seconds", [8.0, 30.0, 60.0, 100.0, 3600.0])
def test_leak_checks_have_time_of_their_own(seconds: float) -> None:
    given = leak_budget(Budget(seconds)).seconds
    assert min(10.0, 0.3 * seconds) <= given <= 0.36 * seconds
