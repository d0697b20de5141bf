"""What each family finds of a signal that was planted, beside the best score there can be.

    python benchmarks/planted.py [--seconds 60] [--seeds 3] [--signals sign-flip linear-aggregate noise]

The data are made by `relselect.examples.synthetic`, which also knows the probability each label was drawn with: its score on
the test rows is the best possible one. Both families are tuned as a run tunes them, the default configuration first, for the same
wall-clock seconds, one after the other, and the candidate that is best on validation rows is scored on the test rows.

* sign-flip: what a row two hops away means flips with the row between; no aggregate of one column tells anything;
* linear-aggregate: a sum over the last thirty days, which feature synthesis computes as one of its features;
* noise: nothing, so that 0.5 is right.

Figures are AUROC on the test rows, mean and standard deviation over seeds. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import numpy as np

from relselect.budget import Budget
from relselect.examples.synthetic import Planted, planted
from relselect.families.registry import family_of
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.threads import wait_passively
from relselect.tuning import tune

FAMILIES = ("dfs", "rdl")
#: Customers, dates and strength of each signal.
SIZES: dict[str, dict[str, Any]] = {
    "sign-flip": {"customers": 4000, "cutoffs": 10, "strength": 3.0},
    "linear-aggregate": {"customers": 500, "cutoffs": 12, "strength": 3.0},
    "noise": {"customers": 500, "cutoffs": 12, "strength": 3.0},
}


def main() -> None:
    wait_passively()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="wall-clock seconds of each family")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--signals", nargs="*", default=list(SIZES), choices=SIZES)
    arguments = parser.parse_args()
    runs = []
    for signal in arguments.signals:
        for seed in range(arguments.seeds):
            runs.append(measure(signal, seed, arguments.seconds))
            print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
    print(table(runs))
    print(json.dumps({"seconds": arguments.seconds, "cores": cores(), "runs": runs, "met": met(runs)}))


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure(signal: str, seed: int, seconds: float) -> dict[str, Any]:
    """Tune both families on one example and score their choices."""
    made = planted(signal, seed=seed, **SIZES[signal])  # type: ignore[arg-type]
    task = made.example.task("planted")
    found: dict[str, Any] = {"signal": signal, "seed": seed, "best": round(made.best("test"), 5)}
    found["rows"] = {split: len(frame) for split, frame in task.splits.items()}
    found["error"] = round(error_of_chance(np.asarray(task.splits["test"].label)), 5)
    for name in FAMILIES:
        found[name] = tuned(name, made, seed, seconds)
    return found


def tuned(name: str, made: Planted, seed: int, seconds: float) -> dict[str, Any]:
    # a problem of its own for each: neither finds what the other has computed
    problem, family = Problem(made.example.database, made.example.task("planted")), family_of(name)
    with tempfile.TemporaryDirectory() as folder:
        study = tune(family, problem, fit_rows(problem), budget=Budget(seconds), seed=seed, folder=Path(folder))
        best = max(study.candidates, key=lambda candidate: np.nan_to_num(candidate.score, nan=-np.inf))
        rows = problem.rows("test")
        predicted = family.predict(best, problem, rows.unlabelled())
    return {
        "test": round(problem.task.metric.score(np.asarray(rows.label), predicted), 5),
        "val": round(best.score, 5),
        "trials": len(study.candidates),
        "chosen": best.number,
        "default_val": round(study.candidates[0].score, 5),
        "seconds": round(study.seconds, 1),
    }


def error_of_chance(label: np.ndarray[Any, Any]) -> float:
    """Return the standard deviation of the AUROC of predictions that know nothing (Hanley and McNeil 1982)."""
    positive = float(label.sum())
    negative = len(label) - positive
    return float(np.sqrt((positive + negative + 1) / (12 * positive * negative)))


def gap(run: dict[str, Any]) -> float:
    return float(run["rdl"]["test"] - run["dfs"]["test"])


def met(runs: list[dict[str, Any]]) -> dict[str, bool]:
    """Return whether each bar is met, on the mean over seeds."""
    by_signal = {signal: [run for run in runs if run["signal"] == signal] for signal in SIZES}
    told = {}
    if flipped := by_signal["sign-flip"]:
        told["sign-flip won by rdl by 0.15"] = float(np.mean([gap(run) for run in flipped])) >= 0.15
    if linear := by_signal["linear-aggregate"]:
        told["linear-aggregate not lost by rdl by more than 0.02"] = (
            float(np.mean([gap(run) for run in linear])) >= -0.02
        )
    if noise := by_signal["noise"]:
        distances = [abs(run[name]["test"] - 0.5) / run["error"] for run in noise for name in FAMILIES]
        told["noise within three standard errors of 0.5"] = max(distances) <= 3.0
    return told


def table(runs: list[dict[str, Any]]) -> str:
    lines = ["| signal | train rows | best possible | dfs | rdl | rdl - dfs |", "|---|---:|---:|---:|---:|---:|"]
    for signal in dict.fromkeys(run["signal"] for run in runs):
        mine = [run for run in runs if run["signal"] == signal]
        values = [[run["best"] for run in mine], *([run[name]["test"] for run in mine] for name in FAMILIES)]
        cells = [spread(each) for each in [*values, [gap(run) for run in mine]]]
        rows = round(np.mean([run["rows"]["train"] for run in mine]))
        lines.append(f"| {signal} | {rows} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) if len(values) > 1 else 0.0:.3f}"


if __name__ == "__main__":
    main()
