"""What the search of features is worth, and what each group of its candidates adds: default fits of feature synthesis.

    RELSELECT_DATA=... python benchmarks/feature_search.py [--seeds 0 1] [--only TASK ...] [--out docs/feature_search]

For every task and seed one booster with the default options, but at a higher rate, is fitted with the fixed plan, with the
search, and with the search without one group of candidates at a time, to its natural end, without a refit, on one thread. The
search looks at training rows alone; the scores are those of the select rows, which nothing else here reads. Test rows are never
read. Finished fits are appended to `<out>.jsonl`; the same call again goes on with what is missing. The table is written to
`<out>.md`, and the last line printed is one JSON object.

*Skill* is 2 AUC - 1, or the part of the training constant's error that is gone. Differences are paired by task: the mean over
tasks of means over seeds, with the standard error over tasks.
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

#: One booster per seed at a higher rate: the differences are those of the features, at a fraction of the default's time.
QUICK: dict[str, Any] = {"refit": False, "bags": 1, "learning_rate": 0.08, "patience": 60}
SEARCH: dict[str, Any] = {"search": True, "search_share": 1.0}
#: What is compared: the configuration's options beside the default.
VARIANTS: dict[str, dict[str, Any]] = {
    "fixed plan": {"search": False},
    "search": SEARCH,
    "at most two steps": {**SEARCH, "search_depth": 2},
    "without ratios": {**SEARCH, "search_ratios": False},
    "without neighbours' labels": {**SEARCH, "search_neighbours": False},
    "without conditions": {**SEARCH, "search_conditions": False},
    "without rich aggregates": {**SEARCH, "search_rich": False},
}
READING = (
    "## The default",
    "",
    "The fixed plan stays the default. The search pays much where what matters lies three or four steps away (movielens-small:",
    "the stars that the user and the film were given before), and costs on some tasks of few rows or few tables (berka). Over",
    "the tasks measured so far the mean is not clear of zero, so it is worth a trial rather than a default. Where the training",
    "rows are few, no candidate rises above the noise, and the plan is the fixed one. No group of candidates is worth so much",
    "or costs so much that its difference is clear of zero over these tasks.",
)
TASKS = (
    "movielens-small/rating-high", "complete-journey/household-redeems", "sakila/customer-rentals",
    "scotus/justice-liberal-share", "senate-stock-trades/senator-discloses",
    "un-votes/country-agrees-us", "rel-f1/driver-dnf", "enron-email/employee-silent", "berka-without-trans/loan-bad",
    "opam-packages/contributor-active", "cdisc-pilot-trial/subject-discontinues",
    "stackexchange-quantumcomputing/user-engagement", "nyphil-performances/conductor-returns", "rel-f1/driver-position",
    "worldcup/team-goals", "scotus/case-liberal", "international-football/team-points", "un-votes/country-absent",
    "stackexchange-bicycles-meta/post-upvoted", "lahman-baseball/batter-hr",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), help="what is compared")
    parser.add_argument("--out", type=Path, default=Path("docs/feature_search"))
    parser.add_argument("--table", action="store_true", help="write the table of what is there, and fit nothing")
    arguments = parser.parse_args()
    log = arguments.out.with_suffix(".jsonl")
    if not arguments.table:
        for task in arguments.only:
            measure(task, arguments.seeds, arguments.variants, log)
    rows = [row for row in read(log) if row["task"] in arguments.only]
    found = {name: against(rows, name) for name in VARIANTS}
    arguments.out.with_suffix(".md").write_text(page(rows, found), encoding="utf-8")
    print(json.dumps(found))


def measure(task: str, seeds: list[int], variants: list[str], log: Path) -> None:
    """Fit all variants that are missing from the log."""
    import numpy as np

    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.events import silent
    from relselect.families.registry import family_of
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows

    done = {(row["variant"], row["seed"]) for row in read(log) if row["task"] == task}
    missing = [(name, seed) for name in variants for seed in seeds if (name, seed) not in done]
    if not missing:
        return
    database = open_database(task.split("/")[0])
    problem = Problem(database, open_task(database, task.split("/")[1]))
    rows, family, metric = fit_rows(problem, score_test=False), family_of("dfs"), problem.task.metric
    label = problem.rows("train").label
    constant = np.median(label) if metric.name == "neg_mean_absolute_error" else label.mean()
    reference = metric.score(rows.select.label, np.full(len(rows.select), constant)) if label.ndim == 1 else math.nan
    for name, seed in missing:
        begun = time.monotonic()
        config = {**family.default(problem), **QUICK, **VARIANTS[name]}
        fitted = family.fit(problem, rows, config, seed=seed, number=0, budget=Budget(None), emit=silent)
        row = {
            "task": task,
            "seed": seed,
            "variant": name,
            "metric": metric.name,
            "select": fitted.score,
            "skill": skill(metric, fitted.score, reference),
            "features": fitted.facts["n_features"],
            "search": fitted.facts["search"],
            "seconds": round(time.monotonic() - begun, 1),
        }
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        print({key: value for key, value in row.items() if key != "search"}, file=sys.stderr, flush=True)


def skill(metric: Any, score: float, reference: float) -> float:
    """Return a score as skill: 2 AUC - 1, or the part of the constant's error that is gone."""
    if metric.name in ("roc_auc", "roc_auc_ovr"):
        return 2 * score - 1
    return 1 - score / reference if metric.sign < 0 else (score - reference) / (1 - reference)


def read(log: Path) -> Iterator[dict[str, Any]]:
    if log.exists():
        yield from (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line)


def against(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return a variant's mean skill, and its paired differences from the fixed plan and from the whole search."""
    skills = {(row["task"], row["seed"], row["variant"]): row["skill"] for row in rows}
    found: dict[str, Any] = {}
    for other in ("fixed plan", "search"):
        pairs = defaultdict(list)
        for (task, seed, variant), value in skills.items():
            if variant == name and (task, seed, other) in skills:
                pairs[task].append(value - skills[task, seed, other])
        found[f"minus {other}"] = spread(pairs)
        found["tasks"] = len(pairs)
    return found


def spread(values: dict[str, list[float]]) -> list[float]:
    """Return the mean over tasks of means over seeds, and its standard error."""
    means = [sum(each) / len(each) for each in values.values()]
    if len(means) < 2:
        return [round(sum(means), 4), float("nan")]
    middle = sum(means) / len(means)
    variance = sum((each - middle) ** 2 for each in means) / (len(means) - 1)
    return [round(middle, 4), round(math.sqrt(variance / len(means)), 4)]


def page(rows: list[dict[str, Any]], found: dict[str, dict[str, Any]]) -> str:
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    lines = [
        "# The search of features",
        "",
        "Written by `benchmarks/feature_search.py`, which defines the columns: one booster of feature synthesis to its natural",
        f"end, {len(tasks)} tasks, seeds {sorted({row['seed'] for row in rows})}, skill on the select rows of validation.",
        "",
        "| candidates | tasks | against the fixed plan | against the whole search |",
        "|---|---:|---:|---:|",
    ]
    for name, each in found.items():
        pairs = (each["minus fixed plan"], each["minus search"])
        cells = [f"{value:+.4f} ± {error:.4f}" if each["tasks"] else "–" for value, error in pairs]
        lines.append(f"| {name} | {each['tasks']} | {cells[0]} | {cells[1]} |")
    names = [name for name in VARIANTS if any(row["variant"] == name for row in rows)]
    lines += [
        "",
        "## Skill by task",
        "",
        f"| task | {' | '.join(names)} | search, s |",
        "|---|" + "---:|" * (len(names) + 1),
    ]
    for task in tasks:
        cells = [
            _mean([row["skill"] for row in rows if (row["task"], row["variant"]) == (task, name)]) for name in names
        ]
        searched = [row["search"]["seconds"] for row in rows if row["task"] == task and row["variant"] == "search"]
        lines.append(f"| {task} | {' | '.join(cells)} | {_mean(searched, 1)} |")
    return "\n".join([*lines, "", *_groups(rows), "", *READING]) + "\n"


def _groups(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table of what was offered and kept of each group, all tasks together."""
    offered, kept, gain = defaultdict(int), defaultdict(int), defaultdict(float)
    searched = [row["search"] for row in rows if row["variant"] == "search" and row["seed"] == 0]
    for search in searched:
        for group, each in search["groups"].items():
            offered[group] += each["offered"]
            kept[group] += each["kept"]
            gain[group] += each["gain"] / len(searched)
    lines = [
        "## What was offered and kept",
        "",
        "| group | offered | kept | held-out gain, mean over tasks |",
        "|---|---:|---:|---:|",
    ]
    ordered = sorted(offered, key=lambda group: -gain[group])
    return [*lines, *(f"| {group} | {offered[group]:,} | {kept[group]:,} | {gain[group]:.4f} |" for group in ordered)]


def _mean(values: list[float], digits: int = 4) -> str:
    return f"{sum(values) / len(values):.{digits}f}" if values else "–"


if __name__ == "__main__":
    main()
