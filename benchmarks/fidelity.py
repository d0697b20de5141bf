"""What partial fits of trials are worth at equal CPU seconds: whole fits, parts of the rows, parts of the length.

    RELSELECT_DATA=... python benchmarks/fidelity.py [--tasks rel-f1/driver-top3 ...] [--trials 14] [--seed 0] [--orders 200]
                                                     [--shares 1 0.1111 0.3333] [--replay] [--out docs/fidelity]

For each task the default configuration of feature synthesis with LightGBM, the family's alternative and a number of proposals,
drawn at random from the search space, are fitted on one thread: on all training rows, and the proposals on a ninth and a third
of them too. Each fit is noted with its scores, its learning curve and the CPU seconds at every point of it. The features of a
plan are timed apart. A study with a virtual clock is then replayed by each method:

* "full": one trial after another on all rows;
* "rows": of nine proposals on a ninth of the rows the best three on a third, and the best of these on all rows, again and again;
* "length": as full, but trials are pruned by the code of `relselect.tuning.pruning`; the clock runs to the point where they are.

The default and the alternative come first, then the proposals in a random order, the same for all methods; a replay is exact,
since proposals that are drawn at random depend on no outcome. A trial pays for the features of its plan where no earlier one has
computed them. At each mark, a part of the CPU seconds of all whole fits, the trial with the best select score among those that
were fitted wholly is deployed, without a refit; and once more after all trials, however long they took. Skills are means over
the orders; a difference is paired by order, and from five tasks on it has a 90 % bootstrap interval over them.

Fits are appended to `<out>.jsonl`; the same call again goes on. With --replay nothing is fitted. The page is `<out>.md`; the last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import numpy as np

TASKS = (
    "scotus/case-liberal", "scotus/case-petitioner-wins", "scotus/case-unanimous", "sakila/customer-rentals",
    "enron-email/employee-silent", "worldcup/team-goals", "stackexchange-quantumcomputing/user-engagement",
)  # fmt: skip
METHODS = ("full", "rows", "length")
SHARES = (1.0, 1 / 9, 1 / 3)
#: Parts of the CPU seconds of all whole fits at which methods are compared.
MARKS = (0.25, 0.5, 0.75)
#: The last mark: all trials, however long they took.
ALL = "all"
KEYS = (*(f"{mark:g}" for mark in MARKS), ALL)
LEARNER = "lightgbm"
#: The configurations in front of the proposals: the default and the alternative.
FIRST = 2
DRAWS = 4000
#: Tasks from which an interval over them is given.
ENOUGH = 5

Fits = dict[tuple[int, float], dict[str, Any]]
#: A trial on the clock: seconds when it ended, and its row where it was fitted wholly.
Ended = tuple[float, dict[str, Any] | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--trials", type=int, default=14, help="proposals per task")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--orders", type=int, default=200, help="orders of the proposals that are replayed")
    parser.add_argument("--shares", nargs="*", type=float, default=list(SHARES), help="parts of the training rows")
    parser.add_argument("--replay", action="store_true", help="replay what is there and fit nothing")
    parser.add_argument("--out", type=Path, default=Path("docs/fidelity"))
    arguments = parser.parse_args()
    log = arguments.out.with_suffix(".jsonl")
    if not arguments.replay:
        from _fidelity_fits import recorded

        for task in arguments.tasks:
            recorded(log, task, arguments.seed, arguments.trials, arguments.shares, LEARNER)
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]
    found = summary([row for row in rows if row["task"] in arguments.tasks], arguments.orders)
    arguments.out.with_suffix(".md").write_text(page(found), encoding="utf-8")
    print(json.dumps(found))


def summary(rows: Sequence[dict[str, Any]], orders: int) -> dict[str, Any]:
    """Return the skills of each method at each mark by task, and the paired differences to whole fits."""
    by_task: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    tasks = {name: replayed(found, orders) for name, found in by_task.items()}
    tasks = {name: found for name, found in tasks.items() if found}
    told: dict[str, Any] = {"tasks": tasks, "orders": orders, "differences": {}}
    for method in METHODS[1:]:
        for part in ("select", "test"):
            for key in KEYS:
                values = [
                    found[method][key][part] - found["full"][key][part]
                    for found in tasks.values() if method in found
                ]  # fmt: skip
                if values:
                    told["differences"].setdefault(method, {}).setdefault(part, {})[key] = interval(values)
    return told


def replayed(rows: Sequence[dict[str, Any]], orders: int) -> dict[str, Any]:
    """Return the mean skills of each method on one task; empty where whole fits are missing."""
    reference = next(row for row in rows if "reference" in row)
    fits: Fits = {(row["number"], row["share"]): row for row in rows if "number" in row}
    numbers = sorted(number for number, share in fits if share == 1)
    if len(numbers) < FIRST + 2 or numbers != list(range(len(numbers))):
        return {}
    features = {(row["plan"], share): 0.0 for (_, share), row in fits.items()}
    for (_, share), row in fits.items():
        features[row["plan"], share] = max(features[row["plan"], share], row["features_cpu"])
    first, proposals = numbers[:FIRST], numbers[FIRST:]
    parts = all((number, round(share, 4)) in fits for number in proposals for share in SHARES)
    methods = [name for name in METHODS if name != "rows" or parts]
    total = list(full(numbers, fits, features))[-1][0]
    marks = [*(mark * total for mark in MARKS), float("inf")]
    skills: dict[str, Any] = {name: defaultdict(lambda: defaultdict(list)) for name in methods}
    spent: dict[str, list[float]] = defaultdict(list)
    pruned: list[int] = []
    for order in range(orders):
        drawn = [*first, *np.random.default_rng(order).permutation(proposals).tolist()]
        for name in methods:
            ended = list(PLAYED[name](drawn, fits, features))
            spent[name].append(ended[-1][0])
            if name == "length":
                pruned.append(sum(row is None for _, row in ended))
            for key, seconds in zip(KEYS, marks, strict=True):
                for part, value in reached_by(ended, seconds, reference).items():
                    skills[name][key][part].append(value)
    means = {name: _means(by_mark) for name, by_mark in skills.items()}
    facts = {"metric": reference["metric"], "row_counts": reference["rows"], "trials": len(numbers)}
    facts |= {"marks": [round(mark, 1) for mark in marks[:-1]], "pruned": round(float(np.mean(pruned)), 1)}
    return {**means, **facts, "seconds": {name: round(float(np.mean(each)), 1) for name, each in spent.items()}}


def _means(by_mark: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    return {
        mark: {part: round(float(np.mean(each)), 5) for part, each in by_part.items()}
        for mark, by_part in by_mark.items()
    }


def reached_by(ended: Sequence[Ended], seconds: float, reference: dict[str, Any]) -> dict[str, float]:
    """Return select and test skill of the trial with the best select score of those that ended in time; 0 for none."""
    from relselect.tasks.metrics import metric_named, skill

    known = [row for at, row in ended if at <= seconds and row is not None]
    if not known:
        return {"select": 0.0, "test": 0.0}
    best, metric = max(known, key=lambda row: row["select"]), metric_named(reference["metric"])
    return {part: float(skill(metric, best[part], reference[part])) for part in ("select", "test")}


class Clock:
    """CPU seconds of a study that computes the features of a plan once for each part of the rows."""

    def __init__(self, features: dict[tuple[str, float], float]) -> None:
        self.seconds, self._features, self._there = 0.0, features, set[tuple[str, float]]()

    def spend(self, row: dict[str, Any], cpu: float) -> float:
        key = (row["plan"], row["share"])
        if key not in self._there:
            self._there.add(key)
            self.seconds += self._features[key]
        self.seconds += cpu
        return self.seconds


def full(order: Sequence[int], fits: Fits, features: dict[tuple[str, float], float]) -> Iterator[Ended]:
    """Yield whole fits one after another."""
    clock = Clock(features)
    for number in order:
        row = fits[number, 1.0]
        yield clock.spend(row, row["cpu"]), row


def rows_first(order: Sequence[int], fits: Fits, features: dict[tuple[str, float], float]) -> Iterator[Ended]:
    """Yield successive halving by parts of the training rows, the first configurations in front."""
    from relselect.tuning.proposals import RUNGS

    clock = Clock(features)
    for number in order[:FIRST]:
        row = fits[number, 1.0]
        yield clock.spend(row, row["cpu"]), row
    for begun in range(FIRST, len(order), RUNGS[0].trials):
        rung = list(order[begun : begun + RUNGS[0].trials])
        for each in RUNGS:
            some = [fits[number, round(each.share, 4)] for number in rung]
            if each.trials < len(some):
                before = round(RUNGS[RUNGS.index(each) - 1].share, 4)
                rung = sorted(rung, key=lambda number: -fits[number, before]["select"])[: each.trials]
                some = [fits[number, round(each.share, 4)] for number in rung]
            for row in some:
                yield clock.spend(row, row["cpu"]), row if each.share == 1 else None


def length_first(order: Sequence[int], fits: Fits, features: dict[tuple[str, float], float]) -> Iterator[Ended]:
    """Yield trials that are pruned as a study prunes them."""
    from relselect.dfs import DFS
    from relselect.errors import FitPruned
    from relselect.families.candidate import CurvePoint
    from relselect.tuning.proposals import LAG
    from relselect.tuning.pruning import LengthWatch, ReachedValues, bars_of

    clock, known = Clock(features), list[ReachedValues]()
    for place, number in enumerate(order):
        row = fits[number, 1.0]
        length = DFS().training_length(row["config"])
        points = [CurvePoint(step, _number(loss), _number(score)) for step, loss, score, _ in row["points"]]
        if length is None:
            raise ValueError(f"{row['config']['learner']} has no length")
        bars = bars_of(known[: max(0, place - LAG + 1)], length.track) if place >= FIRST else ()
        cpu, reached = row["cpu"], ReachedValues.of(points, length, whole=True)
        if any(bar is not None for bar in bars):
            watch = LengthWatch(length, bars, str)
            for count in range(1, len(points) + 1):
                try:
                    watch(points[:count])
                except FitPruned:
                    cpu, reached = row["points"][count - 1][3], ReachedValues.of(points[:count], length, whole=False)
                    break
        known.append(reached)
        yield clock.spend(row, cpu), row if cpu == row["cpu"] else None


PLAYED = {"full": full, "rows": rows_first, "length": length_first}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def interval(values: Sequence[float]) -> dict[str, float]:
    """Return the mean over tasks, their number, and the 90 % bootstrap interval where there are enough of them for one."""
    told = {"mean": round(float(np.mean(values)), 5), "tasks": len(values)}
    if len(values) < ENOUGH:
        return told
    draws = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(1)
    low, high = np.quantile(draws, [0.05, 0.95])
    return {**told, "low": round(float(low), 5), "high": round(float(high), 5)}


def cell(told: dict[str, float]) -> str:
    """Return a difference as a cell of the page."""
    spread = f" ({told['low']:+.4f} to {told['high']:+.4f})" if "low" in told else ""
    return f"{told['mean']:+.4f}{spread}"


def page(found: dict[str, Any]) -> str:
    """Return the page."""
    lines = [
        "# Partial fits at equal CPU seconds",
        "",
        f"Written by `benchmarks/fidelity.py`, which says what is compared: {len(found['tasks'])} task(s), features with",
        f"LightGBM, one thread, replays of {found['orders']} orders of the same random proposals. Skill: 0 is a constant's, 1 is",
        "perfect. Test rows were read for this page alone.",
        "",
    ]
    titles = [*(f"at {mark:.0%}" for mark in MARKS), "after all trials"]
    if found["differences"]:
        lines += [
            "| method less whole fits | tasks | rows | " + " | ".join(titles) + " |",
            "|---|---:|---|" + "---:|" * len(KEYS),
        ]
    for method, by_part in found["differences"].items():
        for part, by_mark in by_part.items():
            tasks = next(iter(by_mark.values()))["tasks"]
            lines.append(f"| {method} | {tasks} | {part} | " + " | ".join(map(cell, by_mark.values())) + " |")
    lines += ["", "Marks are parts of the CPU seconds that all whole fits of a task take.", "", "## Tasks", ""]
    head = ["task", "method", "trials", "pruned", "CPU seconds", *(f"select / test {each}" for each in titles)]
    lines += ["| " + " | ".join(head) + " |", "|---|---|---:|---:|---:|" + "---:|" * len(KEYS)]
    for name, task in found["tasks"].items():
        for method in (each for each in METHODS if each in task):
            pruned = f"{task['pruned']:g}" if method == "length" else ""
            cells = [f"{task[method][key]['select']:.4f} / {task[method][key]['test']:.4f}" for key in KEYS]
            facts = [name, method, str(task["trials"]), pruned, f"{task['seconds'][method]:g}"]
            lines.append("| " + " | ".join([*facts, *cells]) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
