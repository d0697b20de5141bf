"""Tasks from SQL: a population sees the database as it was, labels see their window, and errors are explained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relselect.database import Database, Table
from relselect.database.clock import DAY
from relselect.errors import TaskError
from relselect.problem import Problem
from relselect.tasks import Task
from relselect.tasks.populations import ask_population
from relselect.tasks.sessions import Query
from tests.shop import LABEL, POPULATION, days, shop, shop_tables

SPENT = """
    SELECT cutoff, id, sum(total) AS label FROM population LEFT JOIN orders
    ON user_id = id AND "when" > cutoff AND "when" <= cutoff + INTERVAL 30 DAY GROUP BY ALL
"""


def from_sql(database, population=POPULATION, label=LABEL, **options) -> Task:
    return Task.from_sql(
        database,
        population=population,
        label=label,
        **{"name": "reorder", "entity": "users", "kind": "binary", "horizon": "30d", "every": "30d", **options},
    )


def rows(task: Task) -> pd.DataFrame:
    parts = [frame.keys.to_pandas().assign(cutoff=frame.cutoff, label=frame.label) for frame in task.splits.values()]
    return pd.concat(parts, ignore_index=True)


def by_hand(tables) -> dict[tuple[int, int], bool]:
    """Answer the same question by loops."""
    orders = tables["orders"]
    user, when = orders["user_id"].to_numpy(), orders["when"].cast(pa.int64()).to_numpy()
    cutoffs = [when.max() - 30 * DAY * k for k in range(1, 10)]
    return {
        (int(u), int(c)): bool(((user == u) & (when > c) & (when <= c + 30 * DAY)).any())
        for c in cutoffs
        if c >= when.min() + 30 * DAY
        for u in np.unique(user[when <= c])
    }


def test_labels_are_what_loops_find(database, tables):
    found = rows(from_sql(database, known_after=None))
    wanted = by_hand(tables)
    got = {(int(row.id), int(row.cutoff)): row.label == 1 for row in found.itertuples()}
    assert got == wanted
    assert found["cutoff"].is_monotonic_increasing


def test_the_same_queries_give_the_same_rows_in_the_same_order(database):
    assert len({from_sql(database).fingerprint for _ in range(3)}) == 1


def test_the_whole_population_of_a_large_table_keeps_its_order():
    draw = np.random.default_rng(0)
    users = pa.table({"id": pa.array(draw.permutation(200_000))})
    events = pa.table({"when": days(range(10))})
    database = Database([Table("users", users, ("id",)), Table("events", events, time="when")])
    task = from_sql(
        database,
        "SELECT cutoff, id FROM cutoffs, users",
        "SELECT cutoff, id, id % 2 AS label FROM population",
        horizon="2d",
        every="2d",
    )
    assert (np.diff(task.splits["val"].keys["id"].to_numpy()) == 1).all()


FUTURE = {
    "rows": 'SELECT DISTINCT cutoff, user_id AS id FROM cutoffs, orders WHERE "when" > cutoff',
    "values": "SELECT DISTINCT cutoff, user_id AS id FROM cutoffs, orders WHERE closed > cutoff",
    "masked values": "SELECT DISTINCT cutoff, user_id AS id FROM cutoffs, orders WHERE state IS NOT NULL AND closed IS NULL",
}


@pytest.mark.parametrize("what", FUTURE)
def test_a_population_that_asks_for_the_future_finds_nobody(database, what):
    with pytest.raises(TaskError, match="finds nobody"):
        from_sql(database, FUTURE[what])


@pytest.mark.parametrize(
    "query",
    [
        'SELECT cutoff, user_id AS id FROM cutoffs, "__all_orders"',
        "SELECT cutoff, id FROM cutoffs, population",
        "SELECT cutoff, id FROM secret",
        "SELECT * FROM read_csv('/etc/hostname')",
        "ATTACH 'x.db'",
        "SELECT cutoff, id FROM cutofs, users",
        "SELECT",
        "SET threads = 1",
    ],
)
def test_nothing_else_can_be_read(database, query):
    secret = pd.DataFrame({"cutoff": [0], "id": [3]})
    with pytest.raises(TaskError, match="population="):
        from_sql(database, query)
    assert len(secret) == 1


def test_masked_values_appear_when_they_are_known(database, tables):
    known = "SELECT DISTINCT cutoff, user_id AS id FROM cutoffs, orders WHERE state = 'returned'"
    found = rows(from_sql(database, known, "SELECT cutoff, id, id % 2 AS label FROM population"))
    orders = tables["orders"].to_pandas()
    for cutoff, group in found.groupby("cutoff"):
        seen = orders[(orders["closed"] <= pd.Timestamp(cutoff, unit="us")) & (orders["state"] == "returned")]
        assert set(group["id"]) == set(seen["user_id"])


def test_the_label_sees_its_window_and_no_more(database):
    last = """SELECT cutoff, id, date_diff('hour', cutoff, (SELECT max("when") FROM orders)) / 24.0 + id * -1e-6 AS label
              FROM population"""
    label = rows(
        from_sql(database, label=last, kind="regression", known_after="40d", end="1970-09-01", val_start="1970-06-10")
    )["label"]
    assert label.max() <= 40
    assert label.min() > 30
    assert rows(from_sql(database, label=last, kind="regression"))["label"].max() <= 30


def test_those_without_a_label_are_counted(database):
    task = from_sql(database, "SELECT cutoff, id FROM cutoffs, users", SPENT, kind="regression")
    missing = int(next(note for note in task.notes if "had no label" in note).split()[0])
    assert missing > 0
    assert len(rows(task)) + missing + sum(task.purged.values()) == 60 * len(task_cutoffs(task))


def task_cutoffs(task):
    return rows(task)["cutoff"].unique()


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"every": "30d"}, 8),
        ({"every": "60d"}, 4),
        ({"every": None, "cutoffs": ["1970-04-01", "1970-06-01", "1970-08-01"]}, 3),
        ({"every": "30d", "start": "1970-05-01", "end": "1970-08-01"}, 4),
    ],
)
def test_cutoffs(database, options, count):
    cutoffs = task_cutoffs(from_sql(database, known_after=None, **options))
    assert len(cutoffs) == count
    if "cutoffs" in options:
        assert [str(np.datetime64(int(c), "us"))[:10] for c in cutoffs] == options["cutoffs"]


MISTAKES = {
    "a late cutoff": (
        {"every": None, "cutoffs": ["1970-04-01", "1970-06-01", "1970-10-20"]},
        "cutoffs=1970-10-20.*up to 1970-09-2",
    ),
    "a late end": ({"end": "1970-10-20"}, "end=1970-10-20.*ends after the last observed time"),
    "no cutoffs": ({"every": None}, "every=None"),
    "too few cutoffs": ({"every": "200d"}, "gives 2 cutoffs"),
    "too many cutoffs": ({"every": "1min"}, "3 to 2000"),
    "no distance": ({"every": "0d"}, "gives 0 cutoffs"),
    "labels known too early": ({"known_after": "10d"}, "known_after=10d: is shorter than the horizon 30d"),
    "no duration": ({"horizon": "a month"}, "horizon=a month"),
    "a wrong column": ({"label": "SELECT cutoff, id, 1 AS y FROM population"}, r"label=.*'y'.*Add label to the SELECT"),
    "two labels": (
        {"label": "SELECT cutoff, id, unnest([1, 2]) AS label FROM population"},
        "extra rows.*one label per cutoff",
    ),
    "bad SQL": ({"label": "SELEC cutoff"}, "label=SELEC cutoff: DuckDB refused the query: Parser Error"),
    "no query": ({"population": ""}, "population=: must return"),
    "a shifted cutoff": (
        {"population": "SELECT cutoff - INTERVAL 1 DAY AS cutoff, id FROM cutoffs, users"},
        "other cutoffs than it was asked at",
    ),
    "a text key": (
        {"label": "SELECT cutoff, 'u' || id AS id, 1 AS label FROM population"},
        "label.id=.*CAST the column",
    ),
    "one class": ({"label": "SELECT cutoff, id, 1 AS label FROM population"}, "nothing to learn"),
    "an unknown entity": ({"entity": "clients"}, "entity=clients.*orders, products, users"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_told(database, case):
    options, text = MISTAKES[case]
    with pytest.raises(TaskError, match=f"(?s){text}"):
        from_sql(database, **options)


@pytest.mark.parametrize("name", ["cutoffs", "Population", "USERS"])
def test_tables_that_sql_would_confuse_are_named(database, name):
    more = Database([*database.tables.values(), Table(name, pa.table({"x": [1]}))])
    with pytest.raises(TaskError, match=f"table={name}.*Rename"):
        from_sql(more)


def test_columns_that_sql_would_confuse_are_named(database):
    more = Database([*database.tables.values(), Table("t", pa.table({"x": [1], "X": [2]}))])
    with pytest.raises(TaskError, match="t=X: differs from x by case"):
        from_sql(more)


@pytest.mark.parametrize(
    "values", [pa.array([1.5], pa.float32()).cast(pa.float16()), pa.array([1]).cast(pa.decimal256(60, 2))]
)
def test_what_duckdb_cannot_read_is_named(database, values):
    more = Database([*database.tables.values(), Table("odd", pa.table({"x": values}))])
    with pytest.raises(TaskError, match="table=odd: DuckDB cannot read it"):
        from_sql(more)


def test_hostile_names_zones_enumerations_and_nanoseconds():
    tables = shop_tables()
    orders = tables["orders"]
    fine = pa.chunked_array([(orders["when"].to_numpy().astype("datetime64[ns]") + np.timedelta64(1, "ns"))]).cast(
        pa.timestamp("ns", "Asia/Tokyo")
    )
    orders = orders.set_column(4, 'wh"en', fine).set_column(
        1, "user_id", orders["user_id"].cast(pa.string()).dictionary_encode()
    )
    users = tables["users"].set_column(0, "id", tables["users"]["id"].cast(pa.string()).dictionary_encode())
    base = shop(tables)
    hostile = Database(
        [
            replace(base["users"], data=users),
            base["products"],
            replace(base["orders"], name='ord"er; --', data=orders, time='wh"en'),
        ]
    )
    task = from_sql(
        hostile,
        'SELECT DISTINCT cutoff, user_id AS id FROM cutoffs, "ord""er; --"',
        LABEL.replace("orders", '"ord""er; --"').replace('"when"', '"wh""en"'),
        known_after=None,
    )
    plain = rows(from_sql(base, known_after=None)).astype({"id": str}).sort_values(["cutoff", "id"], ignore_index=True)
    # All times are a nanosecond later, hence a microsecond when rounded up; so are the cutoffs.
    assert rows(task).assign(cutoff=rows(task)["cutoff"] - 1).astype({"id": str}).equals(plain)


def test_integer_times_in_sql():
    draw = np.random.default_rng(0)
    events = pa.table({"id": draw.integers(0, 9, 300), "t": np.sort(draw.integers(0, 100, 300))})
    database = Database([Table("a", pa.table({"id": range(9)}), ("id",)), Table("e", events, time="t")])
    task = from_sql(
        database,
        "SELECT cutoff, id FROM cutoffs, a",
        "SELECT cutoff, id, count(t) AS label FROM population LEFT JOIN e USING (id) WHERE t IS NULL OR t > cutoff GROUP BY ALL",
        entity="a",
        kind="regression",
        horizon=10,
        every=10,
    )
    found = rows(task)
    ids, times = events["id"].to_numpy(), events["t"].to_numpy()
    for row in found.itertuples():
        assert row.label == ((ids == row.id) & (times > row.cutoff) & (times <= row.cutoff + 10)).sum()


def test_a_database_without_time_is_refused():
    database = Database([Table("users", pa.table({"id": [1]}), ("id",))])
    with pytest.raises(TaskError, match="no time column"):
        from_sql(database)


def test_a_population_is_asked_again_at_any_date(database, tables):
    problem = Problem(database, from_sql(database))
    rows_, keys = problem.at("1970-10-20")
    orders = tables["orders"].to_pandas()
    assert keys["id"].to_pylist() == sorted(orders[orders["when"] <= "1970-10-20"]["user_id"].unique())
    assert (rows_.asof == rows_.cutoff).all()
    assert rows_.label is None
    stale, old = problem.at("1970-10-20", asof="1970-01-05")
    assert old["id"].to_pylist() == sorted(orders[orders["when"] <= "1970-01-05"]["user_id"].unique())
    assert (stale.delay > 0).all()
    with pytest.raises(TaskError, match="finds nobody"):
        problem.at("1969-01-01")
    with pytest.raises(TaskError, match="no population query"):
        Problem(database, replace(problem.task, population=None)).at("1970-10-20")


def test_a_column_returned_twice_is_named():
    twice = Query("population", "SELECT c.cutoff, u.id, v.id FROM cutoffs c, users u, users v", ("cutoff", "id"))
    with pytest.raises(TaskError, match="id more than once"):
        ask_population(shop(), twice, [90 * DAY])
