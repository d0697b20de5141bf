"""Time in queries: nothing after a window changes a label, nothing after the cutoff a population, wherever the host is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relselect as rs
from relselect.database.clock import DAY, parse_duration
from relselect.errors import QueryError
from relselect.queries import QueryPlan
from relselect.queries.lengths import longest_months
from relselect.tasks.label_window import check_label_window
from tests.queries.test_labels import answers, findings
from tests.queries.worlds import CUTOFFS, shop_database, shop_frames

QUERIES = [
    "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id WHERE COUNT(orders.*, -60, 0, days) > 0",
    "PREDICT LAST(orders.status, 7, 30, days) FOR EACH customers.id WHERE SUM(orders.amount, -INF, -7) > 3",
    "PREDICT SUM(\"order items\".qty, 0, 1, months) > 4 FOR EACH customers.id WHERE customers.vip = TRUE",
    "PREDICT LIST_DISTINCT(crm.tickets.outcome, 0, 30, days) FOR EACH customers.id "
    "WHERE COUNT(crm.tickets.* WHERE crm.tickets.outcome = 'solved', -90, 0, days) > 0",
]  # fmt: skip
TIMES = {"orders": "date", "order items": "at", "crm.tickets": "opened", "customers": "joined"}


@settings(max_examples=12)
@given(query=st.sampled_from(QUERIES), seed=st.integers(0, 10**6), cutoff=st.sampled_from(CUTOFFS[:2]))
def test_rows_after_the_window_change_no_label_and_rows_after_the_cutoff_no_population(query, seed, cutoff) -> None:
    """The rows after a moment are dropped, or take the values of other rows."""
    frames, draw = shop_frames(), np.random.default_rng(seed)
    plan = rs.explain_query(shop_database(frames), query)
    everybody, usual = _asked(query, cutoff)
    window = cutoff + (pd.DateOffset(months=1) if "months" in query else pd.Timedelta("30D"))
    assert answers(shop_database(_changed(frames, window, draw)), plan, [cutoff]) == usual
    changed = shop_database(_changed(frames, cutoff, draw))
    assert answers(changed, _of_everybody(plan), [cutoff]).keys() == everybody


@cache
def _asked(
    query: str, cutoff: pd.Timestamp
) -> tuple[set[tuple[str, pd.Timestamp]], dict[tuple[str, pd.Timestamp], object]]:
    """The population and the labels of the unchanged rows."""
    database = shop_database()
    plan = rs.explain_query(database, query)
    return set(answers(database, _of_everybody(plan), [cutoff])), answers(database, plan, [cutoff])


def _of_everybody(plan: QueryPlan) -> QueryPlan:
    """The plan with a label that nobody lacks, to see the whole population."""
    return replace(plan, label='SELECT p.cutoff, p."id", 1 AS label FROM population p', target="label")


def _changed(
    frames: dict[str, pd.DataFrame], moment: pd.Timestamp, draw: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Drop half of the rows after a moment and shuffle the values of the rest; hide what is known only then."""
    changed = {}
    for name, frame in frames.items():
        if name not in TIMES or name == "customers":
            changed[name] = frame
            continue
        times = frame[TIMES[name]]
        late = times > (moment.tz_localize("UTC") if times.dt.tz is not None else moment)
        kept = frame[~late | (draw.random(len(frame)) < 0.5)].copy()
        late = late[kept.index]
        for column in kept.columns.difference([TIMES[name], "nr"]):
            values = kept[column].to_numpy(copy=True)
            values[late.to_numpy()] = draw.permutation(values[late.to_numpy()])
            kept[column] = pd.Series(values, index=kept.index).astype(kept[column].dtype)
        if "closed" in kept:
            unknown = kept["closed"] > moment
            kept.loc[unknown, "outcome"] = draw.permutation(kept.loc[unknown, "outcome"].to_numpy())
            kept.loc[unknown, "closed"] += pd.Timedelta("9D")
        changed[name] = kept
    return changed


def test_months_are_as_long_as_the_calendar_says() -> None:
    for count in (1, 2, 5, 7, 12, 13, 48):
        begins = [datetime(1999 + month // 12, month % 12 + 1, 1) for month in range(0, 130)]
        lengths = [(later - begin).days for begin, later in zip(begins, begins[count:], strict=False)]
        assert longest_months(count) == max(lengths)
    assert longest_months(4800) == 146_097


def test_windows_of_months_meet_at_every_cutoff() -> None:
    """Each row after a cutoff lies in one of the windows 0, 1 and 1, 2 and 2, 3, at the ends of months too."""
    days = pd.date_range("2024-01-01", "2024-12-31")
    frames = {"users": pd.DataFrame({"id": [1]}), "visits": pd.DataFrame({"user": 1, "at": days})}
    database = rs.Database.from_dataframes(
        frames, keys={"users": "id"}, times={"visits": "at"}, foreign_keys={"visits": {"user": "users"}}
    )
    cutoffs = [pd.Timestamp(f"2024-{day}") for day in ("01-29", "01-30", "01-31", "02-28", "02-29", "03-31")]
    whole = answers(
        database, rs.explain_query(database, "PREDICT COUNT(visits.*, 0, 3, months) FOR EACH users.id"), cutoffs
    )
    parts = [
        answers(database, rs.explain_query(database, f"PREDICT COUNT(visits.*, {k}, {k + 1}, months) FOR EACH users.id"), cutoffs)
        for k in range(3)
    ]  # fmt: skip
    for place, count in whole.items():
        assert sum(part[place] for part in parts) == count
        assert count == (days <= place[1] + pd.DateOffset(months=3)).sum() - (days <= place[1]).sum()


def seasons() -> rs.Database:
    draw = np.random.default_rng(0)
    games = pd.DataFrame(
        {"team": draw.integers(0, 9, 300), "year": draw.integers(1990, 2021, 300), "won": draw.random(300) < 0.5}
    )
    return rs.Database.from_dataframes(
        {"teams": pd.DataFrame({"id": range(9), "city": list("aabbccdde")}), "games": games},
        keys={"teams": "id"}, times={"games": "year"}, foreign_keys={"games": {"team": "teams"}}, name="league",
    )  # fmt: skip


def test_integer_times_have_windows_without_units() -> None:
    database = seasons()
    games = database["games"].data.to_pandas()
    plan = rs.explain_query(database, "PREDICT SUM(games.won, 1, 3) FOR EACH teams.id WHERE COUNT(games.*, -2, 0) > 1")
    assert plan.horizon == 3
    assert findings(database, plan) == []
    found = answers(database, plan, [2000, 2010])
    wanted = {}
    for team in range(9):
        for year in (2000, 2010):
            own = games[games["team"] == team]
            if ((own["year"] > year - 2) & (own["year"] <= year)).sum() > 1:
                wanted[team, year] = own[(own["year"] > year + 1) & (own["year"] <= year + 3)]["won"].sum().item()
    assert found == wanted
    task = rs.Task.from_query(database, "PREDICT COUNT(games.*, 0, 2) > 1 FOR EACH teams.id")
    assert (task.horizon, task.every, task.kind, task.time_kind) == (2, 2, "binary", "integer")
    with pytest.raises(QueryError, match="integers, which have no units") as caught:
        rs.explain_query(database, "PREDICT COUNT(games.*, 0, 2, days) FOR EACH teams.id")
    assert caught.value.position == len("PREDICT COUNT(games.*, 0, 2, ")


def test_labels_do_not_depend_on_the_zone_of_the_machine() -> None:
    code = (
        "from tests.queries.test_labels import answers\n"
        "from tests.queries.worlds import CUTOFFS, shop_database\n"
        "import relselect as rs, time\n"
        "database = shop_database()\n"
        "ask = \"PREDICT COUNT(crm.tickets.* WHERE crm.tickets.closed < '2024-03-01', 0, 30, days) FOR EACH customers.id \"\n"
        'plan = rs.explain_query(database, ask + "WHERE COUNT(orders.*, -1, 0, months) > 0")\n'
        "found = answers(database, plan, CUTOFFS)\n"
        "print(time.timezone != 0, sorted((str(key), label) for key, label in found.items()))\n"
    )
    root = Path(__file__).resolve().parents[2]
    told = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "TZ": each, "PYTHONPATH": str(root)}, cwd=root,
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout.split(" ", 1)
        for each in ("Pacific/Kiritimati", "UTC")
    ]  # fmt: skip
    assert [moved for moved, _ in told] == ["True", "False"]
    assert told[0][1] == told[1][1]
    assert len(told[0][1]) > 100


def test_the_horizon_never_ends_before_the_window() -> None:
    database = shop_database()
    for text, days in (("1, months", 31), ("2, months", 62), ("12, months", 366), ("3, weeks", 21), ("36, hours", 1.5)):
        plan = rs.explain_query(database, f"PREDICT COUNT(orders.*, 0, {text}) FOR EACH customers.id")
        ticks = parse_duration(plan.horizon or 0)
        assert ticks == days * DAY
        assert check_label_window(plan.label, ticks, plan.horizon, "timestamp") == []
    several = (
        "COUNT(orders.*, 0, 1, months) > 0 OR COUNT(orders.*, 0, 30, days) > 2 OR COUNT(orders.*, 0, 4, weeks) > 2"
    )
    assert rs.explain_query(database, f"PREDICT {several} FOR EACH customers.id").horizon == "31d"
