"""Measures `relselect serve`: latency and requests per second over real HTTP, of one and of several clients.

A predictor is trained for a moment on the bundled baseball database and served by the command itself. The last line is one JSON
object.

    python benchmarks/serving.py --seconds 10 --clients 1,8,32 --rows 1,100
"""

from __future__ import annotations

import argparse
import http.client
import json
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from relselect import examples, select_and_train

AT = "2015-11-01"


def main() -> None:
    options = parsed()
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        example = examples.lahman()
        fitted = select_and_train(
            example.database,
            example.tasks["player-active"],
            options.time_budget,
            families=options.families,
            max_trials=1,
            evaluate_test=False,
            progress=False,
        )
        fitted.save(bundle)
        keys = example.database["People"].data["playerID"].to_pylist()
        process, port = started(bundle)
        try:
            results = [
                measured(port, keys, clients, rows, options.seconds)
                for clients in options.clients
                for rows in options.rows
            ]
        finally:
            process.terminate()
            process.wait(30)
    for each in results:
        print(
            f"{each['clients']:>3} clients, {each['rows']:>4} rows: p50 {each['p50_ms']:.1f} ms, p99 {each['p99_ms']:.1f} ms, "
            f"{each['requests_per_second']:.0f} requests/s, {each['rows_per_second']:.0f} rows/s"
        )
    facts = {"machine": platform.machine(), "python": platform.python_version(), "candidate": fitted.candidate.id}
    print(json.dumps({"benchmark": "serving", **facts, "seconds": options.seconds, "results": results}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    numbers = lambda text: [int(each) for each in text.split(",")]  # noqa: E731
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--clients", type=numbers, default=[1, 8, 32])
    parser.add_argument("--rows", type=numbers, default=[1, 100])
    parser.add_argument("--families", default="dfs")
    parser.add_argument("--time-budget", default="3min", help="of the training")
    return parser.parse_args()


def started(bundle: Path) -> tuple[subprocess.Popen[str], int]:
    """Start the command, and return it with its port."""
    words = [sys.executable, "-m", "relselect", "serve", str(bundle), "--port", "0"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    for line in process.stderr or ():
        if match := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            threading.Thread(target=lambda: list(process.stderr or ()), daemon=True).start()
            return process, int(match[1])
    raise SystemExit("the server did not start")


def measured(port: int, keys: list[str], clients: int, rows: int, seconds: float) -> dict[str, float]:
    """Ask for so many rows from so many clients, each over one connection that stays open."""
    draw = np.random.default_rng(0)
    bodies = [
        json.dumps(
            {"entities": [{"playerID": keys[place]} for place in draw.integers(0, len(keys), rows)], "at": AT}
        ).encode()
        for _ in range(64)
    ]
    spent: list[float] = []
    failed = [0]
    ends = time.monotonic() + seconds

    def work(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        place = number
        while time.monotonic() < ends:
            begun = time.monotonic()
            connection.request("POST", "/predict", bodies[place % len(bodies)], {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            spent.append(time.monotonic() - begun)
            failed[0] += answer.status != 200
            place += 1

    begun = time.monotonic()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = time.monotonic() - begun
    low, high = np.quantile(spent, [0.5, 0.99])
    return {
        "clients": clients,
        "rows": rows,
        "requests": len(spent),
        "failed": failed[0],
        "p50_ms": round(1000 * float(low), 2),
        "p99_ms": round(1000 * float(high), 2),
        "requests_per_second": round(len(spent) / whole, 1),
        "rows_per_second": round(rows * len(spent) / whole, 1),
    }


if __name__ == "__main__":
    main()
