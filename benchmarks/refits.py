"""What the refit of the graph network is worth: trained further from its best state, against trained anew.

    RELSELECT_DATA=... OMP_NUM_THREADS=1 python benchmarks/refits.py [--only TASK ...] [--seeds 0] [--out docs/refits]
    ... --table                       write the page of what is there, and fit nothing

One default fit to its natural end per task and seed, on one thread. The same fit is then deployed as it was validated, refitted
by `refit="continue"` and by `refit="anew"`, and each predicts the test rows. Only rows after the validation rows can tell what
a refit on them is worth, so the test rows are what is looked at. Finished fits are appended to `<out>.jsonl`, and the same call
goes on with what is missing. The last line is one JSON object. *Skill* is 0 for the constant and 1 for perfect predictions
(`relselect.tasks.metrics.skill`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

WAYS = ("continue", "anew")
TASKS = (
    "internet-standards/spec-new-version", "scotus/case-liberal", "tour-de-france/rider-returns",
    "internet-standards/rfc-superseded", "trade-flows/pair-starts-trading", "opam-packages/contributor-active",
    "enron-email/employee-silent", "berka-without-trans/loan-bad", "cdisc-pilot-trial/subject-adverse-event",
    "senate-stock-trades/senator-discloses", "un-votes/country-absent", "interstate-conflict/leader-exits",
    "rel-f1/driver-top3", "stackexchange-quantumcomputing/user-engagement", "nyphil-performances/conductor-returns",
    "sakila/customer-rentals", "us-films/actor-genre", "trade-flows/pair-relative-growth", "worldcup/squad-booked",
    "movielens-small/rating-stars",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=Path("docs/refits"))
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    log = arguments.out.with_suffix(".jsonl")
    for task in () if arguments.table else arguments.only:
        for seed in arguments.seeds:
            if not any((row["task"], row["seed"]) == (task, seed) for row in read(log)):
                row = measured(task, seed)
                with log.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(row) + "\n")
                print(row, file=sys.stderr, flush=True)
    rows = read(log)
    arguments.out.with_suffix(".md").write_text(page(rows), encoding="utf-8")
    print(json.dumps(summary(rows)))


def measured(task: str, seed: int) -> dict[str, Any]:
    """Fit the default once and return the skill of each refit on the test rows, with its CPU seconds."""
    import torch

    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.events import silent
    from relselect.families.constants import Constants
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.rdl import RDL
    from relselect.tasks.metrics import skill
    from relselect.threads import wait_passively

    wait_passively()
    torch.set_num_threads(1)
    database = open_database(task.split("/")[0])
    problem = Problem(database, open_task(database, task.split("/")[1]))
    rows, family, constants = fit_rows(problem), RDL("cpu"), Constants()
    metric, test = problem.task.metric, problem.rows("test")
    constant = constants.fit(
        problem, rows, constants.default(problem), seed=0, number=0, budget=Budget(None), emit=silent
    )
    level = metric.score(test.label, constants.predict(constant, problem, test.unlabelled()))

    def tested(candidate: Any) -> float:
        return skill(metric, metric.score(test.label, family.predict(candidate, problem, test.unlabelled())), level)

    begun = time.process_time()
    fitted = family.fit(problem, rows, family.default(problem), seed=seed, number=0, budget=Budget(None), emit=silent)
    row: dict[str, Any] = {"task": task, "seed": seed, "cpu_fit": round(time.process_time() - begun, 1)}
    row |= {"select": skill(metric, fitted.score, constant.score), "validated": tested(fitted)}
    for way in WAYS:
        blueprint = fitted.model.blueprint
        blueprint = replace(blueprint, settings=replace(blueprint.settings, refit=way))
        asked = replace(fitted, model=replace(fitted.model, blueprint=blueprint))
        begun = time.process_time()
        again = family.refit(asked, problem, rows, budget=Budget(None), emit=silent)
        row |= {f"cpu_{way}": round(time.process_time() - begun, 1), way: tested(again)}
    return row


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def gains(rows: list[dict[str, Any]], way: str, over: str) -> list[float]:
    """Return the mean difference in test skill of each database, its tasks and seeds weighted equally."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["task"].split("/")[0], []).append(row[way] - row[over])
    return [statistics.fmean(each) for each in found.values()]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over databases with their standard errors, medians over tasks, and how often each is better."""
    found: dict[str, Any] = {"tasks": len({row["task"] for row in rows}), "fits": len(rows)}
    for way, over in (("continue", "validated"), ("anew", "validated"), ("anew", "continue")):
        each = gains(rows, way, over)
        found[f"{way} - {over}"] = {
            "mean": statistics.fmean(each),
            "error": statistics.stdev(each) / len(each) ** 0.5 if len(each) > 1 else None,
            "databases": len(each),
            "median": statistics.median(row[way] - row[over] for row in rows),
            "better": sum(row[way] > row[over] for row in rows),
        }
    found["cpu"] = {way: sum(row[f"cpu_{way}"] for row in rows) / sum(row["cpu_fit"] for row in rows) for way in WAYS}
    return found


def page(rows: list[dict[str, Any]]) -> str:
    """Return the page: what each refit gains, and the table of tasks."""
    found = summary(rows)
    lines = [
        "# Refits of the graph network",
        "",
        "Written by `benchmarks/refits.py`, which says what is compared: one default fit per task and seed, deployed in",
        "three ways, skill on the test rows. Means over databases with standard errors; medians and counts over fits.",
        "",
        "| difference in test skill | mean | median | better |",
        "|---|---:|---:|---:|",
    ]
    for name, each in found.items():
        if isinstance(each, dict) and "mean" in each:
            error = "" if each["error"] is None else f" ± {each['error']:.4f}"
            lines.append(
                f"| {name} | {each['mean']:+.4f}{error} | {each['median']:+.4f} | {each['better']} of {len(rows)} |"
            )
    cpu, worst = found["cpu"], min(rows, key=lambda row: row["anew"] - row["continue"])
    lines += [
        "",
        f"A refit that continues takes {cpu['continue']:.0%} of the CPU time of the fit, one that begins anew",
        f"{cpu['anew']:.0%}. No row is left that could watch a refit: the largest loss of beginning anew against",
        f"continuing is {worst['anew'] - worst['continue']:+.4f}, on `{worst['task']}`. So the default stays",
        '`refit="continue"`; `refit="auto"` begins anew where the time for refits holds that, and continues elsewhere.',
        "",
        "| task | seed | select | test, validated | continue | anew | anew - continue | CPU s, fit | continue | anew |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row['task']} | {row['seed']} | {row['select']:.3f} | {row['validated']:.4f} | {row['continue']:.4f} "
            f"| {row['anew']:.4f} | {row['anew'] - row['continue']:+.4f} | {row['cpu_fit']:.0f} | {row['cpu_continue']:.0f} "
            f"| {row['cpu_anew']:.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
