"""Times that rows take from a parent: over one and several foreign keys, from every kind of source, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relselect.database import Database, ForeignKey, Table
from relselect.database.clock import DAY, NEVER
from relselect.database.parent_times import time_path
from relselect.database.schema import TableSchema
from relselect.errors import SchemaError
from tests.shop import days

FRAMES = {
    "orders": pd.DataFrame({"id": [1, 2, 3], "placed": pd.to_datetime(["2024-01-01", "2024-02-01", None])}),
    "lines": pd.DataFrame({"id": [10, 11, 12, 13, 14], "order_id": [2, 1, 3, None, 9], "sku": list("abcde")}),
    "notes": pd.DataFrame({"line": [11, 10, 13, 99], "text": list("wxyz")}),
}
DECLARED = {
    "keys": {"orders": "id", "lines": "id"},
    "times": {"orders": "placed", "lines": "order_id.placed", "notes": "line.order_id.placed"},
    "foreign_keys": {"lines": {"order_id": "orders"}, "notes": {"line": "lines"}},
}
FIRST, SECOND = (int(pd.Timestamp(day).value // 1000) for day in ("2024-01-01", "2024-02-01"))
EXPECTED = {"lines": [SECOND, FIRST, NEVER, NEVER, NEVER], "notes": [FIRST, SECOND, NEVER, NEVER]}


def times(database: Database) -> dict[str, list[int]]:
    return {name: database.times(name).tolist() for name in EXPECTED}


def test_rows_take_the_time_of_their_parent_or_its_parent():
    database = Database.from_dataframes(FRAMES, **DECLARED)
    assert times(database) == EXPECTED
    assert database["lines"].time == "order_id.placed"
    assert database.counts.null_times == {"orders": 1, "lines": 3, "notes": 2}
    assert "order_id.placed" in database["lines"].structural
    # a database made of its tables is the same one
    assert Database(database.tables.values(), "again").fingerprint == database.fingerprint
    early = database.censored(FIRST)
    assert early["lines"].data["id"].to_pylist() == [11]
    assert early["notes"].data["line"].to_pylist() == [11]


def test_a_path_goes_on_where_the_parent_itself_has_the_time_of_its_parent():
    schemas = {
        name: TableSchema.of(table) for name, table in Database.from_dataframes(FRAMES, **DECLARED).tables.items()
    }
    path = time_path(schemas["notes"], schemas)
    assert ([key.name for key in path.keys], path.parent, path.column) == (["line", "order_id"], "orders", "placed")
    assert time_path(schemas["orders"], schemas) is None


MANIFEST = """
name: shop
tables:
  orders: {primary_key: id, time: placed}
  lines: {primary_key: id, time: order_id.placed, foreign_keys: [{columns: order_id, table: orders}]}
  notes: {time: line.order_id.placed, foreign_keys: [{columns: line, table: lines}]}
"""


def test_a_manifest_declares_it_over_files(tmp_path):
    for name, frame in FRAMES.items():
        table = pa.Table.from_pandas(frame.convert_dtypes(), preserve_index=False)
        pc.write_csv(table, tmp_path / f"{name}.csv")
    (tmp_path / "database.yaml").write_text(MANIFEST)
    assert times(Database.from_folder(tmp_path)) == EXPECTED


def test_sources_read_what_the_path_needs(tmp_path):
    import duckdb

    with duckdb.connect(tmp_path / "shop.duckdb") as connection:
        for name, frame in FRAMES.items():
            connection.register("frame", frame)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
    uri = f"duckdb:///{tmp_path / 'shop.duckdb'}"
    (tmp_path / "shop.yaml").write_text(MANIFEST)
    assert times(Database.from_uri(uri, manifest=tmp_path / "shop.yaml")) == EXPECTED
    # few columns are asked for: keys and the parent's time come along
    few = {"orders": [], "lines": ["sku"], "notes": ["text"]}
    lines = {"lines": "order_id.placed", "notes": "line.order_id.placed"}
    database = Database.from_uri(uri, columns=few, **{**DECLARED, "times": lines})
    assert times(database) == EXPECTED
    assert database["orders"].columns == ["id", "placed"]


def test_postgres_reads_what_the_path_needs_whatever_the_clock_of_the_parent(postgres, tmp_path):
    """Keys are declared by the server for one table and by hand for the other; the parent's clock has a time zone."""
    uri = postgres.create(
        "parent_times",
        """
        CREATE TABLE orders (id bigint PRIMARY KEY, placed timestamptz, note text);
        CREATE TABLE lines (id int PRIMARY KEY, order_id bigint, sku text);
        CREATE TABLE notes (line int, text text);
        INSERT INTO orders VALUES (1, '2024-01-01 02:00+02', 'x'), (2, '2024-02-01 00:00+00', NULL), (3, NULL, NULL);
        INSERT INTO lines VALUES (10, 2, 'a'), (11, 1, 'b'), (12, 3, 'c'), (13, NULL, 'd'), (14, 9, 'e');
        INSERT INTO notes VALUES (11, 'w'), (10, 'x'), (13, 'y'), (99, 'z');
        """,
    )
    few = {"orders": [], "lines": ["sku"], "notes": ["text"]}
    for more in ({}, {"columns": few}):
        database = Database.from_uri(uri, **DECLARED, **more)
        assert times(database) == EXPECTED
    assert database["orders"].columns == ["id", "placed"]
    assert database.censored(FIRST)["lines"].data["id"].to_pylist() == [11]
    (tmp_path / "shop.yaml").write_text(MANIFEST)
    assert times(Database.from_uri(uri, manifest=tmp_path / "shop.yaml")) == EXPECTED


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("order.placed", "does not begin with one of its foreign keys.*Foreign keys: order_id"),
        ("order_id.when", "is neither a column of orders nor a path from it.*Columns: id, placed"),
        ("order_id.id", "orders.id is string"),
        ("order_id.", "is neither a column of orders"),
        ("placed", "has no such column"),
    ],
)
def test_paths_that_lead_nowhere_are_refused(lines, told):
    frames = {
        **FRAMES,
        "orders": FRAMES["orders"].astype({"id": str}),
        "lines": FRAMES["lines"].astype({"order_id": str}),
    }
    with pytest.raises(SchemaError, match=told):
        Database.from_dataframes(frames, **{**DECLARED, "times": {**DECLARED["times"], "lines": lines}})


def test_all_problems_are_told_at_once():
    def table(name: str, time: str | None, *keys: ForeignKey) -> Table:
        return Table(name, pa.table({"id": [1], "a": [1], "b": [1]}), ("id",), time, keys)

    tables = [
        table("cycle", "a.b.when", ForeignKey(("a",), "other")),
        table("other", None, ForeignKey(("b",), "cycle")),
        table("own", "a.when", ForeignKey(("a",), "own")),
        table("stranger", "a.when", ForeignKey(("a",), "nobody")),
        table("keyless", "c.when"),
    ]
    with pytest.raises(SchemaError) as error:
        Database(tables)
    told = {problem.table: problem for problem in error.value.problems}
    assert set(told) == {"cycle", "own", "stranger", "keyless"}
    assert "comes back to cycle" in told["cycle"].rule
    assert "comes back to own" in told["own"].rule
    assert "refers to a table that does not exist" in told["stranger"].rule
    assert told["keyless"].fix.startswith("Declare the foreign key")


def test_parents_without_any_time_are_refused_as_other_columns_are():
    frames = {**FRAMES, "lines": FRAMES["lines"].assign(order_id=[3, 3, None, 9, 9])}
    with pytest.raises(SchemaError, match="all null"):
        Database.from_dataframes(frames, **{**DECLARED, "times": {"orders": "placed", "lines": "order_id.placed"}})


@given(st.data())
def test_every_row_has_its_parents_time(data):
    count = data.draw(st.integers(1, 6), "orders")
    moments = data.draw(st.lists(st.none() | st.integers(0, 50), min_size=count, max_size=count), "times")
    if not any(moment is not None for moment in moments):
        moments[0] = 3
    lines = data.draw(st.lists(st.none() | st.integers(-1, count), min_size=1, max_size=12), "lines")
    lines.append(next(n for n, moment in enumerate(moments) if moment is not None))
    order = data.draw(st.permutations(range(count)), "order")
    keys = pa.table({"id": pa.array(np.arange(count)), "t": days(moments)}).take(pa.array(order))
    database = Database([
        Table("orders", keys, ("id",), "t"),
        Table("lines", pa.table({"order": pa.array(lines, pa.int64())}), (), "order.t", (ForeignKey(("order",), "orders"),)),
    ])  # fmt: skip
    known = {place: moment for place, moment in enumerate(moments) if moment is not None}
    assert database.times("lines").tolist() == [known[line] * DAY if line in known else NEVER for line in lines]
