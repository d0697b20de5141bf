"""A small shop whose every value is known, and comparisons of engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database import Database, Table
from relselect.database.clock import DAY
from relselect.dfs.featuretools import compute_featuretools, encoded
from relselect.dfs.plan.feature import Feature, Hop
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.schema import Schema
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.problem import Problem
from relselect.tasks import Rows, Task
from tests.dfs.sql.plans import words_of

ORDERS, PRODUCT = Hop("orders", "user", True), Hop("products", "product", False)
LINES = Hop("lines", "order", True)
RTOL = 1e-9


def day(*days: float | None) -> list[Any]:
    """Days of January 2020, the first is 0."""
    return [None if d is None else pd.Timestamp("2020-01-01") + pd.Timedelta(d, "D") for d in days]


def ticks(at: float) -> int:
    return day(at)[0].value // 1000


def shop() -> Problem:
    """User 0 has orders on days 1, 3, 5, 5 and 8; user 1 on day 2; user 2 none. One product is listed on day 7."""
    frames = {
        "users": pd.DataFrame({"user": [0, 1, 2], "city": ["x", "y", "x"], "born": day(-900, -800, -700)}),
        "orders": pd.DataFrame(
            {
                "order": [10, 11, 12, 9, 14, 15],
                "user": [0, 0, 0, 0, 0, 1],
                "product": [0, 1, 0, 2, 99, 1],
                "at": day(1, 3, 5, 5, 8, 2),
                "total": [4.0, 8.0, None, 1.0, 2.0, 3.0],
                "status": ["paid", "open", "paid", None, "open", "paid"],
                "gift": pd.array([True, None, False, True, False, True], "boolean"),
                "note": ["a bit", "", None, "more", "no", "yes"],
                "closed": day(2, 6, None, 9, 8, 2),
                "outcome": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
                "verdict": ["good", "bad", "good", "bad", "bad", "good"],
            }
        ),
        "products": pd.DataFrame(
            {"product": [0, 1, 2], "price": [1.5, 2.5, None], "colour": ["red", "blue", "red"], "listed": day(0, 7, 0)}
        ),
        "lines": pd.DataFrame(
            {"line": range(5), "order": [10, 10, 11, 12, 15], "seen": day(1, 4, 3, 2, 2), "units": [1.0, 2, 3, 4, 5]}
        ),
    }
    database = Database.from_dataframes(
        frames,
        keys={"users": "user", "orders": "order", "products": "product", "lines": "line"},
        times={"orders": "at", "products": "listed", "lines": "seen"},
        foreign_keys={"orders": {"user": "users", "product": "products"}, "lines": {"order": "orders"}},
        types={
            "users": {"city": "categorical"},
            "orders": {"status": "categorical", "note": "text", "verdict": "categorical"},
            "products": {"colour": "categorical"},
        },
        known_at={"orders": {"closed": ["outcome", "verdict"]}},
    )
    return of(database, "users", "user", (6, 9, 12))


def of(database: Database, entity: str, key: str, cutoffs: tuple[int, ...]) -> Problem:
    keys = database[entity].data[key].to_pylist()
    labels = pd.DataFrame([(k, d, (n + i) % 2) for i, d in enumerate(day(*cutoffs)) for n, k in enumerate(keys)])
    labels.columns = [key, "date", "label"]
    task = Task.from_labels(
        database, labels, name="t", entity=entity, kind="binary", time="date", horizon="1d", known_after=None
    )
    return Problem(database, task)


def row(entity: int, cutoff: float, asof: float | None = None) -> Rows:
    """One task row; times are days of January 2020."""
    seen = cutoff if asof is None else asof
    return Rows(np.array([entity]), np.array([ticks(cutoff)]), np.array([ticks(seen)]))


def planned(problem: Problem, *features: Feature) -> Plan:
    return Plan(problem.entity, features, Schema.of(problem))


def ours(problem: Problem, plan: Plan, rows: Rows) -> np.ndarray:
    return compute(problem, plan, rows, words_of(problem, plan)).values


def theirs(problem: Problem, plan: Plan, definitions: list[Any], rows: Rows) -> np.ndarray:
    """What featuretools computes of definitions, categories as the plan has them."""
    return encoded(compute_featuretools(problem, definitions, rows), plan, words_of(problem, plan)).values


def value(problem: Problem, feature: Feature, rows: Rows) -> Any:
    """One value of ours, categories as text."""
    plan = planned(problem, feature)
    found = ours(problem, plan, rows)[0, 0]
    if not feature.categorical or np.isnan(found):
        return found
    return words_of(problem, plan).words[feature.source(plan.entity)][int(found)]


def told(problem: Problem, definition: Any, rows: Rows) -> Any:
    """One value of featuretools'."""
    found = compute_featuretools(problem, [definition], rows).column(0)[0].as_py()
    return np.nan if found is None else found


def assert_alike(problem: Problem, plan: Plan, definitions: list[Any], rows: Rows) -> None:
    """Every value of every definition is that of the feature at its place, to 1e-9."""
    vocabulary: Vocabulary = words_of(problem, plan)
    mine = compute(problem, plan, rows, vocabulary).values
    found = encoded(compute_featuretools(problem, definitions, rows), plan, vocabulary).values
    for place, (feature, definition) in enumerate(zip(plan, definitions, strict=True)):
        np.testing.assert_allclose(
            mine[:, place],
            found[:, place],
            rtol=RTOL,
            atol=1e-12,
            err_msg=f"{feature.name} and {definition.get_name()}",
        )


def tame(tables: dict[str, Table]) -> dict[str, Table]:
    """The same tables without numbers near 1e9, whose deviations pandas gets wrong in the seventh digit."""
    found = {}
    for name, table in tables.items():
        amount = table.data["amount"]
        small = pc.if_else(pc.greater(amount, 1e6), pc.subtract(amount, 1e9), amount)
        found[name] = replace(
            table, data=table.data.set_column(table.columns.index("amount"), "amount", pa.chunked_array(small))
        )
    return found


def some_rows(problem: Problem, seed: int, number: int) -> Rows:
    """Rows of training, some of which see older data; few distinct moments."""
    rng = np.random.default_rng(seed)
    rows = problem.rows("train").unlabelled()
    moments = np.unique(rows.asof)
    rows = rows.take(np.flatnonzero(np.isin(rows.asof, rng.permutation(moments)[:2])))
    rows = rows.take(rng.integers(0, len(rows), number))
    if problem.task.static:
        return rows
    unit = 1 if problem.task.time_kind == "integer" else DAY
    return rows.delayed(int(rng.integers(0, 3)) * unit * (rng.random(number) < 0.5))
