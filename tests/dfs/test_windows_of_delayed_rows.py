"""Rows whose data end before their cutoff: every way to a feature ends its windows where the data end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import relselect as rs
from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.featuretools.engine import compute_plan
from relselect.dfs.plan.feature import Aggregate, Condition, Feature, Hop
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.matrix import FeatureMatrix, compute
from relselect.dfs.search.prepared import prepare
from relselect.dfs.sql.compute import compute_sql
from relselect.problem import Problem
from relselect.problem.rows import SplitRows
from relselect.problem.validation import split_validation
from relselect.tasks import Rows, Task
from tests.dfs import worlds
from tests.dfs.sql.plans import words_of
from tests.dfs.sql.warehouse import answers, in_duckdb

A, T = Aggregate, SemanticType
ORDERS, LINES = Hop("orders", "shop", True), Hop("lines", "order", True)
BOSS, PRODUCT = Hop("shops", "boss", False), Hop("products", "product", False)
WEEK = 7 * DAY
FEATURES = (
    Feature(A.DELAY),
    Feature(A.COUNT, (ORDERS,)),
    Feature(A.COUNT, (ORDERS,), window=WEEK),
    Feature(A.COUNT, (ORDERS,), window=3 * WEEK),
    Feature(A.MEAN, (ORDERS,), "amount", window=WEEK),
    Feature(A.STD, (ORDERS,), "level", window=WEEK),
    Feature(A.TREND, (ORDERS,), "level", window=3 * WEEK),
    Feature(A.MEDIAN, (ORDERS,), "amount", window=WEEK),
    Feature(A.NUM_UNIQUE, (ORDERS,), "status", T.CATEGORICAL, window=WEEK),
    Feature(A.MODE, (ORDERS,), "status", T.CATEGORICAL, window=WEEK),
    Feature(A.LAST, (ORDERS,), "outcome", window=WEEK),
    Feature(A.COUNT, (ORDERS,), window=WEEK, where=Condition("status", "x")),
    # ages inside a window count from the cutoff
    Feature(A.SINCE_LAST, (ORDERS,), window=WEEK),
    Feature(A.MAX, (ORDERS,), "due", T.TIMESTAMP, window=WEEK),
    Feature(A.SUM, (BOSS, ORDERS), "amount", window=WEEK),
    Feature(A.MEAN, (ORDERS, PRODUCT), "price", window=WEEK),
    Feature(A.MEAN, (ORDERS,), base=Feature(A.COUNT, (LINES,), window=WEEK)),
    Feature(A.MAX, (ORDERS,), window=WEEK, base=Feature(A.SUM, (LINES,), "units", window=WEEK)),
)


@pytest.fixture(scope="module")
def problem() -> Problem:
    """A frozen task whose test rows see data that are up to three weeks old."""
    base = worlds.database(worlds.frames(14))
    task = Task.from_labels(
        base, worlds.labels(14), name="toy", entity="shops", kind="binary", time="date", horizon="4d", regime="frozen",
        val_start="2020-01-12", test_start="2020-01-20",
    )  # fmt: skip
    return Problem(base, task)


@pytest.fixture(scope="module")
def plan(problem) -> Plan:
    return Plan("shops", FEATURES).bound(problem)


@pytest.fixture(scope="module")
def rows(problem) -> Rows:
    found = problem.rows("test").unlabelled()
    assert (found.delay > WEEK).mean() > 0.5
    return found


@pytest.fixture(scope="module")
def wanted(problem, plan, rows) -> np.ndarray:
    """What plain loops over the rows find, in the order of the plan; categories as text."""
    naive = worlds.Naive(problem)
    asked = list(zip(rows.entity, rows.cutoff, rows.asof, strict=True))
    columns = [
        rows.delay / DAY
        if feature.aggregate == A.DELAY
        else [naive.value(feature, *map(int, row)) if row[0] >= 0 else _of_nothing(feature) for row in asked]
        for feature in plan
    ]
    return np.array(columns, dtype=object).T


def _of_nothing(feature: Feature) -> float | None:
    return 0.0 if feature.aggregate in (A.COUNT, A.SUM) else None


def assert_wanted(matrix: FeatureMatrix, wanted: np.ndarray, plan: Plan, words: dict[tuple[str, str], tuple[str, ...]]):
    for place, feature in enumerate(plan):
        expected = [
            np.nan
            if value is None
            else words[feature.source("shops")].index(value)
            if feature.categorical
            else float(value)
            for value in wanted[:, place]
        ]
        np.testing.assert_allclose(matrix.values[:, place], expected, rtol=1e-9, atol=1e-9, err_msg=feature.name)


def test_the_windows_are_not_those_that_end_at_the_cutoff(problem, plan, rows, wanted):
    """The tests below would pass under either rule if the data did not tell the rules apart."""
    fresh = compute(problem, plan, replace(rows, asof=rows.cutoff), words_of(problem, plan)).values
    windowed = plan.where(lambda feature: feature.window == WEEK and feature.aggregate == A.COUNT)
    some = wanted[:, windowed].astype(float).sum(axis=0)
    assert (some > 0).all()
    assert not np.array_equal(fresh[:, windowed], wanted[:, windowed].astype(float))


def test_the_prefix_engine(problem, plan, rows, wanted):
    vocabulary = words_of(problem, plan)
    assert_wanted(compute(problem, plan, rows, vocabulary), wanted, plan, dict(vocabulary.words))


def test_the_matrix_that_the_model_is_selected_on(problem):
    source = SplitRows(problem, split_validation(problem))
    prepared, rows, naive = prepare(problem, source), source.select, worlds.Naive(problem)
    assert (rows.delay > 0).any()
    assert any(feature.window is not None for feature in prepared.plan)
    assert prepared.select is not None
    for place in prepared.plan.where(lambda feature: not feature.of_task_row and not feature.categorical):
        feature = prepared.plan.features[place]
        expected = [
            naive.value(feature, *map(int, row)) if row[0] >= 0 else _of_nothing(feature)
            for row in zip(rows.entity, rows.cutoff, rows.asof, strict=True)
        ]
        expected = [np.nan if value is None else float(value) for value in expected]
        np.testing.assert_allclose(
            prepared.select.values[:, place], expected, rtol=1e-9, atol=1e-9, err_msg=feature.name
        )


def test_the_sql_engine_and_the_printed_statement(problem, plan, rows, wanted):
    vocabulary = words_of(problem, plan)
    assert_wanted(compute_sql(problem, plan, rows, vocabulary, threads=1), wanted, plan, dict(vocabulary.words))
    printed = answers(plan, vocabulary, in_duckdb(problem, rows, plan.to_sql("duckdb", asof="asof")))
    assert_wanted(FeatureMatrix(printed, plan.names, ()), wanted, plan, dict(vocabulary.words))


def test_featuretools(problem, plan, rows, wanted):
    vocabulary = words_of(problem, plan)
    found, computed = compute_plan(problem, plan, rows, vocabulary)
    assert {plan.names[place] for place in computed} >= {
        "COUNT(orders[shop], 7d)",
        "COUNT(orders[shop] WHERE status = x, 7d)",
        "MEAN(orders[shop].amount, 7d)",
        "TIME_SINCE_LAST(orders[shop], 7d)",
        "MEAN(orders[shop].COUNT(lines[order], 7d))",
    }
    assert_wanted(found, wanted, plan, dict(vocabulary.words))


@pytest.mark.parametrize("engine", ["prefix", "sql"])
def test_the_table_of_features(problem, plan, rows, wanted, engine):
    table = rs.features(problem.user_database, problem.task, plan=plan, split="test", engine=engine).table
    for place, feature in enumerate(plan):
        got = table[feature.name].to_pylist()
        if feature.categorical:
            assert got == list(wanted[:, place])
        else:
            expected = [math.nan if value is None else float(value) for value in wanted[:, place]]
            got = [math.nan if value is None else value for value in got]
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9, err_msg=feature.name)


def test_pandas_agrees_on_a_window(problem, plan, rows, wanted):
    """One feature anew, without any code of this package or of its tests."""
    orders = problem.database["orders"].data.to_pandas()
    shops = problem.database["shops"].data.to_pandas()
    found = []
    for entity, cutoff, asof in zip(rows.entity, rows.cutoff, rows.asof, strict=True):
        end = pd.Timestamp(min(int(cutoff), int(asof)), unit="us")
        mine = orders[orders["shop"] == shops["shop"].iloc[entity]] if entity >= 0 else orders.iloc[:0]
        found.append(int(((mine["at"] <= end) & (mine["at"] > end - pd.Timedelta("7d"))).sum()))
    assert found == list(wanted[:, plan.names.index("COUNT(orders[shop], 7d)")])
