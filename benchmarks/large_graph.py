"""Trains the graph network on a database that is larger than the memory allowed to it, with the graph in memory-mapped files.

    python benchmarks/large_graph.py --rows 20000000
    python benchmarks/large_graph.py --rows 2000000 --store memory disk      # both, and whether they predict the same

A synthetic shop of customers (a tenth of the rows), products and events is written as Parquet, block by block, by one process.
Another one reads it with `memory_limit=0`, so that every table is a memory-mapped Arrow file, binds a task of 60,000 rows, and
fits the graph network by `RDL.fit` for `--steps` steps, from an empty cache. What is reported is the peak of the resident memory
of that process (`ru_maxrss`, which counts the pages of mapped files as long as the system leaves them there), its peak of
anonymous memory (`RssAnon`, asked for ten times a second), the seconds of each stage, and the bytes of the files. The files go
into a temporary folder of `--folder`. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.append(sys.path.pop(0))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAY = 86_400_000_000
DAYS, BLOCK = 730, 1_000_000
TASK_CUSTOMERS, CUTOFFS = 6_000, 10
BAR_GIB = 6.0
KINDS = ("view", "click", "cart", "order", "return")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--store", nargs="*", default=["disk"], choices=["disk", "memory", "auto"])
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the files go; the system's temporary folder by default"
    )
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.child[0], Path(arguments.child[1]), arguments)
        return
    with tempfile.TemporaryDirectory(prefix="large-graph-", dir=arguments.folder) as place:
        folder = Path(place)
        found: dict[str, Any] = {"rows": arguments.rows, "steps": arguments.steps}
        found["parquet_mb"] = started("write", folder, arguments)["mb"]
        for store in arguments.store:
            found[store] = started(store, folder, arguments)
        if len(arguments.store) > 1:
            saved = [np.load(folder / f"{store}.npy") for store in arguments.store]
            found["equal_predictions"] = all(np.array_equal(saved[0], each) for each in saved[1:])
        if "disk" in found:
            found["bar_gib"], found["met"] = BAR_GIB, found["disk"]["peak_gib"] < BAR_GIB
    print(json.dumps(found))


def started(work: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one part in a process of its own and return what its last line says."""
    command = [sys.executable, __file__, "--rows", str(arguments.rows), "--steps", str(arguments.steps)]
    environment = {**os.environ, "RELSELECT_CACHE": str(folder / f"cache-{work}")}
    done = subprocess.run(
        [*command, "--child", work, str(folder)], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    print(f"{work}: {done.stdout.splitlines()[-1]}", file=sys.stderr, flush=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(work: str, folder: Path, arguments: argparse.Namespace) -> None:
    found = write(folder / "shop", arguments.rows) if work == "write" else train(work, folder, arguments)
    print(json.dumps(found))


def write(folder: Path, rows: int) -> dict[str, Any]:
    """Write the shop as Parquet, `BLOCK` rows at a time."""
    folder.mkdir()
    customers, products = rows // 10, max(100, rows // 200)
    events = rows - customers - products
    draw = np.random.default_rng(0)
    kinds = pa.array(KINDS)

    def customer(first: int, count: int) -> pa.Table:
        key = np.arange(first, first + count)
        region = pa.array(draw.integers(0, 40, count)).cast(pa.string())
        return pa.table({"customer": key, "region": region, "age": draw.integers(18, 90, count).astype(np.float32)})

    def product(first: int, count: int) -> pa.Table:
        price = np.round(draw.gamma(2.0, 20.0, count), 2)
        return pa.table(
            {"product": np.arange(first, first + count), "price": price, "kind": draw.integers(0, 9, count)}
        )

    def event(first: int, count: int) -> pa.Table:
        low, high = DAYS * DAY * first // events, DAYS * DAY * (first + count) // events
        who, what = draw.integers(0, customers, count), (products * draw.random(count) ** 3).astype(np.int64)
        # an amount tells of the customer, so that there is something to learn
        amount = np.round(draw.gamma(2.0, 10.0, count) * (1 + who % 7), 2)
        return pa.table(
            {
                "event": np.arange(first, first + count),
                "customer": who,
                "product": what,
                "amount": amount,
                "kind": kinds.take(pa.array(draw.integers(0, len(KINDS), count))),
                "at": pa.array(np.sort(draw.integers(low, high, count))).cast(pa.timestamp("us")),
            }
        )

    for name, make, total in (
        ("customers", customer, customers),
        ("products", product, products),
        ("events", event, events),
    ):
        writer = None
        for first in range(0, total, BLOCK):
            table = make(first, min(BLOCK, total - first))
            writer = writer or pq.ParquetWriter(folder / f"{name}.parquet", table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()
    return {"mb": round(megabytes(folder))}


def train(store: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Read the shop, bind the task, and fit the network for some steps."""
    from relselect.budget import Budget
    from relselect.database import Database
    from relselect.events import silent
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.rdl import RDL

    watch = Watch()
    database = Database.from_uri(
        folder / "shop",
        memory_limit=0,
        keys={"customers": "customer", "products": "product", "events": "event"},
        times={"events": "at"},
        foreign_keys={"events": {"customer": "customers", "product": "products"}},
    )
    watch.stage("read")
    problem = Problem(database, task_of(database))
    watch.stage("bind")
    family, rows = RDL("cpu"), fit_rows(problem, score_test=False)
    config = {**family.default(problem), "store": store, "epochs": 1, "refit": "none"}
    config |= {"fewest_steps": arguments.steps, "steps_per_epoch": arguments.steps}
    candidate = family.fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent)
    watch.stage("fit")
    point = candidate.curve.points[-1]
    graph = watch.staged()
    family.predict(candidate, problem, rows.select)
    watch.stage("predict_again")
    np.save(folder / f"{store}.npy", candidate.predictions)
    return {
        **watch.found(),
        **graph,
        "steps": point.step,
        "seconds_of_the_steps": round(point.seconds, 1),
        "seconds_per_step": round(candidate.facts["seconds_per_step"], 3),
        "score": round(candidate.score, 4),
        "select_rows": len(rows.select),
        "graph_files_mb": round(megabytes(Path(os.environ["RELSELECT_CACHE"]) / "graphs")),
        "tables_mb": round(sum(database.spooled.values()) / 2**20),
    }


def task_of(database: Any) -> Any:
    """Whether a customer's multiplier of amounts is above its mean: known from any event that is visible."""
    from relselect.tasks import Task

    draw = np.random.default_rng(1)
    count = database["customers"].num_rows
    who = draw.choice(count, min(TASK_CUSTOMERS, count), replace=False)
    cutoff = np.repeat(np.linspace(DAYS // 2, DAYS - 30, CUTOFFS).astype(np.int64) * DAY, len(who))
    who = np.tile(who, CUTOFFS)
    rows = pa.table(
        {"customer": who, "cutoff": pa.array(cutoff).cast(pa.timestamp("us")), "label": pa.array(who % 7 > 3)}
    )
    return Task.from_labels(
        database,
        rows,
        name="big-spender",
        entity="customers",
        kind="binary",
        time="cutoff",
        horizon="30d",
        known_after=None,
    )


class Watch:
    """Seconds and memory of the stages of this process."""

    def __init__(self) -> None:
        self.begun, self.seconds, self.anonymous = time.monotonic(), {}, 0.0
        self.peaks: dict[str, float] = {}
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            self.anonymous = max(self.anonymous, int(fields["RssAnon"].split()[0]) / 2**20)
            time.sleep(0.1)

    def stage(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self.begun, 1)
        self.peaks[name] = round(peak_gib(), 2)
        print(name, self.seconds[name], "s, peak", self.peaks[name], "GiB", file=sys.stderr, flush=True)
        self.begun = time.monotonic()

    def staged(self) -> dict[str, Any]:
        return {"peak_gib_after": dict(self.peaks)}

    def found(self) -> dict[str, Any]:
        return {
            "peak_gib": round(peak_gib(), 2),
            "peak_anonymous_gib": round(self.anonymous, 2),
            "seconds": self.seconds,
        }


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


if __name__ == "__main__":
    main()
