"""What has changed is told, with the severity it has for the model; what has not is not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from relselect.database import Database
from relselect.drift import TrainingSnapshot
from tests.shop import shop, shop_tables


@pytest.fixture(scope="module")
def fit(trained):
    return trained("dfs")[0]


def drift_of(fit, **changed):
    found = fit.drift(shop({**shop_tables(), **changed}))
    return {(each.table, each.column, each.what): each.severity for each in found.findings}


def with_column(table, name, values):
    data = shop_tables()[table]
    return data.set_column(data.column_names.index(name), name, values)


def test_nothing_has_changed(fit, database):
    drift = fit.drift(database)
    assert drift.findings == ()
    assert repr(drift) == "DatabaseDrift(nothing has changed)"
    assert list(drift.table().columns)[:3] == ["severity", "table", "column"]


def test_other_widths_are_no_change(fit):
    orders = shop_tables()["orders"]
    for column, dtype in (("oid", pa.int32()), ("total", pa.decimal128(12, 2)), ("when", pa.timestamp("ns", "UTC"))):
        cast = pc.cast(orders[column], dtype)
        orders = orders.set_column(orders.column_names.index(column), column, cast)
    assert drift_of(fit, orders=orders) == {}


def test_rows_nulls_and_categories(fit):
    orders = shop_tables()["orders"]
    assert drift_of(fit, orders=orders.slice(0, 300)) == {("orders", None, "rows"): "warning"}
    half = pa.array([None if row % 3 == 0 else 1.5 for row in range(900)])
    assert drift_of(fit, orders=with_column("orders", "total", half)) == {("orders", "total", "nulls"): "warning"}
    for share, severity in ((3, None), (30, "note"), (300, "warning")):
        city = pa.array(["Atlantis" if row < share else f"p{row % 8}" for row in range(900)])
        expected = {} if severity is None else {("orders", "sku", "categories"): severity}
        found = drift_of(fit, orders=with_column("orders", "sku", city))
        assert {key: value for key, value in found.items() if key[2] == "categories"} == (
            expected if "sku" in fit.types["orders"] and str(fit.types["orders"]["sku"]) == "categorical" else {}
        )


def test_new_categories_of_a_column(fit):
    assert str(fit.types["users"]["city"]) == "categorical"
    for count, severity in ((0, None), (3, "note"), (30, "warning")):
        city = pa.array(["Atlantis" if row < count else f"city {row % 5}" for row in range(60)])
        found = drift_of(fit, users=with_column("users", "city", city))
        assert found == ({} if severity is None else {("users", "city", "categories"): severity})


def test_types(fit):
    words = pa.array([f"{value:.2f} EUR" for value in shop_tables()["orders"]["total"].to_pylist()])
    assert drift_of(fit, orders=with_column("orders", "total", words)) == {("orders", "total", "type"): "error"}
    found = drift_of(fit, users=with_column("users", "city", pa.array(np.arange(60))))
    assert found == {("users", "city", "type"): "note", ("users", "city", "categories"): "warning"}
    assert (
        drift_of(fit, users=with_column("users", "age", pa.array([True] * 60)))[("users", "age", "type")] == "warning"
    )


def test_tables_columns_and_keys(fit, database):
    more = replace(database["users"], data=database["users"].data.append_column("extra", pa.array(range(60))))
    other = replace(database["orders"], foreign_keys=database["orders"].foreign_keys[:1])
    now = Database([more, other, replace(database["products"], name="goods")])
    found = {(each.table, each.column, each.what): each.severity for each in fit.drift(now).findings}
    assert found == {
        ("products", None, "table"): "error",
        ("goods", None, "table"): "note",
        ("users", "extra", "column"): "note",
        ("orders", "sku", "foreign key"): "note",
    }
    assert fit.drift(now).findings[0].severity == "error"
    assert fit.drift(now).summary == "1 error, 3 notes"


def test_a_source_that_declares_no_reference_has_changed_none(fit, database):
    now = Database([replace(table, foreign_keys=()) for table in database.tables.values()])
    assert not fit.drift(now).findings


def test_many_new_tables_are_one_line(fit, database):
    extra = [replace(database["products"], name=f"t{number}") for number in range(20)]
    (finding,) = fit.drift(Database([*database.tables.values(), *extra])).findings
    assert finding.table.endswith("and 14 more")


def test_a_snapshot_is_json(fit):
    again = TrainingSnapshot.from_json(json.loads(json.dumps(fit.snapshot.to_json(), sort_keys=True)))
    assert again == fit.snapshot
    for name, shape in fit.snapshot.tables.items():
        assert list(again.tables[name].columns) == list(shape.columns)
    assert fit.snapshot.columns["users"]["city"].values == tuple(f"city {number}" for number in range(5))
    assert fit.snapshot.columns["orders"]["state"].nulls == 0


def test_a_snapshot_of_an_older_bundle_is_read():
    stored = {
        "orders": {
            "shape": {
                "columns": [["id", "int64"], ["buyer", "string"]],
                "primary_key": ["id"],
                "time": None,
                "foreign_keys": [[["buyer"], "users", ["id"]]],
                "known_at": {},
                "types": {"buyer": "categorical"},
            },
            "rows": 3,
            "nulls": {"id": 0, "buyer": 1},
            "values": {"buyer": ["a", "b"]},
        }
    }
    snapshot = TrainingSnapshot.from_json(stored)
    assert snapshot.to_json() == stored
    assert snapshot.tables["orders"].describe() == ["primary key id", "foreign key buyer to users"]
    assert snapshot.columns["orders"]["buyer"].values == ("a", "b")
