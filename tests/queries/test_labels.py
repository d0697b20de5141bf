"""Queries give the populations and labels that pandas gives, and their SQL passes the checks for leaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import relselect as rs
from relselect.leaks import check_query
from relselect.queries import QueryPlan, parse_query
from relselect.tasks.label_queries import ask_labels
from relselect.tasks.options import TaskOptions
from relselect.tasks.sessions import Query
from tests.queries.worlds import (
    CUTOFFS,
    by_customer,
    commonest,
    expected,
    first,
    greatest,
    known,
    last,
    least,
    mean,
    shop_database,
    shop_frames,
)

#: The end of a month, and noon of one.
ASKED = CUTOFFS[::2]


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return shop_frames()


@pytest.fixture(scope="module")
def customers(frames) -> list[Any]:
    return by_customer(frames)


@pytest.fixture(scope="module")
def database(frames) -> rs.Database:
    return shop_database(frames)


def answers(database: rs.Database, plan: QueryPlan, cutoffs: list[Any]) -> dict[tuple[Any, Any], Any]:
    """Ask the SQL of a plan as `Task.from_sql` does."""
    options = TaskOptions(name="t", entity=plan.entity, kind=plan.kind, target=plan.target, horizon=plan.horizon)
    integer = database.time_kind == "integer"
    ticks = [cutoff if integer else cutoff.value // 1000 for cutoff in cutoffs]
    population = Query("population", plan.population or "", ("cutoff", *plan.keys))
    label = Query("label", plan.label, ("cutoff", *plan.keys, plan.target))
    found, _ = ask_labels(database, population, label, ticks, options.horizon_ticks() or 0)
    columns = [found[name].to_pylist() for name in (*plan.keys, "cutoff", plan.target)]
    return {tuple(row[:-1]): row[-1] for row in zip(*columns, strict=True)}


def check(found: dict[tuple[Any, Any], Any], wanted: dict[tuple[Any, Any], Any]) -> None:
    found = {(key, pd.Timestamp(cutoff)): value for (key, cutoff), value in found.items()}
    assert found.keys() == wanted.keys()
    for place, value in wanted.items():
        if isinstance(value, str | bool | np.bool_):
            assert found[place] == value, place
        else:
            assert float(found[place]) == pytest.approx(float(value), rel=1e-12), place


#: Target, kind, and the same label by hand. Every one is asked of all customers.
TARGETS = [
    ("COUNT(orders.*, 0, 30, days)", "regression", lambda a: len(a.orders(0, 30))),
    ("count(orders.*, 0, 30)", "regression", lambda a: len(a.orders(0, 30))),
    ("COUNT(ORDERS.*, 0, 30, Days)", "regression", lambda a: len(a.orders(0, 30))),
    ("COUNT(orders.amount, 0, 30, days)", "regression", lambda a: a.orders(0, 30)["amount"].count()),
    ("COUNT(orders.*, 30, 60, days)", "regression", lambda a: len(a.orders(30, 60))),
    ("COUNT(orders.*, 0, 4, weeks)", "regression", lambda a: len(a.orders(0, 4, "weeks"))),
    ("COUNT(orders.*, 0, 100, hours)", "regression", lambda a: len(a.orders(0, 100, "hours"))),
    ("COUNT(orders.*, 0, 5000, minutes)", "regression", lambda a: len(a.orders(0, 5000, "minutes"))),
    ("COUNT(orders.*, 0, 360000, seconds)", "regression", lambda a: len(a.orders(0, 100, "hours"))),
    ("COUNT(orders.*, 0, 1, months)", "regression", lambda a: len(a.orders(0, 1, "months"))),
    ("COUNT(orders.*, 1, 2, month)", "regression", lambda a: len(a.orders(1, 2, "months"))),
    ("COUNT(orders.*, 0, 6, months)", "regression", lambda a: len(a.orders(0, 6, "months"))),
    ("SUM(orders.amount, 0, 30, days)", "regression", lambda a: a.orders(0, 30)["amount"].sum()),
    ("SUM(orders.gift, 0, 90, days)", "regression", lambda a: a.orders(0, 90)["gift"].sum()),
    ("SUM(orders.pieces, 0, 90, days)", "regression", lambda a: a.orders(0, 90)["pieces"].sum()),
    ("AVG(orders.amount, 0, 30, days)", "regression", lambda a: mean(a.orders(0, 30)["amount"])),
    ("AVG(orders.gift, 0, 30, days)", "regression", lambda a: mean(a.orders(0, 30)["gift"].astype(float))),
    ("MIN(orders.amount, 0, 60, days)", "regression", lambda a: least(a.orders(0, 60)["amount"])),
    ("MAX(orders.amount, 0, 60, days)", "regression", lambda a: greatest(a.orders(0, 60)["amount"])),
    ("MAX(orders.status, 0, 60, days)", "multiclass", lambda a: greatest(a.orders(0, 60)["status"])),
    ("MAX(orders.gift, 0, 60, days)", "binary", lambda a: known(greatest(a.orders(0, 60)["gift"]), bool)),
    ("FIRST(orders.amount, 0, 90, days)", "regression", lambda a: first(a.orders(0, 90), "amount")),
    ("LAST(orders.amount, 0, 90, days)", "regression", lambda a: last(a.orders(0, 90), "amount")),
    ("FIRST(orders.status, 0, 90, days)", "multiclass", lambda a: first(a.orders(0, 90), "status")),
    ("LAST(orders.channel, 0, 90, days)", "multiclass", lambda a: last(a.orders(0, 90), "channel")),
    ("COUNT_DISTINCT(orders.status, 0, 90, days)", "regression", lambda a: a.orders(0, 90)["status"].nunique()),
    ("LIST_DISTINCT(orders.status, 0, 90, days)", "multiclass", lambda a: commonest(a.orders(0, 90)["status"])),
    ("LIST_DISTINCT(orders.channel, 0, 90, days)", "multiclass", lambda a: commonest(a.orders(0, 90)["channel"])),
    ('LIST_DISTINCT(orders."Ship To", 0, 60, days)', "multiclass", lambda a: commonest(a.orders(0, 60)["Ship To"])),
    ("LIST_DISTINCT(orders.pieces, 0, 60, days)", "multiclass", lambda a: commonest(a.orders(0, 60)["pieces"])),
    ("SUM(orders.order, 0, 60, days)", "regression", lambda a: a.orders(0, 60)["order"].sum()),
    ('COUNT("order items".*, 0, 30, days)', "regression", lambda a: len(a.items(0, 30))),
    ('SUM("order items".qty, 0, 2, months)', "regression", lambda a: a.items(0, 2, "months")["qty"].sum()),
    ('LIST_DISTINCT("order items".sku, 0, 90)', "multiclass", lambda a: commonest(a.items(0, 90)["sku"])),
    ('LAST("order items".qty, 0, 60, days)', "regression", lambda a: last(a.items(0, 60), "qty", "at")),
    ("COUNT(crm.tickets.*, 0, 30, days)", "regression", lambda a: len(a.tickets(0, 30))),
    ('AVG("crm.tickets".priority, 0, 30, days)', "regression", lambda a: mean(a.tickets(0, 30)["priority"])),
    (
        "COUNT(crm.tickets.* WHERE crm.tickets.outcome = 'solved', 0, 60, days)",
        "regression",
        lambda a: (a.tickets(0, 60)["outcome"] == "solved").sum(),
    ),
    ("COUNT(customers.*, 0, 100, days)", "regression", lambda a: len(a.referred(0, 100))),
    (
        "SUM(orders.amount WHERE orders.status = 'paid', 0, 30, days)",
        "regression",
        lambda a: a.orders(0, 30).query("status == 'paid'")["amount"].sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.status = 'it''s late', 0, 90, days)",
        "regression",
        lambda a: (a.orders(0, 90)["status"] == "it's late").sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.status LIKE '%a%', 0, 90, days)",
        "regression",
        lambda a: a.orders(0, 90)["status"].str.contains("a").eq(True).sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.status NOT LIKE 'p___', 0, 90, days)",
        "regression",
        lambda a: a.orders(0, 90)["status"].isin(["open", "it's late"]).sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.status IS NULL OR orders.gift = TRUE, 0, 90, days)",
        "regression",
        lambda a: (a.orders(0, 90)["status"].isna() | a.orders(0, 90)["gift"]).sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.amount IS NOT NULL AND NOT orders.gift = TRUE, 0, 90, days)",
        "regression",
        lambda a: (a.orders(0, 90)["amount"].notna() & ~a.orders(0, 90)["gift"]).sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.channel IN ('web', 'no such channel'), 0, 90, days)",
        "regression",
        lambda a: (a.orders(0, 90)["channel"] == "web").sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.channel >= 'desk', 0, 90, days)",
        "regression",
        lambda a: a.orders(0, 90)["channel"].isin(["desk", "web"]).sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.pieces NOT IN (1, 2) AND (orders.order = 0 OR orders.amount > 2.5), 0, 90, days)",
        "regression",
        lambda a: a.orders(0, 90).query("pieces not in [1, 2] and (order == 0 or amount > 2.5)").shape[0],
    ),
    (
        "COUNT(orders.* WHERE orders.due < '2024-03-01', 0, 90, days)",
        "regression",
        lambda a: (a.orders(0, 90)["due"] < pd.Timestamp("2024-03-01")).sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.pieces < orders.order, 0, 90, days)",
        "regression",
        lambda a: (a.orders(0, 90)["pieces"] < a.orders(0, 90)["order"]).sum(),
    ),
    (
        "COUNT(orders.* WHERE orders.amount > -1e0 AND orders.amount <= +5, 0, 90, days)",
        "regression",
        lambda a: (a.orders(0, 90)["amount"] <= 5).sum(),
    ),
    ("COUNT(orders.*, 0, 60, days) = 0", "binary", lambda a: len(a.orders(0, 60)) == 0),
    ("COUNT(orders.*, 0, 60, days) <> 2", "binary", lambda a: len(a.orders(0, 60)) != 2),
    ("3 <= COUNT(orders.*, 0, 60, days)", "binary", lambda a: len(a.orders(0, 60)) >= 3),
    ("COUNT(orders.*, 0, 60, days) IN (0, 2, 4)", "binary", lambda a: len(a.orders(0, 60)) in (0, 2, 4)),
    ("SUM(orders.amount, 0, 30, days) > 10.5", "binary", lambda a: a.orders(0, 30)["amount"].sum() > 10.5),
    (
        "AVG(orders.amount, 0, 30, days) < 5",
        "binary",
        lambda a: known(mean(a.orders(0, 30)["amount"]), lambda value: value < 5),
    ),
    ("MIN(orders.amount, 0, 30, days) IS NULL", "binary", lambda a: a.orders(0, 30)["amount"].count() == 0),
    ("MIN(orders.amount, 0, 30, days) IS NOT NULL", "binary", lambda a: a.orders(0, 30)["amount"].count() > 0),
    (
        "LIST_DISTINCT(orders.status, 0, 60, days) = 'paid'",
        "binary",
        lambda a: known(commonest(a.orders(0, 60)["status"]), lambda value: value == "paid"),
    ),
    (
        "LAST(orders.status, 0, 60, days) LIKE '%e%'",
        "binary",
        lambda a: known(last(a.orders(0, 60), "status"), lambda value: "e" in value),
    ),
    (
        "COUNT(orders.*, 0, 30, days) > COUNT(crm.tickets.*, 0, 30, days)",
        "binary",
        lambda a: len(a.orders(0, 30)) > len(a.tickets(0, 30)),
    ),
    (
        "COUNT(orders.*, 0, 30, days) > 0 AND NOT (COUNT(crm.tickets.*, 0, 60, days) > 0 OR COUNT(orders.*, 30, 60) = 1)",
        "binary",
        lambda a: len(a.orders(0, 30)) > 0 and not (len(a.tickets(0, 60)) > 0 or len(a.orders(30, 60)) == 1),
    ),
    (
        "MAX(orders.due, 0, 60, days) >= '2024-06-01T02:00:00+02:00'",
        "binary",
        lambda a: known(greatest(a.orders(0, 60)["due"]), lambda value: value >= pd.Timestamp("2024-06-01")),
    ),
]


@pytest.mark.parametrize(("target", "kind", "label"), TARGETS, ids=[target for target, _, _ in TARGETS])
def test_labels_are_those_of_pandas(database, customers, target, kind, label) -> None:
    text = f"PREDICT {target} FOR EACH customers.id"
    plan = rs.explain_query(database, text)
    assert plan.kind == kind
    assert parse_query(str(parse_query(text))) == parse_query(text)
    wanted = expected(customers, label, None, ASKED)
    assert len(set(map(str, wanted.values()))) > 1
    check(answers(database, plan, ASKED), wanted)
    assert findings(database, plan) == []


#: Conditions on the population, and the same by hand.
POPULATIONS = [
    ("COUNT(orders.*, -60, 0, days) > 0", lambda a: len(a.orders(-60, 0)) > 0),
    ("COUNT(orders.*, -INF, 0, days) > 9", lambda a: len(a.orders(None, 0)) > 9),
    ("COUNT(orders.*, -infinity, -30) > 9", lambda a: len(a.orders(None, -30)) > 9),
    ("COUNT(orders.*, -2, -1, months) > 0", lambda a: len(a.orders(-2, -1, "months")) > 0),
    ("COUNT(orders.*, -1, 0, months) >= 1", lambda a: len(a.orders(-1, 0, "months")) >= 1),
    ("SUM(orders.amount, -90, 0, days) > 12", lambda a: a.orders(-90, 0)["amount"].sum() > 12),
    (
        "AVG(orders.amount, -90, 0, days) >= 4",
        lambda a: known(mean(a.orders(-90, 0)["amount"]), lambda value: value >= 4),
    ),
    ("NOT AVG(orders.amount, -30, 0) > 4", lambda a: known(mean(a.orders(-30, 0)["amount"]), lambda v: v <= 4)),
    ("LAST(orders.status, -INF, 0) = 'paid'", lambda a: last(a.orders(None, 0), "status") == "paid"),
    ("COUNT(orders.* WHERE orders.gift = TRUE, -90, 0, days) > 1", lambda a: a.orders(-90, 0)["gift"].sum() > 1),
    ('COUNT("order items".*, -60, 0, days) > 2', lambda a: len(a.items(-60, 0)) > 2),
    ("customers.country = 'DE'", lambda a: a.customer["country"] == "DE"),
    ("customers.country != 'DE'", lambda a: a.customer["country"] in ("AT", "FR")),
    ("customers.country IS NULL OR customers.vip = TRUE", lambda a: a.customer["country"] is None or a.customer["vip"]),
    ("customers.score <= 0.5", lambda a: a.customer["score"] <= 0.5),
    ("customers.born < '1990-01-01'", lambda a: a.customer["born"] < pd.Timestamp("1990-01-01")),
    (
        "customers.vip = FALSE AND COUNT(orders.*, -90, 0, days) > 1",
        lambda a: not a.customer["vip"] and len(a.orders(-90, 0)) > 1,
    ),
    (
        "COUNT(crm.tickets.* WHERE crm.tickets.outcome = 'solved', -90, 0, days) > 0",
        lambda a: (a.tickets(-90, 0)["outcome"] == "solved").any(),
    ),
    ("COUNT(customers.*, -INF, 0) > 1", lambda a: len(a.referred(None, 0)) > 1),
]


@pytest.mark.parametrize(("where", "population"), POPULATIONS, ids=[where for where, _ in POPULATIONS])
def test_populations_are_those_of_pandas(database, customers, where, population) -> None:
    text = f"PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id WHERE {where}"
    plan = rs.explain_query(database, text)
    assert parse_query(str(parse_query(text))) == parse_query(text)
    wanted = expected(customers, lambda a: len(a.orders(0, 30)), population, ASKED)
    assert 0 < len(wanted) < len(expected(customers, lambda a: 0, None, ASKED))
    check(answers(database, plan, ASKED), wanted)
    assert findings(database, plan) == []


def findings(database: rs.Database, plan: QueryPlan) -> list[Any]:
    """What the checks of queries find in the SQL of a plan."""
    times = {name: table.time for name, table in database.tables.items() if table.time is not None}
    return [*check_query(plan.population or "", times, "population"), *check_query(plan.label, times, "label")]
