"""Formats: texts and whole numbers read as the times and numbers that they stand for."""

from __future__ import annotations

import datetime as dt
import sqlite3

import pandas as pd
import pyarrow as pa
import pytest

from relselect.database import Database
from relselect.database.formats import Formatting, format_problems, read_format
from relselect.database.schema import TableSchema
from relselect.errors import SchemaError


def _day(year: int, month: int, day: int, *clock: int) -> dt.datetime:
    return dt.datetime(year, month, day, *clock)


@pytest.mark.parametrize(
    ("text", "values", "read"),
    [
        ("DD.MM.YYYY", ["31.01.2024", " 1.2.2024", "31.04.2024", "1.2.24", "soon"], [_day(2024, 1, 31), _day(2024, 2, 1)]),
        ("MM/DD/YYYY hh:mm AM", ["01/02/2024 3:04 PM", "13/02/2024 3:04 PM"], [_day(2024, 1, 2, 15, 4)]),
        ("DD/MM/YY", ["31/12/99", "31-12-99"], [_day(1999, 12, 31)]),
        ("YYYYMMDDhhmmss", ["20240131235959", "20240231000000"], [_day(2024, 1, 31, 23, 59, 59)]),
        ("ISO 8601", ["2024-01-01T10:00:00+02:00", "2024-01-01", "2024-02-30"], [_day(2024, 1, 1, 8), _day(2024, 1, 1)]),
        ("1.234,56", ["1.234,56", "-1234,5", "7", "1.23", "12.345"], [1234.56, -1234.5, 7.0, None, 12345.0]),
        ("$1,234.56", ["$1,234.56", "$ 3", "1,23"], [1234.56, 3.0]),
        ("1 234,56 EUR", ["1\u00a0234,50 EUR", "2 EUR", "2 USD"], [1234.5, 2.0]),
        ("milliseconds since 1970", ["1700000000123", "x"], [_day(2023, 11, 14, 22, 13, 20, 123000)]),
    ],
)  # fmt: skip
def test_texts_are_read(text: str, values: list[str], read: list[object]) -> None:
    expected = read + [None] * (len(values) - len(read))
    assert read_format(text).read(pa.array(values)).to_pylist() == expected


def test_whole_numbers_are_read() -> None:
    numbers = pa.array([1_700_000_000, None, 0])
    assert read_format("seconds since 1970").read(numbers).to_pylist() == [
        _day(2023, 11, 14, 22, 13, 20),
        None,
        _day(1970, 1, 1),
    ]
    assert read_format("YYYYMMDD").read(pa.array([20240131, 20240132])).to_pylist() == [_day(2024, 1, 31), None]


def test_values_of_the_right_kind_stay() -> None:
    assert read_format("DD.MM.YYYY").read(pa.array([_day(2024, 1, 31)])).to_pylist() == [_day(2024, 1, 31)]
    assert read_format("1.234,56").read(pa.array([2, None])).to_pylist() == [2.0, None]


@pytest.mark.parametrize("text", ["", "DD", "YYYY-MM", "YYYY YY MM DD", "soon", "12", "1.234,567", "DD.MM.YYYY DD"])
def test_no_format(text: str) -> None:
    with pytest.raises(ValueError, match="no format"):
        read_format(text)
    assert [each.rule for each in format_problems("t", {"a": text}, ["a"])] == ["is no format"]


def test_what_does_not_fit_is_missing_and_told() -> None:
    formatting = Formatting("lab", {"value": "1.234,56"})
    data = formatting.table(pa.table({"id": [1, 2, 3, 4], "value": ["1,5", "n.b.", "", "2,0"]}))
    assert data["value"].to_pylist() == [1.5, None, None, 2.0]
    assert formatting.notes() == ["lab.value: 1 of 3 values do not read as 1.234,56 and are missing, such as 'n.b.'"]
    assert not formatting.problems()


def test_a_wrong_format_is_refused() -> None:
    frame = pd.DataFrame({"id": [1, 2], "day": ["2024-01-31", "2024-02-01"]})
    with pytest.raises(SchemaError, match="is not how 2 of 2 values are written, such as '2024-01-31'"):
        Database.from_dataframes(
            {"t": frame}, keys={"t": "id"}, times={"t": "day"}, formats={"t": {"day": "DD.MM.YYYY"}}
        )
    with pytest.raises(SchemaError, match="is named in formats but is no column"):
        Database.from_dataframes({"t": frame}, keys={"t": "id"}, formats={"t": {"date": "ISO 8601"}})


def test_the_same_from_frames_sqlite_and_files(tmp_path) -> None:
    frame = pd.DataFrame({"id": [1, 2], "day": ["31.01.2024", "01.02.2024"], "total": ["1.234,56", "7"]})
    declared = {
        "keys": {"t": "id"},
        "times": {"t": "day"},
        "formats": {"t": {"day": "DD.MM.YYYY", "total": "1.234,56"}},
    }
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        frame.to_sql("t", connection, index=False)
    (tmp_path / "files").mkdir()
    frame.to_csv(tmp_path / "files" / "t.csv", index=False)
    (tmp_path / "files" / "database.yaml").write_text(
        "name: shop\ntables:\n  t: {primary_key: id, time: day, formats: {day: DD.MM.YYYY, total: '1.234,56'}}\n"
    )
    found = [
        Database.from_dataframes({"t": frame}, **declared),
        Database.from_uri(tmp_path / "shop.sqlite", **declared),
        Database.from_uri(tmp_path / "files", **declared),
        Database.from_folder(tmp_path / "files"),
    ]
    for database in found:
        table = database["t"]
        assert table.data["day"].to_pylist() == [_day(2024, 1, 31), _day(2024, 2, 1)]
        assert table.data["total"].to_pylist() == [1234.56, 7.0]
        schema = TableSchema.of(table)
        assert TableSchema.from_json("t", schema.to_json()) == schema
        assert schema.formats == {"day": "DD.MM.YYYY", "total": "1.234,56"}


def test_digits_with_a_format_keep_their_signs(tmp_path) -> None:
    # by itself a CSV reader takes 1.234 for a number between one and two
    (tmp_path / "t.csv").write_text("id;total\n1;1.234\n2;2.500\n")
    database = Database.from_uri(tmp_path, keys={"t": "id"}, formats={"t": {"total": "1.234,56"}})
    assert database["t"].data["total"].to_pylist() == [1234.0, 2500.0]
