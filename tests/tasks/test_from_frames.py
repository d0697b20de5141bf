"""Tasks from labelled rows: splits, purging, regimes, and what each row may see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from relselect.database import Database, Table
from relselect.database.clock import DAY, EVERYTHING, NEVER
from relselect.errors import TaskError
from relselect.fitted import _class_values as class_values
from relselect.problem import Problem
from relselect.problem.label_column import column_is_label
from relselect.tasks import Task
from relselect.tasks.labels import encode_labels
from relselect.tasks.splits import default_starts
from tests.rows import shared_rows
from tests.shop import days, labels, shop_problem, shop_task


def sizes(task: Task) -> dict[str, int]:
    return {split: len(frame) for split, frame in task.splits.items()}


def split_frames(tables, purge_gap: int = 0) -> dict[str, pa.Table]:
    frame = labels(tables)
    day = frame["cutoff"].cast(pa.int64()).to_numpy() // DAY
    return {"train": frame.filter(pa.array(day < 180 - purge_gap)), "val": frame.filter(pa.array((day >= 180) & (day < 240))),
            "test": frame.filter(pa.array(day >= 240))}  # fmt: skip


def test_one_frame_is_split_by_date(database, tables):
    task = shop_task(database, tables)
    # 60, 90, ... 270: the last 15 % of eight dates test, 15 % before them validate; labels are known 30 days later.
    assert sizes(task) == {"train": 6 * 60, "val": 60, "test": 60}
    assert {split: start // DAY for split, start in task.starts.items()} == {"train": 60, "val": 240, "test": 270}
    assert set(task.purged.values()) == {0}
    assert "rolling" in repr(task)
    assert task.horizon == 30 * DAY


def test_declared_starts(database, tables):
    task = shop_task(database, tables, val_start="1970-05-31", test_start=pd.Timestamp("1970-08-29"))
    assert sizes(task) == {"train": 180, "val": 180, "test": 120}
    without = shop_task(database, tables, val_start="1970-08-29")
    assert sizes(without) == {"train": 360, "val": 120}
    assert not without.has_test


def test_frames_per_split(database, tables):
    task = shop_task(database, tables, labels=split_frames(tables))
    assert sizes(task) == {"train": 240, "val": 120, "test": 120}
    assert {split: start // DAY for split, start in task.starts.items()} == {"train": 60, "val": 180, "test": 240}
    assert (
        sizes(shop_task(database, tables, labels={k: v for k, v in split_frames(tables).items() if k != "test"}))["val"]
        == 120
    )
    empty = {**split_frames(tables), "test": labels(tables).slice(0, 0)}
    assert not shop_task(database, tables, labels=empty).has_test


def test_pandas_polars_and_arrow_frames_are_one(database, tables):
    polars = pytest.importorskip("polars")
    frame = labels(tables)
    prints = {
        shop_task(database, tables, labels=form).fingerprint
        for form in (frame, frame.to_pandas(), polars.from_arrow(frame))
    }
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("options", "purged"),
    [
        ({"known_after": "30d"}, (0, 0)),
        ({"known_after": "31d"}, (60, 60)),
        ({"known_after": "30d", "embargo": "1d"}, (60, 60)),
        ({"known_after": "90d"}, (120, 120)),
        ({"known_after": None, "embargo": "90d"}, (0, 0)),
        ({"known_after": 0, "horizon": None}, (0, 0)),
    ],
)
def test_purging_and_embargo(database, tables, options, purged):
    starts = {"val_start": "1970-05-31", "test_start": "1970-10-28"}  # days 150 and 300: four dates validate
    frame = labels(tables)
    more = frame.filter(pc.less(frame["cutoff"], pa.scalar(90 * DAY, pa.timestamp("us"))))
    shifted = more.set_column(1, "cutoff", pc.add(more["cutoff"], pa.scalar(240 * DAY, pa.duration("us"))))
    task = shop_task(database, tables, labels=pa.concat_tables([frame, shifted]), **starts, **options)
    assert (task.purged["train"], task.purged["val"], task.purged["test"]) == (*purged, 0)


def test_labels_known_by_a_column(database, tables):
    frame = labels(tables)
    known = pc.add(frame["cutoff"], pa.scalar(45 * DAY, pa.duration("us")))
    task = shop_task(
        database, tables, labels=frame.append_column("known", known), known_at="known", val_start="1970-07-30"
    )
    assert task.purged["train"] == 60
    assert ((task.splits["train"].known_at - task.splits["train"].cutoff) == 45 * DAY).all()


def test_nothing_left_of_a_split_is_an_error(database, tables):
    with pytest.raises(TaskError, match=r"known only after the (val|next) split begins"):
        shop_task(database, tables, known_after="1000d")


@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_regimes_decide_what_evaluation_rows_see(database, tables, regime):
    starts = {"val_start": "1970-05-31", "test_start": "1970-08-29"}
    problem = Problem(database, shop_task(database, tables, regime=regime, **starts))
    train, val, test = (problem.rows(split) for split in ("train", "val", "test"))
    assert np.array_equal(train.asof, train.cutoff)
    for rows, start in ((val, 150), (test, 240)):
        wanted = np.minimum(rows.cutoff, start * DAY) if regime == "frozen" else rows.cutoff
        assert np.array_equal(rows.asof, wanted)
        assert np.array_equal(rows.delay, rows.cutoff - wanted)
    other = problem.task.in_regime("rolling")
    assert other.regime == "rolling"
    assert (other.fingerprint == problem.task.fingerprint) == (regime == "rolling")


def test_training_rows_are_also_shown_under_the_delays_of_the_evaluation(database, tables):
    starts = {"val_start": "1970-05-31", "test_start": "1970-08-29"}
    frozen = Problem(database, shop_task(database, tables, regime="frozen", **starts))
    rows = shared_rows(frozen).train(seed=1, copies=2)
    train = frozen.rows("train")
    assert len(rows) == 3 * len(train)
    assert np.array_equal(rows.asof[: len(train)], train.cutoff)
    assert np.array_equal(rows.label, np.tile(train.label, 3))
    copies = rows.take(slice(len(train), None))
    assert set(np.unique(copies.delay)) == {30 * DAY, 60 * DAY}
    assert np.array_equal(copies.cutoff, np.tile(train.cutoff, 2))
    assert np.array_equal(rows.asof, shared_rows(frozen).train(seed=1, copies=2).asof)
    assert not np.array_equal(rows.asof, shared_rows(frozen).train(seed=2, copies=2).asof)
    rolling = Problem(database, shop_task(database, tables, **starts))
    assert shared_rows(rolling).train(seed=1, copies=3) is rolling.rows("train")
    assert shared_rows(frozen).train(seed=1, copies=0) is train


def test_static_tasks_split_whole_entities(database, tables):
    task = shop_task(database, tables, time=None)
    keys = {split: set(frame.keys["id"].to_pylist()) for split, frame in task.splits.items()}
    assert not keys["train"] & keys["val"]
    assert not keys["val"] & keys["test"]
    assert not keys["train"] & keys["test"]
    assert len(keys["train"]) == 36
    problem = Problem(database, task)
    assert problem.fit_asof == EVERYTHING
    assert (problem.rows("val").asof == EVERYTHING).all()
    assert (problem.rows("val").delay == 0).all()
    assert "__labels__" not in problem.database.tables
    assert shop_task(database, tables, time=None).fingerprint == task.fingerprint
    assert shop_task(database, tables, time=None, seed=1).fingerprint != task.fingerprint


def test_static_tasks_take_given_folds(database, tables):
    frame = labels(tables, users=20)
    fold = pa.array(np.arange(len(frame)) % 5)
    task = shop_task(database, tables, labels=frame.append_column("fold", fold), time=None, fold_column="fold")
    assert sizes(task) == {"train": 96, "val": 32, "test": 32}
    assert (
        task.splits["test"].keys["id"].to_pylist()
        == frame["id"].filter(pa.array(np.arange(len(frame)) % 5 == 0)).to_pylist()
    )


def test_rows_without_label_or_cutoff_are_left_out(database, tables):
    frame = labels(tables)
    blank = pc.if_else(pa.array(np.arange(len(frame)) % 4 == 0), pa.scalar(None, pa.bool_()), frame["label"])
    task = shop_task(database, tables, labels=frame.set_column(2, "label", blank))
    assert sum(sizes(task).values()) == 360
    later = pc.if_else(pa.array(np.arange(len(frame)) < 60), pa.scalar(None, frame["cutoff"].type), frame["cutoff"])
    assert sum(sizes(shop_task(database, tables, labels=frame.set_column(1, "cutoff", later))).values()) == 420


@pytest.mark.parametrize(
    ("values", "kind", "classes", "wanted"),
    [
        ([True, False], "binary", ("false", "true"), [1, 0]),
        ([1, 0], "binary", ("0", "1"), [1, 0]),
        (["no", "yes"], "binary", ("no", "yes"), [0, 1]),
        ([10, 9, 2], "multiclass", ("2", "9", "10"), [2, 1, 0]),
        (["b", "a", "c"], "multiclass", ("a", "b", "c"), [1, 0, 2]),
        ([1.0, 2.0], "binary", ("1", "2"), [0, 1]),
        ([0.5, 2.0], "regression", None, [0.5, 2.0]),
        ([True, False], "regression", None, [1, 0]),
    ],
)
def test_labels_become_numbers(database, tables, values, kind, classes, wanted):
    frame = labels(tables)
    column = pa.array([values[i % len(values)] for i in range(len(frame))])
    task = shop_task(database, tables, kind, labels=frame.set_column(2, "label", column))
    assert task.classes == classes
    assert task.splits["train"].label[: len(wanted)].tolist() == wanted


def test_the_second_declared_class_is_positive(database, tables):
    task = shop_task(database, tables, classes=("true", "false"))
    assert task.classes == ("true", "false")
    assert np.array_equal(task.splits["train"].label, 1 - shop_task(database, tables).splits["train"].label)


def test_unknown_entities_are_noted_and_have_no_row(database, tables):
    frame = labels(tables)
    strange = frame.set_column(0, "id", pc.if_else(pc.equal(frame["id"], 3), -5, frame["id"]))
    problem = Problem(database, shop_task(database, tables, labels=strange))
    assert (problem.rows("val").entity == -1).sum() == 1
    assert any("1 of 60 val rows" in note for note in problem.task.notes)


def test_unknown_label_times_and_open_windows_are_noted(database, tables):
    assert any("no label history" in note for note in shop_task(database, tables, known_after=None).notes)
    assert any(
        "60 test rows have a label window" in note
        for note in shop_task(database, tables, horizon="60d", known_after="30d").notes
    )


def test_composite_keys_under_other_names():
    players = pa.table(
        {"season": [y for y in (1, 2) for _ in range(3)], "team": ["a", "b", "c"] * 2, "size": [1.0] * 6}
    )
    database = Database([Table("teams", players, ("season", "team"))])
    frame = pa.table(
        {"t": ["a", "b", "c"] * 6, "s": [1, 1, 1, 2, 2, 2] * 3, "day": days(np.repeat([1, 2, 3], 6)), "y": [0, 1] * 9}
    )
    options = {"name": "x", "entity": "teams", "kind": "binary", "target": "y", "time": "day"}
    task = Task.from_labels(database, frame, entity_columns=("s", "t"), **options)
    assert Problem(database, task).rows("train").entity.tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(TaskError, match="has 2 columns"):
        Task.from_labels(database, frame, entity_columns="t", **options)


def test_integer_times():
    database = Database(
        [Table("a", pa.table({"id": range(6)}), ("id",)), Table("b", pa.table({"t": range(9)}), time="t")]
    )
    frame = pa.table({"id": list(range(6)) * 3, "t": np.repeat([3, 5, 7], 6), "label": [0, 1] * 9})
    options = {"name": "x", "entity": "a", "kind": "binary", "time": "t", "horizon": 2}
    problem = Problem(database, Task.from_labels(database, frame, **options))
    assert problem.rows("val").cutoff.tolist() == [5] * 6
    assert problem.database["__labels__"].data.schema.field("known").type == pa.int64()
    assert problem.database.time_kind == "integer"


def test_open_windows_of_integer_times_are_noted():
    database = Database(
        [Table("a", pa.table({"id": range(6)}), ("id",)), Table("b", pa.table({"t": range(9)}), time="t")]
    )
    frame = pa.table({"id": list(range(6)) * 3, "t": np.repeat([3, 5, 7], 6), "label": [0, 1] * 9})
    options = {"name": "x", "entity": "a", "kind": "binary", "time": "t", "val_start": 5, "test_start": 7}
    late = Task.from_labels(database, frame, horizon=2, **options)  # the last row is at 8, the last window ends at 9
    assert [note for note in late.notes if "label window" in note] == [
        "6 test rows have a label window that ends after the last row of the database."
    ]
    assert not any("label window" in note for note in Task.from_labels(database, frame, horizon=1, **options).notes)


def test_features_are_a_whitelist(database, tables):
    frame = labels(tables)
    frame = frame.append_column("hint", pa.array(np.arange(len(frame)))).append_column("secret", frame["label"])
    problem = Problem(database, shop_task(database, tables, labels=frame, features=("hint",)))
    assert problem.rows("val").features.column_names == ["hint"]
    assert problem.rows("val").features["hint"].to_pylist() == list(range(360, 420))
    assert problem.rows("val").take(np.array([3, 1])).features["hint"].to_pylist() == [363, 361]
    bound = problem.bind(pa.table({"id": [3]}), np.array([9]), features=pa.table({"other": [1], "hint": [7]}))
    assert bound.features.to_pydict() == {"hint": [7]}
    for features in (None, pa.table({"other": [1]})):
        with pytest.raises(TaskError, match="hint"):
            problem.bind(pa.table({"id": [3]}), np.array([9]), features=features)
    static = Problem(database, shop_task(database, tables, labels=frame, features=("hint",), time=None))
    asked = static.bind(pa.table({"id": [3]}), np.array([0]), features=pa.table({"other": [1], "hint": [7]}))
    assert asked.features.to_pydict() == {"hint": [7]}


def test_fingerprints_follow_rules_and_rows(database, tables):
    base = shop_task(database, tables)
    frame = labels(tables)
    hints = [frame.append_column("hint", pa.array(np.arange(len(frame)) + k)) for k in range(2)]
    others = [
        *(shop_task(database, tables, labels=hint, features=("hint",)) for hint in hints),
        shop_task(database, tables, regime="frozen"),
        base.scored_by("accuracy"),
        shop_task(database, tables, known_after="10d"),
        shop_task(database, tables, "regression"),
        shop_task(database, tables, val_start="1970-05-31"),
        shop_task(database, tables, labels=labels(tables, users=59)),
    ]
    assert len({task.fingerprint for task in [base, *others]}) == 9
    assert shop_task(database, tables).fingerprint == base.fingerprint


def test_one_problem_serves_its_rows_from_one_cache():
    problem = shop_problem()
    assert problem.rows("val") is problem.rows("val")
    assert (problem.task.splits["train"].known_at != NEVER).all()
    assert repr(problem) == "Problem(shop/reorder)"


def test_default_splits_leave_time_for_labels_to_be_known():
    cutoff = np.arange(0, 300, 10) * DAY
    for delay in (0, 10 * DAY, 30 * DAY, 60 * DAY):
        val_start, test_start = default_starts(cutoff, delay)
        val = cutoff[(cutoff >= val_start) & (cutoff + delay <= test_start) & (cutoff < test_start)]
        train = cutoff[(cutoff < val_start) & (cutoff + delay <= val_start)]
        assert len(val) >= 4
        assert len(train) >= 4
    with pytest.raises(TaskError, match="cover too short a time"):
        default_starts(cutoff, 250 * DAY)


def test_declared_classes_are_compared_as_the_labels_are():
    codes, classes = encode_labels([pa.chunked_array([[0, 1, 1]])], "binary", [1, 0])
    assert classes == ("1", "0")
    assert codes[0].tolist() == [1.0, 0.0, 0.0]
    assert encode_labels([pa.chunked_array([["1", "01", "1.0", "2"]])], "multiclass")[1] == ("01", "1", "1.0", "2")


def test_class_codes_stay_text():
    assert class_values(("01", "02")).tolist() == ["01", "02"]
    assert class_values(("1", "2")).tolist() == [1, 2]


def test_a_tiny_label_is_not_taken_for_a_column_of_zeros():
    zeros, label = pa.chunked_array([[0.0] * 20]), np.linspace(1e-12, 1e-10, 20)
    assert not column_is_label(zeros, np.arange(20), label, "regression")
    assert column_is_label(pa.chunked_array([label]), np.arange(20), label, "regression")


def test_the_frozen_start_is_part_of_the_fingerprint(database, tables):
    late = shop_task(database, tables, regime="frozen", val_start="1970-05-31", test_start="1970-08-29")
    early = replace(late, starts={**late.starts, "val": late.starts["val"] - DAY})
    assert early.fingerprint != late.fingerprint
    assert early.in_regime("rolling").fingerprint == late.in_regime("rolling").fingerprint
