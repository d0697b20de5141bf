"""Label history: past labels are rows that appear when they are known, never before their cutoff, never the row itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from relselect.database import SemanticType
from relselect.database.clock import DAY
from relselect.problem import LABELS, Problem
from tests.shop import labels, shop_problem, shop_task


@pytest.mark.parametrize("known_after", ["30d", "3d", 0])
def test_labels_appear_when_known(database, tables, known_after):
    problem = Problem(database, shop_task(database, tables, known_after=known_after))
    table = problem.database[LABELS]
    cutoff = table.data["cutoff"].cast(pa.int64()).to_numpy()
    times = problem.database.times(LABELS)
    wait = {"30d": 30 * DAY, "3d": 3 * DAY, 0: 1}[known_after]
    assert np.array_equal(times, cutoff + wait)
    assert table.num_rows == sum(len(frame) for frame in problem.task.splits.values())
    rows = problem.rows("val")
    assert ((times[None] <= rows.asof[:, None]) <= (cutoff[None] < rows.cutoff[:, None])).all()


def test_a_label_known_before_its_cutoff_waits_for_it(database, tables):
    frame = labels(tables)
    early = frame.append_column("known", pc.subtract(frame["cutoff"], pa.scalar(90 * DAY, pa.duration("us"))))
    problem = Problem(database, shop_task(database, tables, labels=early, known_at="known"))
    cutoff = problem.database[LABELS].data["cutoff"].cast(pa.int64()).to_numpy()
    assert np.array_equal(problem.database.times(LABELS), cutoff + 1)


def test_unknown_label_times_give_no_history(database, tables):
    assert LABELS not in Problem(database, shop_task(database, tables, known_after=None)).database.tables
    assert LABELS not in Problem(database, shop_task(database, tables, horizon=None)).database.tables
    frame = labels(tables)
    known = pc.if_else(pa.array(np.arange(len(frame)) < 60), frame["cutoff"], pa.scalar(None, frame["cutoff"].type))
    some = Problem(database, shop_task(database, tables, labels=frame.append_column("known", known), known_at="known"))
    assert some.database[LABELS].num_rows == 60


@pytest.mark.parametrize(
    ("kind", "semantic", "dtype"),
    [
        ("binary", SemanticType.BOOLEAN, pa.bool_()),
        ("regression", SemanticType.NUMERICAL, pa.float64()),
        ("multiclass", SemanticType.CATEGORICAL, pa.string()),
    ],
)
def test_labels_are_a_table_like_any_other(kind, semantic, dtype):
    problem = shop_problem(kind)
    table = problem.database[LABELS]
    assert table.data["label"].type == dtype
    assert problem.types[LABELS]["label"] == semantic
    assert problem.types[LABELS]["known"] == SemanticType.TIMESTAMP
    assert [key.table for key in table.foreign_keys] == ["users"]
    assert (problem.database.parents(LABELS)[0] >= 0).all()
    assert LABELS not in problem.user_database.tables
    train = problem.task.splits["train"]
    assert table.data["label"].slice(0, 4).to_pylist() == labels_of(problem, train.label[:4])


def labels_of(problem, values):
    match problem.task.kind:
        case "regression":
            return values.tolist()
        case "binary":
            return (values == 1).tolist()
    return [problem.task.classes[int(value)] for value in values]


def test_frozen_evaluation_sees_no_label_of_its_own_split(database, tables):
    starts = {"val_start": "1970-05-31", "test_start": "1970-08-29"}
    problem = Problem(database, shop_task(database, tables, regime="frozen", **starts))
    times = problem.database.times(LABELS)
    cutoff = problem.database[LABELS].data["cutoff"].cast(pa.int64()).to_numpy()
    for split in ("val", "test"):
        seen = times[None] <= problem.rows(split).asof[:, None]
        assert (cutoff[None].repeat(len(seen), 0)[seen] < problem.task.starts[split]).all()


def test_what_is_fitted_is_fitted_at_the_end_of_training(problem):
    assert problem.fit_asof == problem.task.splits["train"].cutoff.max()
    assert problem.visible("orders", problem.fit_asof).sum() < problem.database["orders"].num_rows
