"""Compare the hybrid with both families and their blends on the tasks of a bank; the last line is one JSON object.

    relselect bank build HYBRID.yaml HYBRID_BANK        # families: [hybrid], over known tasks
    python benchmarks/hybrid.py --hybrid HYBRID_BANK [--bank bank] [--out docs/hybrid.md]

Skill of the default fits on the test rows, first seed; differences are paired, with a standard error over entities. Means are
over databases; 90 % intervals are bootstraps over databases.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

PAIRS = ("dfs+rdl", "dfs+hybrid", "dfs+rdl+hybrid")


def main() -> None:
    from relselect.bank import PerformanceBank
    from relselect.configs import bank_path

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, help="a bank with the trials of both families; the shipped one by default")
    parser.add_argument("--hybrid", type=Path, required=True, help="a bank with the trials of the hybrid")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bank = PerformanceBank.open(arguments.hybrid).merge(PerformanceBank.open(arguments.bank or bank_path()))
    rows = [row for task in bank.tasks if (row := compared(bank, task)) is not None]
    figures = {name: over_databases(rows, name) for name in ("dfs", "rdl", "hybrid", *PAIRS)}
    figures |= {f"{one} - {other}": over_databases(rows, one, other) for one, other in (
        ("hybrid", "rdl"), ("hybrid", "dfs"), ("hybrid", "dfs+rdl"), ("dfs+hybrid", "dfs+rdl"), ("dfs+rdl+hybrid", "dfs+rdl"),
    )}  # fmt: skip
    page = page_of(rows, figures)
    if arguments.out:
        arguments.out.write_text(page, encoding="utf-8")
    print(page)
    print(json.dumps({"figures": figures, "rows": rows}))


def compared(bank: Any, task: Any) -> dict[str, Any] | None:
    """Return the skills of one task; None where a family has no default trial."""
    from relselect.tasks.metrics import metric_named, skill
    from relselect.tasks.paired import paired_skill_error

    labels, stored = bank.labels(task.id), bank.predictions(task.id)
    trials = {each.family: each for each in sorted(bank.trials_of[task.id], key=lambda each: -each.seed)
              if each.role == "default" and not each.failed and each.id in stored}  # fmt: skip
    if labels is None or not {"dfs", "rdl", "hybrid"} <= set(trials):
        return None
    metric, reference = metric_named(task.metric), task.reference_test
    tests = {name: np.asarray(stored[trial.id]["test"], float) for name, trial in trials.items()}
    rows = min(len(labels["test"].label), *map(len, tests.values()))
    label, clusters = np.asarray(labels["test"].label[:rows], float), labels["test"].cluster[:rows]
    tests = {name: each[:rows] for name, each in tests.items()}
    tests |= {pair: np.mean([tests[name] for name in pair.split("+")], axis=0) for pair in PAIRS}
    found = {name: skill(metric, metric.score(label, each), reference) for name, each in tests.items()}
    error = paired_skill_error(metric, label, tests["rdl"], tests["hybrid"], clusters, reference)
    minutes = {f"minutes_{name}": trials[name].cpu_seconds / 60 for name in ("dfs", "rdl", "hybrid")}
    wanted = {name: found[name] for name in ("dfs", "rdl", "hybrid", *PAIRS)}
    return {"database": task.database, "task": task.name, **wanted, "error": error, **minutes}


def over_databases(rows: list[dict[str, Any]], one: str, other: str = "") -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(row["database"], []).append(row[one] - (row[other] if other else 0.0))
    means = np.array([np.mean(each) for each in groups.values()])
    if not len(means):
        return {"mean": math.nan, "low": math.nan, "high": math.nan}
    draw = np.random.default_rng(0)
    low, high = np.quantile(means[draw.integers(0, len(means), (2000, len(means)))].mean(axis=1), [0.05, 0.95])
    return {"mean": round(float(means.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def page_of(rows: list[dict[str, Any]], figures: dict[str, dict[str, float]]) -> str:
    databases = len({row["database"] for row in rows})
    lines = [
        "# What the hybrid is worth",
        "",
        f"Written by `benchmarks/hybrid.py`: default fits of {len(rows)} known tasks of {databases} databases, first seed, one",
        "thread, skill on test rows (0 is a constant, 1 perfect). The hybrid is a graph network with the 40 features at its head",
        "that trees gain most by. `a+b` is the plain average of the predictions.",
        "",
        "| what | mean over databases | 90 % interval |",
        "|---|---:|---:|",
    ]
    for name, each in figures.items():
        sign = "+" if " - " in name else ""
        lines.append(f"| {name} | {each['mean']:{sign}.4f} | {each['low']:{sign}.4f} to {each['high']:{sign}.4f} |")
    wins = sum(row["hybrid"] > row["rdl"] for row in rows)
    lines += [
        "",
        f"The features make the network better on {wins} of {len(rows)} tasks. A blend of both families has what",
        'they bring already, so it is trained only where it is named: `families=("dfs", "rdl", "hybrid")`, or `--families`.',
    ]
    names = ("dfs", "rdl", "hybrid", *PAIRS)
    lines += ["", "| database | task | " + " | ".join(names) + " | hybrid - rdl | minutes (dfs, rdl, hybrid) |"]
    lines += ["|---|---|" + "---:|" * (len(names) + 2)]
    for row in rows:
        gain = f"{row['hybrid'] - row['rdl']:+.4f} ± {row['error']:.4f}"
        minutes = ", ".join(f"{row[f'minutes_{name}']:.1f}" for name in ("dfs", "rdl", "hybrid"))
        skills = " | ".join(f"{row[name]:.4f}" for name in names)
        lines.append(f"| {row['database']} | {row['task']} | {skills} | {gain} | {minutes} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
