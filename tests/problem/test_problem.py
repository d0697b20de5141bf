"""The problem: bound rows, its cache, prediction on other databases, and the one leak that stops a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from relselect.database import Database, Table
from relselect.database.clock import DAY
from relselect.database.withheld import WithheldDatabase
from relselect.errors import TaskError
from relselect.problem import LABELS, Problem
from relselect.tasks import Task
from tests.rows import shared_rows
from tests.shop import days, labels, shop, shop_problem, shop_task


def test_rows_bind_to_the_entity_table(problem, tables):
    rows = problem.rows("train")
    keys = problem.task.splits["train"].keys["id"].to_numpy()
    assert np.array_equal(tables["users"]["id"].to_numpy()[rows.entity], keys)
    assert rows.label is not None
    assert problem.task.splits["train"].cutoff is rows.cutoff
    with pytest.raises(TaskError, match="split=holdout"):
        problem.rows("holdout")


def test_the_cache_builds_once():
    problem, built = shop_problem(), []
    for _ in range(3):
        assert problem.cached(("thing",), lambda: built.append(1) or "it") == "it"
    assert built == [1]
    with pytest.raises(ZeroDivisionError):
        problem.cached(("other",), lambda: 1 // 0)
    assert problem.cached(("other",), lambda: 2) == 2


def test_a_changed_copy_shares_what_hangs_on_values_alone():
    problem, built = shop_problem(), []
    everything = np.ones(problem.database["orders"].num_rows, dtype=bool)
    hidden = problem.over(WithheldDatabase(problem.database, rows={"orders": everything}))
    drawn = {"total": problem.database["orders"].data["total"]}
    changed = problem.over(WithheldDatabase(problem.database, values={"orders": drawn}))
    for each in (hidden, problem, changed, hidden.over(hidden.database)):
        each.cached_values("orders", ("thing",), lambda: built.append(1))
        each.cached(("other",), lambda: built.append(2))
    assert built == [1, 2, 2, 1, 2, 2]
    assert not hidden.visible("orders", 10**18).any()
    assert problem.visible("orders", 10**18).all()


def test_what_is_visible(problem):
    when = problem.database.times("orders")
    assert np.array_equal(problem.visible("orders", 100 * DAY), when <= 100 * DAY)
    assert problem.visible("users", -(2**62)).all()


def test_binding_given_keys(problem):
    rows = problem.bind(pa.table({"id": [10, 3, -1]}), np.array([9, 9, 9]) * DAY)
    assert rows.entity.tolist() == [1, 0, -1]
    assert np.array_equal(rows.asof, rows.cutoff)
    late = problem.bind(pa.table({"id": [10]}), np.array([9]), np.array([12]))
    assert late.asof.tolist() == [9]
    static = shop_problem(time=None)
    bound = static.bind(pa.table({"id": [3]}), np.array([5]))
    assert (bound.asof == static.rows("val").asof[0]).all()
    assert (bound.cutoff == static.rows("val").cutoff[0]).all()


def test_rebinding_keeps_types_and_needs_the_columns(problem, tables):
    fewer = shop({**tables, "orders": tables["orders"].slice(0, 200)})
    other = problem.rebind(fewer)
    assert other.types is problem.types
    assert other.task.fingerprint == problem.task.fingerprint
    assert other.database["orders"].num_rows == 200
    assert LABELS in other.database.tables
    bare = Database(
        [fewer["users"], replace(fewer["orders"], data=tables["orders"].drop_columns(["total"]), foreign_keys=())]
    )
    with pytest.raises(TaskError, match=r"(?s)database=.*products.*orders.total.*null where unknown"):
        problem.rebind(bare)


def leaking(values, kind: str = "binary", **table_options):
    frame = labels({"users": pa.table({"id": range(40)}), "orders": pa.table({"user_id": [1], "when": days([1])})})
    draw = np.random.default_rng(0).random(40)
    label = draw > 0.5 if kind == "binary" else draw
    users = pa.table({"id": range(40), "copy": values(label), "when": days(range(40))})
    database = Database(
        [Table("users", users, ("id",), **table_options), Table("x", pa.table({"t": days([1, 400])}), time="t")]
    )
    frame = frame.set_column(2, "label", pa.array(label[frame["id"].to_numpy()]))
    return Task.from_labels(
        database, frame, name="leak", entity="users", kind=kind, time="cutoff", horizon="30d"
    ), database


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("binary", lambda y: pa.array(y)),
        ("binary", lambda y: pa.array(np.where(y, "gone", "here"))),
        ("binary", lambda y: pa.array([None if i % 3 == 0 else int(v) for i, v in enumerate(y)])),
        ("regression", lambda y: pa.array(y)),
    ],
)
def test_a_column_that_is_the_label_stops_the_run(kind, values):
    task, database = leaking(values, kind)
    with pytest.raises(TaskError, match=r"users.copy=label: holds the label.*known_at.*Task.completing"):
        Problem(database, task)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("binary", lambda y: pa.array(np.arange(len(y)))),
        ("binary", lambda y: pa.array(y ^ (np.arange(len(y)) == 3))),
        ("binary", lambda y: pa.array([[int(v)] for v in y])),
        ("binary", lambda y: pa.nulls(len(y))),
        ("regression", lambda y: pa.array(y + 1)),
        ("regression", lambda y: pa.array([str(v) for v in y])),
    ],
)
def test_other_columns_do_not(kind, values):
    task, database = leaking(values, kind)
    Problem(database, task)


def test_declaring_when_it_becomes_known_lets_the_run_go_on():
    task, database = leaking(lambda y: pa.array(y), known_at={"when": ("copy",)})
    Problem(database, task)


def test_prediction_does_not_ask_for_leaks():
    task, database = leaking(lambda y: pa.array(np.arange(len(y))))
    trained = Problem(database, task)
    _, other = leaking(lambda y: pa.array(y))
    trained.rebind(other)


def test_a_database_whose_labels_come_from_outside_its_time(tables):
    problem = Problem(shop(tables), shop_task(shop(tables), tables))
    assert problem.evaluation_delays().tolist() == [0] * 120
    assert problem.database.last_time >= problem.user_database.last_time


def test_an_entity_that_is_not_visible_yet_looks_like_one_that_is_not_there(tables):
    joined = days([200 if i % 2 else 0 for i in range(60)])
    users = Table("users", tables["users"].append_column("joined", joined), ("id",), "joined")
    database = shop(tables).with_table(users)
    problem = Problem(
        database, shop_task(database, tables, regime="frozen", val_start="1970-05-31", test_start="1970-08-29")
    )
    for split, rows in ((split, problem.rows(split)) for split in ("train", "val", "test")):
        odd = np.arange(len(rows)) % 2 == 1
        assert ((rows.entity < 0) == (odd & (rows.asof < 200 * DAY))).all(), split
    copies = shared_rows(problem).train(seed=0, copies=3)
    assert ((copies.entity < 0) == ((np.arange(len(copies)) % 2 == 1) & (copies.asof < 200 * DAY))).all()
    assert problem.bind(pa.table({"id": [10, 10]}), np.array([199, 200]) * DAY).entity.tolist() == [-1, 1]
    assert problem.bind(pa.table({"id": [10]}), np.array([300]) * DAY, np.array([100]) * DAY).entity.tolist() == [-1]


def test_a_database_that_declares_less_is_refused():
    problem = shop_problem()
    tables = problem.user_database.tables
    timeless = [replace(table, time=None) if name == "orders" else table for name, table in tables.items()]
    with pytest.raises(TaskError, match=r"orders: time .*declarations"):
        problem.rebind(Database(timeless))
    loose = [replace(table, foreign_keys=()) if name == "orders" else table for name, table in tables.items()]
    with pytest.raises(TaskError, match=r"orders: foreign key .* to users"):
        problem.rebind(Database(loose))


def test_everything_that_does_not_fit_is_reported_at_once(problem):
    tables = problem.user_database.tables
    timeless = replace(tables["orders"], data=tables["orders"].data.drop_columns(["total"]), time=None)
    with pytest.raises(
        TaskError, match=r"(?s)orders.total.*orders: time when.*lacks tables or columns.*lacks declarations"
    ):
        problem.rebind(Database([tables["users"], tables["products"], timeless]))


def test_text_where_training_saw_numbers_is_refused():
    problem = shop_problem()
    orders = problem.user_database["orders"]
    column = next(c for c, kind in problem.types["orders"].items() if kind == "numerical")
    text = pa.array(["many"] * orders.num_rows)
    data = orders.data.set_column(orders.columns.index(column), column, text)
    with pytest.raises(TaskError, match="text where training saw numbers"):
        problem.rebind(problem.user_database.with_table(replace(orders, data=data)))


def test_label_frames_may_store_keys_in_different_ways():
    database = Database([Table("users", pa.table({"id": [1, 2, 3]}), ("id",))])
    frames = {
        "train": pa.table({"id": [1, 2, 3], "cutoff": [1, 1, 1], "label": [0, 1, 1]}),
        "val": pa.table({"id": ["1", "2", "3"], "cutoff": [9, 9, 9], "label": [0, 1, 1]}),
    }
    task = Task.from_labels(database, frames, name="t", entity="users", kind="binary", time="cutoff", known_after=2)
    problem = Problem(database, task)
    assert problem.database.parents(LABELS)[0].tolist() == [0, 1, 2, 0, 1, 2]
