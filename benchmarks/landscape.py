"""What choosing the checkpoint by flatness is worth: test skill by rule, on checkpoints of default networks of known tasks.

    RELSELECT_DATA=... python benchmarks/landscape.py [--only TASK ...] [--seeds 0] [--out docs/landscape]

Each default network is trained to its end with its five best checkpoints kept. Every checkpoint, and the uniform average of the
best three and five, is scored on select and test rows; slope, curvature, rise and sharpness are measured on the probe. Then
every rule chooses:

* "validation": the best score on the stop rows, which is what is kept without any choice;
* "select": the best score on the select rows;
* "average of 3", "average of 5": the uniform average of that many best checkpoints;
* "flattest by ...": the lowest criterion among checkpoints within one standard error of the best on the select rows;
* "clearly flatter by ...": as `relselect.landscape.choose_checkpoint` decides, two standard errors of the paired difference;
* "vote": 0.4 validation, 0.2 each for low slope, curvature and rise, each scaled to 0..1 among the best three (Relatron's);
* "oracle": the best on test rows.

Rows are appended to `<out>.jsonl`; the same call again goes on. The page is `<out>.md`; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

KEPT, DRAWS = 5, 1000
CRITERIA = ("slope", "curvature", "rise", "sharpness")
TASKS = (
    "rel-f1/driver-dnf", "rel-f1/driver-top3", "un-votes/country-agrees-us", "movielens-small/rating-high",
    "scotus/case-liberal", "tour-de-france/entry-rank", "worldcup/squad-scores", "enron-email/employee-messages",
    "stackexchange-quantumcomputing/user-engagement", "internet-standards/spec-new-version",
    "easybuild-software/easyconfig-edited", "international-football/team-points", "senate-stock-trades/senator-discloses",
    "trade-flows/pair-grows", "bitcoin-otc/user-active", "us-films/actor-works",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=Path("docs/landscape"))
    arguments = parser.parse_args()
    log = arguments.out.with_suffix(".jsonl")
    for seed in arguments.seeds:
        for task in arguments.only:
            if (task, seed) not in {(row["task"], row["seed"]) for row in rows_of(log)}:
                row = measured(task, seed)
                with log.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(row) + "\n")
                print(task, seed, row["fit_seconds"], row["flatness_seconds"], file=sys.stderr, flush=True)
    found = summary(rows_of(log))
    arguments.out.with_suffix(".md").write_text(page(found, rows_of(log)), encoding="utf-8")
    print(json.dumps(found))


def measured(name: str, seed: int) -> dict[str, Any]:
    """Train one default network and return scores and criteria of its checkpoints."""
    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.events import silent
    from relselect.families.candidate import Checkpoint
    from relselect.families.registry import family_of
    from relselect.landscape import CRITERIA as MEASURES
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.tasks.metrics import interval_of, skill

    database = open_database(name.split("/")[0])
    problem = Problem(database, open_task(database, name.split("/")[1]))
    rows, family, metric = fit_rows(problem, "auto", score_test=True), family_of("rdl"), problem.task.metric
    config = {**family.default(problem), "checkpoints": KEPT, "refit": "none"}
    begun = time.monotonic()
    fitted = family.fit(problem, rows, config, seed=seed, number=0, budget=Budget(None), emit=silent)
    fit_seconds = time.monotonic() - begun
    kept = list(fitted.checkpoints)
    averages = [Checkpoint(kept[0].step, math.nan, average([each.state for each in kept[:count]])) for count in (3, 5)]
    whole = replace(fitted, checkpoints=(*kept, *averages))
    label, test = rows.train(seed=0, copies=0).label, problem.rows("test")
    assert label is not None
    constant = float(np.median(label) if metric.name == "neg_mean_absolute_error" else label.mean())
    points, error = [], 0.0
    for place in range(len(whole.checkpoints)):
        chosen = family.choose(whole, place)
        select = family.predict(chosen, problem, rows.select)
        score, (low, high) = interval_of(metric, rows.select, select, seed=seed)
        if place == 0:
            error = (high - low) / (2 * 1.6449)
        scores = {}
        for part, made, value in (("select", rows.select, score), ("test", test, None)):
            value = metric.score(made.label, family.predict(chosen, problem, made)) if value is None else value
            scores[part] = skill(metric, value, metric.score(made.label, np.full(len(made), constant)))
        points.append({"stop": whole.checkpoints[place].score, "select_score": score, **scores})
    probe = family.probe(whole, problem, rows)
    begun = time.monotonic()
    flatness: dict[str, list[dict[str, Any]]] = {}
    seconds = {}
    for criterion in CRITERIA:
        started = time.monotonic()
        flatness[criterion] = [
            vars_of(MEASURES[criterion]().measure(probe, place, seed=seed, budget=Budget(None)))
            for place in range(len(kept))
        ]
        seconds[criterion] = round((time.monotonic() - started) / len(kept), 2)
    return {
        "task": name,
        "seed": seed,
        "points": points,
        "select_error": error,
        "flatness": flatness,
        "kept": len(kept),
        "fit_seconds": round(fit_seconds, 1),
        "flatness_seconds": seconds,
        "ended": fitted.ended,
    }


def vars_of(found: Any) -> dict[str, Any]:
    return {"value": found.value, "stderr": found.stderr, "parts": list(found.parts)}


def average(states: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the uniform average of weights; other tensors are those of the first state."""
    import torch

    return {
        name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in states[0].items()
    }


def choices(row: dict[str, Any]) -> dict[str, int]:
    """Return the place that every rule chooses."""
    from relselect.landscape import Measurement
    from relselect.landscape.measurement import clearly_flatter

    count = row["kept"]
    points = row["points"][:count]
    select = [point["select_score"] for point in points]
    best = int(np.nanargmax(select))
    near = [place for place in range(count) if select[place] >= select[best] - row["select_error"]]
    found = {
        "validation": 0,
        "select": best,
        "average of 3": count,
        "average of 5": count + 1,
        "oracle": int(np.nanargmax([point["test"] for point in points])),
    }
    for name in CRITERIA:
        values = [each["value"] for each in row["flatness"][name]]
        found[f"flattest by {name}"] = min(near, key=lambda place, v=values: v[place])
        each = [Measurement(m["value"], m["stderr"], tuple(m["parts"]), 0.0) for m in row["flatness"][name]]
        clear = [place for place in near if place and clearly_flatter(each[place], each[0])]
        found[f"clearly flatter by {name}"] = min(clear, key=lambda place, v=values: v[place]) if clear else 0
    found["vote"] = vote(row, min(3, count))
    return found


def vote(row: dict[str, Any], among: int) -> int:
    """Return Relatron's choice among the best few by validation."""

    def scaled(values: list[float]) -> np.ndarray[Any, Any]:
        array = np.array(values, dtype=float)
        span = array.max() - array.min()
        return (array - array.min()) / span if span > 0 else np.full(len(array), 0.5)

    score = 0.4 * scaled([point["stop"] for point in row["points"][:among]])
    for name in ("slope", "curvature", "rise"):
        score = score + 0.2 * (1 - scaled([abs(each["value"]) for each in row["flatness"][name][:among]]))
    return int(np.argmax(score))


def rows_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line] if log.exists() else []


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return per rule: mean test skill, mean regret against the oracle, gain over validation with its interval over databases."""
    by_rule: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    moved: dict[str, int] = defaultdict(int)
    for row in rows:
        found = choices(row)
        test = [point["test"] for point in row["points"]]
        for rule, place in found.items():
            by_rule[rule].append((row["task"].split("/")[0], test[place], test[place] - test[found["validation"]]))
            moved[rule] += place != found["validation"]
    told = {}
    top = np.array([skill for _, skill, _ in by_rule["oracle"]])
    for rule, each in by_rule.items():
        skills, gains = np.array([s for _, s, _ in each]), np.array([g for _, _, g in each])
        low, high = interval([database for database, _, _ in each], gains)
        told[rule] = {
            "skill": round(float(skills.mean()), 4),
            "regret": round(float((top - skills).mean()), 4),
            "gain": round(float(gains.mean()), 4),
            "interval": [round(low, 4), round(high, 4)],
            "moved": moved[rule],
        }
    costs = {
        name: round(float(np.mean([row["flatness_seconds"][name] / row["fit_seconds"] for row in rows])), 4)
        for name in CRITERIA
        if rows
    }
    return {
        "fits": len(rows),
        "databases": len({row["task"].split("/")[0] for row in rows}),
        "rules": told,
        "cost_of_a_fit": costs,
    }


def interval(databases: list[str], gains: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return the 90 % bootstrap interval of the mean over whole databases."""
    names, group = np.unique(databases, return_inverse=True)
    draw, means = np.random.default_rng(0), []
    for _ in range(DRAWS):
        places = np.concatenate([np.flatnonzero(group == k) for k in draw.integers(len(names), size=len(names))])
        means.append(gains[places].mean())
    return float(np.quantile(means, 0.05)), float(np.quantile(means, 0.95))


def page(found: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    lines = [
        "# What flatness is worth",
        "",
        f"Written by `benchmarks/landscape.py`: {found['fits']} default networks of {found['databases']} databases, each trained",
        f"to its end, with its {KEPT} best checkpoints. Gain: mean test skill over keeping the best checkpoint on the stop rows,",
        "with its 90 % interval over databases. Moved: fits in which the rule chose another checkpoint.",
        "",
        "| rule | test skill | gain | 90 % interval | regret | moved |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for rule, each in found["rules"].items():
        low, high = each["interval"]
        lines.append(
            f"| {rule} | {each['skill']:.4f} | {each['gain']:+.4f} | {low:+.4f} to {high:+.4f} | {each['regret']:.4f} "
            f"| {each['moved']} |"
        )
    above, below = (
        ", ".join(rule for rule, each in found["rules"].items() if rule != "oracle" and beyond(*each["interval"]))
        or "none"
        for beyond in (lambda low, high: low > 0, lambda low, high: high < 0)
    )
    lines += [
        "",
        f"Rules that gain beyond noise: {above}; that lose beyond noise: {below}. What a run uses is the slope.",
    ]
    costs = ", ".join(f"{name} {cost:.1%}" for name, cost in found["cost_of_a_fit"].items())
    lines += ["", f"Cost of one checkpoint as a part of the fit that made it: {costs}.", ""]
    names = (
        "validation",
        "select",
        "average of 3",
        "clearly flatter by slope",
        "flattest by sharpness",
        "vote",
        "oracle",
    )
    lines += ["| task | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for row in sorted(rows, key=lambda each: (each["task"], each["seed"])):
        chosen = choices(row)
        cells = " | ".join(f"{row['points'][chosen[name]]['test']:.4f}" for name in names)
        lines.append(f"| {row['task']} | {cells} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
