"""What reading rows as language beside their columns is worth to the graph network: `rows="both"` against `rows="columns"`.

    RELSELECT_DATA=... OMP_NUM_THREADS=1 python benchmarks/rows.py [--only TASK ...] [--seeds 0 1 2] [--out docs/rows]
    ... --most 3000                   different rows of a table that is read as language
    ... --read                        compute and keep the vectors of the rows, and fit nothing
    ... --table                       write the table of what is there, and fit nothing

Both are default fits but for these options, without a refit, on one thread, paired by task and seed. The tables that are read as
language are those with at most `--most` different rows that may be read for training. The select rows choose between the two
ways; test rows are scored once, for reporting. Finished fits are appended to `<out>.jsonl`, and the same call goes on with what
is missing. The table is written into `docs/pretraining.md` between its marks for it. The last line is one JSON object.

*Skill* is 0 for the trivial family and 1 for perfect predictions (`relselect.tasks.metrics.skill`). A fit that its budget ended
is kept in the log, marked, and takes part in no table. The vectors are read from the cache before the fits, so that CPU seconds
are those of the training.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import numpy as np
import pyarrow as pa
import torch

from relselect.api import open_task
from relselect.budget import Budget
from relselect.configs import open_database
from relselect.events import silent
from relselect.families.constants import Constants
from relselect.language import row_sentences
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.rdl import RDL
from relselect.rdl.graph.language_rows import read_language, sentence_of, with_sentences
from relselect.rdl.graph.table_encoding import fit_tables
from relselect.tasks.metrics import skill
from relselect.threads import wait_passively

WAYS = ("columns", "both")
MARKS = ("<!-- rows -->", "<!-- end of rows -->")
PAGE = Path("docs/pretraining.md")
TASKS = (
    "easybuild-software/contributor-active", "internet-standards/spec-new-version", "nyphil-performances/conductor-returns",
    "opam-packages/contributor-active", "sakila/customer-rentals", "scotus/case-liberal",
    "senate-stock-trades/senator-discloses", "stackexchange-bicycles-meta/post-upvoted",
    "stackexchange-quantumcomputing/user-engagement", "us-films/actor-genre", "berka-without-trans/loan-bad",
    "cdisc-pilot-trial/subject-discontinues",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--most", type=int, default=1500, help="different rows of a table that is read as language")
    parser.add_argument("--seconds", type=float, default=3600.0, help="budget of a fit")
    parser.add_argument("--out", type=Path, default=Path("docs/rows"))
    parser.add_argument("--read", action="store_true")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    wait_passively()
    torch.set_num_threads(1)
    log = arguments.out.with_suffix(".jsonl")
    for task in () if arguments.table else arguments.only:
        compare(task, arguments, log)
    rows = read(log)
    write(table(rows))
    print(
        json.dumps(
            {"select": over_databases(rows, "select"), "test": over_databases(rows, "test"), "tasks": paired(rows)}
        )
    )


def compare(task: str, arguments: argparse.Namespace, log: Path) -> None:
    """Fit what is missing from the log."""
    done = {(row["way"], row["seed"]) for row in read(log) if row["task"] == task}
    missing = [(way, seed) for seed in arguments.seeds for way in WAYS if (way, seed) not in done]
    if not missing:
        return
    database = open_database(task.split("/")[0])
    problem = Problem(database, open_task(database, task.split("/")[1]))
    counts = short_tables(problem, arguments.most)
    read_rows(problem, list(counts))
    for way, seed in () if arguments.read else missing:
        row: dict[str, Any] = {"task": task, "way": way, "seed": seed, "language_tables": counts}
        row |= fitted(problem, {"rows": way, "language_tables": list(counts)}, seed, arguments.seconds)
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        print(row, file=sys.stderr, flush=True)


def short_tables(problem: Problem, most: int) -> dict[str, int]:
    """Return the tables with several and at most `most` different sentences at the end of training, and how many they have."""
    encodings, found = fit_tables(problem), {}
    for name in sorted(problem.user_database.tables):
        data = problem.database[name].data.filter(pa.array(problem.visible(name, problem.fit_asof)))
        columns = sentence_of(problem.database[name], encodings[name], "").columns
        count = len(set(row_sentences(name, data, columns)))
        if 1 < count <= most:
            found[name] = count
    return found


def read_rows(problem: Problem, said: list[str]) -> None:
    """Compute the vectors of the rows of tables, or read them from the cache."""
    begun = time.process_time()
    encodings = with_sentences(problem, fit_tables(problem), "", columns=True, said=said)
    read_language(problem, encodings, Budget(None), silent)
    print(f"{problem.database.name}: {said}, {time.process_time() - begun:.0f} s", file=sys.stderr, flush=True)


def fitted(problem: Problem, options: dict[str, Any], seed: int, seconds: float) -> dict[str, Any]:
    """Return the scores and skills of one fit."""
    family, constants, rows, test = RDL("cpu"), Constants(), fit_rows(problem), problem.rows("test")
    base = constants.fit(problem, rows, constants.default(problem), seed=0, number=0, budget=Budget(None), emit=silent)
    begun, metric = time.process_time(), problem.task.metric
    config = family.adjusted(problem, options)
    found = family.fit(problem, rows, config, seed=seed, number=0, budget=Budget(seconds), emit=silent)
    took = time.process_time() - begun
    level, score = (
        metric.score(test.label, each.predict(model, problem, test.unlabelled()))
        for each, model in ((constants, base), (family, found))
    )
    return {
        "metric": metric.name,
        "select": found.score,
        "test": score,
        "select_skill": skill(metric, found.score, base.score),
        "test_skill": skill(metric, score, level),
        "epochs": 0 if found.curve is None else len(found.curve.points),
        "cpu_seconds": round(took, 1),
        "ended": found.ended,
    }


def paired(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, per task, the mean skills of both ways over the seeds that both have, and their paired differences."""
    fits: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
    for row in rows:
        if row["ended"] != "budget":
            fits.setdefault(row["task"], {})[row["way"], row["seed"]] = row
    found = []
    for task, ways in sorted(fits.items()):
        seeds = sorted({seed for _, seed in ways if all((way, seed) in ways for way in WAYS)})
        if seeds:
            found.append({"task": task, "seeds": len(seeds), "said": ways["both", seeds[0]]["language_tables"]})
            found[-1] |= differences(ways, seeds)
    return found


def differences(ways: dict[tuple[str, int], dict[str, Any]], seeds: list[int]) -> dict[str, Any]:
    """Return means of both ways, and mean and standard deviation of their differences, on select and test rows."""
    found: dict[str, Any] = {}
    for split in ("select", "test"):
        values = {way: [ways[way, seed][f"{split}_skill"] for seed in seeds] for way in WAYS}
        gains = [both - columns for both, columns in zip(values["both"], values["columns"], strict=True)]
        found |= {f"{split}_{way}": round(statistics.fmean(each), 4) for way, each in values.items()}
        found[split] = round(statistics.fmean(gains), 4)
        found[f"{split}_sd"] = round(statistics.stdev(gains), 4) if len(gains) > 1 else None
    return found | {f"cpu_{way}": statistics.fmean(ways[way, seed]["cpu_seconds"] for seed in seeds) for way in WAYS}


def over_databases(rows: list[dict[str, Any]], split: str) -> dict[str, float | int | None]:
    """Return the mean difference over databases, its 90 % bootstrap interval over databases, and how many gain."""
    groups: dict[str, list[float]] = {}
    for row in paired(rows):
        groups.setdefault(row["task"].split("/")[0], []).append(row[split])
    if not groups:
        return {"mean": None, "low": None, "high": None, "databases": 0, "better": 0}
    means, draw = np.array([np.mean(each) for each in groups.values()]), np.random.default_rng(0)
    low, high = np.quantile(means[draw.integers(0, len(means), (2000, len(means)))].mean(axis=1), [0.05, 0.95])
    shown = {name: round(float(value), 4) for name, value in (("mean", means.mean()), ("low", low), ("high", high))}
    return {**shown, "databases": len(means), "better": int((means > 0).sum())}


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table in Markdown."""
    lines = [
        "| task | read as language (different rows) | seeds | select, columns | select, both | difference "
        "| test, columns | test, both | difference "
        "| CPU seconds, columns | both |",
        "|---|---|" + "---:|" * 9,
    ]
    for row in paired(rows):
        said = ", ".join(f"{name} ({count:,})" for name, count in row["said"].items())
        cells = [row["task"], said, str(row["seeds"])]
        for split in ("select", "test"):
            error = "" if row[f"{split}_sd"] is None else f" ± {row[f'{split}_sd']:.3f}"
            cells += [f"{row[f'{split}_{way}']:.3f}" for way in WAYS]
            cells.append(f"{row[split]:+.3f}{error}")
        cells += [f"{row[f'cpu_{way}']:.0f}" for way in WAYS]
        lines.append(f"| {' | '.join(cells)} |")
    for split in ("select", "test"):
        mean = over_databases(rows, split)
        if (mean["databases"] or 0) > 1:
            lines += [
                "",
                f"Mean difference over {mean['databases']} databases on {split} rows: {mean['mean']:+.4f} (90 % interval "
                f"{mean['low']:+.4f} to {mean['high']:+.4f}); `both` is better on {mean['better']}.",
            ]
    return lines


def write(lines: list[str]) -> None:
    """Write the table between its marks."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    text = "\n".join(lines)
    PAGE.write_text(f"{head}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}", encoding="utf-8")


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line] if log.exists() else []


if __name__ == "__main__":
    main()
