"""A small shop for the tests: users, their orders of products, and whether a user orders again soon."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from relselect.database import Database, ForeignKey, Table
from relselect.database.clock import DAY
from relselect.problem import Problem
from relselect.tasks import Task

POPULATION = "SELECT DISTINCT cutoff, user_id AS id FROM cutoffs, orders"
LABEL = """
    SELECT cutoff, id, count(oid) > 0 AS label
    FROM population LEFT JOIN orders ON user_id = id AND "when" > cutoff AND "when" <= cutoff + INTERVAL 30 DAY
    GROUP BY ALL
"""


def days(values) -> pa.Array:
    """Timestamps from numbers of days since 1970, None for NULL."""
    ticks = [None if value is None else round(float(value) * DAY) for value in values]
    return pa.array(ticks, pa.int64()).cast(pa.timestamp("us"))


def shop_tables(seed: int = 0, users: int = 60, orders: int = 900) -> dict[str, pa.Table]:
    draw = np.random.default_rng(seed)
    taste = draw.random(users)
    user = draw.choice(users, orders, p=taste / taste.sum())
    day = np.sort(draw.integers(0, 300, orders)) + draw.random(orders).round(3)
    total = np.round(draw.gamma(2.0, 10.0, orders) * (0.5 + taste[user]), 2)
    return {
        "users": pa.table({
            "id": pa.array(np.arange(users) * 7 + 3),
            "city": pa.array([f"city {i % 5}" for i in range(users)]),
            "age": pa.array([None if i % 11 == 0 else int(20 + i % 50) for i in range(users)]),
        }),
        "products": pa.table({"sku": pa.array([f"p{i}" for i in range(8)]), "price": pa.array(np.linspace(1.0, 9.0, 8))}),
        "orders": pa.table({
            "oid": pa.array(np.arange(orders)),
            "user_id": pa.array(user * 7 + 3),
            "sku": pa.array([None if i % 29 == 0 else f"p{i % 9}" for i in range(orders)]),
            "total": pa.array(total),
            "when": days(day),
            "closed": days([None if i % 17 == 0 else d + 1 + i % 9 for i, d in enumerate(day)]),
            "state": pa.array(np.where(draw.random(orders) < taste[user], "returned", "kept")),
        }),
    }  # fmt: skip


def shop(tables: Mapping[str, pa.Table] | None = None, name: str = "shop") -> Database:
    tables = tables or shop_tables()
    return Database(
        [
            Table("users", tables["users"], ("id",)),
            Table("products", tables["products"], ("sku",)),
            Table(
                "orders",
                tables["orders"],
                ("oid",),
                "when",
                (ForeignKey(("user_id",), "users", ("id",)), ForeignKey(("sku",), "products", ("sku",))),
                known_at={"closed": ("state",)},
            ),
        ],
        name,
    )


def labels(tables: Mapping[str, pa.Table], kind: str = "binary", every: int = 30, users: int | None = None) -> pa.Table:
    """Whether, how often or in what class a user orders in the 30 days after each cutoff, from the data themselves."""
    orders = tables["orders"]
    user, when = orders["user_id"].to_numpy(), orders["when"].cast(pa.int64()).to_numpy()
    keys = tables["users"]["id"].to_numpy()[:users]
    cutoffs = np.arange(60, 271, every) * DAY
    count = np.array(
        [[((user == k) & (when > c) & (when <= c + 30 * DAY)).sum() for k in keys] for c in cutoffs]
    ).ravel()
    label = {
        "binary": count > 1,
        "regression": count * 1.5 + 0.25,
        "multiclass": np.array(["none", "some", "many"])[np.digitize(count, [1, 3])],
    }[kind]
    return pa.table({
        "id": pa.array(np.tile(keys, len(cutoffs))),
        "cutoff": pa.array(np.repeat(cutoffs, len(keys))).cast(pa.timestamp("us")),
        "label": pa.array(label),
    })  # fmt: skip


def shop_task(database: Database, tables: Mapping[str, pa.Table], kind: str = "binary", **options) -> Task:
    static = options.get("time", "cutoff") is None
    frame = options.pop("labels", None)
    return Task.from_labels(
        database,
        labels(tables, kind) if frame is None else frame,
        **{
            "name": "reorder", "entity": "users", "kind": kind, "time": "cutoff", "horizon": None if static else "30d",
            "population": None if static else POPULATION, **options,
        },
    )  # fmt: skip


def shop_problem(kind: str = "binary", **options) -> Problem:
    tables = shop_tables()
    database = shop(tables)
    return Problem(database, shop_task(database, tables, kind, **options))
