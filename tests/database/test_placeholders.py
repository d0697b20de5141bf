"""Placeholder times such as 2099-12-31 are no end of the data; sparse and old data keep their first and last time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from relselect.database import Database
from relselect.database.clock import DAY, NEVER
from relselect.database.placeholders import time_span

DAILY = np.arange(19_000, 20_500, 2) * DAY
#: Seventy seasons of races, each from March to November.
SEASONS = np.concatenate([year * 365 + np.arange(70, 330, 14) for year in range(-20, 54)]) * DAY


def ticks(*dates: str) -> np.ndarray:
    return np.array(dates, dtype="datetime64[us]").astype(np.int64)


@pytest.mark.parametrize(
    "real", [DAILY, SEASONS, DAILY[:30], np.append(DAILY, NEVER)], ids=["daily", "seasons", "short", "NULL"]
)
@pytest.mark.parametrize(
    "odd", [["2099-12-31"], ["9999-12-31"], ["2099-12-31", "9999-12-31"], ["1900-01-01"], ["0001-01-01", "2262-04-11"]]
)
@pytest.mark.parametrize("where", ["own table", "same table"])
def test_placeholders_are_outside(real, odd, where) -> None:
    strange = np.repeat(ticks(*odd), 4)
    times = {"a": real, "b": strange} if where == "own table" else {"a": np.concatenate([strange, real])}
    span = time_span(times, "timestamp")
    assert (span.first, span.last) == (real.min(), real[real != NEVER].max())
    assert sum(each.rows for each in span.placeholders) == len(strange)


def test_a_large_table_at_one_early_date_is_a_placeholder_and_not_the_data() -> None:
    span = time_span({"customers": np.full(5_000, ticks("1970-01-01")[0]), "orders": DAILY[:40]}, "timestamp")
    assert (span.first, span.last) == (DAILY[0], DAILY[39])


@pytest.mark.parametrize(
    "times",
    [
        SEASONS,
        np.concatenate([ticks("1701-01-01", "1720-05-05", "1755-01-01", "1790-02-02"), SEASONS]),
        np.arange(40) ** 3 * DAY,
        np.concatenate([DAILY, DAILY[-1] + np.arange(400) * DAY + 9 * 365 * DAY]),
        ticks("2020-01-01", "2099-12-31"),
    ],
    ids=["seasons", "old and sparse", "ever sparser", "two eras", "two rows"],
)
def test_what_is_no_placeholder_stays(times) -> None:
    span = time_span({"t": times}, "timestamp")
    assert (span.first, span.last, span.placeholders) == (times.min(), times.max(), ())


@pytest.mark.parametrize(("odd", "last"), [(9_999_999, 499), (510, 510)])
def test_integer_times(odd: int, last: int) -> None:
    span = time_span({"t": np.append(np.arange(500), odd)}, "integer")
    assert span.last == last


def test_no_times() -> None:
    assert time_span({}, None) is None
    assert time_span({"t": np.array([NEVER])}, "timestamp") is None


def test_a_database_names_them() -> None:
    day = pd.to_datetime(np.append(DAILY // DAY, 47_481), unit="D")
    found = Database.from_dataframes({"t": pd.DataFrame({"day": day})}, times={"t": "day"})
    assert found.last_time == DAILY[-1]
    assert [(each.table, each.rows) for each in found.placeholder_times] == [("t", 1)]
