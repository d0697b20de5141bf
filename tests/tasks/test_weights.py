"""Weights of rows and of classes: read, checked, kept in the fingerprint, and part of what a fit is given."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.utils.class_weight import compute_class_weight

from relselect.database.task_spec import TaskSpec
from relselect.errors import TaskError
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.tasks import Task
from relselect.tasks.labels import LabelFrame
from relselect.tasks.rows import Rows
from relselect.tasks.weights import effective_rows
from tests.shop import LABEL, POPULATION, labels, shop_task

SQL = {"name": "again", "entity": "users", "kind": "binary", "population": POPULATION, "horizon": "30d", "every": "30d"}


def weighted(tables, weight, kind: str = "binary") -> pa.Table:
    frame = labels(tables, kind)
    return frame.append_column("w", pa.array(np.broadcast_to(weight, frame.num_rows)))


def cycle(tables) -> np.ndarray:
    """Weights 0, 1, 2, 0.5, 0, ..."""
    return np.resize([0.0, 1.0, 2.0, 0.5], labels(tables).num_rows)


def test_rows_of_weight_0_are_left_out_and_the_others_keep_their_weight(database, tables):
    weight = cycle(tables)
    frame = weighted(tables, weight)
    task = shop_task(database, tables, labels=frame, weight="w")
    without = shop_task(database, tables, labels=frame.filter(pa.array(weight > 0)), weight="w")
    assert task.fingerprint == without.fingerprint
    assert sum(len(part) for part in task.splits.values()) + sum(task.purged.values()) == (weight > 0).sum()
    assert any(note.startswith(f"{(weight == 0).sum()} of {len(weight)} rows have the weight 0") for note in task.notes)
    for split in task.splits:
        assert set(np.unique(task.loss_weights(split))) == {0.5, 1.0, 2.0}
    rows = Problem(database, task).rows("train")
    assert np.array_equal(rows.weight, task.splits["train"].weight)
    assert np.array_equal(rows.take(slice(3, 9)).weight, rows.weight[3:9])


def test_weights_of_1_give_the_task_without_weights(database, tables):
    plain = shop_task(database, tables)
    for one in (1.0, 1):
        same = shop_task(database, tables, labels=weighted(tables, one), weight="w")
        assert same.fingerprint == plain.fingerprint
        assert same.notes == plain.notes
        assert same.splits["train"].weight is None
    assert shop_task(database, tables, class_weight={"false": 1, "true": 1.0}).fingerprint == plain.fingerprint


def test_every_weight_makes_another_task(database, tables):
    twice = weighted(tables, cycle(tables) + 1)
    found = [
        shop_task(database, tables),
        shop_task(database, tables, labels=twice, weight="w"),
        shop_task(database, tables, class_weight="balanced"),
        shop_task(database, tables, class_weight={"true": 2}),
        shop_task(database, tables, class_weight={"true": 3}),
        shop_task(database, tables, labels=twice, weight="w", class_weight={"true": 3}),
    ]
    assert len({task.fingerprint for task in found}) == len(found)


def test_balanced_weights_are_those_of_scikit_learn(database, tables):
    for kind in ("binary", "multiclass"):
        task = shop_task(database, tables, kind, class_weight="balanced")
        label = task.splits["train"].label.astype(int)
        expected = compute_class_weight("balanced", classes=np.unique(label), y=label)
        assert np.allclose(task.loss_weights("train"), expected[label])
        assert np.allclose(task.loss_weights("val"), expected[task.splits["val"].label.astype(int)])
        assert task.loss_weights("train").sum() == pytest.approx(len(label))


def test_whole_weights_balance_like_repeated_rows(database, tables):
    weight = np.resize([1, 2, 3], labels(tables).num_rows)
    frame = labels(tables)
    repeated = frame.take(pa.array(np.repeat(np.arange(len(weight)), weight)))
    task = shop_task(database, tables, labels=weighted(tables, weight), weight="w", class_weight="balanced")
    other = shop_task(database, tables, labels=repeated, class_weight="balanced")
    per_class = [np.unique(each.loss_weights("val") / (each.splits["val"].weight if n == 0 else 1))
                 for n, each in enumerate((task, other))]  # fmt: skip
    assert np.allclose(*per_class)


def test_weights_by_class_times_weights_by_row(database, tables):
    task = shop_task(database, tables, labels=weighted(tables, 2.0), weight="w", class_weight={True: 5})
    label = task.splits["train"].label
    assert np.array_equal(task.loss_weights("train"), np.where(label == 1, 10.0, 2.0))
    for five in (np.int64(5), np.float32(5)):
        assert task.weighing({True: five}).class_weight == {"false": 1.0, "true": 5.0}
    assert "by row; by class, false 1, true 5" in task.notes[-1]
    assert task.weighing(None).notes[-1].startswith("Rows are weighted in the training loss (by row)")
    assert effective_rows(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (-1.0, "negative"),
        (np.nan, "missing"),
        (np.inf, "infinite"),
        (0.0, "all 0"),
        ("heavy", "a weight is a number"),
    ],
)
def test_weights_that_are_none_are_refused(database, tables, weight, told):
    with pytest.raises(TaskError, match=told):
        shop_task(database, tables, labels=weighted(tables, weight), weight="w")


def test_class_weights_that_do_not_fit_are_refused(database, tables):
    for given, told in (
        ({"maybe": 2}, "no classes of the task"),
        ({"true": 0}, "above 0"),
        ({"true": float("nan")}, "above 0"),
        ({"true": "two"}, "above 0"),
        ("even", "neither"),
    ):
        with pytest.raises(TaskError, match=told):
            shop_task(database, tables, class_weight=given)
    with pytest.raises(TaskError, match="regression"):
        shop_task(database, tables, "regression", class_weight="balanced")
    with pytest.raises(TaskError, match="is not in the label frame"):
        shop_task(database, tables, weight="w")


def test_nothing_is_learnt_from_classes_of_weight_0_alone(database, tables):
    frame = weighted(tables, labels(tables)["label"].to_numpy(zero_copy_only=False).astype(float))
    with pytest.raises(TaskError, match=r"all the same|same for every row"):
        shop_task(database, tables, labels=frame, weight="w")


def test_a_label_query_returns_weights_and_a_manifest_declares_them(database):
    query = LABEL.replace("AS label", "AS label, 1 + count(oid) AS w")
    task = Task.from_sql(database, label=query, weight="w", **SQL)
    weight, label = task.splits["train"].weight, task.splits["train"].label
    assert (weight[label == 0] == 1).all()
    assert (weight[label == 1] >= 2).all()
    spec = TaskSpec(
        entity="users", kind="binary", target="label", population=POPULATION, label=query, horizon="30d", every="30d",
        weight="w", class_weight="balanced",
    )  # fmt: skip
    declared = Task.from_spec(database, spec, "again")
    assert np.array_equal(declared.splits["val"].weight, task.splits["val"].weight)
    assert declared.class_weight == "balanced"
    with pytest.raises(TaskError, match=r"must return the columns.*'w'"):
        Task.from_sql(database, label=LABEL, weight="w", **SQL)
    asked = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH users.id"
    assert Task.from_query(database, asked, class_weight={"true": 2}).class_weight == {"false": 1.0, "true": 2.0}
    assert (
        Task.completing(database, "state", entity="orders", kind="binary", class_weight="balanced").class_weight
        == "balanced"
    )
    for more in ({"query": asked, "weight": "w"}, {"completes": "age", "weight": "w"}):
        with pytest.raises(ValueError, match="weight"):
            TaskSpec(**{**({} if "query" in more else {"entity": "users", "kind": "binary", "target": "age"}), **more})


def test_weights_are_saved_with_the_rows_and_the_task(database, tables):
    task = shop_task(database, tables, labels=weighted(tables, cycle(tables)), weight="w", class_weight={"true": 4})
    rules = json.loads(json.dumps(task.to_json()))
    frames = {
        split: LabelFrame.from_arrow(frame.to_arrow(), task.key_columns, ()) for split, frame in task.splits.items()
    }
    again = Task.from_json(rules, frames)
    assert again.fingerprint == task.fingerprint
    assert np.array_equal(again.loss_weights("test"), task.loss_weights("test"))


def test_rows_that_a_fit_is_given_carry_their_weights(database, tables):
    frame = weighted(tables, cycle(tables))
    for regime in ("rolling", "frozen"):
        task = shop_task(database, tables, labels=frame, weight="w", regime=regime)
        rows = fit_rows(Problem(database, task))
        train, added = rows.train(seed=0, copies=1), rows.added(seed=0, copies=1)
        copies = len(train) // len(task.splits["train"])
        assert np.array_equal(train.weight, np.tile(task.splits["train"].weight, copies))
        assert np.array_equal(added.weight, np.tile(task.splits["val"].weight, copies))
        assert rows.stop.weight is not None
        joined = Rows.concat([train, replace(added, weight=None)])
        assert np.array_equal(joined.weight, np.concatenate([train.weight, np.ones(len(added))]))
