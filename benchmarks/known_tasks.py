"""Open every known task: rows, entities, label base rates, what its population query finds, what the leak checks say.

    RELSELECT_DATA=... python benchmarks/known_tasks.py [--only rel-f1 nycflights13] [--write docs] [--keep-findings]

Nothing is trained. A population query is asked at the last cutoff of each split, at most 20 for tasks with a cutoff of
their own for every row, and should find every labelled row of that cutoff: otherwise `predict(at=...)` would answer another
question than the one that was learnt. With `--write`, the table goes to `known_tasks.md` and the findings that the tests
compare with to `findings.json`; databases that were not opened keep their entries in both. With `--keep-findings`, the
leak checks, which take most of the time, do not run, and their findings are those of that file. The last line printed is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

#: Cutoffs per split at which the population query is asked.
ASKED = {"train": 1, "val": 1, "test": 3}
#: Splits with more cutoffs than this have one for every row or so; more cutoffs are asked then.
MANY, MORE = 1000, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--keep-findings", action="store_true")
    arguments = parser.parse_args()
    kept = (
        read_findings(Path("docs") if arguments.write is None else arguments.write) if arguments.keep_findings else {}
    )
    from relselect.configs import known_databases

    rows: list[dict[str, Any]] = []
    findings: dict[str, dict[str, Any]] = {}
    for name in arguments.only or known_databases():
        found = opened(name, kept.get(name))
        rows += [row for row, _ in found]
        findings[name] = {row["task"]: of_task for row, of_task in found}
        if arguments.write is not None:
            write(arguments.write, rows, findings)
    print(json.dumps(summary(rows, findings)))


def opened(name: str, kept: dict[str, Any] | None) -> list[tuple[dict[str, Any], list[list[Any]]]]:
    """Return a row for each task of a database, with the findings of its leak checks, or those that were kept."""
    from relselect.api import open_task
    from relselect.configs import open_database
    from relselect.leaks import find_leaks
    from relselect.problem import Problem

    database, told = open_database(name), []
    for name_of_task in database.tasks:
        begun = time.monotonic()
        task = open_task(database, name_of_task)
        problem = Problem(database, task)
        found = kept[name_of_task] if kept is not None else listed(find_leaks(problem).findings)
        row = {
            "database": name,
            "task": name_of_task,
            "kind": task.kind,
            "metric": task.metric.name,
            "regime": "static" if task.static else task.regime,
            "splits": {split: facts(frame, task) for split, frame in task.splits.items()},
            "purged": sum(task.purged.values()),
            **covered(problem),
            "open_findings": [
                check for check, severity, _, accepted in found if severity != "info" and accepted is None
            ],
            "seconds": round(time.monotonic() - begun, 1),
        }
        print(json.dumps(row), file=sys.stderr, flush=True)
        told.append((row, found))
    return told


def listed(findings: Any) -> list[list[Any]]:
    return [[each.check, each.severity, each.subject, each.accepted] for each in findings]


def read_findings(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "findings.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def facts(frame: Any, task: Any) -> dict[str, Any]:
    """Return the numbers of rows, entities and cutoffs of a split, and how its labels are distributed."""
    label = frame.label
    if task.kind == "regression":
        base = {"mean": round(float(label.mean()), 4), "sd": round(float(label.std()), 4)}
    elif task.kind == "binary":
        base = {"positive": round(float(label.mean()), 4)}
    else:
        counts = np.bincount(label.astype(np.int64), minlength=len(task.classes))
        base = {"largest_class": round(float(counts.max() / len(label)), 4), "classes": int((counts > 0).sum())}
    keys = frame.keys.group_by(frame.keys.column_names).aggregate([])
    return {"rows": len(frame), "entities": keys.num_rows, "cutoffs": len(np.unique(frame.cutoff)), **base}


def covered(problem: Any) -> dict[str, Any]:
    """Return which share of the labelled rows the population query finds, and which share of what it finds is labelled."""
    task = problem.task
    if task.population is None:
        return {"population": None}
    labelled = found = both = 0
    for split, frame in task.splits.items():
        cutoffs, rows = np.unique(frame.cutoff), problem.rows(split)
        for cutoff in cutoffs[-(MORE if len(cutoffs) > MANY else ASKED[split]) :]:
            mine = set(rows.entity[rows.cutoff == cutoff].tolist())
            asked = set(problem.at(np.datetime64(int(cutoff), "us"))[0].entity.tolist())
            labelled, found, both = labelled + len(mine), found + len(asked), both + len(mine & asked)
    return {"population": {"finds": round(both / labelled, 4), "labelled": round(both / found, 4)}}


def summary(rows: list[dict[str, Any]], findings: dict[str, Any]) -> dict[str, Any]:
    lost = [f"{r['database']}/{r['task']}" for r in rows if r["population"] and r["population"]["finds"] < 1]
    return {
        "databases": len(findings),
        "tasks": len(rows),
        "kinds": {kind: sum(row["kind"] == kind for row in rows) for kind in ("binary", "multiclass", "regression")},
        "rows": {s: sum(r["splits"].get(s, {"rows": 0})["rows"] for r in rows) for s in ("train", "val", "test")},
        "without_population_query": [f"{r['database']}/{r['task']}" for r in rows if r["population"] is None],
        "rows_lost_by_population": lost,
        "open_findings": {f"{r['database']}/{r['task']}": r["open_findings"] for r in rows if r["open_findings"]},
    }


def write(folder: Path, rows: list[dict[str, Any]], findings: dict[str, Any]) -> None:
    text = json.dumps(dict(sorted((read_findings(folder) | findings).items())), indent=1, ensure_ascii=False)
    (folder / "findings.json").write_text(text + "\n", encoding="utf-8")
    lines = table(folder / "known_tasks.md") | {(row["database"], row["task"]): line(row) for row in rows}
    (folder / "known_tasks.md").write_text(page([lines[key] for key in sorted(lines)]), encoding="utf-8")


def table(path: Path) -> dict[tuple[str, str], str]:
    """Return the lines of a table that was written before, by database and task."""
    if not path.exists():
        return {}
    lines = [each for each in path.read_text(encoding="utf-8").splitlines() if each.startswith("| ")][1:]
    return {tuple(cell.strip() for cell in each.split("|")[1:3]): each for each in lines}  # type: ignore[misc]


COLUMNS = (
    "database, task, kind, metric, regime, train rows, val rows, test rows, train entities, test entities, cutoffs, "
    "label: train, val, test, population finds, of it labelled, open findings"
)


def page(lines: list[str]) -> str:
    databases = {each.split("|")[1].strip() for each in lines}
    return "\n".join([
        "# Known tasks",
        "",
        f"{len(lines)} tasks of {len(databases)} databases (a further one, chinook, has no task), opened from their shipped",
        "manifests by `benchmarks/known_tasks.py`; nothing is trained. *label* is the share of positive rows (binary), of the",
        "largest class (multiclass), or mean ± standard deviation (regression). *population finds*: share of the labelled rows",
        "of a few cutoffs that the population query returns (planes whose only flight was still in the air at the cutoff are the",
        "ones missed); *of it labelled*: share of what it returns that has a label.",
        "",
        "| " + COLUMNS.replace(", ", " | ") + " |",
        "|" + "---|" * (COLUMNS.count(", ") + 1),
        *lines,
        "",
    ])  # fmt: skip


def line(row: dict[str, Any]) -> str:
    splits = [row["splits"].get(split) for split in ("train", "val", "test")]
    population = row["population"] or {"finds": None, "labelled": None}
    cells = [
        row["database"], row["task"], row["kind"], row["metric"], row["regime"],
        *("–" if each is None else f"{each['rows']:,}" for each in splits),
        *("–" if each is None else f"{each['entities']:,}" for each in (splits[0], splits[2])),
        f"{sum(each['cutoffs'] for each in splits if each):,}" if row["regime"] != "static" else "–",
        *("–" if each is None else base_rate(each) for each in splits),
        *("–" if each is None else f"{each:.3f}" for each in population.values()),
        ", ".join(dict.fromkeys(row["open_findings"])) or "–",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def base_rate(split: dict[str, Any]) -> str:
    if "mean" in split:
        return f"{split['mean']:.3g} ± {split['sd']:.3g}"
    return f"{split.get('positive', split.get('largest_class')):.3f}"


if __name__ == "__main__":
    main()
