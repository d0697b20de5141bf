"""A table without rows: what it takes from a table, and that JSON keeps it."""

import json

import pyarrow as pa
import pytest

from relselect.database.schema import TableSchema, type_name
from relselect.database.table import ForeignKey, SemanticType, Table

ORDERS = Table(
    "orders",
    pa.table(
        {
            "id": [1],
            "user": [7],
            "placed": pa.array([0], pa.timestamp("us")),
            "closed": pa.array([0], pa.timestamp("us")),
            "zip": ["0123"],
            "outcome": pa.array(["lost"]).dictionary_encode(),
        }
    ),
    primary_key=("id",),
    time="placed",
    foreign_keys=(ForeignKey(("user",), "users"),),
    types={"zip": SemanticType.CATEGORICAL},
    known_at={"closed": ("outcome",)},
    description="A purchase",
)
USERS = Table("users", pa.table({"no": [7]}), primary_key=("no",))


def test_it_takes_columns_and_declarations_in_order():
    schema = TableSchema.of(ORDERS)
    assert list(schema.columns.items()) == [
        ("id", "int64"), ("user", "int64"), ("placed", "timestamp[us]"), ("closed", "timestamp[us]"),
        ("zip", "string"), ("outcome", "string"),
    ]  # fmt: skip
    assert schema.foreign_keys == ORDERS.foreign_keys
    assert schema.structural == ORDERS.structural == {"id", "user", "placed", "closed"}
    assert schema.clocks == {"closed": "closed", "outcome": "closed"}
    assert schema.clock_of("zip") is None


def test_with_all_tables_a_foreign_key_names_the_columns_it_refers_to():
    (key,) = TableSchema.of(ORDERS, {"orders": ORDERS, "users": USERS}).foreign_keys
    assert key.ref_columns == ("no",)


def test_json_keeps_it_and_the_order_of_the_columns():
    schema = TableSchema.of(ORDERS)
    again = TableSchema.from_json("orders", json.loads(json.dumps(schema.to_json(), sort_keys=True)))
    assert again == schema
    assert list(again.columns) == list(schema.columns)
    assert again.types["zip"] is SemanticType.CATEGORICAL


def test_rows_make_it_the_table_again():
    assert TableSchema.of(ORDERS).with_rows(ORDERS.data, "A purchase") == ORDERS


def test_declarations_read_as_lines():
    lines = ["primary key id", "time placed", "foreign key user to users", "known_at closed",
             "known_at closed of outcome"]  # fmt: skip
    assert TableSchema.of(ORDERS).describe() == ORDERS.describe() == lines


def test_an_unknown_semantic_type_is_refused():
    with pytest.raises(ValueError, match="colour"):
        TableSchema.from_json("t", {**TableSchema("t", {}).to_json(), "types": {"a": "colour"}})


def test_encoding_does_not_change_the_name_of_a_type():
    assert type_name(pa.dictionary(pa.int32(), pa.string())) == type_name(pa.string())
