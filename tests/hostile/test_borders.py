"""Data that other programs hand over: each is read with its right values or refused with the way out, never in silence."""

from __future__ import annotations

import decimal
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import relselect as rs
from relselect.database import Database, ForeignKey, Table
from relselect.errors import SchemaError, UserError
from relselect.problem import Problem
from relselect.problem.frames import bind_frame
from relselect.tasks import Task

D = decimal.Decimal
BIG = 2**53
DAYS = pd.date_range("2024-01-01", periods=60)


def family(parents: object, children: object) -> Database:
    """Parents with the key `id`, children that refer to them by `parent`."""
    return Database(
        [
            Table("parents", pa.table({"id": parents}), ("id",)),
            Table(
                "children", pa.table({"parent": children}), foreign_keys=(ForeignKey(("parent",), "parents", ("id",)),)
            ),
        ]
    )


def users(ids: object = range(30), **columns: object) -> Database:
    """Thirty users and their sixty orders, two of each user, one each day."""
    ids = list(ids)
    orders = pd.DataFrame({"user": ids * 2, "day": DAYS, "total": np.arange(60.0)})
    frame = pd.DataFrame({"id": ids})
    for name, values in columns.items():
        frame[name] = values
    return Database.from_dataframes(
        {"users": frame, "orders": orders},
        keys={"users": "id"},
        times={"orders": "day"},
        foreign_keys={"orders": {"user": "users"}},
    )


def label_frame(ids: object = range(30), label: object = None, **more: object) -> pd.DataFrame:
    """Five cutoffs, each with all users."""
    ids = list(ids)
    frame = pd.DataFrame({"id": ids * 5, "cutoff": np.repeat(DAYS[[10, 20, 30, 40, 50]], len(ids))})
    frame["label"] = [i % 3 == 0 for i in range(len(frame))] if label is None else label
    for name, values in more.items():
        frame[name] = values
    return frame


def task(database: Database, labels: object, kind: str = "binary", **options: object) -> Task:
    chosen = {"name": "t", "entity": "users", "time": "cutoff", "entity_columns": "id", "horizon": "5d", **options}
    return Task.from_labels(database, labels, kind=kind, **chosen)


def refused(error: UserError) -> None:
    """Check that an error says what is wrong and what to do."""
    text = str(error)
    assert len(text) < 2_000
    assert not re.search(r"Arrow(Invalid|TypeError|NotImplemented)|Traceback", text)


# Keys: equal ids are equal whatever their storage, and rounded ids are refused.

SAME_IDS = {
    "decimals of different precision": (
        pa.array([D("5"), D("3"), D("9")], pa.decimal128(1, 0)),
        pa.array([D("9"), D("3"), None, D("4")], pa.decimal128(19, 0)),
    ),
    "decimals of different scale": (
        pa.array([D("5.50"), D("3.25"), D("9")], pa.decimal128(5, 2)),
        pa.array([D("9.0000"), D("3.2500"), None, D("4.1")], pa.decimal128(12, 4)),
    ),
    "decimals against integers": (pa.array([5, 3, 9]), pa.array([D("9.00"), D("3.00"), None, D("4.00")])),
    "integers against decimals": (pa.array([D("5"), D("3"), D("9")]), pa.array([9, 3, None, 4])),
    "decimals beyond 64 bits": (
        pa.array([D(5), D(3), D(10**30)], pa.decimal128(38, 0)),
        pa.array([D(10**30), D(3), None, D(4)], pa.decimal256(50, 2)),
    ),
    "decimals against floats": (pa.array([D("5"), D("3"), D("9")]), pa.array([9.0, 3.0, float("nan"), 4.0])),
    "large integers": (pa.array([5, BIG + 1, BIG + 3]), pa.array([BIG + 3, BIG + 1, None, BIG + 2])),
    "large integers as text": (
        pa.array([str(BIG), str(BIG + 1), str(BIG + 3)]),
        pa.array([str(BIG + 3), str(BIG + 1), None, str(BIG + 2)]),
    ),
    "floats with a broken one": (
        pa.array([5, 123_456_789_012, 10**15]),
        pa.array([1e15, 123_456_789_012.0, None, 2.5]),
    ),
    "floats with an infinity": (pa.array([5, 3, 9]), pa.array([9.0, 3.0, float("inf"), float("-inf")])),
    "floats of 32 bits": (pa.array([5, 3, 9]), pa.array([9, 3, None, 4], pa.float32())),
    "text views": (pa.array(["a", "b", "c"]), pa.array(["c", "b", None, "d"], pa.string_view())),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME_IDS)
def test_equal_ids_find_their_parents(case: str) -> None:
    parents, children = SAME_IDS[case]
    if children.type == pa.string_view():
        children = Database.from_dataframes({"t": pa.table({"x": children})})["t"].data["x"]
    assert family(parents, children).parents("children")[0].tolist() == [2, 1, -1, -1]


ROUNDED = {
    "a foreign key with a gap": lambda: family(pa.array([BIG, BIG + 1]), pa.array([float(BIG + 1), None])),
    "a negative one": lambda: family(pa.array([-BIG, 1]), pa.array([float(-BIG), None])),
    "a primary key": lambda: family(pa.array([float(BIG), 1.0]), pa.array([BIG])),
    "an id beyond 63 bits": lambda: family(pa.array([2**64 - 1], pa.uint64()), pa.array([float(2**64 - 1)])),
    "floats of 32 bits": lambda: family(pa.array([2**24, 2**24 + 1]), pa.array([2.0**24], pa.float32())),
    "a dictionary of floats": lambda: family(pa.array([BIG]), pa.array([float(BIG), None]).dictionary_encode()),
    "a pandas column with a gap": lambda: Database.from_dataframes(
        {"p": pd.DataFrame({"id": [BIG, BIG + 1]}), "c": pd.DataFrame({"p": [BIG + 1, None]})},
        keys={"p": "id"},
        foreign_keys={"c": {"p": "p"}},
    ),
    "a label frame": lambda: task(
        users(range(BIG, BIG + 30)), label_frame(range(BIG, BIG + 30)).astype({"id": float})
    ),
    "rows to predict": lambda: bind_frame(
        Problem(big := users(range(BIG, BIG + 30)), task(big, label_frame(range(BIG, BIG + 30)))),
        pd.DataFrame({"id": [float(BIG + 1)], "cutoff": [DAYS[50]]}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ROUNDED)
def test_ids_that_were_rounded_are_refused(case: str) -> None:
    with pytest.raises(UserError, match=r"2\*\*(53|24) or more.*integers.*text") as caught:
        ROUNDED[case]()
    refused(caught.value)


# Values that are no values.

CATEGORY = pd.cut(np.arange(150) % 9, [-1, 2, 5, 9])
NO_LABELS: dict[str, Callable[[], object]] = {
    "pandas.cut": lambda: CATEGORY,
    "intervals": lambda: pd.arrays.IntervalArray.from_breaks(range(151)),
    "lists": lambda: [[i % 2] for i in range(150)],
    "structs": lambda: [{"a": i % 2} for i in range(150)],
    "bytes": lambda: [b"a" if i % 2 else b"b" for i in range(150)],
    "sets": lambda: [{i % 2} for i in range(150)],
    "categories of tuples": lambda: pd.Categorical([(i % 2, 1) for i in range(150)]),
    "objects": lambda: [object() for _ in range(150)],
    "complex numbers": lambda: np.arange(150) % 2 + 0j,
    "periods": lambda: pd.period_range("2020-01-01", periods=150).astype("category"),
}


@pytest.mark.parametrize("place", ["label", "feature", "completion"])
@pytest.mark.parametrize("case", NO_LABELS)
def test_what_is_no_value_is_refused_as_label_feature_and_completion_target(case: str, place: str) -> None:
    values = NO_LABELS[case]()
    make = {
        "label": lambda: task(users(), label_frame(label=values), "multiclass"),
        "feature": lambda: task(users(), label_frame(extra=values), features=["extra"]),
        "completion": lambda: Task.completing(users(odd=values[:30]), "odd", entity="users", kind="multiclass"),
    }[place]
    with pytest.raises(UserError) as caught:
        make()
    refused(caught.value)


@pytest.mark.parametrize("case", NO_LABELS)
def test_a_table_column_of_no_values_is_passed_over_or_refused_with_the_column(case: str) -> None:
    found = outcome(lambda: users(odd=NO_LABELS[case]()[:30]))
    if isinstance(found, SchemaError):
        assert {problem.column for problem in found.problems} == {"odd"}
        refused(found)
    else:
        assert Problem(found, task(found, label_frame())).types["users"]["odd"] == "ignored"


def outcome(make: Callable[[], Database]) -> Database | SchemaError:
    try:
        return make()
    except SchemaError as error:
        return error


def test_intervals_as_text_are_categories() -> None:
    made = task(users(), label_frame(label=np.asarray(CATEGORY.astype(str))), "multiclass")
    assert made.classes == ("(-1, 2]", "(2, 5]", "(5, 9]")


def test_polars_objects_are_refused() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"id": [1, 2], "odd": pl.Series([object(), object()], dtype=pl.Object)})
    with pytest.raises(SchemaError, match=r"t\.odd.*Python objects"):
        Database.from_dataframes({"t": frame})


# Declarations.


def test_mistakes_in_frames_and_in_declarations_come_at_once() -> None:
    frames = {
        "users": pd.DataFrame({"id": [1, 1]}),
        "orders": pd.DataFrame({"user": [1], "day": ["x"], "what": pd.period_range("2020", periods=1)}),
        "items": pd.DataFrame({"order": [1], "price": ["a"]}),
    }
    with pytest.raises(SchemaError) as caught:
        Database.from_dataframes(
            frames,
            keys={"users": "id", "nowhere": "id"},
            times={"items": "when"},
            foreign_keys={"items": {"order": "orders"}},
            types={"items": {"price": "number"}},
            drop={"users": ["gone"]},
        )
    found = {(problem.table, problem.column) for problem in caught.value.problems}
    assert found == {
        ("nowhere", None),
        ("items", "price"),
        ("users", "gone"),
        ("orders", "what"),
        ("users", "id"),
        ("items", "when"),
    }


@pytest.mark.parametrize("form", ["csv", "frame"])
def test_eight_thousand_columns_are_read_in_the_time_of_their_bytes(form: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(np.ones((3, 8_000)), columns=[f"c{i}" for i in range(8_000)])
    begun = time.monotonic()
    if form == "csv":
        frame.to_csv(tmp_path / "wide.csv", index=False)
        (tmp_path / "database.yaml").write_text("name: w\ntables:\n  wide: {primary_key: []}\n")
        found = Database.from_folder(tmp_path)["wide"]
    else:
        found = Database.from_dataframes({"wide": frame})["wide"]
    assert len(found.columns) == 8_000
    assert time.monotonic() - begun < 20


def test_a_category_of_twenty_thousand_characters_names_no_feature() -> None:
    long, longer = "a" * 20_000, "b" * 20_000
    orders = pd.DataFrame({"user": list(range(30)) * 2, "day": DAYS, "what": [long, longer, "c"] * 20})
    found = Database.from_dataframes(
        {"users": pd.DataFrame({"id": range(30)}), "orders": orders},
        keys={"users": "id"},
        times={"orders": "day"},
        foreign_keys={"orders": {"user": "users"}},
        types={"orders": {"what": "categorical"}},
    )
    made = task(found, label_frame())
    frame = rs.features(found, made, split="train", rich=True).to_pandas()
    names = list(frame.columns)
    assert max(map(len, names)) < 300
    assert any("what=c" in name for name in names)
    distinct = next(name for name in names if name.startswith("NUM_UNIQUE") and "what" in name)
    assert set(frame[distinct].dropna()) <= {0.0, 1.0, 2.0}


ZONES = """
import sys, numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq
import relselect as rs
from pathlib import Path
day = pd.date_range("2024-01-01", periods=400, freq="5h", tz="America/New_York")
orders = pa.table({"user": np.arange(400) % 20, "day": pa.array(day), "total": np.arange(400.0) % 7})
folder = Path(sys.argv[1])
pq.write_table(orders, folder / "orders.parquet")
pq.write_table(pa.table({"id": np.arange(20)}), folder / "users.parquet")
db = rs.Database.from_uri(
    folder, keys={"users": "id"}, times={"orders": "day"}, foreign_keys={"orders": {"user": "users"}},
    where={"orders": "day >= '2024-01-03' AND hour(day) <> 7"},
)
task = rs.Task.from_sql(
    db, name="t", entity="users", kind="regression", horizon="5d", every="7d",
    population="SELECT cutoff, id FROM cutoffs, users",
    label="SELECT p.cutoff, p.id, count(*) FILTER (hour(o.day::TIMESTAMPTZ) < 9 AND o.day::TIMESTAMPTZ::DATE > '2024-01-09') "
    "AS label FROM population p LEFT JOIN orders o ON o.user = p.id AND o.day > p.cutoff::TIMESTAMPTZ "
    "AND o.day <= p.cutoff + INTERVAL 5 DAY GROUP BY ALL",
)
found = rs.features(db, task, engine=sys.argv[2]).to_pandas()
print(db["orders"].num_rows, task.fingerprint, found.select_dtypes("number").sum().round(6).to_dict())
"""


def test_nothing_depends_on_the_time_zone_of_the_machine(tmp_path: Path) -> None:
    found = []
    for zone, engine in (("UTC", "prefix"), ("Asia/Tokyo", "prefix"), ("America/Los_Angeles", "sql")):
        command = [sys.executable, "-c", ZONES, str(tmp_path), engine]
        ran = subprocess.run(command, env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr[-2_000:]
        found.append(ran.stdout)
    assert found[0] == found[1] == found[2]


# Infinity of times.

FOREVER = {pa.timestamp("us"): 2**63 - 1, pa.timestamp("ns", "UTC"): 2**63 - 1, pa.date32(): 2**31 - 1}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", FOREVER, ids=str)
def test_an_infinite_time_is_missing(dtype: pa.DataType, sign: int) -> None:
    plain = pa.int32() if pa.types.is_date32(dtype) else pa.int64()
    values = pa.array([1, sign * FOREVER[dtype], None, 3], plain).cast(dtype)
    found = Database([Table("t", pa.table({"until": values, "day": values}), time="day")])
    for column in ("until", "day"):
        assert found["t"].data[column].is_null().to_pylist() == [False, True, True, False]
    assert found.counts.null_times == {"t": 2}
