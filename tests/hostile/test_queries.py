"""Queries that try to read the future, the catalog, files or the session are refused, or answer from visible rows alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from relselect.budget import Budget
from relselect.database import Database
from relselect.database.clock import DAY
from relselect.errors import BudgetError, TaskError
from relselect.tasks import sessions
from relselect.tasks.label_queries import ask_labels
from relselect.tasks.label_window import check_label_window
from relselect.tasks.populations import ask_population
from relselect.tasks.sessions import Query, open_session

CUTOFFS = [30 * DAY, 60 * DAY]
PLAIN = "SELECT cutoff, id FROM cutoffs, users"


def base() -> Database:
    days = pd.to_datetime(np.arange(100), unit="D")
    frames = {
        "users": pd.DataFrame({"id": range(5)}),
        "orders": pd.DataFrame({"user": np.arange(100) % 5, "seen": days, "total": np.arange(100.0)}),
    }
    return Database.from_dataframes(
        frames, keys={"users": "id"}, times={"orders": "seen"}, foreign_keys={"orders": {"user": "users"}}
    )


def ask(text: str) -> pd.DataFrame:
    return ask_population(base(), Query("population", text, ("cutoff", "id")), CUTOFFS).to_pandas()


REFUSED = [
    # several statements, and statements that are no SELECT
    f"SET VARIABLE x = 1; {PLAIN}",
    f"{PLAIN}; {PLAIN}",
    f"CREATE TABLE kept AS SELECT 1 AS x; {PLAIN}",
    "CREATE TABLE kept AS SELECT 1 AS cutoff, 1 AS id",
    "CREATE MACRO f() AS 1",
    "SET VARIABLE name = (SELECT max(view_name) FROM duckdb_views())",
    "SET threads = 1",
    "RESET threads",
    "PRAGMA database_list",
    "PRAGMA show_tables",
    "CALL duckdb_views()",
    "ATTACH ':memory:' AS other",
    "INSTALL httpfs",
    "LOAD parquet",
    "COPY orders TO '/tmp/orders.csv'",
    "EXPORT DATABASE '/tmp/x'",
    "DROP VIEW orders",
    "INSERT INTO cutoffs VALUES (NULL)",
    "UPDATE cutoffs SET cutoff = NULL",
    "DELETE FROM cutoffs",
    "BEGIN TRANSACTION",
    "EXPLAIN SELECT 1",
    "PREPARE p AS SELECT 1",
    "VACUUM",
    "CHECKPOINT",
    "",
    ";",
    "-- nothing",
    # catalogs and table functions
    "SELECT cutoff, 1 AS id FROM cutoffs, duckdb_views()",
    "SELECT cutoff, 1 AS id FROM cutoffs, duckdb_tables()",
    "SELECT cutoff, 1 AS id FROM cutoffs, duckdb_columns()",
    "SELECT cutoff, 1 AS id FROM cutoffs, system.main.duckdb_settings()",
    "SELECT cutoff, 1 AS id FROM cutoffs, information_schema.tables",
    "SELECT cutoff, 1 AS id FROM cutoffs, pg_catalog.pg_class",
    "SELECT cutoff, 1 AS id FROM cutoffs, pg_class",
    "SELECT cutoff, 1 AS id FROM cutoffs, duckdb_tables",
    "SELECT cutoff, 1 AS id FROM cutoffs, sqlite_master",
    "SELECT cutoff, 1 AS id FROM cutoffs, temp.orders",
    "SELECT cutoff, 1 AS id FROM cutoffs, main.orders",
    "SELECT cutoff, 1 AS id FROM cutoffs, query_table('orders')",
    "SELECT cutoff, 1 AS id FROM cutoffs, query('SELECT 1')",
    "SELECT cutoff, 1 AS id FROM cutoffs, read_csv('/etc/hostname')",
    "SELECT cutoff, 1 AS id FROM cutoffs, read_text('/etc/hostname')",
    "SELECT cutoff, 1 AS id FROM cutoffs, glob('/*')",
    "SELECT cutoff, 1 AS id FROM cutoffs, '/etc/hostname'",
    "SELECT cutoff, 1 AS id FROM cutoffs, 'orders.parquet'",
    "SELECT cutoff, 1 AS id FROM cutoffs, pragma_table_info('orders')",
    "SELECT cutoff, 1 AS id FROM cutoffs, (SHOW TABLES)",
    "SELECT cutoff, 1 AS id FROM cutoffs, (DESCRIBE orders)",
    "SELECT cutoff, 1 AS id FROM cutoffs, (SUMMARIZE orders)",
    "SELECT cutoff, 1 AS id FROM cutoffs, population",
    "SELECT cutoff, 1 AS id FROM cutoffs WHERE EXISTS (FROM duckdb_views())",
    "WITH a AS (FROM duckdb_views()) SELECT cutoff, 1 AS id FROM cutoffs, a",
    "WITH duckdb_tables AS (FROM duckdb_tables) SELECT cutoff, 1 AS id FROM cutoffs, duckdb_tables",
    "SELECT cutoff, 1 AS id FROM cutoffs UNION ALL SELECT NULL, count(*) FROM duckdb_views()",
    "SELECT cutoff, (SELECT count(*) FROM duckdb_views()) AS id FROM cutoffs",
    # the session, and Python's variables
    "SELECT cutoff, getvariable('x') AS id FROM cutoffs",
    "SELECT cutoff, getenv('HOME') AS id FROM cutoffs",
    "SELECT cutoff, current_setting('threads') AS id FROM cutoffs",
    "SELECT cutoff, stats(seen) AS id FROM cutoffs, orders",
    "SELECT cutoff, current_query() AS id FROM cutoffs",
    "SELECT cutoff, pg_get_viewdef(1) AS id FROM cutoffs",
    "SELECT cutoff, sleep_ms(100000) AS id FROM cutoffs",
    "SELECT cutoff, 1 AS id FROM cutoffs, secret",
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
]


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_other_statements_and_relations_are_refused(text: str) -> None:
    secret = pd.DataFrame({"x": [1]})
    with pytest.raises(TaskError, match="population="):
        ask(text)
    assert len(secret) == 1


#: Queries that are answered, with what they may find: the largest day number in `id` is that of the cutoff.
ANSWERED = [
    "SELECT cutoff, max(total)::int AS id FROM cutoffs, orders GROUP BY 1",
    "SELECT cutoff, (SELECT max(total)::int FROM orders) AS id FROM cutoffs",
    "WITH o AS MATERIALIZED (FROM orders) SELECT cutoff, max(total)::int AS id FROM cutoffs, o GROUP BY ALL",
    "WITH orders AS (SELECT * FROM orders) SELECT cutoff, max(total)::int AS id FROM cutoffs, orders GROUP BY ALL",
    "WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 999) "
    "SELECT cutoff, max(total)::int AS id FROM cutoffs, n, orders WHERE i = total GROUP BY 1",
    "SELECT cutoff, max(x.total)::int AS id FROM cutoffs, (FROM orders WHERE seen > TIMESTAMP '1970-01-01') x GROUP BY 1",
    "SELECT cutoff, max(t)::int AS id FROM cutoffs, (SELECT unnest(list(total)) AS t FROM orders) GROUP BY 1",
    "SELECT cutoff, count(*)::int - 1 AS id FROM cutoffs, range(1000) r(i), orders WHERE i = total GROUP BY 1",
    "SELECT cutoff, max(total)::int AS id FROM cutoffs, \"ORDERS\" GROUP BY 1",
    "SELECT cutoff, arg_max(total, seen)::int AS id FROM cutoffs JOIN orders ON seen <= cutoff + INTERVAL 1 YEAR GROUP BY 1",
    "SELECT cutoff, last(total ORDER BY seen)::int AS id FROM cutoffs, orders GROUP BY 1",
]  # fmt: skip


@pytest.mark.parametrize("text", ANSWERED, ids=range(len(ANSWERED)))
def test_answers_come_from_visible_rows(text: str) -> None:
    found = ask(text)
    assert dict(zip(found["cutoff"], found["id"], strict=True)) == {
        pd.Timestamp(cutoff, unit="us"): cutoff // DAY for cutoff in CUTOFFS
    }


def test_nothing_passes_from_one_question_to_the_next() -> None:
    population = Query("population", PLAIN, ("cutoff", "id"))
    for text in ("CREATE TABLE kept AS SELECT * FROM orders", "SELECT cutoff, id, 1 AS label FROM population, kept"):
        with pytest.raises(TaskError, match="label="):
            ask_labels(base(), population, Query("label", text, ("cutoff", "id", "label")), CUTOFFS, 30 * DAY)


BOMBS = [
    "SELECT cutoff, count(*) AS id FROM cutoffs, range(1000000000) a, range(1000000) b GROUP BY 1",
    "WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n) SELECT cutoff, count(*) AS id FROM cutoffs, n GROUP BY 1",
    "SELECT cutoff, len(list(i)) AS id FROM cutoffs, range(100000000000) r(i) GROUP BY 1",
    "SELECT cutoff, len(repeat('x', 10000) || i) AS id FROM cutoffs, range(100000000) r(i)",
    "SELECT cutoff, count(DISTINCT o.total + p.total + q.total + r.total + i) AS id FROM cutoffs, orders o, orders p, orders q, "
    "orders r, range(1000) s(i) GROUP BY 1",
    "SELECT cutoff, i AS id FROM cutoffs, range(100000000000) r(i) ORDER BY hash(i)",
    "SELECT cutoff, unnest(range(100000000000)) AS id FROM cutoffs",
    "SELECT cutoff, sum(list_sum(range(i)))::BIGINT AS id FROM cutoffs, range(10000000) r(i) GROUP BY 1",
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_endless_queries_end(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sessions, "_LONGEST_SECONDS", 1.0)
    monkeypatch.setattr(sessions, "free_memory", lambda: 2 << 30)
    begun = time.perf_counter()
    with pytest.raises(TaskError, match=r"ran longer than|Out of Memory|Invalid Input|Out of Range"):
        ask(text)
    assert time.perf_counter() - begun < 60


#: Queries whose lists and texts DuckDB does not count among its memory, some of which notice no interrupt.
GREEDY = [
    "SELECT cutoff, sum(list_sum(range(i)))::BIGINT AS id FROM cutoffs, range(10000000) r(i) GROUP BY 1",
    "SELECT cutoff, len(list_transform(range(20000), lambda x: range(20000))) AS id FROM cutoffs, range(3000) r(i)",
    "SELECT cutoff, len(list_reduce(list_transform(range(40), lambda x: 'xy'), lambda a, b: a || a)) AS id FROM cutoffs",
    "SELECT cutoff, len(list_reduce(list_transform(range(40), lambda x: [1]), lambda a, b: a || a)) AS id FROM cutoffs",
    "SELECT cutoff, len(repeat('x', 3000000000)) AS id FROM cutoffs, range(30) r(i)",
    "SELECT cutoff, len(string_agg(i::VARCHAR, ',')) AS id FROM cutoffs, range(100000000000) r(i) GROUP BY 1",
    "SELECT cutoff, cardinality(map_from_entries(list_transform(range(100000000), lambda x: (x, x))))::INT AS id FROM cutoffs",
    "WITH RECURSIVE n AS (SELECT 'x' AS t UNION ALL SELECT t || t FROM n) SELECT cutoff, max(len(t)) AS id FROM cutoffs, n "
    "GROUP BY 1",
]
MEASURED = """
import time
from relselect.memory import peak_memory_mb
from relselect.errors import TaskError
from relselect.tasks import sessions
from tests.hostile import test_queries as here
sessions.free_memory, sessions._LEAST_MEMORY, sessions._LONGEST_SECONDS = (lambda: 0), 64 << 20, 60.0
here.ask(here.PLAIN)
before = peak_memory_mb()
for text in here.GREEDY:
    try:
        here.ask(text)
        print("answered", text)
    except TaskError as error:
        print("refused" if "needs more memory than it may use" in str(error) else error)
print(peak_memory_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_greedy_queries_are_refused_before_they_fill_the_machine() -> None:
    ran = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True, timeout=300)
    *outcomes, growth = ran.stdout.splitlines()
    assert outcomes == ["refused"] * len(GREEDY)
    assert float(growth) < 3 * 64


def test_a_query_ends_with_the_budget_of_its_run() -> None:
    budget, begun = Budget(0.5), time.monotonic()
    with pytest.raises(BudgetError, match=r"time_budget=0\.5 s: ended while the population query was asked"):
        ask_population(base(), Query("population", BOMBS[0], ("cutoff", "id")), CUTOFFS, budget)
    assert time.monotonic() - begun < 20
    with pytest.raises(
        BudgetError, match=r"ended while the population query was asked, which took .* at its first cutoff"
    ):
        ask_population(base(), Query("population", PLAIN, ("cutoff", "id")), CUTOFFS, budget)


def test_a_query_that_was_answered_before_the_budget_ended_says_how_long_that_took() -> None:
    query, budget = Query("population", PLAIN, ("cutoff", "id")), Budget(30)
    with open_session(base(), budget) as session:
        session.ask(query, cutoff=5 * DAY, asof=5 * DAY)
        session.budget = budget.until(0)
        with pytest.raises(BudgetError, match=r"which took \d+\.\d s at the 1 cutoff before"):
            session.ask(query, cutoff=6 * DAY, asof=6 * DAY)


@pytest.mark.parametrize("length", ["INTERVAL 1 DAY * (SELECT count(*) FROM range(1000000000), range(1000000000))",
                                    "to_days(len(repeat('x', 2000000000)))"])  # fmt: skip
def test_the_length_of_a_label_window_runs_no_query(length: str) -> None:
    text = f"SELECT p.cutoff, id, 1 AS label FROM population p, orders o WHERE seen <= cutoff + {length}"
    begun = time.monotonic()
    assert check_label_window(text, 30 * DAY, "30d", "timestamp") == []
    assert time.monotonic() - begun < 10


def test_many_questions_are_answered_quickly() -> None:
    begun = time.perf_counter()
    ask_population(base(), Query("population", PLAIN, ("cutoff", "id")), [day * DAY for day in range(1, 200)])
    assert time.perf_counter() - begun < 60


def test_labels_do_not_depend_on_the_zone_of_the_machine() -> None:
    code = (
        "from tests.hostile.test_queries import ask;"
        "print(ask(\"SELECT cutoff, date_trunc('day', cutoff::TIMESTAMPTZ)::VARCHAR AS id FROM cutoffs\")['id'].tolist())"
    )
    found = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={**os.environ, "TZ": zone}).stdout
        for zone in ("UTC", "Pacific/Auckland")
    ]  # fmt: skip
    assert found[0] == found[1]
    assert "+00" in found[0]
