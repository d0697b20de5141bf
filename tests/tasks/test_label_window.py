"""A label window longer than the horizon is refused: its labels would be cut off without a word."""

from __future__ import annotations

import pytest

from relselect.database.clock import DAY
from relselect.errors import TaskError
from relselect.tasks.label_window import check_label_window
from tests.shop import LABEL, POPULATION, shop

LONG = [
    "cutoff + INTERVAL 60 DAY",
    "cutoff + INTERVAL '60 days'",
    "cutoff + INTERVAL '1 month 20 days'",
    "INTERVAL (60) DAY + cutoff",
    "p.cutoff + to_days(60)",
    "p.cutoff::DATE + 60 * INTERVAL 1 DAY",
    "(cutoff) + (INTERVAL 2 MONTH)",
    "CAST(cutoff AS TIMESTAMP) + INTERVAL 721 HOUR",
]
SHORT = [
    "cutoff + INTERVAL 30 DAY",
    "cutoff + INTERVAL 4 WEEK",
    "cutoff - INTERVAL 90 DAY",
    "cutoff",
    "cutoff + o.length",
]


def query(bound: str, operator: str = "<=") -> str:
    joined = f"ON o.day > p.cutoff AND o.day {operator} {bound}"
    return f"SELECT p.cutoff, p.id, count(*) AS label FROM population p JOIN orders o {joined} GROUP BY ALL"


@pytest.mark.parametrize("bound", LONG)
def test_a_longer_window_is_refused(bound: str) -> None:
    with pytest.raises(TaskError, match=r"label=.*beyond the horizon 30d.*Declare a horizon of"):
        check_label_window(query(bound), 30 * DAY, "30d", "timestamp")


@pytest.mark.parametrize("bound", SHORT)
def test_a_window_within_the_horizon_passes(bound: str) -> None:
    assert check_label_window(query(bound), 30 * DAY, "30d", "timestamp") == []


def test_other_forms() -> None:
    between = "SELECT 1 FROM population, orders WHERE day BETWEEN cutoff AND cutoff + INTERVAL 31 DAY"
    for text in (between, "SELECT 1 FROM population, orders WHERE day - INTERVAL 31 DAY <= cutoff"):
        with pytest.raises(TaskError, match="31 days"):
            check_label_window(text, 30 * DAY, "30d", "timestamp")
    assert check_label_window("SELECT (((", 30 * DAY, "30d", "timestamp") == []


def test_a_month_is_cut_in_long_months_only() -> None:
    (note,) = check_label_window(query("cutoff + INTERVAL 1 MONTH"), 30 * DAY, "30d", "timestamp")
    assert "31 days" in note
    assert check_label_window(query("cutoff + INTERVAL 1 MONTH"), 31 * DAY, "31d", "timestamp") == []


@pytest.mark.parametrize(("bound", "good"), [("cutoff + 5", True), ("cutoff + 6", False), ("6 + cutoff", False)])
def test_integer_times(bound: str, good: bool) -> None:
    if good:
        assert check_label_window(query(bound), 5, 5, "integer") == []
        return
    with pytest.raises(TaskError, match="up to 6 after"):
        check_label_window(query(bound), 5, 5, "integer")


def test_a_task_is_refused_before_its_queries_run() -> None:
    from relselect.tasks import Task

    options = {"name": "t", "entity": "users", "kind": "binary", "every": "30d", "population": POPULATION}
    with pytest.raises(TaskError, match="beyond the horizon 20d"):
        Task.from_sql(shop(), label=LABEL, horizon="20d", **options)
    assert Task.from_sql(shop(), label=LABEL, horizon="20d", known_after="30d", **options).horizon == 20 * DAY
