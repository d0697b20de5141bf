"""Malformed inputs: each ends in an error that names argument, value, rule and way out, or in a fallback that is told.

Checks of tables alone stand in `tests/database/test_validation.py`, those of SQL in `tests/tasks/test_from_queries.py`, of
bundles in `tests/test_bundle.py`, of manifests in `tests/database/test_manifest.py`; here is what crosses the rooms.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import relselect as rs
from relselect.api import open_task
from relselect.configs import open_database
from relselect.database import Database, ForeignKey, Table
from relselect.errors import BudgetError, SchemaError, UserError
from relselect.events import Notice, TrialFailed
from relselect.problem import Problem
from tests.shop import days, labels, shop, shop_tables, shop_task

TABLES = shop_tables()
FRAME = labels(TABLES)

pytestmark = pytest.mark.usefixtures("brief_networks")


def told(error: UserError) -> None:
    """Check that an error says what is wrong, with what, why, and what to do."""
    text = str(error)
    assert len(text) < 2_000
    assert "Traceback" not in text
    if isinstance(error, SchemaError):
        for problem in error.problems:
            assert problem.table
            assert problem.rule
            assert re.search(r"[A-Za-z]", problem.fix)
        return
    assert error.argument
    assert text.startswith(f"{error.argument}=")
    assert error.rule.rstrip(".") in text
    assert error.fix
    assert error.fix.rstrip(".") in text


def task(**options):
    return shop_task(shop(TABLES), TABLES, options.pop("kind", "binary"), **options)


def with_column(values, name: str = "label") -> pa.Table:
    place = FRAME.column_names.index(name)
    return FRAME.set_column(
        place, name, pa.array(values, from_pandas=False) if not isinstance(values, pa.Array) else values
    )


def nth(values: dict[int, object], rest: object) -> list[object]:
    return [values.get(i, rest) for i in range(len(FRAME))]


def numbers(**special: object) -> list[object]:
    found: list[object] = [float(i % 7) for i in range(len(FRAME))]
    for place, value in special.items():
        found[int(place[1:])] = value
    return found


def splits(train: int, val: int, test: int | None = None) -> dict[str, pa.Table]:
    """Frames per split, by the number of 60 rows each skips at their begin."""
    found = {"train": FRAME.slice(60 * train, 120), "val": FRAME.slice(60 * val, 60)}
    return found if test is None else {**found, "test": FRAME.slice(60 * test, 60)}


day = np.repeat(np.arange(8), 60)
BAD_TASKS: dict[str, tuple[Callable[[], object], str]] = {
    "unknown kind": (lambda: task(kind="ranking", labels=FRAME), "kind=ranking"),
    "unknown metric": (lambda: task(metric="auc"), "metric=auc.*roc_auc"),
    "a metric of another kind": (lambda: task(metric="r2"), "metric=r2"),
    "unknown regime": (lambda: task(regime="future"), "regime=future"),
    "unknown entity": (lambda: task(entity="clients"), "entity=clients.*orders, products, users"),
    "an entity without key": (
        lambda: shop_task(Database([Table("users", TABLES["users"])]), TABLES, labels=FRAME),
        "entity=users: has no primary key",
    ),
    "a missing target": (lambda: task(target="churn"), "train column=churn|column=churn.*The frame has"),
    "a missing time": (lambda: task(time="date"), "column=date"),
    "a missing key": (lambda: task(entity_columns="user"), "column=user"),
    "a missing feature": (lambda: task(features=("hint",)), "column=hint"),
    "text times": (
        lambda: task(labels=with_column([str(i) for i in day], "cutoff")),
        "cutoff=string.*Parse the column",
    ),
    "integer times": (lambda: task(labels=with_column(day, "cutoff")), "cutoff=int64.*timestamps"),
    "a constant label": (lambda: task(labels=with_column([True] * 480)), "nothing to learn"),
    "a constant number": (
        lambda: task(kind="regression", labels=with_column([2.0] * 480)),
        "train labels=2.0.*nothing to learn",
    ),
    "one class in train": (
        lambda: task(labels=with_column([i >= 360 and i % 2 == 0 for i in range(480)])),
        "train labels",
    ),
    "no positive in validation": (
        lambda: task(labels=with_column([i < 360 and i % 2 == 0 for i in range(480)])),
        "val labels.*one class",
    ),
    "one class in validation of several": (
        lambda: task(kind="multiclass", labels=with_column([str(i % 3) if i < 360 else "0" for i in range(480)])),
        "val labels.*one class",
    ),
    "all labels missing": (lambda: task(labels=with_column(pa.nulls(480, pa.bool_()))), "no row with both"),
    "an infinity to regress": (lambda: task(kind="regression", labels=with_column(numbers(_5=float("inf")))), "finite"),
    "text to regress": (
        lambda: task(kind="regression", labels=with_column([str(i) for i in range(480)])),
        "label=string.*number",
    ),
    "three classes in a binary task": (
        lambda: task(labels=with_column([str(i % 3) for i in range(480)])),
        "kind='multiclass'",
    ),
    "a class that is not declared": (lambda: task(classes=("true", "maybe")), "none of the declared classes"),
    "too few dates": (lambda: task(labels=FRAME.slice(0, 120)), "cutoffs=2.*three or more"),
    "no rows": (lambda: task(labels=FRAME.slice(0, 0)), "no row"),
    "an empty split": (
        lambda: task(val_start="1970-05-31", test_start="1970-06-01"),
        "val rows=60|no row falls|known only after",
    ),
    "a validation before everything": (lambda: task(val_start="1960-01-01"), "train rows=0"),
    "a test before validation": (
        lambda: task(val_start="1970-07-01", test_start="1970-06-01"),
        "must lie after val_start",
    ),
    "a test without validation": (lambda: task(test_start="1970-06-01"), "needs val_start"),
    "a start that is no date": (lambda: task(val_start="June"), "val_start=June"),
    "overlapping splits": (lambda: task(labels=splits(0, 1)), "must all lie after the last train cutoff"),
    "splits in the wrong order": (lambda: task(labels=splits(0, 6, 4)), "must all lie after the last val cutoff"),
    "splits with other names": (lambda: task(labels={"train": FRAME, "dev": FRAME}), "frames named train, val"),
    "a single split": (lambda: task(labels={"train": FRAME}), "frames named train, val"),
    "an empty validation frame": (lambda: task(labels={**splits(0, 4), "val": FRAME.slice(0, 0)}), "val rows=0"),
    "no frame": (lambda: task(labels=42), "is no data frame"),
    "a horizon in months": (lambda: task(horizon="1 month"), "horizon=1 month"),
    "a negative embargo": (lambda: task(embargo=-1), "embargo=-1"),
    "labels known after all is over": (
        lambda: task(known_after="900d"),
        "known only after the (val|next) split begins",
    ),
    "text folds": (
        lambda: task(
            time=None, fold_column="f", labels=FRAME.append_column("f", pa.array([str(i % 3) for i in range(480)]))
        ),
        "fold_column=",
    ),
    "missing folds": (
        lambda: task(time=None, fold_column="f", labels=FRAME.append_column("f", pa.array([None, 1, 2] * 160))),
        "160 nulls",
    ),
    "two folds": (
        lambda: task(time=None, fold_column="f", labels=FRAME.append_column("f", pa.array([0, 1] * 240))),
        "three or more folds",
    ),
    "no fold column": (lambda: task(time=None, fold_column="f"), "fold_column=f"),
    "two entities to draw from": (lambda: task(time=None, labels=labels(TABLES, users=2)), "five or more"),
    "a label that is a column": (
        lambda: leaking(),
        "users.churned=label: holds the label",
    ),
}


def leaking() -> Problem:
    churned = np.arange(60) % 3 == 0
    database = shop({**TABLES, "users": TABLES["users"].append_column("churned", pa.array(churned))})
    keys = FRAME["id"].to_numpy()
    return Problem(database, shop_task(database, TABLES, labels=with_column(churned[(keys - 3) // 7])))


@pytest.mark.parametrize("case", BAD_TASKS)
def test_a_task_that_cannot_be_asked_says_why(case):
    build, text = BAD_TASKS[case]
    with pytest.raises(UserError, match=f"(?s){text}") as raised:
        build()
    told(raised.value)


MANIFEST = """
name: tiny
tables:
  users: {primary_key: id}
  events: {time: at, foreign_keys: [{columns: user, table: users}]}
tasks:
  ask: {entity: users, kind: binary, target: label, time: at, horizon: 1d, files: {train: train.csv, val: val.csv}}
"""
USERS = "id,name\n1,a\n2,b\n"
EVENTS = "user,at,n\n1,2024-01-01,5\n2,2024-01-02,6\n"


def folder(tmp_path: Path, **files: str | bytes | None) -> Path:
    found = {
        "database.yaml": MANIFEST,
        "users.csv": USERS,
        "events.csv": EVENTS,
        **{k.replace("_", "."): v for k, v in files.items()},
    }
    for name, content in found.items():
        if content is not None:
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


BAD_FOLDERS: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    "not UTF-8": ({"users_csv": b"id,name\n1,caf\x81\n"}, "users.*not UTF-8 at byte 13.*Save the file as UTF-8"),
    "ragged": ({"users_csv": "id,name\n1,a\n2\n"}, "users.*rows without 2 values.*row 3"),
    "a missing file": ({"events_csv": None}, "events.*is not in"),
    "no manifest": ({"database_yaml": None}, "(?i)database.yaml|manifest"),
    "no YAML": ({"database_yaml": "tables: ["}, "YAML"),
    "a list for a manifest": ({"database_yaml": "- 1"}, "no mapping"),
    "an unknown key": (
        {"database_yaml": MANIFEST.replace("{primary_key: id}", "{primary_key: id, colour: red}")},
        "colour.*not understood",
    ),
    "a misspelt table": ({"database_yaml": MANIFEST.replace("table: users", "table: user")}, "user.*not declared"),
    "a key given twice": ({"database_yaml": MANIFEST + "name: again\n"}, "given twice"),
    "duplicate keys": ({"users_csv": "id,name\n1,a\n1,b\n"}, "users.id.*no duplicates"),
    "text keys against numbers": ({"users_csv": "id,name\nx,a\ny,b\n"}, "events.user.*number against text"),
    "text for a time": ({"events_csv": "user,at\n1,soon\n"}, "events.at.*string.*'soon'"),
    "an empty file": ({"users_csv": ""}, "users.*not readable"),
    "a header alone": ({"events_csv": "user,at,n\n"}, "events.at"),
    "bytes for a table": ({"users_csv": b"\x00\x01\x02\xff"}, "users"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_folder_that_cannot_be_read_says_why_and_stays_as_it_is(tmp_path, case):
    files, text = BAD_FOLDERS[case]
    place = folder(tmp_path, **files)
    before = {path: path.read_bytes() for path in place.rglob("*")}
    with pytest.raises(UserError, match=f"(?s){text}") as raised:
        Database.from_folder(place)
    told(raised.value)
    assert {path: path.read_bytes() for path in place.rglob("*")} == before


def test_a_folder_that_is_in_order_is_read(tmp_path):
    assert Database.from_folder(folder(tmp_path)).num_rows == 4


def test_files_that_are_no_parquet(tmp_path):
    place = folder(tmp_path, users_csv=None)
    (place / "users.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(SchemaError, match=r"users.*not readable"):
        Database.from_folder(place)
    pq.write_table(pa.table({"id": [1, 2]}), place / "users.parquet")
    whole = (place / "users.parquet").read_bytes()
    (place / "users.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SchemaError, match=r"users.*not readable"):
        Database.from_folder(place)


def test_places_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("RELSELECT_DATA", raising=False)
    for ask, text in (
        (lambda: Database.from_folder(tmp_path / "nowhere"), "no such folder"),
        (lambda: open_database("no-such-database"), "neither a path, an address nor a known database.*rel-f1"),
        (lambda: open_database("rel-f1"), "RELSELECT_DATA is not set.*export RELSELECT_DATA"),
        (lambda: open_task(shop(TABLES), "churn"), "task=churn"),
        (lambda: open_task(Database.from_folder(folder(tmp_path)), "ask"), "train.csv.*does not exist"),
    ):
        with pytest.raises(UserError, match=f"(?s){text}") as raised:
            ask()
        told(raised.value)
    monkeypatch.setenv("RELSELECT_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"no such folder.*Correct RELSELECT_DATA"):
        open_database("rel-f1")


@pytest.mark.parametrize("budget", ["soon", 0, -1, "-5min", "", [], "1 fortnight"])
def test_budgets_that_are_none(database, tables, budget, tmp_path):
    with pytest.raises(BudgetError) as raised:
        rs.select_and_train(database, shop_task(database, tables), budget, workdir=tmp_path / "work")
    told(raised.value)
    assert not (tmp_path / "work").exists()


def test_a_budget_of_a_second_ends_in_a_model_or_in_an_instruction(database, tables):
    try:
        fit = rs.select_and_train(database, shop_task(database, tables), 1)
    except BudgetError as error:
        told(error)
    else:
        assert fit.leaderboard()["chosen"].any()


# What looks odd and is fine: it is counted, told, and trained on.


def odd(**changes: object) -> Database:
    """The shop with other or more tables."""
    tables = {**TABLES, **{name: value for name, value in changes.items() if isinstance(value, pa.Table)}}
    database = shop(tables)
    for name, value in changes.items():
        if isinstance(value, Table):
            database = Database([*(t for n, t in database.tables.items() if n != name), value])
    return database


def with_orders(**columns: pa.Array) -> pa.Table:
    orders = TABLES["orders"]
    for name, values in columns.items():
        orders = (
            orders.set_column(orders.column_names.index(name), name, values)
            if name in orders.column_names
            else orders.append_column(name, values)
        )
    return orders


COUNT = TABLES["orders"].num_rows
WHEN = TABLES["orders"]["when"].cast(pa.int64()).to_numpy() / 86_400_000_000
ODD: dict[str, Callable[[], Database]] = {
    "an empty table": lambda: odd(
        extra=Table(
            "extra",
            pa.table({"id": pa.array([], pa.int64()), "user": pa.array([], pa.int64())}),
            ("id",),
            None,
            (ForeignKey(("user",), "users", ("id",)),),
        )
    ),
    "an empty table with a time": lambda: odd(
        extra=Table(
            "extra",
            pa.table({"at": days([]), "user": pa.array([], pa.int64())}),
            (),
            "at",
            (ForeignKey(("user",), "users", ("id",)),),
        )
    ),
    "a table of one row": lambda: odd(
        extra=Table(
            "extra",
            pa.table({"id": [1], "user": [3], "x": [2.0]}),
            ("id",),
            None,
            (ForeignKey(("user",), "users", ("id",)),),
        )
    ),
    "a table that nothing refers to": lambda: odd(extra=Table("extra", pa.table({"x": [1, 2]}))),
    "columns of nothing, of one value, of lists and bytes": lambda: odd(
        orders=with_orders(
            nothing=pa.nulls(COUNT),
            empty=pa.nulls(COUNT, pa.float64()),
            one=pa.array([1.0] * COUNT),
            word=pa.array(["a"] * COUNT),
            lists=pa.array([[1, 2]] * COUNT),
            bytes=pa.array([b"x"] * COUNT),
        )
    ),
    "infinities and huge numbers": lambda: odd(
        orders=with_orders(total=pa.array([np.inf, -np.inf, np.nan, 1e308, -1e308] * (COUNT // 5)))
    ),
    "dates at the epoch and in the far future": lambda: odd(
        orders=with_orders(when=days([0 if i % 50 == 0 else 300_000 if i % 50 == 1 else d for i, d in enumerate(WHEN)]))
    ),
    "references that are all null": lambda: odd(orders=with_orders(sku=pa.nulls(COUNT, pa.string()))),
    "references that all dangle": lambda: odd(orders=with_orders(sku=pa.array(["gone"] * COUNT))),
    "half of the times missing": lambda: odd(
        orders=with_orders(when=days([None if i % 2 else d for i, d in enumerate(WHEN)]))
    ),
    "hostile names": lambda: odd(
        **{
            'sel"ect': Table(
                'sel"ect',
                pa.table({"drop": [1], 'a"b.c|d=e,': ["x"], "ü 漢": [1.5], "user": [3]}),
                ("drop",),
                None,
                (ForeignKey(("user",), "users", ("id",)),),
            )
        }
    ),
    "a category of many long values": lambda: odd(
        orders=with_orders(note=pa.array([f"{'long ' * 50}{i}\n\t\"'" for i in range(COUNT)]))
    ),
    "decimals, durations, times of day, flags and enumerations": lambda: odd(
        orders=with_orders(
            decimal=pa.array(np.arange(COUNT)).cast(pa.decimal128(25, 2)),
            span=pa.array(np.arange(COUNT), pa.duration("s")),
            clocktime=pa.array(np.arange(COUNT), pa.int32()).cast(pa.time32("s")),
            flag=pa.array([True, None, False] * (COUNT // 3)),
            grade=pa.array(["a", "b", None] * (COUNT // 3)).dictionary_encode(),
            unsigned=pa.array(np.arange(COUNT), pa.uint64()),
            day=pa.array(np.arange(COUNT), pa.int32()).cast(pa.date32()),
            narrow=pa.array(np.arange(COUNT) % 5, pa.int8()),
        )
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_but_fine_trains_in_both_families(case):
    database, events = ODD[case](), []
    asked = shop_task(database, TABLES)
    fit = rs.select_and_train(database, asked, "90s", families="dfs,rdl", max_trials=1, on_event=events.append)
    assert not [event for event in events if isinstance(event, TrialFailed)]
    assert set(fit.leaderboard()["family"]) - {"blended"} == {"constants", "dfs", "rdl"}
    assert np.isfinite(fit.predict(split="test")["probability"]).all()
    counts = database.counts
    for table, count in counts.null_times.items():
        assert (count > 0) == any(
            isinstance(e, Notice) and f"{count} rows of {table} have no time" in e.message for e in events
        )


def test_dangling_and_null_references_are_counted():
    database = ODD["references that all dangle"]()
    assert database.counts.dangling_keys["orders", "sku"] == COUNT
    assert ODD["references that are all null"]().counts.null_keys["orders", "sku"] == COUNT


def test_every_evaluation_row_about_nobody_known_still_predicts(database, tables):
    ids = FRAME["id"].to_numpy()
    strange = FRAME.set_column(0, "id", pa.array(np.where(np.arange(len(ids)) < 360, ids, -ids)))
    fit = rs.select_and_train(
        database, shop_task(database, tables, labels=strange), "60s", families="dfs,rdl", max_trials=1
    )
    assert np.isfinite(fit.predict(split="test")["probability"]).all()
    assert any("not in the table" in note for note in fit.task.notes)


def test_requests_with_unknown_keys_and_other_types(trained):
    fit, _ = trained("dfs")
    for keys in ([-1, 3], ["x", "3"], [None, 3.0]):
        frame = pd.DataFrame({"id": keys, "cutoff": pd.to_datetime(["1970-10-01"] * 2)})
        found = fit.predict(rows=frame)["probability"]
        assert np.isfinite(found).all()
        assert found[1] == pytest.approx(fit.predict(rows=frame.assign(id=[3, 3]))["probability"][0], abs=1e-6)


def test_an_output_that_cannot_be_written_leaves_nothing(trained, tmp_path):
    fit, _ = trained("dfs")
    (tmp_path / "file").write_text("mine")
    with pytest.raises((UserError, OSError)):
        fit.save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("family", ["dfs", "rdl"])
def test_numbers_far_from_those_of_training_still_predict(trained, family):
    fit, _ = trained(family)
    huge = pa.array([float(np.sign(i % 3 - 1)) * 1.7e308 for i in range(COUNT)])
    found = fit.predict(split="test", database=shop({**TABLES, "orders": with_orders(total=huge)}))
    assert np.isfinite(found["probability"]).all()
