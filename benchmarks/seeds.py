"""What averaging over seeds is worth: default fits of known tasks under several seeds, alone and averaged.

    RELSELECT_DATA=... python benchmarks/seeds.py [--only TASK ...] [--families dfs rdl] [--seeds 0 1 2 3 4] [--small]
                                                  [--out docs/seeds]

Each default is fitted with every seed to its natural end, on one thread, without a refit. The averages over all subsets of three
and over all five are scored on select and test rows (probabilities and means are averaged, as `relselect.blend` does), and so is
the fit with the best select score, which is what the same time gives where seeds are tried and not averaged. A gain is the skill
of an average less the mean skill of its members, or of all fits for the best one; a task's gain is the mean over subsets. Tasks
are of different databases: intervals are 90 % bootstrap intervals over them.

With --small networks have 32 channels, two hops and a fan-out of four.

The same is done for the half-and-half blend of the two families, with averages in both or in the second alone.

Rows are appended to `<out>.jsonl`; the same call again goes on. The page is `<out>.md`; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import numpy as np

TASKS = (
    "scotus/case-liberal", "tour-de-france/rider-returns", "internet-standards/rfc-superseded", "un-votes/country-absent",
    "trade-flows/pair-relative-growth", "easybuild-software/contributor-active", "movielens-small/rating-stars",
    "stackexchange-quantumcomputing/user-engagement", "rel-f1/driver-dnf", "opam-packages/contributor-active",
    "enron-email/employee-messages", "senate-stock-trades/asset-traded",
)  # fmt: skip
SIZES = (3, 5)
#: Options of the small network.
SMALL = {"rdl": {"channels": 32, "layers": 2, "fan_out": 4}}
BEST = "best of all"
READING = (
    "An average of three pays for networks and hardly for trees, whose default averages three boosters already. So networks",
    "are averaged over three seeds by default and trees are not. In a half-and-half blend about a quarter of the gain is left,",
    "as the square of the weight says. For a network alone, taking the seed with the best select score gains as much within",
    "noise, but the score that chose it is then too good, and in blends that gain cannot be told from 0. Refits are no part of",
    "the comparison, and what the search loses by the time that further seeds take was not measured.",
)
DRAWS = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--families", nargs="*", default=["dfs", "rdl"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--small", action="store_true", help="small networks in place of the default ones")
    parser.add_argument("--out", type=Path, default=Path("docs/seeds"))
    arguments = parser.parse_args()
    log = arguments.out.with_suffix(".jsonl")
    for task in arguments.only:
        if task not in {row["task"] for row in rows_of(log)}:
            rows = measured(task, arguments.families, arguments.seeds, SMALL if arguments.small else {})
            with log.open("a", encoding="utf-8") as lines:
                lines.writelines(json.dumps(row) + "\n" for row in rows)
            for row in rows:
                print(task, row["family"], row["averages"], row["seconds"], file=sys.stderr, flush=True)
    rows = [row for row in rows_of(log) if row["task"] in arguments.only]
    found = summary(rows)
    arguments.out.with_suffix(".md").write_text(page(found, rows), encoding="utf-8")
    print(json.dumps(found))


def measured(
    name: str, families: list[str], seeds: list[int], options: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Fit the defaults with every seed, and return a row for each family and for blends of the first two."""
    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.events import silent
    from relselect.families.registry import family_of
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.threads import limited_threads

    database = open_database(name.split("/")[0])
    problem = Problem(database, open_task(database, name.split("/")[1]))
    rows = fit_rows(problem, "auto", score_test=False)
    parts = {"select": rows.select, "test": problem.rows("test")}
    scored = Scored(problem, parts, _constant(problem, rows, parts))
    predicted: dict[str, Predicted] = {}
    facts: dict[str, dict[str, Any]] = {}
    with limited_threads(1):
        for family_name in families:
            family, found, seconds, ended = family_of(family_name), [], [], []
            for seed in seeds:
                begun, config = time.monotonic(), {**family.default(problem), **options.get(family_name, {})}
                fitted = family.fit(problem, rows, config, seed=seed, number=0, budget=Budget(None), emit=silent)
                seconds.append(round(time.monotonic() - begun, 1))
                ended.append(fitted.ended)
                test = family.predict(fitted, problem, parts["test"].unlabelled())
                found.append({"select": fitted.predictions, "test": test})
            predicted[family_name] = found
            facts[family_name] = {"ended": ended, "seconds": seconds}
    common = {
        "task": name, "kind": problem.task.kind, "metric": problem.task.metric.name, "seeds": seeds,
        "rows": {part: len(each) for part, each in parts.items()}, "options": options,
    }  # fmt: skip
    told = [{**common, "family": each, **scored.row(predicted[each]), **facts[each]} for each in families]
    if len(families) > 1:
        first, second = (predicted[each] for each in families[:2])
        pairs = [_mean([one, other]) for one, other in zip(first, second, strict=True)]
        title = f"half {families[0]}, half {families[1]}"
        told.append({**common, "family": title, **scored.row(pairs), "ended": [], "seconds": []})
        told.append({**common, "family": f"{title}, seeds of {families[1]} alone", "ended": [], "seconds": []})
        told[-1] |= scored.row(pairs, lambda places: [_mean([first[0], _mean([second[each] for each in places])])])
    return told


#: Predictions of select and test rows by seed.
Predicted = list[dict[str, Any]]


def _mean(members: Predicted) -> dict[str, Any]:
    return {part: np.mean([each[part] for each in members], axis=0) for part in members[0]}


class Scored:
    """Skills of predictions on select and test rows."""

    def __init__(self, problem: Any, parts: dict[str, Any], constant: dict[str, float]) -> None:
        self.metric, self.parts, self.constant = problem.task.metric, parts, constant

    def skill(self, predicted: dict[str, Any], part: str) -> float:
        from relselect.tasks.metrics import skill

        score = self.metric.score(self.parts[part].label, predicted[part])
        return float(skill(self.metric, score, self.constant[part]))

    def row(self, predicted: Predicted, ways: Any = None) -> dict[str, Any]:
        """Return the skills of single predictions, of averages by their size (mean over subsets) and of the best by select rows.

        Args:
            predicted: What is averaged, by seed.
            ways: Returns the averages that stand for a subset; the mean of the subset if None.
        """
        count = len(predicted)
        averages = ways or (lambda places: [_mean([predicted[each] for each in places])])
        singles = {part: [self.skill(each, part) for each in predicted] for part in self.parts}
        if ways is not None:
            singles = {
                part: [self.skill(each, part) for place in range(count) for each in averages((place,))]
                for part in self.parts
            }
        best = int(np.argmax(singles["select"]))
        found = {
            str(size): {
                part: float(
                    np.mean([
                        self.skill(each, part)
                        for places in itertools.combinations(range(count), size)
                        for each in averages(places)
                    ])
                )
                for part in self.parts
            }
            for size in SIZES
            if size <= count
        }  # fmt: skip
        return {
            "skill": {part: [round(each, 5) for each in values] for part, values in singles.items()},
            "averages": found | {BEST: {part: singles[part][best] for part in self.parts}},
        }


def _constant(problem: Any, rows: Any, parts: dict[str, Any]) -> dict[str, float]:
    """Return the score of the constant baseline by rows."""
    from relselect.budget import Budget
    from relselect.events import silent
    from relselect.families.registry import baselines, family_of

    family = family_of(baselines()[0])
    fitted = family.fit(
        problem, rows, family.default(problem), seed=0, number=0, budget=Budget(None), emit=silent
    )  # fmt: skip
    metric = problem.task.metric
    return {
        part: metric.score(each.label, family.predict(fitted, problem, each.unlabelled()))
        for part, each in parts.items()
    }


def rows_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line] if log.exists() else []


def gains(row: dict[str, Any], which: str) -> dict[str, float]:
    """Return the gain of an average, or of the best fit, over the mean of single fits, by rows."""
    return {part: row["averages"][which][part] - float(np.mean(row["skill"][part])) for part in ("select", "test")}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean gains in skill by family and way with their intervals over databases, and the spread over seeds."""
    found: dict[str, Any] = {
        "tasks": len({row["task"] for row in rows}),
        "seeds": max(len(row["seeds"]) for row in rows),
    }
    for family in dict.fromkeys(row["family"] for row in rows):
        mine = [row for row in rows if row["family"] == family]
        spread = np.sqrt(np.mean([np.var(row["skill"]["test"], ddof=1) for row in mine]))
        found[family] = {
            "tasks": len(mine),
            "databases": len({row["task"].split("/")[0] for row in mine}),
            "finished": all(end != "budget" for row in mine for end in row["ended"]),
            "spread_over_seeds": round(float(spread), 4),
            "seconds_per_fit": round(float(np.mean([second for row in mine for second in row["seconds"] or [0.0]])), 1),
        }
        for which in (*map(str, SIZES), BEST):
            each = [gains(row, which) for row in mine if which in row["averages"]]
            if each:
                found[family][which] = {
                    part: interval(np.array([gain[part] for gain in each])) for part in ("select", "test")
                } | {"better_on_test": sum(gain["test"] > 0 for gain in each), "tasks": len(each)}
    return found


def interval(values: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return the mean over databases and its 90 % bootstrap interval."""
    draws = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(1)
    low, high = np.quantile(draws, [0.05, 0.95])
    return {"mean": round(float(values.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def page(found: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return the page."""
    which_fits = "default fits" if not any(row.get("options") for row in rows) else "default trees and small networks"
    seeds = " or ".join(map(str, sorted({len(row["seeds"]) for row in rows})))
    lines = [
        "# Averages over seeds",
        "",
        f"Written by `benchmarks/seeds.py`, which says what is compared: {which_fits} to their natural end, {seeds}",
        "seeds a task, one task a database. Gain in skill over a single fit (mean over databases, 90 % interval over databases):",
        "",
        "| family | what predicts | select rows | test rows | better on test |",
        "|---|---|---:|---:|---:|",
    ]
    families = [name for name in dict.fromkeys(row["family"] for row in rows)]
    for family in families:
        mine = found[family]
        for which in (key for key in mine if isinstance(mine[key], dict)):
            cells = [
                f"{each['mean']:+.4f} ({each['low']:+.4f} to {each['high']:+.4f})"
                for each in (mine[which][part] for part in ("select", "test"))
            ]
            title = "the best of all on select rows" if which == BEST else f"the average of {which}"
            better = f"{mine[which]['better_on_test']} of {mine[which]['tasks']}"
            lines.append(f"| {family} | {title} | {cells[0]} | {cells[1]} | {better} |")
    alone = [each for each in families if found[each]["seconds_per_fit"] > 0]
    spreads = ", ".join(f"{found[each]['spread_over_seeds']:.4f} for {each}" for each in alone)
    lines += [
        "",
        f"The standard deviation of test skill over seeds is {spreads} (root mean square over tasks).",
        "",
        *READING,
        "",
        "## Tasks",
        "",
        "| task | family | one seed, test skill (mean, spread) | average of 3 | average of 5 | seconds a fit, shared cores |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda row: families.index(row["family"])):
        test = row["skill"]["test"]
        cells = [f"{row['averages'][size]['test']:.4f}" if size in row["averages"] else "" for size in ("3", "5")]
        one = f"{np.mean(test):.4f} ± {np.std(test, ddof=1):.4f}"
        seconds = f"{np.mean(row['seconds']):.1f}" if row["seconds"] else ""
        lines.append(f"| {row['task']} | {row['family']} | {one} | {' | '.join(cells)} | {seconds} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
