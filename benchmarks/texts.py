"""What the scores of texts are worth to feature synthesis, on known tasks; the last line is one JSON object.

    RELSELECT_DATA=... python benchmarks/texts.py [--seeds 0 1] [--out docs/texts.md] [DATABASE ...]

Default fits with and without `texts`, on the same rows. Skill on select rows and, once, on test rows; differences are means over
seeds, and over databases with a 90 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

DATABASES = (
    "scotus", "us-films", "un-votes", "senate-stock-trades", "stackexchange-quantumcomputing", "stackexchange-bicycles-meta",
    "opam-packages", "nyphil-performances", "sakila", "movielens-small",
)  # fmt: skip


def main() -> None:
    from relselect.api import open_task
    from relselect.configs import open_database

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("databases", nargs="*", default=DATABASES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name in arguments.databases:
        database = open_database(name)
        for task in sorted(database.tasks):
            rows.append(
                {"database": name, "task": task, **compared(database, open_task(database, task), arguments.seeds)}
            )
            print(json.dumps(rows[-1]), flush=True)
    page = page_of(rows, len(arguments.seeds))
    if arguments.out:
        arguments.out.write_text(page, encoding="utf-8")
    print(json.dumps({"mean": over_databases(rows, "test"), "select": over_databases(rows, "select"), "rows": rows}))


def compared(database: Any, task: Any, seeds: list[int]) -> dict[str, Any]:
    """Return the skills of one task with and without texts."""
    from relselect.budget import Budget
    from relselect.dfs import DFS
    from relselect.events import silent
    from relselect.families.constants import Constants
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.tasks.metrics import skill

    problem, family, found = Problem(database, task), DFS(), {}
    rows, test = fit_rows(problem, "auto"), problem.rows("test")
    constants = Constants()
    base = constants.fit(problem, rows, constants.default(problem), seed=0, number=0, budget=Budget(None), emit=silent)
    level = task.metric.score(test.label, constants.predict(base, problem, test))
    for texts in (False, True):
        select, tested, begun = [], [], time.process_time()
        for seed in seeds:
            config = {**family.default(problem), "texts": texts}
            fit = family.fit(problem, rows, config, seed=seed, number=0, budget=Budget(None), emit=silent)
            select.append(skill(task.metric, fit.score, base.score))
            tested.append(skill(task.metric, task.metric.score(test.label, family.predict(fit, problem, test)), level))
        way = "with" if texts else "without"
        found |= {
            f"select_{way}": np.mean(select),
            f"test_{way}": np.mean(tested),
            f"cpu_{way}": time.process_time() - begun,
        }
    sources = [] if fit.model.texts is None else [each.name(problem.entity) for each in fit.model.texts.sources]
    return {**{name: round(float(value), 4) for name, value in found.items()}, "sources": sources}


def over_databases(rows: list[dict[str, Any]], split: str) -> dict[str, float]:
    """Return the mean difference over databases of the tasks with a scored text, and its 90 % interval."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        if row["sources"]:
            groups.setdefault(row["database"], []).append(row[f"{split}_with"] - row[f"{split}_without"])
    means = np.array([np.mean(each) for each in groups.values()])
    draw = np.random.default_rng(0)
    low, high = np.quantile(means[draw.integers(0, len(means), (2000, len(means)))].mean(axis=1), [0.05, 0.95])
    return {"mean": round(float(means.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def page_of(rows: list[dict[str, Any]], seeds: int) -> str:
    scored = [row for row in rows if row["sources"]]
    test, select = over_databases(rows, "test"), over_databases(rows, "select")
    lines = [
        "# What texts are worth to feature synthesis",
        "",
        f"Written by `benchmarks/texts.py`: default fits with and without the option `texts`, {seeds} seeds, without a refit,",
        f"skill (0 is a constant, 1 perfect). Of {len(rows)} tasks of databases with text columns, {len(scored)} have a text",
        "that tells something about the label; on the others nothing changes.",
        "",
        f"Difference on test rows, mean over databases: {test['mean']:+.4f} (90 % interval {test['low']:+.4f} to",
        f"{test['high']:+.4f}); on select rows {select['mean']:+.4f} ({select['low']:+.4f} to {select['high']:+.4f}).",
        "",
        "| database | task | test, without | test, with | difference | on select rows | CPU seconds more | texts |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in scored:
        gain, chosen = row["test_with"] - row["test_without"], row["select_with"] - row["select_without"]
        more = row["cpu_with"] - row["cpu_without"]
        lines.append(
            f"| {row['database']} | {row['task']} | {row['test_without']:.4f} | {row['test_with']:.4f} | {gain:+.4f} | "
            f"{chosen:+.4f} | {more:.1f} | {', '.join(f'`{name}`' for name in row['sources'])} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
