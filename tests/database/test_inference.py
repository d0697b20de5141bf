"""Semantic types: from what is visible, and never against what is declared."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from relselect.database import Database, ForeignKey, SemanticType, Table
from relselect.database.inference import infer_types
from relselect.problem import Problem
from tests.shop import days, shop, shop_task

T = SemanticType
LONG = [f"a rather long remark that nobody will ever write twice, number {i}" for i in range(300)]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pa.array([1, 2, None]), T.NUMERICAL),
        (pa.array([1.5, None]), T.NUMERICAL),
        (pa.array([1]).cast(pa.decimal128(25, 2)), T.NUMERICAL),
        (pa.array([1], pa.duration("s")), T.NUMERICAL),
        (pa.array([True, None]), T.BOOLEAN),
        (pa.array([dt.date(2024, 1, 1)]), T.TIMESTAMP),
        (pa.array([1], pa.timestamp("ns", "UTC")), T.TIMESTAMP),
        (pa.array(["a", "b", "a"]), T.CATEGORICAL),
        (pa.array(["a", "b", "a"]).dictionary_encode(), T.CATEGORICAL),
        (pa.array([f"name {i}" for i in range(400)] * 2), T.CATEGORICAL),
        (pa.array([f"name {i}" for i in range(400)]), T.TEXT),
        (pa.array(LONG), T.TEXT),
        (pa.array(LONG * 3), T.TEXT),
        (pa.array([[1], None]), T.IGNORED),
        (pa.array([b"x"]), T.IGNORED),
        (pa.array([{"a": 1}]), T.IGNORED),
        (pa.nulls(2), T.IGNORED),
        (pa.nulls(2, pa.string()), T.IGNORED),
        (pa.array([], pa.string()), T.IGNORED),
    ],
)
def test_types_from_values(values, wanted):
    assert infer_types(Table("t", pa.table({"x": values}))) == {"x": wanted}


def test_structure_goes_before_values_and_declarations_before_inference():
    data = pa.table(
        {"id": [1], "up": [1], "when": days([1]), "closed": days([2]), "state": ["a"], "code": [7], "note": ["x"]}
    )
    table = Table("t", data, ("id",), "when", (ForeignKey(("up",), "t", ("id",)),),
                  {"code": T.CATEGORICAL, "note": T.IGNORED}, {"closed": ("state",)})  # fmt: skip
    assert infer_types(table) == {
        "id": T.KEY, "up": T.KEY, "when": T.TIMESTAMP, "closed": T.TIMESTAMP, "state": T.CATEGORICAL, "code": T.CATEGORICAL,
        "note": T.IGNORED,
    }  # fmt: skip


def test_only_visible_rows_are_looked_at():
    table = Table("t", pa.table({"x": pa.array(["a"] * 40 + LONG)}))
    visible = np.arange(len(LONG) + 40) < 40
    assert infer_types(table, visible)["x"] == T.CATEGORICAL
    assert infer_types(table)["x"] == T.TEXT
    assert infer_types(table, ~visible & False)["x"] == T.IGNORED


def test_a_problem_infers_from_what_training_sees(tables):
    task = shop_task(shop(tables), tables)
    before = Problem(shop(tables), task)
    late = tables["orders"]["when"].cast(pa.int64()).to_numpy() > before.fit_asof
    closed = tables["orders"]["closed"].cast(pa.int64()).fill_null(2**62).to_numpy() > before.fit_asof
    assert late.any()
    assert (closed & ~late).any()
    remarks = [f"{LONG[i % 300]} {i}" for i in range(len(late))]
    state = [
        r if hidden else s for r, hidden, s in zip(remarks, closed, tables["orders"]["state"].to_pylist(), strict=True)
    ]
    orders = tables["orders"].set_column(tables["orders"].column_names.index("state"), "state", pa.array(state))
    assert Problem(shop({**tables, "orders": orders}), task).types == before.types
    assert before.types["orders"]["state"] == T.CATEGORICAL


def test_decimal_and_bool_keys_are_keys():
    database = Database([Table("t", pa.table({"id": pa.array([True, False])}), ("id",))])
    assert infer_types(database["t"]) == {"id": T.KEY}
