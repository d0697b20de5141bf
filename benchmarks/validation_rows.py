"""Compare the ways of dividing validation rows: which choice of the family is right, and how much too good validation looks.

    RELSELECT_DATA=... python benchmarks/validation_rows.py [--seeds 0 1 2] [--only TASK ...] [--out docs/validation_rows]

For every task, seed and way (`relselect.problem.validation`) the default configurations of feature synthesis and of the graph
network are fitted to their natural end, without a refit, on one thread. Finished fits are appended to `<out>.jsonl`; the same
call again goes on with what is missing. The table is written to `<out>.md`, and the last line printed is one JSON object. The
test rows are predicted by every fit: they judge the ways and choose nothing else.

*Regret* is the test skill of the better family less that of the family with the better select score. *Optimism* is the margin of
the network over the trees on select rows less the same margin on test rows, in skill. Both are means over tasks of means over
seeds, with the standard error over tasks.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WAYS = ("shared", "cutoffs", "entities", "train_tail")
#: "auto": alternating cutoffs where there are four or more, else a hash of the entity.
COMPARED = ("shared", "auto", "entities", "train_tail")
READING = (
    "On these tasks the ways cannot be told apart by regret or by optimism: no difference is larger than about one and a half",
    "standard errors. Of those that keep the two roles apart, the default has the least regret and the best test skill in both",
    "families: stopping on the last train cutoffs keeps the latest rows from training, which costs both families 0.015 to 0.021.",
    "Dividing itself costs about 0.002 of test skill, because fewer rows say when to stop; the refit, which is no part of this",
    "comparison, trains on all of them. Its optimism is the noisiest of the four, because fewer rows carry the score.",
    "",
    "The fits in the log were made with the training code of commit 3139d14 and the same four divisions; entities were hashed by",
    "their row there, and by their key since.",
)
TASKS = (
    "scotus/justice-liberal-share", "worldcup/team-goals", "sakila/customer-rentals", "rel-f1/driver-top3",
    "berka-without-trans/loan-bad", "senate-stock-trades/senator-discloses", "nyphil-performances/conductor-returns",
    "stackexchange-bicycles-meta/post-upvoted", "stackexchange-quantumcomputing/user-engagement",
    "cdisc-pilot-trial/subject-adverse-event", "cdisc-pilot-trial/subject-discontinues", "enron-email/employee-silent",
    "enron-email/employee-messages", "opam-packages/contributor-active", "scotus/case-liberal", "worldcup/squad-scores",
    "un-votes/country-absent", "un-votes/country-agrees-us", "rel-f1/driver-position", "rel-f1/driver-dnf",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--out", type=Path, default=Path("docs/validation_rows"))
    parser.add_argument("--table", action="store_true", help="write the table of what is there, and fit nothing")
    arguments = parser.parse_args()
    log = arguments.out.with_suffix(".jsonl")
    if not arguments.table:
        for seed in arguments.seeds:
            for task in arguments.only:
                measure(task, seed, log)
    fits = {(r["task"], r["seed"], r["way"], r["family"]): r for r in read(log) if r["task"] in arguments.only}
    found = {way: judged(fits, way) for way in COMPARED}
    usual = found["auto"]["regrets"]
    for each in found.values():
        each["more_regret"] = spread({task: [each["regrets"][task] - usual[task]] for task in usual})
    for each in found.values():
        del each["regrets"]
    arguments.out.with_suffix(".md").write_text(page(found, fits), encoding="utf-8")
    print(json.dumps(found))


def measure(task: str, seed: int, log: Path) -> None:
    """Fit both families in all ways that are missing from the log."""
    import numpy as np
    import torch

    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.events import silent
    from relselect.families.registry import family_of
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows

    done = {(r["way"], r["family"]) for r in read(log) if (r["task"], r["seed"]) == (task, seed)}
    if {(way, family) for way in WAYS for family in ("dfs", "rdl")} <= done:
        return
    torch.set_num_threads(1)
    database = open_database(task.split("/")[0])
    problem = Problem(database, open_task(database, task.split("/")[1]))
    metric, val, test = problem.task.metric, problem.rows("val"), problem.rows("test")
    for way in WAYS:
        if way == "cutoffs" and (problem.task.static or len(np.unique(val.cutoff)) < 4):
            continue
        rows = fit_rows(problem, way, score_test=False)  # type: ignore[arg-type]
        for name, off in (("dfs", False), ("rdl", "none")):
            if (way, name) in done:
                continue
            family, begun = family_of(name), time.monotonic()
            config = {**family.default(problem), "refit": off}
            fitted = family.fit(problem, rows, config, seed=seed, number=0, budget=Budget(None), emit=silent)
            row = {
                "task": task,
                "seed": seed,
                "way": way,
                "family": name,
                "metric": metric.name,
                "sign": metric.sign,
                "ref": references(problem),
                "stop_rows": len(rows.stop),
                "select_rows": len(rows.select),
                "select": fitted.score,
                "test": metric.score(test.label, family.predict(fitted, problem, test.unlabelled())),
                "ended": fitted.ended,
                "seconds": round(time.monotonic() - begun, 2),
            }
            with log.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
            print(row, file=sys.stderr, flush=True)


def references(problem: Any) -> dict[str, float]:
    """Return the score of the training constant on validation and test rows."""
    import numpy as np

    label = problem.rows("train").label
    constant = np.median(label) if problem.task.metric.name == "neg_mean_absolute_error" else label.mean()
    return {
        split: problem.task.metric.score(problem.rows(split).label, np.full(len(problem.rows(split)), constant))
        for split in ("val", "test")
    }


def read(log: Path) -> Iterator[dict[str, Any]]:
    if log.exists():
        yield from (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line)


def skill(fit: dict[str, Any], rows: str) -> float:
    """Return a score as skill: 2 AUC - 1, or the part of the constant's error that is gone."""
    score, reference = fit[rows], fit["ref"]["test" if rows == "test" else "val"]
    if fit["metric"] in ("roc_auc", "roc_auc_ovr"):
        return 2 * score - 1
    return 1 - score / reference if fit["sign"] < 0 else (score - reference) / (1 - reference)


def judged(fits: dict[Any, dict[str, Any]], way: str) -> dict[str, Any]:
    """Return the figures of a way over all tasks and seeds that every compared way has."""
    regret, optimism, right, tests = defaultdict(list), defaultdict(list), [], defaultdict(list)
    for task, seed in sorted({(task, seed) for task, seed, _, _ in fits}):
        pairs = {each: pair(fits, task, seed, each) for each in COMPARED}
        if any(each is None for each in pairs.values()):
            continue
        trees, network = pairs[way]  # type: ignore[misc]
        select, test = (skill(network, rows) - skill(trees, rows) for rows in ("select", "test"))
        regret[task].append(max(test, 0.0) - (test if select > 0 else 0.0))
        optimism[task].append(select - test)
        right.append((select > 0) == (test > 0))
        for name, fit in (("dfs", trees), ("rdl", network)):
            tests[name].append(skill(fit, "test"))
    return {
        "tasks": len(regret),
        "fits": len(right),
        "regret": spread(regret),
        "regrets": {task: sum(each) / len(each) for task, each in regret.items()},
        "optimism": spread(optimism),
        "right": mean(right),
        "test_skill": {name: mean(values) for name, values in tests.items()},
    }


def pair(fits: dict[Any, dict[str, Any]], task: str, seed: int, way: str) -> tuple[Any, Any] | None:
    if way == "auto":
        way = "cutoffs" if (task, seed, "cutoffs", "rdl") in fits else "entities"
    found = [fits.get((task, seed, way, family)) for family in ("dfs", "rdl")]
    usable = all(fit is not None and math.isfinite(fit["select"]) for fit in found)
    return (found[0], found[1]) if usable else None


def mean(values: list[Any]) -> float:
    return round(sum(values) / len(values), 4) if values else float("nan")


def spread(values: dict[str, list[float]]) -> list[float]:
    """Return the mean over tasks of means over seeds, and its standard error."""
    means = [sum(each) / len(each) for each in values.values()]
    if len(means) < 2:
        return [round(sum(means), 4), float("nan")]
    middle = sum(means) / len(means)
    variance = sum((each - middle) ** 2 for each in means) / (len(means) - 1)
    return [round(middle, 4), round(math.sqrt(variance / len(means)), 4)]


def page(found: dict[str, dict[str, Any]], fits: dict[Any, dict[str, Any]]) -> str:
    names = {
        "shared": "all rows in both roles",
        "auto": "alternating cutoffs, a hash of the entity where there are fewer than four (the default)",
        "entities": "a hash of the entity",
        "train_tail": "the last train cutoffs stop, all validation rows select",
    }
    some = next(iter(found.values()))
    lines = [
        "# Stop rows and select rows",
        "",
        "The rows that end a training also flatter its score. Written by `benchmarks/validation_rows.py`, which defines the",
        f"columns: default fits of both families to their natural end, {some['tasks']} tasks, {some['fits']} pairs of fits "
        f"(seeds {sorted({seed for _, seed, _, _ in fits})}), in units of skill.",
        "",
        "| validation rows | regret of the family choice | more than the default's | optimism, network against trees "
        "| right choices | test skill of trees | of the network |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for way, each in found.items():
        keys = ("regret", "more_regret", "optimism")
        regret, more, optimism = (f"{each[key][0]:.4f} ± {each[key][1]:.4f}" for key in keys)
        tests = " | ".join(f"{each['test_skill'].get(name, math.nan):.4f}" for name in ("dfs", "rdl"))
        lines.append(f"| {names[way]} | {regret} | {more} | {optimism} | {each['right']:.0%} | {tests} |")
    return "\n".join([*lines, "", *READING]) + "\n"


if __name__ == "__main__":
    main()
