"""The database: keys of any type find their parents, what is missing is counted, and time hides what is not yet known."""

from __future__ import annotations

import uuid
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from relselect.database import Database, ForeignKey, Table
from relselect.database.clock import ALWAYS, DAY, NEVER
from relselect.errors import ConfigError
from tests.shop import days

IDS = [str(uuid.UUID(int=number)) for number in range(4)]


def family(parent_keys: dict[str, pa.Array], child_keys: dict[str, pa.Array], **options) -> Database:
    names, refs = tuple(child_keys), tuple(parent_keys)
    return Database(
        [
            Table("parents", pa.table(parent_keys), refs),
            Table(
                "children",
                pa.table(child_keys),
                foreign_keys=(ForeignKey(names, "parents", options.get("refs", refs)),),
            ),
        ]
    )


KEYS = {
    "integers": (pa.array([5, 3, 9]), pa.array([9, 3, None, 4])),
    "narrow against wide": (pa.array([5, 3, 9], pa.int8()), pa.array([9, 3, None, 4], pa.uint64())),
    "integers against floats with gaps": (pa.array([5, 3, 9]), pa.array([9.0, 3.0, None, 4.0])),
    "integers against broken floats": (pa.array([5, 3, 9]), pa.array([9.0, 3.0, float("nan"), 4.5])),
    "unsigned beyond 63 bits": (
        pa.array([5, 3, 2**64 - 1], pa.uint64()),
        pa.array([2**64 - 1, 3, None, 4], pa.uint64()),
    ),
    "text": (pa.array(["a", "b", "ü"]), pa.array(["ü", "b", None, "B"])),
    "large text": (pa.array(["a", "b", "ü"], pa.large_string()), pa.array(["ü", "b", None, "B"])),
    "enumerations": (pa.array(["a", "b", "c"]), pa.array(["c", "b", None, "d"]).dictionary_encode()),
    "uuids": (pa.array(IDS[:3]), pa.array([IDS[2], IDS[1], None, IDS[3]])),
    "dates": (pa.array([1, 2, 3], pa.date32()), pa.array([3, 2, None, 4], pa.date32())),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_type_find_their_parents(kind):
    parent, child = KEYS[kind]
    database = family({"id": parent}, {"parent": child})
    assert database.parents("children")[0].tolist() == [2, 1, -1, -1]
    assert database.counts.null_keys["children", "parent"] == 1
    assert database.counts.dangling_keys["children", "parent"] == 1
    assert database.rows_of("parents", pa.table({"any": child})).tolist() == [2, 1, -1, -1]


def test_composite_keys_in_another_order():
    parents = {"season": pa.array([1, 1, 2]), "team": pa.array(["x", "y", "x"])}
    children = {"club": pa.array(["y", "x", None, "z"]), "year": pa.array([1, 2, 1, 1])}
    database = family(parents, children, refs=("team", "season"))
    assert database.parents("children")[0].tolist() == [1, 2, -1, -1]
    assert database.counts.null_keys["children", "club+year"] == 1
    assert database.counts.dangling_keys["children", "club+year"] == 1
    assert database.rows_of("parents", pa.table({"s": [2, 9], "t": ["x", "x"]})).tolist() == [2, -1]


def test_a_table_may_refer_to_itself_and_twice_to_another():
    people = pa.table({"id": [1, 2, 3], "boss": [None, 1, 3]})
    mails = pa.table({"sender": [1, 2, 2], "receiver": [3, None, 9], "cc": [2, 2, 2]})
    database = Database(
        [
            Table("people", people, ("id",), foreign_keys=(ForeignKey(("boss",), "people", ("id",)),)),
            Table(
                "mails",
                mails,
                foreign_keys=tuple(ForeignKey((c,), "people", ("id",)) for c in ("sender", "receiver", "cc")),
            ),
        ]
    )
    assert database.parents("people")[0].tolist() == [-1, 0, 2]
    assert [rows.tolist() for rows in database.parents("mails")] == [[0, 1, 1], [2, -1, -1], [1, 1, 1]]
    assert dict(database.counts.dangling_keys) == {
        ("people", "boss"): 0,
        ("mails", "sender"): 0,
        ("mails", "receiver"): 1,
        ("mails", "cc"): 0,
    }


def test_tables_need_neither_key_nor_time_nor_rows():
    database = Database(
        [Table("a", pa.table({"x": [1.0, 2.0]})), Table("empty", pa.table({"id": pa.array([], pa.int64())}), ("id",))]
    )
    assert database.times("a").tolist() == [ALWAYS, ALWAYS]
    assert database.time_kind is None
    assert database.last_time is None
    assert database.first_time is None
    assert database.rows_of("empty", [1, 2]).tolist() == [-1, -1]
    assert database.rows_of("empty", []).tolist() == []
    assert database.fingerprint


@pytest.fixture
def events() -> Database:
    data = pa.table(
        {
            "id": [0, 1, 2, 3],
            "when": days([1, 2, 2, None]),
            "closed": days([5, None, 1, 5]),
            "outcome": ["a", "b", "c", "d"],
            "size": [1, 2, 3, 4],
        }
    )
    return Database([Table("events", data, ("id",), "when", known_at={"closed": ("outcome",)})])


def test_rows_and_values_have_times(events):
    assert events.time_kind == "timestamp"
    assert events.times("events").tolist() == [DAY, 2 * DAY, 2 * DAY, NEVER]
    # A value is known when its clock has struck and its row is there; without a clock reading, never.
    assert events.value_times("events", "outcome").tolist() == [5 * DAY, NEVER, 2 * DAY, NEVER]
    assert events.value_times("events", "closed").tolist() == [5 * DAY, NEVER, 2 * DAY, NEVER]
    assert events.value_times("events", "size") is None
    assert events.counts.null_times["events"] == 1
    assert (events.first_time, events.last_time) == (DAY, 2 * DAY)


@pytest.mark.parametrize(
    ("asof", "outcomes"),
    [
        (0, {}),
        (1, {0: None}),
        (2, {0: None, 1: None, 2: "c"}),
        (5, {0: "a", 1: None, 2: "c"}),
        (4.999, {0: None, 1: None, 2: "c"}),
    ],
)
def test_the_past_holds_what_was_known(events, asof, outcomes):
    past = events.censored(int(asof * DAY))
    rows = past["events"].data.to_pydict()
    assert dict(zip(rows["id"], rows["outcome"], strict=True)) == outcomes
    assert [value is None for value in rows["closed"]] == [value is None for value in outcomes.values()]
    assert past.name == events.name
    assert events["events"].num_rows == 4


@pytest.mark.parametrize("masked", [("outcome", "closed"), ()])
def test_a_clock_masks_itself_also_when_declared_so_or_alone(events, masked):
    table = replace(events["events"], known_at={"closed": masked})
    assert Database([table]).censored(2 * DAY)["events"].data["closed"].to_pylist()[:2] == [None, None]


def test_integer_times():
    database = Database([Table("a", pa.table({"t": pa.array([3, None, 1], pa.int16())}), time="t")])
    assert database.time_kind == "integer"
    assert database.times("a").tolist() == [3, NEVER, 1]
    assert database.censored(2)["a"].num_rows == 1


def test_zones_and_nanoseconds():
    zoned = pa.array([DAY], pa.timestamp("us", "America/New_York"))
    fine = pa.array([DAY * 1000 + 1], pa.timestamp("ns"))
    database = Database([Table("a", pa.table({"t": zoned}), time="t"), Table("b", pa.table({"t": fine}), time="t")])
    assert database.times("a").tolist() == [DAY]
    assert database.times("b").tolist() == [DAY + 1]
    assert database.censored(DAY)["b"].num_rows == 0


def test_arrays_that_are_shared_cannot_be_changed(database):
    for array in (database.times("orders"), *database.parents("orders"), database.value_times("orders", "state")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert database.times("orders") is database.times("orders")


def test_an_unknown_table_is_named_with_those_there_are(database):
    with pytest.raises(ConfigError, match=r"table=order: .*orders, products, users"):
        database["order"]


def test_with_table_leaves_the_original_alone(database):
    more = database.with_table(Table("extra", pa.table({"x": [1]})))
    assert set(more.tables) - set(database.tables) == {"extra"}
    assert more.num_rows == database.num_rows + 1
    assert repr(more) == f"Database('shop', 4 tables, {more.num_rows:,} rows)"


def test_hostile_names_are_names():
    names = ['a"b', "select", "drop table;--", "ü ñ 漢", "a.b", "a|b"]
    tables = [
        Table(
            name,
            pa.table({name: [1, 2], "own id": [1, 2]}),
            ("own id",),
            foreign_keys=(ForeignKey((name,), name, ("own id",)),),
        )
        for name in names
    ]
    database = Database(tables, 'it\'s "it"')
    assert all(database.parents(name)[0].tolist() == [0, 1] for name in names)
    assert np.all([database.counts.dangling_keys[name, name] == 0 for name in names])
