"""Train every task of every known database under one budget and write the table of all runs.

    RELSELECT_DATA=... python benchmarks/all_tasks.py --time-budget 1min [--only rel-f1] [--out docs/runs]

Each run goes through the public call, in a process of its own per database. Finished runs are appended to
`<out>.jsonl`; the same call again goes on with the tasks that are missing. The table is written to `<out>.md`, and the
last line printed is one JSON object. The test split is scored once per run, for the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCORES = ("constant", "entity", "dfs", "rdl", "chosen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time-budget", default="1min")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="databases to run")
    parser.add_argument("--out", type=Path, default=Path("docs/runs"))
    parser.add_argument("--database", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    log = arguments.out.with_suffix(".jsonl")
    if arguments.database:
        run_database(arguments.database, arguments.time_budget, arguments.seed, log)
        return
    from relselect.configs import known_databases

    for name in arguments.only or known_databases():
        command = [sys.executable, __file__, "--database", name, "--time-budget", arguments.time_budget]
        subprocess.run([*command, "--seed", str(arguments.seed), "--out", str(arguments.out)], check=False)
    rows = list(read(log))
    arguments.out.with_suffix(".md").write_text(page(rows, arguments.time_budget, arguments.seed), encoding="utf-8")
    print(json.dumps(summary(rows)))


def run_database(name: str, time_budget: str, seed: int, log: Path) -> None:
    from relselect.configs import open_database

    database = open_database(name)
    done = {(row["database"], row["task"]) for row in read(log)}
    for task in database.tasks:
        if (name, task) in done:
            continue
        row = {"database": name, "task": task, **run_task(database, task, time_budget, seed)}
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        print({key: value for key, value in row.items() if key != "why"}, file=sys.stderr, flush=True)


def run_task(database: Any, name: str, time_budget: str, seed: int) -> dict[str, Any]:
    from relselect.api import open_task, select_and_train
    from relselect.budget import parse_seconds

    begun = time.monotonic()
    try:
        task = open_task(database, name)
        begun = time.monotonic()
        fitted = select_and_train(database, task, time_budget, seed=seed, families=("dfs", "rdl"))
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}", "seconds": round(time.monotonic() - begun, 1)}
    seconds = time.monotonic() - begun
    record = fitted.record
    board = record["leaderboard"]
    best = {family: next((e for e in board if e["family"] == family), None) for family in ("dfs", "rdl")}
    named = {e["candidate"]: e for e in board}
    entries = {
        "constant": named.get("constants-0"),
        "entity": named.get("constants-1"),
        **best,
        "chosen": next(e for e in board if e["chosen"]),
    }
    return {
        "kind": task.kind,
        "metric": task.metric.name,
        "regime": record["task"]["regime"],
        "train_rows": len(task.splits["train"]),
        "val": {key: entry and entry["score"] for key, entry in entries.items()},
        "test": {key: entry and entry["test_score"] for key, entry in entries.items()},
        "trials": {family: sum(e["family"] == family for e in board) for family in ("dfs", "rdl")},
        "recommended": fitted.recommendation.family,
        "family": record["choice"]["family"],
        "cores": len(os.sched_getaffinity(0)),
        "seconds": round(seconds, 1),
        "over": round(seconds - parse_seconds(time_budget), 1),
        "unfinished": record["unfinished"],
        "failures": len(record["failures"]),
    }


def read(log: Path) -> Iterator[dict[str, Any]]:
    if log.exists():
        yield from (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line)


def page(rows: list[dict[str, Any]], time_budget: str, seed: int) -> str:
    head = [
        "# Every known task under one short budget",
        "",
        f"One call of `select_and_train` per task with both families, budget {time_budget}, seed {seed}, "
        f"{cores(rows)}, no GPU; written by `benchmarks/all_tasks.py`. Scores are higher is better (errors negated);",
        "per family the best candidate by validation. One seed and a short budget: the table shows that every task",
        "trains and where the time goes, not which family is better in general.",
        "",
        "| database | task | metric | train rows | recommended | chosen | val: constant | entity | dfs | rdl "
        "| test: constant | entity | dfs | rdl | chosen | trials dfs/rdl | s | remarks |",
        "|---|---|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|---|",
    ]
    ordered = sorted(rows, key=lambda row: (row["database"], row["task"]))
    return "\n".join([*head, *(line(row) for row in ordered), "", totals(rows), ""])


def cores(rows: list[dict[str, Any]]) -> str:
    counts = sorted({row["cores"] for row in rows if "cores" in row})
    return " or ".join(f"{count} CPU core{'s' if count > 1 else ''}" for count in counts)


def line(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"| {row['database']} | {row['task']} |" + " |" * 14 + f" {row['seconds']} | {row['error']} |"
    remarks = [f"{u['family']} did not finish: {u['why']}" for u in row["unfinished"]]
    remarks += [f"{row['failures']} failed trials"] if row["failures"] else []
    cells = [
        row["database"], row["task"], row["metric"], f"{row['train_rows']:,}", row["recommended"], row["family"],
        *(number(row["val"][key]) for key in SCORES[:4]), *(number(row["test"][key]) for key in SCORES),
        f"{row['trials']['dfs']}/{row['trials']['rdl']}", str(row["seconds"]), "; ".join(remarks),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    good = [row for row in rows if "error" not in row]
    constants = [max(filter(None.__ne__, (row["val"]["constant"], row["val"]["entity"]))) for row in good]
    beats = [
        row["val"]["chosen"] is not None and row["val"]["chosen"] > best
        for row, best in zip(good, constants, strict=True)
    ]
    return {
        "tasks": len(rows),
        "trained": len(good),
        "both_families": sum(row["trials"]["dfs"] > 0 and row["trials"]["rdl"] > 0 for row in good),
        "beats_constants_on_validation": sum(beats),
        "largest_overshoot_s": max((row["over"] for row in good), default=0.0),
    }


def totals(rows: list[dict[str, Any]]) -> str:
    facts = summary(rows)
    return (
        f"{facts['trained']} of {facts['tasks']} tasks trained; both families finished on "
        f"{facts['both_families']}; the choice beats both constants on validation on "
        f"{facts['beats_constants_on_validation']}; largest overshoot {facts['largest_overshoot_s']} s."
    )


if __name__ == "__main__":
    main()
