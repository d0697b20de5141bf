"""Search at equal wall-clock: relselect's studies, plain Optuna over the union of the spaces, and each family alone.

    RELSELECT_DATA=... python benchmarks/tuning.py [--tasks rel-f1/driver-dnf ...] [--seconds 180] [--marks 60 180]
                                                   [--seeds 0] [--methods relselect tpe ...] [--out docs/tuning_benchmark]

Each (task, seed, method) is a process of its own with one thread. The clock begins when the task is bound and ends the search.
Every trial is noted with the second at which it was finished, so that one long search gives what each method would have deployed
at every mark. Trials are chosen on select rows; the test rows are predicted once, at the end, by what was chosen at the marks.
Nothing is refitted.

* "relselect": profile, recommendation, defaults first, then time by the odds between families; deploys one family or their blend,
  as a run does. "relselect, best score" is the same search deployed by its best score on the select rows.
* "relselect, parts of rows": the same with `fidelity="auto"`: trials begin on parts of the rows where there are 20,000 or more.
* "relselect, parts of the length": the same with `fidelity="length"`: trials that are behind on the way are pruned.
* "tpe", "random": Optuna's TPE and random sampler over the union: the family is a choice, its parameters are conditional on it.
* "dfs alone", "rdl alone": one family's study with all of the time.

Normalised regret at a mark: (b - s) / b, cut to 0 to 1, with the test skill s of what is deployed (0, a constant's, before a
trial is finished) and the best test skill b that any method reached on the task at any mark and seed.

With --last-part 0.2 nothing is searched: the log says on how many tasks the last fifth of the time until each mark brought a
better select score, which is what a run without that fifth loses.

Rows are appended to `<out>.jsonl`; the same call again goes on. The page is `<out>.md`; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import numpy as np

TASKS = (
    "rel-f1/driver-top3", "un-votes/country-agrees-us", "movielens-small/rating-high", "scotus/case-liberal",
    "tour-de-france/entry-rank", "enron-email/employee-messages", "easybuild-software/easyconfig-edited",
    "international-football/team-points",
)  # fmt: skip
METHODS = (
    "relselect", "relselect, parts of rows", "relselect, parts of the length", "tpe", "random", "dfs alone", "rdl alone",
)  # fmt: skip
BEST_SCORE = "relselect, best score"
#: A trial that the clock cut comes in a little later than the clock.
LATE, LATE_SECONDS = 1.02, 0.5
DRAWS = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--seconds", type=float, default=180.0, help="wall-clock of each search")
    parser.add_argument(
        "--marks", nargs="*", type=float, default=[60.0, 180.0], help="seconds at which methods are compared"
    )
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--out", type=Path, default=Path("docs/tuning_benchmark"))
    parser.add_argument("--last-part", type=float, help="only say what this last part of the time brought")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    marks = sorted({mark for mark in arguments.marks if mark <= arguments.seconds} | {arguments.seconds})
    if arguments.one:
        task, seed, method = arguments.one
        print(json.dumps(searched(task, int(seed), method, arguments.seconds, marks)))
        return
    log = arguments.out.with_suffix(".jsonl")
    if arguments.last_part is not None:
        print(json.dumps(last_part([row for row in rows_of(log) if "error" not in row], marks, arguments.last_part)))
        return
    for seed in arguments.seeds:
        for task in arguments.tasks:
            for method in arguments.methods:
                if (task, seed, method, arguments.seconds) not in {key_of(row) for row in rows_of(log)}:
                    row = in_own_process(task, seed, method, arguments.seconds, marks)
                    with log.open("a", encoding="utf-8") as lines:
                        lines.write(json.dumps(row) + "\n")
                    print(task, seed, method, row.get("error") or row["marks"], file=sys.stderr, flush=True)
    rows = [row for row in rows_of(log) if row["seconds"] == arguments.seconds]
    found = summary(rows)
    arguments.out.with_suffix(".md").write_text(page(found, rows), encoding="utf-8")
    print(json.dumps(found))


def in_own_process(task: str, seed: int, method: str, seconds: float, marks: list[float]) -> dict[str, Any]:
    """Return the row of one search, or its error."""
    words = ["--seconds", str(seconds), "--marks", *map(str, marks), "--one", task, str(seed), method]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, __file__, *words], env={**os.environ, **threads}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        error = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"task": task, "seed": seed, "method": method, "seconds": seconds, "error": error}
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def searched(name: str, seed: int, method: str, seconds: float, marks: list[float]) -> dict[str, Any]:
    """Search one task by one method, and score on the test rows what it would have deployed at each mark."""
    from _tuning_methods import METHODS as SEARCHES
    from _tuning_methods import Setting, warmed

    from relselect.api import open_task
    from relselect.configs import open_database
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.threads import limited_threads, wait_passively

    wait_passively()
    warmed()
    database = open_database(name.split("/")[0])
    problem = Problem(database, open_task(database, name.split("/")[1]))
    rows = fit_rows(problem, "auto", score_test=False)
    len(rows.stop), len(rows.select)
    with tempfile.TemporaryDirectory() as folder, limited_threads(1):
        setting = Setting(problem, rows, seed, seconds, Path(folder), name.split("/")[0])
        found = SEARCHES[method](setting)
        known = [each for each in found.candidates if each.id in found.finished and each.score == each.score]
        scored = Scored(problem)
        reached = [reached_by(found, known, mark, scored) for mark in marks]
    trials = [
        {"trial": each.id, "at": round(found.finished[each.id], 1), "select": each.score, "ended": each.ended}
        for each in sorted(known, key=lambda each: found.finished[each.id])
    ]
    return {
        "task": name, "seed": seed, "method": method, "seconds": seconds, "metric": problem.task.metric.name,
        "marks": reached, "trials": trials, "notes": found.notes, "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def reached_by(found: Any, known: list[Any], mark: float, scored: Scored) -> dict[str, Any]:
    """Return what is deployed of the trials that were finished by a mark, by the method's rule and by the best score."""
    done = [each for each in known if found.finished[each.id] <= LATE * mark + LATE_SECONDS]
    if not done:
        return {"at": mark, "trials": 0, "deployed": None, "skill": 0.0, "best_score_skill": 0.0}
    best = {each.family: each for each in sorted(done, key=lambda each: (each.score, -each.number))}
    alone = max(best.values(), key=lambda each: each.score)
    weights = found.weights(done) or {alone.family: 1.0}
    members = {best[name].id: weight for name, weight in weights.items() if weight > 0}
    return {
        "at": mark, "trials": len(done), "deployed": {name: round(weight, 3) for name, weight in members.items()},
        "skill": scored.skill([(best[name], weight) for name, weight in weights.items()]),
        "best_score_skill": scored.skill([(alone, 1.0)]),
    }  # fmt: skip


class Scored:
    """Scores candidates and blends on the test rows, each candidate predicted once."""

    def __init__(self, problem: Any) -> None:
        from relselect.families.registry import baselines, family_of

        self.problem, self.rows = problem, problem.rows("test")
        self._predicted: dict[str, Any] = {}
        family = family_of(baselines()[0])
        from relselect.budget import Budget
        from relselect.events import silent
        from relselect.problem.rows import fit_rows

        constant = family.fit(
            problem, fit_rows(problem), family.default(problem), seed=0, number=0, budget=Budget(None), emit=silent
        )
        self.reference = problem.task.metric.score(self.rows.label, self.predicted(constant))

    def predicted(self, candidate: Any) -> Any:
        from relselect.families.registry import family_of

        if candidate.id not in self._predicted:
            family = family_of(candidate.family)
            self._predicted[candidate.id] = family.predict(candidate, self.problem, self.rows.unlabelled())
        return self._predicted[candidate.id]

    def skill(self, members: list[tuple[Any, float]]) -> float:
        """Return the test skill of the weighted average of candidates."""
        from relselect.tasks.metrics import skill

        made = sum(weight * self.predicted(each) for each, weight in members if weight > 0)
        metric = self.problem.task.metric
        return float(skill(metric, metric.score(self.rows.label, made), self.reference))


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["task"], row["seed"], row["method"], row["seconds"]


def rows_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line] if log.exists() else []


def skills_of(rows: list[dict[str, Any]]) -> dict[str, dict[float, dict[str, list[float]]]]:
    """Return method -> mark -> task -> test skill by seed; tasks that not every method finished are left out."""
    found: dict[str, dict[float, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    methods = {row["method"] for row in rows}
    whole = [
        row["task"] for row in rows
        if {each["method"] for each in rows if each["task"] == row["task"] and "error" not in each} == methods
    ]  # fmt: skip
    for row in rows:
        if row["task"] not in whole or "error" in row:
            continue
        for each in row["marks"]:
            found[row["method"]][each["at"]][row["task"]].append(each["skill"])
            if row["method"] == "relselect":
                found[BEST_SCORE][each["at"]][row["task"]].append(each["best_score_skill"])
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean normalised regret by method and mark with its interval over tasks, and what relselect saves."""
    found = skills_of(rows)
    tasks = sorted({task for by_mark in found.values() for by_task in by_mark.values() for task in by_task})
    best = {
        task: max(max(by_task[task]) for by_mark in found.values() for by_task in by_mark.values()) for task in tasks
    }
    tasks = [task for task in tasks if best[task] > 0]  # where nothing beats a constant there is nothing to find

    def regrets(method: str, mark: float) -> np.ndarray[Any, Any]:
        by_task = found[method][mark]
        lost = [np.clip((best[task] - np.array(by_task[task])) / best[task], 0, 1).mean() for task in tasks]
        return np.array(lost)

    told: dict[str, Any] = {"tasks": len(tasks), "runs": len(rows), "errors": sum("error" in row for row in rows)}
    marks = sorted({mark for by_mark in found.values() for mark in by_mark})
    told["regret"] = {
        method: {f"{mark:g}": interval(regrets(method, mark)) for mark in marks} for method in found if tasks
    }
    if tasks and {"relselect", "tpe"} <= set(found):
        first, last = marks[0], marks[-1]
        told["less_regret_than_tpe"] = {
            f"{mark:g}": round(float(1 - regrets("relselect", mark).mean() / max(regrets("tpe", mark).mean(), 1e-9)), 3)
            for mark in marks
        }
        early = [np.mean(found["relselect"][first][task]) >= np.mean(found["tpe"][last][task]) for task in tasks]
        told["tpe_reached_early"] = {"mark": first, "of": last, "tasks": int(np.sum(early))}
    return told


def last_part(rows: list[dict[str, Any]], marks: list[float], part: float) -> dict[str, Any]:
    """Return by method and mark how many searches found a better select score in the last part of the time, and which."""
    found: dict[str, Any] = {}
    for row in rows:
        for mark in marks:
            before, whole = (best_select(row, seconds) for seconds in ((1 - part) * mark, mark))
            told = found.setdefault(row["method"], {}).setdefault(f"{mark:g}", {"searches": 0, "better": {}})
            told["searches"] += 1
            if whole is not None and (before is None or whole > before):
                told["better"][f"{row['task']}, seed {row['seed']}"] = [before, whole]
    return found


def best_select(row: dict[str, Any], seconds: float) -> float | None:
    """Return the best select score of the trials that were finished by then; None without any."""
    return max((each["select"] for each in row["trials"] if each["at"] <= LATE * seconds + LATE_SECONDS), default=None)


def interval(values: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return the mean over tasks and its 90 % bootstrap interval."""
    draws = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(1)
    low, high = np.quantile(draws, [0.05, 0.95])
    return {"mean": round(float(values.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def page(found: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return the page."""
    marks = sorted({mark for by_mark in found.get("regret", {}).values() for mark in by_mark}, key=float)
    seeds = len({row["seed"] for row in rows})
    lines = [
        "# Tuning at equal wall-clock",
        "",
        f"Written by `benchmarks/tuning.py`, which says what is compared; {found['tasks']} tasks, {seeds} seed(s).",
        "Normalised regret of the test skill (0: the best that any method found, 1: a constant), mean over tasks, 90 % interval.",
        "",
        "| method | " + " | ".join(f"at {float(mark):g} s" for mark in marks) + " |",
        "|---|" + "---:|" * len(marks),
    ]
    for method, by_mark in found.get("regret", {}).items():
        cells = [
            f"{each['mean']:.3f} ({each['low']:.3f} to {each['high']:.3f})" for each in (by_mark[m] for m in marks)
        ]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    if "less_regret_than_tpe" in found:
        saved = ", ".join(f"{share:.0%} at {mark} s" for mark, share in found["less_regret_than_tpe"].items())
        early = found["tpe_reached_early"]
        lines += [
            "",
            f"relselect's regret is lower than plain TPE's by {saved}. What TPE reaches in {early['of']:g} s relselect has in "
            f"{early['mark']:g} s on {early['tasks']} of {found['tasks']} tasks.",
        ]
    lines += [
        "",
        "## Tasks",
        "",
        "| task | method | " + " | ".join(f"skill at {float(m):g} s" for m in marks) + " | trials |",
    ]
    lines.append("|---|---|" + "---:|" * (len(marks) + 1))
    for row in sorted(rows, key=lambda row: (row["task"], row["method"], row["seed"])):
        if "error" in row:
            lines.append(f"| {row['task']} | {row['method']} | {row['error'].replace('|', '/')} |" + " |" * len(marks))
            continue
        cells = [f"{each['skill']:.4f}" for each in row["marks"]]
        lines.append(f"| {row['task']} | {row['method']} | " + " | ".join(cells) + f" | {len(row['trials'])} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
