"""Time as ticks: rounding never shows a row too early, zones become UTC, and what is no time is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relselect.database.clock import (
    ALWAYS,
    DAY,
    EVERYTHING,
    NEVER,
    format_time,
    is_time_type,
    parse_duration,
    parse_time,
    ticks_of,
)
from relselect.errors import TaskError


@pytest.mark.parametrize(
    ("value", "ticks"),
    [("30d", 30 * DAY), ("12h", DAY // 2), ("90min", 90 * 60_000_000), ("1w", 7 * DAY), ("2ms", 2000), ("1.5 d", DAY * 3 // 2),
     (timedelta(days=2), 2 * DAY), (7, 7), (np.int64(7), 7), (0, 0)],
)  # fmt: skip
def test_durations(value, ticks):
    assert parse_duration(value) == ticks


@pytest.mark.parametrize("value", ["soon", "-3d", "3", "3 months", -1, True, None, timedelta(days=-1), 1.5, ""])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(TaskError, match="horizon="):
        parse_duration(value, "horizon")


@pytest.mark.parametrize(
    "value",
    ["2024-05-01", "2024-05-01T00:00:00Z", "2024-05-01T02:00:00+02:00", date(2024, 5, 1), datetime(2024, 5, 1),
     datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))), np.datetime64("2024-05-01"), pd.Timestamp("2024-05-01"),
     pd.Timestamp("2024-05-01T02:00", tz="Europe/Berlin")],
)  # fmt: skip
def test_one_moment_written_in_many_ways(value):
    assert parse_time(value, "timestamp") == int(datetime(2024, 5, 1, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize("value", ["yesterday", None, 3, 3.5, pd.NaT, np.datetime64("NaT"), "", [], "9999999-01-01"])
def test_what_is_no_moment_is_refused(value):
    with pytest.raises(TaskError, match="at="):
        parse_time(value, "timestamp", "at")


def test_integer_times_are_integers():
    assert parse_time(np.int32(5), "integer") == 5
    for value in ("5", 5.0, True, None, date(2024, 1, 1)):
        with pytest.raises(TaskError, match="integer"):
            parse_time(value, "integer")


@given(st.integers(-(2**62), 2**62))
def test_nanoseconds_round_up_for_rows_and_down_for_cutoffs(nanos):
    values = pa.array([nanos], pa.timestamp("ns"))
    assert ticks_of(values, up=True)[0] == -(-nanos // 1000)
    assert ticks_of(values, up=False)[0] == nanos // 1000


def test_null_is_never_in_every_type():
    types = [
        pa.timestamp("s"),
        pa.timestamp("ns"),
        pa.timestamp("us", "Asia/Tokyo"),
        pa.date32(),
        pa.date64(),
        pa.int8(),
        pa.int64(),
    ]
    for dtype in types:
        values = pa.chunked_array([pa.array([1], pa.int64()).cast(pa.int32()).cast(dtype) if dtype == pa.date32()
                                   else pa.array([86_400_000], pa.int64()).cast(dtype) if dtype != pa.int8()
                                   else pa.array([1], dtype), pa.nulls(1, dtype)])  # fmt: skip
        assert is_time_type(dtype)
        ticks = ticks_of(values)
        assert ticks.dtype == np.int64
        assert ticks[1] == NEVER
        assert ticks[0] not in (NEVER, ALWAYS)
    assert not is_time_type(pa.string())
    assert not is_time_type(pa.float64())


def test_zones_become_utc():
    local = pd.Series(pd.to_datetime(["2024-07-01 02:00", "2024-12-01 01:00"])).dt.tz_localize("Europe/Berlin")
    utc = pd.Series(pd.to_datetime(["2024-07-01", "2024-12-01"]))
    assert np.array_equal(ticks_of(pa.chunked_array([pa.array(local)])), ticks_of(pa.chunked_array([pa.array(utc)])))


@pytest.mark.parametrize(
    ("ticks", "kind", "shown"),
    [(0, "timestamp", "1970-01-01"), (DAY + 1, "timestamp", "1970-01-02 00:00:00.000001"), (12, "integer", "12"),
     (-DAY, "timestamp", "1969-12-31"), (NEVER, "timestamp", "never"), (ALWAYS, None, "always"), (EVERYTHING, None, "everything"),
     (2**62, "timestamp", str(2**62))],
)  # fmt: skip
def test_ticks_for_readers(ticks, kind, shown):
    assert format_time(ticks, kind) == shown
