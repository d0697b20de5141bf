"""Dates are shown as dates: in errors, in JSON, in messages about a database."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relselect.database import Database, Table
from relselect.dates import date_text, with_dates
from relselect.errors import SchemaError, TaskError, shorten
from relselect.serialization import dump_document, dump_jsonable
from relselect.tasks import Task

MIDNIGHT, NOON = datetime(2024, 5, 1), datetime(2024, 5, 1, 12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MIDNIGHT, "2024-05-01"),
        (NOON, "2024-05-01 12:00:00"),
        (date(2024, 5, 1), "2024-05-01"),
        (MIDNIGHT.replace(tzinfo=UTC), "2024-05-01"),
        (pd.Timestamp("2024-05-01"), "2024-05-01"),
        (pd.Timestamp("2024-05-01 12:00"), "2024-05-01 12:00:00"),
        (np.datetime64("2024-05-01T12:00", "ns"), "2024-05-01 12:00:00"),
        (np.datetime64("2024-05-01", "D"), "2024-05-01"),
        (np.array(["2024-05-01"], dtype="datetime64[ns]"), ["2024-05-01"]),
        ([MIDNIGHT, 3], ["2024-05-01", 3]),
        (np.datetime64("NaT"), None),
        (pd.NaT, None),
    ],
)
def test_one_text_for_every_kind_of_date(value: object, text: object) -> None:
    assert with_dates(value) == text
    assert json.loads(dump_document({"x": value}))["x"] == text
    if isinstance(text, str):
        assert shorten(value) == text


def test_a_moment_of_another_zone_keeps_it() -> None:
    assert date_text(pd.Timestamp("2024-05-01", tz="Asia/Tokyo")) == "2024-05-01 00:00:00+09:00"


def test_what_is_read_again_holds_no_dates() -> None:
    with pytest.raises(TypeError, match="no JSON type"):
        dump_jsonable({"x": np.datetime64("2024-05-01", "ns")})


def test_errors_show_dates() -> None:
    assert "cutoff=2024-05-01:" in str(TaskError("cutoff", pd.Timestamp(MIDNIGHT), "rule", "fix"))
    with pytest.raises(SchemaError, match=r"1 values \(2024-05-01\) repeat"):
        Database([Table("t", pa.table({"day": [MIDNIGHT, MIDNIGHT, NOON]}), ("day",))])


def test_a_split_out_of_order_shows_both_dates() -> None:
    days = pd.date_range("2024-01-01", periods=20)
    tables = {"users": pd.DataFrame({"id": range(3)}), "logins": pd.DataFrame({"user": [0, 1], "at": days[:2]})}
    database = Database.from_dataframes(
        tables, keys={"users": "id"}, times={"logins": "at"}, foreign_keys={"logins": {"user": "users"}}
    )
    labels = pd.DataFrame({"id": np.arange(20) % 3, "cutoff": days, "label": np.arange(20) % 2})
    with pytest.raises(TaskError, match="test_start=2024-01-05: must lie after val_start, 2024-01-09"):
        Task.from_labels(
            database, labels, name="t", entity="users", kind="binary", time="cutoff", known_after=None,
            val_start="2024-01-09", test_start="2024-01-05",
        )  # fmt: skip
