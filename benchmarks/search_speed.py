"""Time the search of features: 3,000 candidates on 100,000 rows of children and 10,000 task rows.

    python benchmarks/search_speed.py

A shop of 2,000 customers, 500 products in 20 categories, 30,000 orders and 70,000 order lines is made from a seed; the task asks
monthly whether a customer's next orders hold the favourite category. Compiled loops are warmed up on a smaller shop first. The
last line printed is one JSON object: seconds by the clock and of processor time, candidates, and features kept.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pandas as pd


def main() -> None:
    from relselect.dfs.search.screen import search_features

    for scale in (0.02, 1.0):
        problem = shop(scale)
        begun, busy = time.perf_counter(), time.process_time()
        result = search_features(problem, problem.rows("train"))
        seconds, cpu = time.perf_counter() - begun, time.process_time() - busy
    tables = problem.database.tables
    print(
        json.dumps(
            {
                "seconds": round(seconds, 2),
                "cpu_seconds": round(cpu, 2),
                "candidates": result.facts()["offered"],
                "kept": len(result.plan),
                "task_rows": result.rows,
                "child_rows": tables["orders"].num_rows + tables["lines"].num_rows,
                "best": result.kept[0].name if result.kept else None,
                "fallback": result.fallback,
            }
        )
    )


def shop(scale: float) -> Any:
    """Return the problem of a shop; `scale` multiplies all rows."""
    from relselect.database import Database
    from relselect.problem import Problem
    from relselect.tasks import Task

    draw = np.random.default_rng(0)
    users, orders, lines, products = (max(40, int(scale * n)) for n in (2_000, 30_000, 70_000, 500))
    start, taste = pd.Timestamp("2020-01-01"), draw.random(users)
    day = np.sort(draw.integers(0, 730, orders))
    user = draw.integers(0, users, orders)
    order = np.sort(draw.integers(0, orders, lines))
    product = np.where(
        draw.random(lines) < taste[user[order]],
        draw.integers(0, products // 20, lines),
        draw.integers(0, products, lines),
    )
    frames = {
        "users": pd.DataFrame(
            {"user": range(users), "age": draw.integers(18, 90, users), "city": draw.choice(list("abcdef"), users)}
        ),
        "categories": pd.DataFrame({"category": range(20), "margin": draw.random(20)}),
        "products": pd.DataFrame(
            {
                "product": range(products),
                "category": np.arange(products) * 20 // products,
                "price": draw.gamma(2, 10, products),
            }
        ),
        "orders": pd.DataFrame(
            {
                "order": range(orders),
                "user": user,
                "at": start + pd.to_timedelta(day, "D"),
                "channel": draw.choice(["web", "shop", "phone"], orders),
                "discount": draw.random(orders).round(2),
            }
        ),
        "lines": pd.DataFrame(
            {
                "line": range(lines),
                "order": order,
                "product": product,
                "at": start + pd.to_timedelta(day[order], "D"),
                "units": draw.poisson(2, lines) + 1,
                "gift": draw.random(lines) < 0.1,
            }
        ),
    }
    for table, width in (("orders", 30), ("lines", 30), ("products", 20)):
        frames[table] = frames[table].assign(**{f"x{n}": draw.normal(size=len(frames[table])) for n in range(width)})
    database = Database.from_dataframes(
        frames,
        keys={"users": "user", "categories": "category", "products": "product", "orders": "order", "lines": "line"},
        times={"orders": "at", "lines": "at"},
        foreign_keys={
            "products": {"category": "categories"},
            "orders": {"user": "users"},
            "lines": {"order": "orders", "product": "products"},
        },
    )
    cutoffs = start + pd.to_timedelta(np.arange(300, 720, 30), "D")
    grid = pd.DataFrame([(u, c) for c in cutoffs for u in range(users)], columns=["user", "cutoff"])
    grid["label"] = (draw.random(len(grid)) < taste[grid["user"]]).astype(int)
    task = Task.from_labels(
        database, grid, name="t", entity="users", kind="binary", time="cutoff", horizon="30d", val_start="2021-10-01"
    )
    return Problem(database, task)


if __name__ == "__main__":
    main()
