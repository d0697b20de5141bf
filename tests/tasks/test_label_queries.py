"""A predictor asked on newer data reads the labels that became known since it was trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from relselect import Database, Task
from relselect.database.clock import DAY
from relselect.problem import LABELS, Problem

POPULATION = "SELECT DISTINCT c.cutoff, o.customer FROM cutoffs c JOIN orders o ON o.date <= c.cutoff"
LABEL = (
    "SELECT p.cutoff, p.customer, COUNT(o.id) > 0 AS label FROM population p LEFT JOIN orders o "
    "ON o.customer = p.customer AND o.date > p.cutoff AND o.date <= p.cutoff + INTERVAL 10 DAY GROUP BY ALL"
)


def shop(days: int) -> Database:
    generator = np.random.default_rng(0)
    day = np.sort(generator.uniform(0, 300, 600))
    orders = pd.DataFrame(
        {
            "id": range(600),
            "customer": generator.integers(0, 20, 600),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(day, "D"),
        }
    )
    orders = orders[day <= days]
    return Database.from_dataframes(
        {"customers": pd.DataFrame({"customer": range(20)}), "orders": orders},
        keys={"customers": "customer", "orders": "id"},
        times={"orders": "date"},
        foreign_keys={"orders": {"customer": "customers"}},
    )


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.from_sql(
        shop(200),
        name="returns",
        entity="customers",
        kind="binary",
        population=POPULATION,
        label=LABEL,
        horizon="10d",
        every="10d",
    )


def test_nothing_is_later_on_the_database_trained_on(task: Task) -> None:
    assert task.with_later_labels(shop(200)).later is None


def test_newer_data_bring_newer_labels_and_change_no_earlier_one(task: Task) -> None:
    trained, newer = Problem(shop(200), task), Problem(shop(200), task).rebind(shop(300))
    last = max(int(frame.cutoff.max()) for frame in task.splits.values())
    known = newer.database.times(LABELS)
    earlier = int((known <= last + 10 * DAY).sum())
    assert earlier == len(trained.database.times(LABELS))
    assert len(known) > earlier
    assert known.max() <= newer.database.last_time
    assert newer.task.fingerprint == task.fingerprint


def test_labels_from_frames_have_nothing_to_ask(task: Task) -> None:
    frame = pd.DataFrame(
        {
            "customer": [0, 1, 2] * 4,
            "cutoff": pd.to_datetime(["2024-02-01"] * 3 + ["2024-03-01"] * 3 + ["2024-04-01"] * 3 + ["2024-05-01"] * 3),
            "label": [0, 1, 0] * 4,
        }
    )
    given = Task.from_labels(
        shop(200), frame, name="given", entity="customers", kind="binary", time="cutoff", horizon="10d"
    )
    assert given.with_later_labels(shop(300)).later is None
