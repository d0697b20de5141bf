"""Columns that hold an aggregate of all child rows are reported; columns that were there from the start are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from relselect.database import Database
from relselect.leaks import Finding, find_leaks
from relselect.leaks import child_rows as child_rows_module
from relselect.leaks.overwritten import check_overwritten, concordance
from relselect.problem import Problem
from relselect.tasks import Task

SIZE, DAYS = 400, 600


def day(values: object) -> pd.Series:
    return pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(np.asarray(values, dtype=float), "D"))


def world(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Customers, their orders, and the day on which each customer ends (many end before the data do)."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 0.5 * DAYS, SIZE) * (rng.random(SIZE) < 0.7)
    end = np.where(rng.random(SIZE) < 0.3, start + rng.uniform(0.2, 1, SIZE) * (0.9 * DAYS - start), DAYS)
    rate = rng.gamma(2.0, 0.02, SIZE) + 0.02
    price = rng.gamma(3.0, 10.0, SIZE)
    parts = []
    for customer in range(SIZE):
        times = np.sort(
            rng.uniform(start[customer], end[customer], rng.poisson(rate[customer] * (end - start)[customer]))
        )
        parts.append(pd.DataFrame({"customer": customer, "at": times}))
    orders = pd.concat(parts, ignore_index=True)
    size = len(orders)
    orders["total"] = (price[orders["customer"]] * rng.uniform(0.5, 1.5, size)).round(2)
    orders["rating"] = np.clip(
        np.round(3 + rng.normal(0, 0.5, SIZE)[orders["customer"]] + rng.normal(0, 1, size)), 1, 5
    )
    orders["plan"] = rng.choice(["basic", "plus", "pro"], size)
    orders["fee"] = (price[orders["customer"]] / 3).round(2)
    drawn = pd.DataFrame({"id": range(SIZE), "rate": rate, "price": price, "start": start})
    return drawn, orders, pd.Series(end)


def planted(drawn: pd.DataFrame, orders: pd.DataFrame, end: pd.Series) -> pd.DataFrame:
    """Twelve columns as a system that overwrites them would leave them today."""
    rng = np.random.default_rng(9)
    by = orders.groupby("customer")
    spend = by["total"].sum().reindex(drawn["id"], fill_value=0.0)
    level = pd.cut(spend, [-1, 150, 400, 1000, 1e9], labels=["bronze", "silver", "gold", "platinum"])
    return pd.DataFrame(
        {
            "lifetime_spend": spend.round(2),
            "lifetime_spend_noisy": (spend * rng.uniform(0.97, 1.03, SIZE)).round(-1),
            "order_count": by.size().reindex(drawn["id"], fill_value=0),
            "average_rating": by["rating"].mean().round(1).reindex(drawn["id"]),
            "best_total": by["total"].max().reindex(drawn["id"]),
            "smallest_total": by["total"].min().reindex(drawn["id"]),
            "last_total": by["total"].last().reindex(drawn["id"]),
            "last_login": day(by["at"].max().reindex(drawn["id"])),
            "current_plan": by["plan"].last().reindex(drawn["id"]),
            "loyalty_level": level.astype(str),
            "discontinued": end.to_numpy() < DAYS,
            "spend_rank": spend.rank(ascending=False, method="first"),
        }
    )


def honest(drawn: pd.DataFrame, orders: pd.DataFrame, end: pd.Series) -> pd.DataFrame:
    """Twelve columns that were known when the row was written, some of which drive the orders."""
    rng = np.random.default_rng(8)
    by = orders.groupby("customer")
    return pd.DataFrame(
        {
            "list_price": drawn["price"].round(2),
            "monthly_fee": (drawn["price"] / 3).round(2),
            "expected_rate": (drawn["rate"] * rng.uniform(0.99, 1.01, SIZE)).round(3),
            "signup": day(drawn["start"]),
            "first_order": day(by["at"].min().reindex(drawn["id"])),
            "birth": day(-rng.uniform(7000, 25000, SIZE)),
            "credit_limit": (drawn["price"] * drawn["rate"] * 1000 * rng.uniform(0.8, 1.2, SIZE)).round(-1),
            "segment": np.where(drawn["price"] > 30, "business", "consumer"),
            "city": rng.choice(["a", "b", "c", "d"], SIZE),
            "newsletter": rng.random(SIZE) < 0.3,
            "first_total": by["total"].first().reindex(drawn["id"]),
            "age_group": pd.cut(drawn["rate"], [0, 0.04, 0.08, 9], labels=["x", "y", "z"]).astype(str),
        }
    )


def problem(columns: pd.DataFrame, drawn: pd.DataFrame, orders: pd.DataFrame, **how: object) -> Problem:
    customers = pd.concat([drawn[["id"]], columns], axis=1)
    database = Database.from_dataframes(
        {"customers": customers, "orders": orders.assign(at=day(orders["at"]))},
        keys={"customers": "id"}, times={"orders": "at"}, foreign_keys={"orders": {"customer": "customers"}}, **how,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    asked = pd.DataFrame([(c, d) for d in range(60, DAYS, 90) for c in range(SIZE)], columns=["id", "day"])
    label = pd.DataFrame({"id": asked["id"], "label": rng.integers(0, 2, len(asked)), "date": day(asked["day"])})
    task = Task.from_labels(
        database, label, name="t", entity="customers", kind="binary", time="date", entity_columns="id", horizon="30d"
    )
    return Problem(database, task)


def found(case: Problem, seed: int = 0) -> dict[str, Finding]:
    return {each.subject.partition(".")[2]: each for each in check_overwritten(case, seed)}


PLANTED, HONEST = (list(make(*world(0)).columns) for make in (planted, honest))


@pytest.fixture(scope="module", params=[0, 1])
def findings(request: pytest.FixtureRequest) -> dict[str, Finding]:
    drawn, orders, end = world(request.param)
    columns = pd.concat([planted(drawn, orders, end), honest(drawn, orders, end)], axis=1)
    return found(problem(columns, drawn, orders))


@pytest.mark.parametrize("column", PLANTED)
def test_overwritten_columns_are_found(findings: dict[str, Finding], column: str) -> None:
    assert column in findings
    assert findings[column].severity == "warning"


@pytest.mark.parametrize("column", HONEST)
def test_honest_columns_are_not(findings: dict[str, Finding], column: str) -> None:
    assert column not in findings, findings[column].evidence


def test_short_lives_and_early_cohorts_are_no_discontinued_flags() -> None:
    """A trial lasts two weeks, and the first generation ended before the second began: both are known from the start."""
    drawn, orders, _ = world(3)
    start = orders.groupby("customer")["at"].transform("min")
    trial = drawn["id"] % 3 == 0
    kept = orders[~trial[orders["customer"]].to_numpy() | (orders["at"] < start + 14)]
    old = drawn["start"] == 0
    kept = kept[~old[kept["customer"]].to_numpy() | (kept["at"] < 0.5 * DAYS)].reset_index(drop=True)
    columns = pd.DataFrame({"trial": trial, "generation": np.where(old, 1, 2)})
    assert found(problem(columns, drawn, kept)) == {}


def test_rows_written_with_their_parent_are_no_later_rows() -> None:
    """An order knows its number of items and their total from the start."""
    drawn, orders, _ = world(4)
    start = orders.groupby("customer")["at"].transform("min")
    items = orders.assign(at=start)
    by = items.groupby("customer")
    columns = pd.DataFrame({"n_items": by.size(), "amount": by["total"].sum()}).reindex(drawn["id"])
    assert found(problem(columns.reset_index(drop=True), drawn, items)) == {}


def test_a_clock_settles_the_matter() -> None:
    drawn, orders, end = world(5)
    columns = planted(drawn, orders, end)[["lifetime_spend", "last_login"]]
    assert set(found(problem(columns, drawn, orders))) == {"lifetime_spend", "last_login"}
    dated = problem(columns, drawn, orders, known_at={"customers": {"last_login": ["lifetime_spend"]}})
    assert found(dated) == {}


def test_the_report_names_the_column() -> None:
    drawn, orders, end = world(6)
    case = problem(planted(drawn, orders, end)[["lifetime_spend"]], drawn, orders)
    report = find_leaks(case)
    (finding,) = [each for each in report.open if each.check == "overwritten_column"]
    assert finding.subject == "customers.lifetime_spend"
    assert "the sum of orders.total over all time" in finding.evidence


@pytest.mark.parametrize("size", [10, 700])
def test_concordance_is_that_of_all_pairs(size: int) -> None:
    rng = np.random.default_rng(size)
    one, other = rng.integers(0, 5, size).astype(float), rng.integers(0, 50, size).astype(float)
    above = one[:, None] > one[None]
    won = (above & (other[:, None] > other[None])).sum() + 0.5 * (above & (other[:, None] == other[None])).sum()
    assert concordance(one, other) == pytest.approx(won / above.sum())


def test_the_number_of_rows_that_are_read_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, orders, end = world(7)
    case = problem(planted(drawn, orders, end)[["lifetime_spend"]], drawn, orders)
    monkeypatch.setattr(child_rows_module, "_MOST_ROWS", 5_000)
    assert set(found(case)) == {"lifetime_spend"}
    monkeypatch.setattr(child_rows_module, "_LARGEST_ROWS", 100)
    assert found(case) == {}
