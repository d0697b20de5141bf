"""Measure intervals and calibrated probabilities on the test rows of a performance bank; the last line is one JSON object.

    python benchmarks/uncertainty.py [--bank bank] [--out docs/uncertainty_benchmark.md]

The intervals and scales rest on the stored predictions of the select rows, and are judged by those of the test rows, which are
later. One default trial of each family and real task (the first seed) is judged. Means are over databases, tasks within them
weighted equally; 90 % intervals are bootstraps over databases.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

LEVELS = (0.8, 0.9)


def main() -> None:
    from relselect.bank import PerformanceBank
    from relselect.configs import bank_path

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bank = PerformanceBank.open(arguments.bank or bank_path()).current().filter(origin="real")
    rows = [found for each in trials(bank) if (found := judged(*each)) is not None]
    figures = summary(rows)
    page = page_of(rows, figures)
    if arguments.out:
        arguments.out.write_text(page, encoding="utf-8")
    print(page)
    print(json.dumps({"figures": figures, "rows": rows}))


def trials(bank: Any) -> Iterator[tuple[Any, str, Any, Any]]:
    """Yield task, family, labels by part and predictions by part of the first default trial of each trained family."""
    from relselect.families.registry import baselines

    for task in bank.tasks:
        labels = bank.labels(task.id)
        if labels is None or not len(labels["test"].label) or task.kind == "multiclass":
            continue
        predictions, seen = bank.predictions(task.id), set()
        for trial in sorted(bank.trials_of[task.id], key=lambda each: each.seed):
            wanted = trial.family not in {*baselines(), *seen} and trial.role == "default"
            if wanted and trial.id in predictions:
                seen.add(trial.family)
                yield task, trial.family, labels, predictions[trial.id]


def judged(task: Any, family: str, labels: Any, predictions: Any) -> dict[str, Any] | None:
    """Return the figures of one trial; None where there are too few select rows."""
    from relselect.errors import TaskError
    from relselect.uncertainty import ProbabilityScale, ResidualIntervals

    select, test = (np.asarray(labels[part].label, dtype=float) for part in ("select", "test"))
    select_predictions, asked = (np.asarray(predictions[part], dtype=float) for part in ("select", "test"))
    test, select = test[: len(asked)], select[: len(select_predictions)]
    row: dict[str, Any] = {"database": task.database, "task": task.name, "family": family, "kind": task.kind}
    row |= {"select_rows": len(select), "test_rows": len(test)}
    try:
        if task.kind == "regression":
            intervals = ResidualIntervals(select, select_predictions)
            for level in LEVELS:
                found = intervals.coverage(test, asked, level)
                row |= {
                    f"coverage_{level}": found.share,
                    f"width_{level}": found.width / max(float(np.std(test)), 1e-12),
                }
            return row
        scaled = ProbabilityScale(select.astype(int), select_predictions)(asked)
    except TaskError:
        return None
    for name, chances in (("stated", asked), ("calibrated", scaled)):
        row |= {
            f"log_loss_{name}": log_loss(test, chances),
            f"calibration_error_{name}": calibration_error(test, chances),
        }
    return row


def log_loss(labels: np.ndarray, chances: np.ndarray) -> float:
    chances = np.clip(chances, 1e-6, 1 - 1e-6)
    return float(-(labels * np.log(chances) + (1 - labels) * np.log(1 - chances)).mean())


def calibration_error(labels: np.ndarray, chances: np.ndarray, bins: int = 10) -> float:
    """Return the mean distance between stated and true shares over ten bins of equal size."""
    parts = np.array_split(np.argsort(chances, kind="stable"), bins)
    return float(
        sum(len(part) * abs(labels[part].mean() - chances[part].mean()) for part in parts if len(part)) / len(labels)
    )


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over databases with their bootstrap intervals."""
    figures: dict[str, Any] = {}
    for level in LEVELS:
        name = f"coverage_{level}"
        figures[name] = over_databases(rows, lambda row, name=name: row.get(name))
    for measure in ("log_loss", "calibration_error"):
        for name in ("stated", "calibrated"):
            figures[f"{measure}_{name}"] = over_databases(rows, lambda row, key=f"{measure}_{name}": row.get(key))
        figures[f"{measure}_gain"] = over_databases(
            rows,
            lambda row, m=measure: row[f"{m}_stated"] - row[f"{m}_calibrated"] if f"{m}_stated" in row else None,
        )
    return figures


def over_databases(rows: list[dict[str, Any]], value: Callable[[dict[str, Any]], float | None]) -> dict[str, Any]:
    groups: dict[str, list[float]] = {}
    for row in rows:
        if (found := value(row)) is not None:
            groups.setdefault(row["database"], []).append(found)
    means = np.array([np.mean(each) for each in groups.values()])
    if not len(means):
        return {"mean": None, "low": None, "high": None, "databases": 0, "trials": 0}
    draw = np.random.default_rng(0)
    again = means[draw.integers(0, len(means), (2000, len(means)))].mean(axis=1)
    low, high = np.quantile(again, [0.05, 0.95])
    counts = {"databases": len(means), "trials": sum(map(len, groups.values()))}
    return {"mean": round(float(means.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4), **counts}


def page_of(rows: list[dict[str, Any]], figures: dict[str, Any]) -> str:
    lines = [
        "# Intervals and calibrated probabilities on test rows",
        "",
        "Written by `benchmarks/uncertainty.py` from the performance bank: what the select rows promise, judged by the test",
        "rows, which are later. Real tasks; the shipped bank lacks rows that may not be handed on, and their tasks are missing.",
        "Means over databases with 90 % bootstrap intervals over databases.",
        "",
        "| measure | mean | 90 % interval | databases | trials |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, each in figures.items():
        if each["mean"] is not None:
            words = name.replace("_", " ")
            lines.append(
                f"| {words} | {each['mean']} | {each['low']} to {each['high']} | {each['databases']} | {each['trials']} |"
            )
    lines += ["", "## Regressions", "", "Widths are in standard deviations of the test labels.", ""]
    lines += ["| database | task | family | select rows | test rows | 80 %: covered | width | 90 %: covered | width |"]
    lines += ["|---|---|---|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        if row["kind"] == "regression":
            shares = " | ".join(f"{row[f'coverage_{level}']:.3f} | {row[f'width_{level}']:.2f}" for level in LEVELS)
            lines.append(f"| {name_of(row)} | {row['select_rows']:,} | {row['test_rows']:,} | {shares} |")
    lines += ["", "## Classifications", "", "Log loss and calibration error (ten bins), as stated and calibrated.", ""]
    lines += ["| database | task | family | select rows | log loss | calibrated | error | calibrated |"]
    lines += ["|---|---|---|---:|---:|---:|---:|---:|"]
    for row in rows:
        if row["kind"] == "binary":
            values = [row[f"{m}_{n}"] for m in ("log_loss", "calibration_error") for n in ("stated", "calibrated")]
            lines.append(
                f"| {name_of(row)} | {row['select_rows']:,} | " + " | ".join(f"{v:.4f}" for v in values) + " |"
            )
    return "\n".join([*lines, ""])


def name_of(row: dict[str, Any]) -> str:
    return f"{row['database']} | {row['task']} | {row['family']}"


if __name__ == "__main__":
    main()
