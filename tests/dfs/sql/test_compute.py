"""Running a plan on DuckDB: limits, digits, what is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relselect.database import Database
from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.feature import Aggregate, Feature, Hop
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.dfs.sql.compute import compute_sql
from relselect.errors import ConfigError, PlanError
from relselect.problem import Problem
from relselect.tasks import Rows, Task
from tests.dfs import worlds

A = Aggregate
ORDERS = (Hop("orders", "user", True),)
LINES = Hop("lines", "order", True)
START = pd.Timestamp("2020-01-01")
NONE = Vocabulary({})


def problem_of(frames: dict[str, pd.DataFrame], times: dict[str, str]) -> Problem:
    foreign = {"orders": {"user": "users"}, **({"lines": {"order": "orders"}} if "lines" in frames else {})}
    keys = {"users": "user", **({"orders": "order", "lines": "line"} if "lines" in frames else {})}
    database = Database.from_dataframes(frames, keys=keys, times=times, foreign_keys=foreign)
    dates = pd.date_range(START + pd.Timedelta(100, "D"), periods=10, freq="7D")
    labels = pd.DataFrame({"user": [0, 1] * 5, "date": dates, "label": [0, 1, 1, 0, 1, 0, 0, 1, 0, 1]})
    task = Task.from_labels(
        database, labels, name="t", entity="users", kind="binary", time="date", horizon="5d", known_after=None
    )
    return Problem(database, task)


def big(seed: int = 0, users: int = 100, orders: int = 20_000, lines: int = 40_000) -> Problem:
    rng = np.random.default_rng(seed)

    def day(n):
        return START + pd.to_timedelta(rng.integers(0, 300, n), "D")

    frames = {
        "users": pd.DataFrame({"user": range(users)}),
        "orders": pd.DataFrame(
            {
                "order": range(orders),
                "user": rng.integers(0, users, orders),
                "at": day(orders),
                "total": rng.normal(size=orders),
            }
        ),
        "lines": pd.DataFrame(
            {
                "line": range(lines),
                "order": rng.integers(0, orders, lines),
                "seen": day(lines),
                "units": rng.normal(size=lines),
            }
        ),
    }
    return problem_of(frames, {"orders": "at", "lines": "seen"})


def late_rows(problem: Problem, number: int) -> Rows:
    rng = np.random.default_rng(1)
    cutoff = (START.value // 1000) + (300 + rng.integers(0, 9, number)) * DAY
    return Rows(rng.integers(0, problem.database["users"].num_rows, number), cutoff, cutoff)


NESTED = tuple(
    Feature(aggregate, ORDERS, base=Feature(A.SUM, (LINES,), "units"), window=window)
    for aggregate in (A.MEAN, A.STD, A.MAX)
    for window in (None, 90 * DAY)
)


def test_a_join_many_times_the_memory_limit_finishes_and_leaves_nothing_behind(tmp_path):
    problem = big()
    rows = late_rows(problem, 4_000)
    plan = Plan("users", (*NESTED, Feature(A.MEDIAN, ORDERS, "total")))
    limit = 24_000_000
    pairs = sum(np.bincount(problem.database.parents("orders")[0])[rows.entity])
    assert pairs * 6 * 8 > 1.5 * limit  # a row of pairs holds six numbers; the join with their lines is twice as long
    statements = []
    bounded = compute_sql(
        problem, plan, rows, NONE, lambda: statements.append(1), memory_limit=limit, spill=tmp_path, threads=1
    )
    free = compute_sql(problem, plan, rows, NONE, threads=1)
    np.testing.assert_allclose(bounded.values, free.values, rtol=1e-9, atol=1e-9)
    assert len(statements) > 2  # memory did run out, and task rows were asked about in parts
    assert not list(tmp_path.iterdir())


def test_a_limit_that_is_too_small_is_told(tmp_path):
    problem = big(users=2, orders=8_000, lines=40_000)
    with pytest.raises(ConfigError, match=r"memory_limit=1MB.*Allow more memory"):
        compute_sql(problem, Plan("users", NESTED), late_rows(problem, 50), NONE, memory_limit="1MB", spill=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_room_is_told(tmp_path):
    resource = pytest.importorskip("resource", reason="file sizes cannot be limited here")
    problem = big()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(ConfigError, match=r"spill=.*Give a folder with more room"):
            compute_sql(
                problem, Plan("users", NESTED), late_rows(problem, 4_000), NONE, memory_limit="24MB", spill=tmp_path
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"memory_limit": "much"}, "memory_limit=much"),
        ({"memory_limit": -5}, "memory_limit=-5"),
        ({"threads": 0}, "threads=0"),
        ({"spill": "/no/such/folder"}, "spill=/no/such/folder"),
    ],
)
def test_options_that_are_not_understood_are_told(options, said):
    problem = worlds.problem(1)
    with pytest.raises(ConfigError, match=said):
        compute_sql(problem, default_plan(problem, cap=5), problem.rows("val"), NONE, **options)


def test_a_plan_that_reads_what_is_not_there_is_told():
    problem = worlds.problem(1)
    with pytest.raises(PlanError, match="nowhere"):
        compute_sql(problem, Plan("shops", (Feature(A.DIRECT, column="nowhere"),)), problem.rows("val"), NONE)


def test_whoever_checks_may_stop():
    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    problem = worlds.problem(1)
    with pytest.raises(Enough):
        compute_sql(problem, default_plan(problem, cap=5), problem.rows("val"), NONE, stop)


def test_no_rows_and_an_empty_plan():
    problem = worlds.problem(7)
    plan = default_plan(problem, cap=30)
    nobody = problem.rows("train").take(np.empty(0, dtype=np.int64))
    assert compute_sql(problem, plan, nobody, NONE).values.shape == (0, 30)
    assert compute_sql(problem, Plan("shops", ()), problem.rows("val"), NONE).values.shape[1] == 0


def test_hidden_and_unknown_entities_count_nothing():
    problem = worlds.problem(3)
    plan = default_plan(problem, cap=60)
    cutoff = problem.rows("train").cutoff[-1:]
    opened = problem.database.times("shops")
    late = int(np.argmax(opened))
    vocabulary = Vocabulary.fit(problem, plan)
    unknown = compute_sql(problem, plan, Rows(np.array([-1]), cutoff, cutoff), vocabulary).values[0]
    rows = Rows(np.array([late]), cutoff, opened[[late]] - 1)
    hidden = compute_sql(problem, plan, rows, vocabulary).values[0]
    for feature, absent, unseen in zip(plan, unknown, hidden, strict=True):
        if feature.aggregate not in (A.CALENDAR, A.DELAY, A.ROW):
            nothing = 0.0 if feature.aggregate in (A.COUNT, A.SUM) else np.nan
            np.testing.assert_equal((absent, unseen), (nothing, nothing), err_msg=feature.name)


def moments(values: list[float], days: list[int]) -> tuple[float, float, float, float]:
    """Mean, standard deviation, skewness and slope in exact arithmetic."""
    x, t = [Fraction(v) for v in values], [Fraction(d) for d in days]
    n, mean, when = len(x), sum(x) / len(x), sum(t) / len(t)
    m2, m3 = sum((v - mean) ** 2 for v in x), sum((v - mean) ** 3 for v in x)
    slope = sum((v - mean) * (d - when) for v, d in zip(x, t, strict=True)) / sum((d - when) ** 2 for d in t)
    skew = n * np.sqrt(n - 1) / (n - 2) * float(m3) / float(m2) ** 1.5 if m2 else 0.0
    return float(mean), float(np.sqrt(float(m2 / (n - 1)))), skew, float(slope)


@pytest.mark.parametrize("where", ["duckdb", "postgres"])
def test_tiny_deviations_from_large_values_keep_their_digits(where, request):
    """User 1 lies at 1e9 with a tiny variance; user 2 jumps there in the middle of its history."""
    n = 120
    rng = np.random.default_rng(0)
    tiny = np.round(rng.gamma(1.0, size=n), 3) * 1e-3
    jump = np.r_[np.ones(n // 2), 1e9 + np.arange(n // 2) ** 2 * 1e-6]
    frame = pd.DataFrame(
        {
            "user": np.repeat([0, 1, 2], n),
            "at": np.tile(START + pd.to_timedelta(np.arange(n), "D"), 3),
            "x": np.r_[tiny, 1e9 + tiny, jump],
        }
    )
    problem = problem_of({"users": pd.DataFrame({"user": [0, 1, 2]}), "orders": frame}, {"orders": "at"})
    kinds = (A.MEAN, A.STD, A.SKEW, A.TREND)
    plan = Plan("users", tuple(Feature(kind, ORDERS, "x", window=w) for w in (None, 20 * DAY) for kind in kinds))
    days = np.array([40, 70, 85, 100, 119])
    cutoff = np.tile(START.value // 1000 + days * DAY, 3)
    rows = Rows(np.repeat([0, 1, 2], len(days)), cutoff, cutoff)
    if where == "duckdb":
        values = compute_sql(problem, plan, rows, NONE).values
    else:
        from tests.dfs.sql.warehouse import answers, in_postgres

        uri = request.getfixturevalue("postgres").create("features")
        statement = plan.bound(problem).to_sql("postgres")
        values = answers(plan, NONE, in_postgres(uri, problem, rows, statement))
    for row in range(len(rows)):
        x = frame[frame.user == rows.entity[row]].x.to_numpy()
        last = int(days[row % len(days)])
        for place, first in ((0, 0), (4, last - 19)):
            seen = range(first, last + 1)
            wanted = moments(x[list(seen)].tolist(), list(seen))
            np.testing.assert_allclose(
                values[row, place : place + 4], wanted, rtol=1e-9, atol=1e-14, err_msg=f"{row} {place}"
            )


def test_skewness_and_trend_of_values_that_do_not_differ_are_zero():
    frame = pd.DataFrame(
        {"user": [0] * 4 + [1] * 4 + [2] * 2, "at": START, "x": [1e9 + 0.1] * 4 + [1.0, 2, 3, 5] + [1.0, 2]}
    )
    frame.loc[:3, "at"] += pd.to_timedelta(range(4), "D")
    problem = problem_of({"users": pd.DataFrame({"user": [0, 1, 2]}), "orders": frame}, {"orders": "at"})
    plan = Plan("users", tuple(Feature(kind, ORDERS, "x") for kind in (A.STD, A.SKEW, A.TREND)))
    cutoff = np.full(3, START.value // 1000 + 9 * DAY)
    values = compute_sql(problem, plan, Rows(np.arange(3), cutoff, cutoff), NONE).values
    np.testing.assert_array_equal(values[0], [0, 0, 0])
    assert values[1, 2] == 0
    np.testing.assert_array_equal(values[2, 1:], [np.nan, np.nan])


def test_entropies_of_one_value_do_not_differ():
    sizes = [3, 5, 6, 7, 10, 11]
    lines = pd.DataFrame({"line": range(sum(sizes)), "order": np.repeat(range(6), sizes), "at": START, "kind": "a"})
    frames = {
        "users": pd.DataFrame({"user": [0, 1]}),
        "orders": pd.DataFrame({"order": range(6), "user": 0, "at": START}),
        "lines": lines,
    }
    problem = problem_of(frames, {"orders": "at", "lines": "at"})
    inner = Feature(A.ENTROPY, (LINES,), "kind", type=SemanticType.CATEGORICAL)
    plan = Plan("users", tuple(Feature(kind, ORDERS, base=inner) for kind in (A.MAX, A.STD, A.SKEW)))
    cutoff = np.full(1, START.value // 1000 + 9 * DAY)
    rows, words = Rows(np.zeros(1, dtype=np.int64), cutoff, cutoff), Vocabulary.fit(problem, plan)
    np.testing.assert_array_equal(compute(problem, plan, rows, words).values, [[0, 0, 0]])
    np.testing.assert_array_equal(compute_sql(problem, plan, rows, words).values, [[0, 0, 0]])


def test_columns_of_odd_types_are_read_as_elsewhere():
    """Types that DuckDB would read otherwise, or not at all: zones, nanoseconds, decimals, dictionaries, durations."""
    from relselect.database import ForeignKey, Table
    from relselect.dfs.prefix.matrix import compute

    n = 60
    rng = np.random.default_rng(4)
    stamps = pa.array(rng.integers(0, 90, n) * DAY * 1000 + START.value + 1)
    orders = {
        "user": pa.array(rng.integers(0, 4, n).astype(np.float32)),
        "at": stamps.cast(pa.timestamp("ns", "Europe/Berlin")),
        "kind": pa.array(rng.choice(["ä", "b", "Z"], n)).dictionary_encode(),
        "price": pa.array(rng.integers(0, 999, n)).cast(pa.decimal128(22, 2)),
        "took": pa.array(rng.integers(0, 9999, n), pa.duration("ms")),
        "wide": pa.array(rng.integers(0, 2**62, n).astype(np.uint64) * 3),
        "odd": pa.array(np.where(rng.random(n) < 0.2, np.inf, np.round(rng.normal(size=n), 1))),
        "clock": pa.array(rng.integers(0, 86_399, n).astype(np.int32)).cast(pa.time32("s")),
    }
    tables = [
        Table("users", pa.table({"user": pa.array([0, 1, 2, 3], pa.int16())}), ("user",)),
        Table("orders", pa.table(orders), (), "at", (ForeignKey(("user",), "users"),)),
    ]
    database = Database(tables, "odd")
    dates = pd.date_range(START + pd.Timedelta(30, "D"), periods=8, freq="5D")
    labels = pd.DataFrame({"user": [0, 1, 2, 3] * 2, "date": dates, "label": np.arange(8.0)})
    task = Task.from_labels(database, labels, name="t", entity="users", kind="regression", time="date", horizon="5d")
    problem = Problem(database, task)
    numbers = ("price", "took", "wide", "odd", "clock")
    plan = Plan(
        "users",
        (
            *(Feature(kind, ORDERS, name) for name in numbers for kind in (A.SUM, A.MAX, A.LAST)),
            *(Feature(A.NUM_UNIQUE, ORDERS, name, SemanticType.NUMERICAL) for name in numbers),
            *(Feature(kind, ORDERS, "kind", SemanticType.CATEGORICAL) for kind in (A.MODE, A.LAST, A.FIRST)),
            Feature(A.SHARE, ORDERS, "kind", SemanticType.CATEGORICAL, "ä"),
            Feature(A.MAX, ORDERS, "at", SemanticType.TIMESTAMP),
            Feature(A.SINCE_LAST, ORDERS),
        ),
    )
    vocabulary = Vocabulary({("orders", "kind"): ("Z", "b", "ä")})
    rows = problem.rows("train")
    wanted = compute(problem, plan, rows, vocabulary)
    got = compute_sql(problem, plan, rows, vocabulary)
    for place, name in enumerate(plan.names):
        np.testing.assert_allclose(got.values[:, place], wanted.values[:, place], rtol=1e-9, err_msg=name)
    assert not np.isnan(wanted.values).all(axis=0).any()
