"""Filling in a column: the column is gone for both engines, and what would show its future stays masked."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from relselect.database import Database, Table
from relselect.database.clock import DAY
from relselect.errors import TaskError, UserError
from relselect.problem import LABELS, Problem
from relselect.tasks import Task


def test_the_column_is_hidden_and_the_user_keeps_it(database):
    problem = Problem(database, Task.completing(database, "total", entity="orders", kind="regression"))
    assert "total" not in problem.database["orders"].columns
    assert "total" in problem.user_database["orders"].columns
    assert problem.task.name == "orders.total"
    assert problem.task.target == "total"
    rows = problem.rows("val")
    assert (problem.database.times("orders")[rows.entity] == rows.cutoff).all()
    assert LABELS not in problem.database.tables
    assert any("hidden" in note for note in problem.task.notes)


def test_a_masked_column_becomes_history_when_its_clock_strikes(database):
    problem = Problem(database, Task.completing(database, "state", entity="orders", kind="binary"))
    times = problem.database.times(LABELS)
    orders = problem.database.parents(LABELS)[0]
    assert (times == database.value_times("orders", "closed")[orders]).all()
    assert problem.task.classes == ("kept", "returned")


def test_the_clock_of_the_hidden_column_stays_masked(database):
    problem = Problem(database, Task.completing(database, "state", entity="orders", kind="binary"))
    known = problem.database.value_times("orders", "closed")
    assert known is not None
    assert (known > problem.database.times("orders")).all()
    seen = problem.database.censored(100 * DAY)["orders"].data["closed"]
    assert 0 < seen.null_count < len(seen)


def test_a_static_column(database):
    problem = Problem(database, Task.completing(database, "age", entity="users", kind="regression"))
    assert problem.task.static
    assert sum(len(frame) for frame in problem.task.splits.values()) == 60 - 6
    assert "age" not in problem.database["users"].columns


def test_known_after_gives_history(database):
    problem = Problem(
        database, Task.completing(database, "total", entity="orders", kind="regression", known_after="2d")
    )
    labels = problem.database.times(LABELS)
    assert (labels - problem.database.times("orders")[problem.database.parents(LABELS)[0]] == 2 * DAY).all()


@pytest.mark.parametrize(
    ("column", "entity", "text"),
    [("oid", "orders", "is no column of orders that can be filled in.*total"), ("when", "orders", "can be filled in"),
     ("nope", "orders", "can be filled in"), ("total", "nope", "no table")],
)  # fmt: skip
def test_what_cannot_be_filled_in(database, column, entity, text):
    with pytest.raises(UserError, match=text):
        Task.completing(database, column, entity=entity, kind="regression")


def test_features_of_the_row_itself_are_refused(database):
    with pytest.raises(TaskError, match="sku"):
        Task.completing(database, "total", entity="orders", kind="regression", features=("sku",))


def test_rows_finer_than_a_microsecond_see_themselves():
    times = pa.array(np.arange(40) * 1_000_000 + 1, pa.timestamp("ns"))
    rows = pa.table({"id": range(40), "t": times, "y": np.arange(40) % 2})
    problem = Problem(
        *(lambda db: (db, Task.completing(db, "y", entity="a", kind="binary")))(
            Database([Table("a", rows, ("id",), "t")])
        )
    )
    assert (problem.rows("train").entity >= 0).all()


def test_a_row_is_found_by_a_key_that_holds_its_time_in_nanoseconds():
    hours = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[h]").astype("datetime64[ns]")
    data = pa.table({"station": ["a"] * len(hours), "at": hours, "value": np.arange(len(hours)) % 7.0})
    database = Database([Table("readings", data, ("station", "at"), "at")])
    task = Task.completing(database, "value", entity="readings", kind="regression")
    assert (Problem(database, task).rows("train").entity >= 0).all()
