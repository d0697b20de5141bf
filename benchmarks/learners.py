"""Compare the learners of synthesised features: skill on select rows and seconds, one seed, one thread.

    RELSELECT_DATA=... OMP_NUM_THREADS=1 python benchmarks/learners.py [--only TASK ...] [--learners NAME ...] [--out PATH]

The features of a task are computed once and shared; seconds are CPU seconds of the fit alone, predictions of the validation rows
included. Finished fits are appended to `<out>.jsonl`; the same call again goes on with what is missing. The table between the two
marks in `<out>.md` is written anew, and the last line printed is one JSON object. Test rows are not read.

A fit that its budget (`--seconds`, wall-clock) ended is marked "cut". Beside the learners stand two variants of LightGBM: one
booster instead of three, and columns of few values as they are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

TASKS = (
    "berka-without-trans/loan-bad", "cdisc-pilot-trial/subject-discontinues", "enron-email/employee-silent",
    "movielens-small/rating-high", "rel-f1/driver-dnf", "rel-f1/driver-position", "sakila/customer-rentals",
    "scotus/case-liberal", "senate-stock-trades/senator-discloses", "un-votes/country-agrees-us",
    "un-votes/country-absent", "worldcup/team-goals",
)  # fmt: skip
#: Name -> what differs from the default configuration.
VARIANTS: dict[str, dict[str, Any]] = {
    "lightgbm": {},
    "lightgbm, one booster": {"bags": 1},
    "lightgbm, values as they are": {},
    "tabm": {"learner": "tabm"},
    "catboost": {"learner": "catboost"},
}
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--learners", nargs="*", default=list(VARIANTS))
    parser.add_argument("--seconds", type=float, default=120.0, help="budget of a fit")
    parser.add_argument("--out", type=Path, default=Path("docs/learners"))
    arguments = parser.parse_args()
    log = arguments.out.with_suffix(".jsonl")
    for task in arguments.only:
        measure(task, arguments.learners, arguments.seconds, log)
    fits = [row for row in read(log) if row["task"] in TASKS]
    page = arguments.out.with_suffix(".md")
    text = page.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{table(fits)}\n{END}{after}", encoding="utf-8")
    print(json.dumps(means(fits)))


def measure(task: str, learners: list[str], seconds: float, log: Path) -> None:
    """Fit the learners that are missing from the log."""
    done = {row["learner"] for row in read(log) if row["task"] == task}
    missing = [name for name in learners if name not in done]
    if not missing:
        return
    import numpy as np
    import torch

    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.dfs.family import DFS
    from relselect.dfs.learners import learner_of
    from relselect.events import silent
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.tasks.metrics import skill

    torch.set_num_threads(1)
    database = open_database(task.split("/")[0])
    problem = Problem(database, open_task(database, task.split("/")[1]))
    rows, family, metric = fit_rows(problem, "auto", score_test=False), DFS(), problem.task.metric
    default = family.default(problem)
    features = {name: value for name, value in default.items() if name not in learner_of("lightgbm").default(problem)}
    label = problem.rows("train").label
    constant = np.median(label) if metric.name == "neg_mean_absolute_error" else label.mean()
    reference = metric.score(rows.select.label, np.full(len(rows.select), constant))
    quick = {**default, "rounds": 1, "bags": 1}
    family.fit(problem, rows, quick, seed=0, number=1, budget=Budget(None), emit=silent)  # computes the features
    for name in missing:
        change = VARIANTS[name]
        config = {**features, **learner_of(change.get("learner", "lightgbm")).default(problem), **change}
        begun = time.process_time()
        with unshifted() if name.endswith("as they are") else nullcontext():
            fitted = family.fit(problem, rows, config, seed=0, number=1, budget=Budget(seconds), emit=silent)
        row = {
            "task": task,
            "learner": name,
            "metric": metric.name,
            "score": fitted.score,
            "skill": skill(metric, fitted.score, reference),
            "seconds": round(time.process_time() - begun, 2),
            "ended": fitted.ended,
            "train_rows": fitted.facts["n_train_rows"],
            "features": fitted.facts["n_features"],
            "rounds": fitted.facts["rounds"],
        }
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        print(row, file=sys.stderr, flush=True)


@contextmanager
def unshifted() -> Iterator[None]:
    """Let LightGBM read columns of few values as they are."""
    import numpy as np

    from relselect.dfs.learners.binning import Binned

    def plain(parts: Any) -> Any:
        return np.zeros(parts[0].features.values.shape[1])

    def anew(train: Any, stop: Any, scale: Any) -> Any:
        return Binned.of_rows([train], scale, stop)

    with (
        mock.patch("relselect.dfs.learners.binning.shift_of", plain),
        mock.patch("relselect.dfs.learners.lightgbm.binned_of", anew),
    ):
        yield


def shown(fits: list[dict[str, Any]]) -> tuple[list[str], dict[tuple[str, str], dict[str, Any]]]:
    """Return the tasks that every variant was fitted on, and the fits by task and variant."""
    found = {(row["task"], row["learner"]): row for row in fits}
    return [task for task in TASKS if all((task, name) in found for name in VARIANTS)], found


def means(fits: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return each variant's mean skill, the mean and standard error of its margin over the default, and mean seconds."""
    tasks, found = shown(fits)
    result = {}
    for name in VARIANTS:
        skills = [found[task, name]["skill"] for task in tasks]
        margins = [found[task, name]["skill"] - found[task, "lightgbm"]["skill"] for task in tasks]
        error = statistics.stdev(margins) / len(margins) ** 0.5 if len(margins) > 1 else 0.0
        result[name] = {
            "skill": statistics.fmean(skills),
            "margin": statistics.fmean(margins),
            "error": error,
            "seconds": statistics.fmean(found[task, name]["seconds"] for task in tasks),
        }
    return result


def cell(fit: dict[str, Any]) -> str:
    """Return skill and CPU seconds, marked where the budget ended the fit."""
    return f"{fit['skill']:.3f} ({fit['seconds']:.1f} s{', cut' if fit['ended'] == 'budget' else ''})"


def table(fits: list[dict[str, Any]]) -> str:
    """Return the table in Markdown."""
    tasks, found = shown(fits)
    lines = [
        f"| task | rows | features | {' | '.join(VARIANTS)} |",
        f"|---|---:|---:|{'---:|' * len(VARIANTS)}",
    ]
    for task in tasks:
        first = found[task, "lightgbm"]
        cells = [cell(found[task, name]) for name in VARIANTS]
        lines.append(f"| {task} | {first['train_rows']:,} | {first['features']} | {' | '.join(cells)} |")
    summary = means(fits) if tasks else {}
    if summary:
        cells = [f"{each['skill']:.3f} ({each['seconds']:.1f} s)" for each in summary.values()]
        lines.append(f"| **mean** | | | {' | '.join(cells)} |")
        cells = [f"{each['margin']:+.3f} ± {each['error']:.3f}" for each in summary.values()]
        lines.append(f"| margin over the default | | | {' | '.join(cells)} |")
    return "\n".join(lines)


def read(log: Path) -> Iterator[dict[str, Any]]:
    if log.exists():
        yield from (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line)


if __name__ == "__main__":
    main()
