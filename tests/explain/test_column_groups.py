"""Near duplicates of columns are one group; what is only related, or unique to a row, is not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from relselect.database import Database
from relselect.explain.column_groups import column_groups
from relselect.problem import Problem
from relselect.tasks import Task


def problem(frame: pd.DataFrame) -> Problem:
    users = pd.DataFrame({"id": range(40), **{"x": range(40)}})
    rows = frame.assign(user=np.arange(len(frame)) % 40)
    made = Database.from_dataframes(
        {"users": users, "rows": rows}, keys={"users": "id"}, foreign_keys={"rows": {"user": "users"}}
    )
    asked = pd.DataFrame({"id": range(40), "label": np.arange(40) % 2 == 0})
    return Problem(made, Task.from_labels(made, asked, name="t", entity="users", kind="binary"))


def test_copies_are_one_group_and_the_rest_is_apart():
    draw = np.random.default_rng(0)
    size = 400
    amount, kind = draw.gamma(1.0, 10.0, size), draw.integers(0, 4, size)
    frame = pd.DataFrame(
        {
            "amount": amount,
            "kind": [f"k{each}" for each in kind],
            "negative": -3 * amount + 1,
            "code": [f"code {3 - each}" for each in kind],
            "related": amount + draw.normal(0, 10, size),
            "coarse": [f"k{each // 2}" for each in kind],
            "name": [f"name {each}" for each in range(size)],
            "other name": [f"n{each}" for each in range(size)],
            "constant": ["a"] * size,
            "same": ["b"] * size,
        }
    )
    found = column_groups(problem(frame), "rows", list(frame.columns))
    assert found[:2] == [("amount", "negative"), ("kind", "code")]
    assert all(len(group) == 1 for group in found[2:])
    assert sorted(name for group in found for name in group) == sorted(frame.columns)


def test_numbers_that_are_missing_elsewhere_are_no_copies():
    amount = np.random.default_rng(0).normal(size=200)
    frame = pd.DataFrame({"a": amount, "b": np.where(np.arange(200) % 3 == 0, np.nan, amount)})
    assert column_groups(problem(frame), "rows", ["a", "b"]) == [("a",), ("b",)]
