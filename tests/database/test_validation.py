"""Everything that keeps tables from being a database is told at once, each with its way out."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from relselect.database import Database, ForeignKey, SemanticType, Table
from relselect.database.validation import find_problems
from relselect.errors import SchemaError, UserError
from tests.shop import days

USERS = Table("users", pa.table({"id": [1, 2], "name": ["a", "b"]}), ("id",))


def orders(key="user", parent="users", ref=("id",), values=(1, 2), **options) -> Table:
    data = options.pop("data", {"user": list(values), "when": days([1, 2]), "n": [1, 2]})
    return Table("orders", pa.table(data), foreign_keys=(ForeignKey((key,), parent, ref),), **options)


CASES = {
    "no tables": ([], "database", "at least one table"),
    "missing key column": ([Table("t", pa.table({"x": [1]}), ("id",))], "t.id", "no such column"),
    "missing time column": ([Table("t", pa.table({"x": [1]}), time="when")], "t.when", "no such column"),
    "missing foreign key column": ([USERS, orders(key="usr")], "orders.usr", "no such column"),
    "missing clock": ([Table("t", pa.table({"x": [1]}), known_at={"closed": ("x",)})], "t.closed", "no such column"),
    "missing masked column": ([Table("t", pa.table({"x": [1]}), known_at={"x": ("y",)})], "t.y", "no such column"),
    "declared type of nothing": (
        [Table("t", pa.table({"x": [1]}), types={"y": SemanticType.TEXT})],
        "t.y",
        "no such column",
    ),
    "duplicate keys": ([Table("t", pa.table({"id": [1, 1, 2]}), ("id",))], "t.id", r"1 values \(1\)"),
    "duplicate composite keys": (
        [Table("t", pa.table({"a": [1, 1], "b": ["x", "x"]}), ("a", "b"))],
        r"t.a\+b",
        "duplicates",
    ),
    "null keys": ([Table("t", pa.table({"id": [1, None]}), ("id",))], "t.id", "1 null values"),
    "list keys": ([Table("t", pa.table({"id": [[1]]}), ("id",))], "t.id", "cannot be a key"),
    "missing foreign key table": ([USERS, orders(parent="user")], "orders.user", "Use one of: orders, users"),
    "keyless foreign key table": (
        [Table("users", pa.table({"id": [1]})), orders()],
        "orders.user",
        "without a primary key",
    ),
    "reference to no key": ([USERS, orders(ref=("name",))], "orders.user", "Refer to id"),
    "too few columns": (
        [Table("users", pa.table({"a": [1], "b": [1]}), ("a", "b")), orders(ref=())],
        "orders.user",
        "one column for each of a[+]b",
    ),
    "foreign key of another type": (
        [USERS, orders(data={"user": ["1"], "when": days([1])})],
        "orders.user",
        "text against number",
    ),
    "text time": (
        [Table("t", pa.table({"when": ["2024-01-01"]}), time="when")],
        "t.when",
        "e.g. '2024-01-01'.*to_datetime",
    ),
    "float time": ([Table("t", pa.table({"when": [1.5]}), time="when")], "t.when", "timestamps, dates or integers"),
    "all-null time": ([Table("t", pa.table({"when": days([None])}), time="when")], "t.when", "at least one time"),
    "mixed kinds of time": (
        [Table("a", pa.table({"t": [1]}), time="t"), Table("b", pa.table({"t": days([1])}), time="t")],
        ".*t",
        "same kind",
    ),
    "clock of another kind": (
        [Table("a", pa.table({"t": days([1]), "c": [1], "v": [1]}), time="t", known_at={"c": ("v",)})],
        "a.[tc]",
        "same kind",
    ),
    "seconds taken for microseconds": (
        [Table("t", pa.table({"t": pa.array([2**60], pa.timestamp("s"))}), time="t")],
        "t.t",
        "unit",
    ),
    "a date beyond any calendar": (
        [Table("t", pa.table({"t": pa.array([2**31 - 2], pa.int32()).cast(pa.date32())}), time="t")],
        "t.t",
        "unit",
    ),
    "an integer beyond 63 bits": (
        [Table("t", pa.table({"t": pa.array([2**64 - 1], pa.uint64())}), time="t")],
        "t.t",
        "unit",
    ),
    "text clock": (
        [Table("t", pa.table({"c": ["x"], "v": [1]}), known_at={"c": ("v",)})],
        "t.c",
        "clock holds timestamps",
    ),
    "masked key": (
        [Table("t", pa.table({"id": [1], "c": days([1])}), ("id",), known_at={"c": ("id",)})],
        "t.id",
        "cannot be masked",
    ),
    "two clocks": (
        [Table("t", pa.table({"c": [1], "d": [1], "v": [1]}), known_at={"c": ("v",), "d": ("v",)})],
        "t.v",
        "two clocks",
    ),
    "numbers declared over text": (
        [Table("t", pa.table({"x": ["1"]}), types={"x": SemanticType.NUMERICAL})],
        "t.x",
        "does not fit",
    ),
    "times declared over text": (
        [Table("t", pa.table({"x": ["1"]}), types={"x": SemanticType.TIMESTAMP})],
        "t.x",
        "does not fit",
    ),
    "lists declared": ([Table("t", pa.table({"x": [[1]]}), types={"x": SemanticType.TEXT})], "t.x", "unnest"),
    "two tables of one name": ([USERS, USERS], "users", "twice"),
    "a reserved name": ([Table("__labels__", pa.table({"x": [1]}))], "__labels__", "reserved"),
    "two columns of one name": ([Table("t", pa.table([[1], [2]], names=["x", "x"]))], "t.x", "occurs twice"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_problem_is_reported_with_place_and_way_out(case):
    tables, place, text = CASES[case]
    with pytest.raises(SchemaError, match=rf"(?s)- {place} ?\(.*{text}") as raised:
        Database(tables)
    for problem in raised.value.problems:
        assert problem.rule
        assert problem.fix
        assert str(problem) in str(raised.value)


def test_all_problems_are_reported_at_once():
    bad = [
        Table("a", pa.table({"id": [1, 1], "t": ["x", "y"]}), ("id",), "t", (ForeignKey(("up",), "a", ("id",)),)),
        Table(
            "b", pa.table({"a": ["1"], "when": [1.5]}), time="when", foreign_keys=(ForeignKey(("a",), "a", ("id",)),)
        ),
        Table(
            "c",
            pa.table({"x": [[1]]}),
            types={"x": SemanticType.TEXT},
            foreign_keys=(ForeignKey(("x",), "d", ("id",)),),
        ),
    ]
    with pytest.raises(SchemaError) as raised:
        Database(bad)
    assert {problem.table for problem in raised.value.problems} == {"a", "b", "c"}
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, UserError)


def test_what_can_be_lived_with_is_counted():
    early, far = dt.datetime(1970, 1, 1), dt.datetime(2990, 1, 1)
    data = {
        "user": [1, None, 7, 2],
        "when": pa.array([early, far, None, early], pa.timestamp("us")),
        "x": pa.nulls(4),
        "c": [1] * 4,
    }
    database = Database([USERS, orders(data=data, time="when"), Table("one", pa.table({"id": [1]}), ("id",))])
    assert database.counts.null_keys["orders", "user"] == 1
    assert database.counts.dangling_keys["orders", "user"] == 1
    assert database.counts.null_times["orders"] == 1
    assert database.first_time == 0


def test_a_repeated_time_or_foreign_key_column_is_a_problem():
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([1]), pa.array([1]), pa.array([1])], ["u", "u", "t", "t"])
    users = Table("users", pa.table({"id": [1]}), ("id",))
    found = find_problems([users, Table("orders", twice, (), "t", (ForeignKey(("u",), "users", ("id",)),))])
    assert [(problem.table, problem.column) for problem in found] == [("orders", "t"), ("orders", "u")]
