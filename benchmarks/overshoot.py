"""By how much whole processes of `relselect train` outlast their time budget, from the shell's point of view.

    python benchmarks/overshoot.py [--budgets 8 12 20 30 45 60] [--sizes 5000 50000 500000] [--keep FOLDER]

Generates shops of customers and orders as Parquet files with a manifest, whose task asks population and label queries, and
trains each within each budget: cold (the files are dropped from the page cache, the profile cache is empty) and then warm. Four
more runs train networks alone on the largest. A run is late where it ends later than budget plus the larger of 5 % and 5 s.
Prints the table of docs/time_budget.md with the load of the machine, and one JSON object as its last line. Exits with 1 where
a run was late, or ended with another code than 0 and 3.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import relselect
from relselect.budget import Budget

DAYS, FIRST = 700, np.datetime64("2023-01-01", "s")
MANIFEST = """
name: shop
tables:
  customers: {primary_key: id}
  orders: {primary_key: id, time: placed, foreign_keys: [{columns: customer, table: customers}]}
tasks:
  churn:
    entity: customers
    kind: binary
    target: gone
    horizon: 30d
    every: 60d
    population: SELECT cutoff, id FROM cutoffs, customers
      WHERE id IN (SELECT customer FROM orders WHERE placed > cutoff - INTERVAL 90 DAY AND placed <= cutoff)
    label: SELECT p.cutoff, p.id, count(o.id) = 0 AS gone FROM population p
      LEFT JOIN orders o ON o.customer = p.id AND o.placed > p.cutoff AND o.placed <= p.cutoff + INTERVAL 30 DAY GROUP BY ALL
"""


def make_shop(folder: Path, orders: int) -> None:
    """Write a shop with so many orders, a tenth as many customers, and nine columns to aggregate."""
    rng, customers = np.random.default_rng(orders), orders // 10
    rate = rng.gamma(1.0, 1.0, customers)
    buyer = rng.choice(customers, orders, p=rate / rate.sum())
    seconds = (rng.uniform(0, DAYS * 86_400, orders) * rng.beta(4, 2, customers)[buyer]).astype(np.int64)
    columns: dict[str, Any] = {
        "id": np.arange(orders),
        "customer": buyer,
        "placed": (FIRST + np.sort(seconds).astype("timedelta64[s]")).astype("datetime64[us]"),
        "status": np.array(["open", "paid", "sent", "back"])[rng.integers(0, 4, orders)],
        **{f"amount_{number}": rng.gamma(2.0, 10.0, orders).round(2) for number in range(4)},
        **{f"count_{number}": rng.integers(0, 50, orders) for number in range(4)},
    }
    region = np.array(["north", "south", "east", "west"])[rng.integers(0, 4, customers)]
    people = {"id": np.arange(customers), "region": region, "birth": rng.integers(1940, 2005, customers)}
    folder.mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "orders.parquet")
    pq.write_table(pa.table(people), folder / "customers.parquet")
    (folder / "database.yaml").write_text(MANIFEST)


def drop_from_cache(folder: Path) -> None:
    """Ask the system to forget the content of the files; where it cannot be asked, they stay warm."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(home: Path, rows: int, seconds: float, cold: bool, *more: str) -> dict[str, Any]:
    """Run one command and return what it took, and its exit code."""
    shop, cache, out = home / f"shop-{rows}", home / "cache", home / "out"
    shutil.rmtree(out, ignore_errors=True)
    if cold:
        shutil.rmtree(cache, ignore_errors=True)
        drop_from_cache(shop)
    words = [
        "train",
        str(shop),
        "--task",
        "churn",
        "--time-budget",
        f"{seconds:g}s",
        "--out",
        str(out),
        "--json",
        *more,
    ]
    load, begun = os.getloadavg()[0], time.monotonic()
    process = subprocess.run(
        [sys.executable, "-m", "relselect", *words],
        env={**os.environ, "RELSELECT_CACHE": str(cache), "PYTHONDONTWRITEBYTECODE": ""},  # compiled, as installed
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - begun
    answer = json.loads(process.stdout or "{}")
    error = answer.get("error", {}).get("message", process.stderr[-500:]) if process.returncode else ""
    return {
        "rows": rows, "budget": seconds, "cold": cold, "families": " ".join(more) or "recommended", "seconds": round(took, 2),
        "over": round(took - seconds, 2), "allowed": Budget(seconds).allowance, "code": process.returncode,
        "whole": (out / "manifest.json").exists() == (process.returncode == 0), "load": round(load, 1), "error": error,
    }  # fmt: skip


def runs(home: Path, sizes: list[int], budgets: list[float]) -> Iterator[dict[str, Any]]:
    """Yield the runs as they end."""
    for rows in sizes:
        make_shop(home / f"shop-{rows}", rows)
        for seconds in budgets:
            for cold in (True, False):
                yield timed(home, rows, seconds, cold)
    for seconds in (8.0, 20.0):
        for cold in (True, False):
            yield timed(home, sizes[-1], seconds, cold, "--families", "rdl")


def row_of(run: dict[str, Any]) -> str:
    """Return a row of the table."""
    state = "cold" if run["cold"] else "warm"
    named = run["families"].removeprefix("--families ")
    return (
        f"| {run['rows']:,} | {named} | {run['budget']:g} | {state} | {run['seconds']:.1f} | {run['over']:+.1f} "
        f"| {run['code']} | {run['load']:.1f} |"
    )


def main() -> int:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budgets", type=float, nargs="+", default=[8, 12, 20, 30, 45, 60])
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 50_000, 500_000])
    parser.add_argument("--keep", type=Path, help="A folder for the shops and predictors; a temporary one by default.")
    asked = parser.parse_args()
    home = asked.keep or Path(tempfile.mkdtemp(prefix="overshoot-"))
    print("| orders | families | budget, s | files and cache | took, s | over, s | exit code | load |")
    print("|---:|---|---:|---|---:|---:|---:|---:|")
    found = []
    compileall.compile_dir(relselect.__path__[0], quiet=1)
    try:
        for run in runs(home, asked.sizes, asked.budgets):
            print(row_of(run), flush=True)
            found.append(run)
    finally:
        if asked.keep is None:
            shutil.rmtree(home, ignore_errors=True)
    late = [run for run in found if run["over"] > run["allowed"]]
    wrong = [run for run in found if run["code"] not in (0, 3) or not run["whole"]]
    summary = {
        "runs": len(found), "late": len(late), "wrong": len(wrong), "exit 3": sum(run["code"] == 3 for run in found),
        "largest over": max(run["over"] for run in found), "cores": os.cpu_count(),
    }  # fmt: skip
    print(json.dumps({"summary": summary, "runs": found}))
    return 1 if late or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
