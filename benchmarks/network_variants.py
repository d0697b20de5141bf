"""Compare configurations of the graph network on the select rows of known tasks, and with --test on the test rows too.

    RELSELECT_DATA=... python benchmarks/network_variants.py [--variants default sage ...] [--only TASK ...] [--seeds 0 1]

Every fit runs to its natural end on one thread, without a refit; on a GPU where there is one. Finished fits are appended to
`<out>.jsonl`; the same call again goes on with what is missing. The table is written to `<out>.md`: mean skill on the select
rows, and the paired difference from the default, of the same seed and rows, over the tasks that both have. Test rows are
predicted once, by the network that the stop rows chose, and decide nothing. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relselect.tasks import Rows

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "sage": {"convolution": "sage"},
    "gatv2": {"convolution": "gatv2"},
    "pna": {"convolution": "pna"},
    "hgt": {"convolution": "hgt"},
    "jumping knowledge": {"jumping": True},
    "no mark": {"mark": False},
    "one hop": {"layers": 1},
    "two hops": {"layers": 2},
    "four hops": {"layers": 4},
    "shortcuts": {"edges": "shortcuts"},
    "composite routes": {"routes": "composite"},
    "composite routes, gatv2": {"routes": "composite", "convolution": "gatv2"},
    "wide": {"channels": 128},
    "two hops, fan-out 32": {"layers": 2, "fan_out": 32},
    "fan-out 16": {"fan_out": 16},
    "slow": {"learning_rate": 1e-3},
    "fast": {"learning_rate": 5e-3},
    "no dropout": {"dropout": 0.0},
    "more dropout": {"dropout": 0.4},
    "two networks": {"members": 2},
}
TASKS = (
    "internet-standards/spec-new-version", "un-votes/country-agrees-us", "trade-flows/pair-grows",
    "movielens-small/rating-high", "scotus/case-liberal", "tour-de-france/entry-rank", "rel-f1/driver-position",
    "rel-f1/driver-dnf", "easybuild-software/easyconfig-edited", "complete-journey/household-redeems",
    "worldcup/squad-scores", "stackexchange-quantumcomputing/user-engagement", "enron-email/employee-messages",
    "opam-packages/contributor-active", "lahman-baseball/player-salary",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), default=["default", "sage"])
    parser.add_argument("--only", nargs="*", default=list(TASKS), help="tasks as database/task")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--test", action="store_true", help="score the test rows too")
    parser.add_argument("--jobs", type=int, default=1, help="processes that fit at the same time")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no fit after this time")
    parser.add_argument("--out", type=Path, default=Path("docs/network_variants"))
    arguments = parser.parse_args()
    log, ends = arguments.out.with_suffix(".jsonl"), time.monotonic() + arguments.seconds
    there = {(row["variant"], row["task"], row["seed"]) for row in rows_of(log)}
    wanted = [
        (variant, task, seed, arguments.test)
        for seed in arguments.seeds
        for task in arguments.only
        for variant in arguments.variants
        if (variant, task, seed) not in there
    ]
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        fits = [pool.submit(in_time, ends, *each) for each in wanted]
        for done in as_completed(fits):
            if (row := done.result()) is not None:
                with log.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(row) + "\n")
                print(row, file=sys.stderr, flush=True)
    found = summary(rows_of(log))
    arguments.out.with_suffix(".md").write_text(page(found, rows_of(log)), encoding="utf-8")
    print(json.dumps(found))


def in_time(ends: float, variant: str, task: str, seed: int, test: bool) -> dict[str, Any] | None:
    """Return the row of a fit; None where it is too late to begin one, or where the fit failed, which is printed."""
    if time.monotonic() > ends:
        return None
    try:
        return measured(variant, task, seed, test)
    except Exception as error:  # the other fits go on
        print(f"{variant} on {task}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return None


def measured(variant: str, task: str, seed: int, test: bool) -> dict[str, Any]:
    """Fit one variant and return its row; with `test`, the skill on the test rows is part of it."""
    import numpy as np
    import torch

    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.events import silent
    from relselect.families.registry import family_of
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.tasks.metrics import skill

    torch.set_num_threads(1)
    database = open_database(task.split("/")[0])
    problem = Problem(database, open_task(database, task.split("/")[1]))
    rows, metric = fit_rows(problem, "auto", score_test=False), problem.task.metric
    family, begun, wall = family_of("rdl"), time.process_time(), time.monotonic()
    config = {**family.default(problem), **VARIANTS[variant]}
    fitted = family.fit(problem, rows, config, seed=seed, number=0, budget=Budget(None), emit=silent)
    label = rows.train(seed=0, copies=0).label
    assert label is not None
    assert rows.select.label is not None
    constant = np.median(label) if metric.name == "neg_mean_absolute_error" else label.mean()

    def skill_on(part: Rows, score: float) -> float:
        assert part.label is not None
        return skill(metric, score, metric.score(part.label, np.full(len(part), constant)))

    seconds = {
        "cpu_seconds": round(time.process_time() - begun, 1),
        "seconds": round(time.monotonic() - wall, 1),
    }
    tested = {}
    if test:
        held = problem.rows("test")
        assert held.label is not None
        found = metric.score(held.label, family.predict(fitted, problem, held))
        tested = {"test_rows": len(held), "test_score": found, "test_skill": skill_on(held, found)}
    return {
        "variant": variant,
        "task": task,
        "seed": seed,
        "select_rows": len(rows.select),
        "score": fitted.score,
        "skill": skill_on(rows.select, fitted.score),
        "best_step": fitted.checkpoints[0].step,
        "ended": fitted.ended,
        "device": fitted.device,
        **tested,
        **seconds,
    }


def rows_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line] if log.exists() else []


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return per variant the mean skill, the paired differences from the default with standard errors, and the seconds."""
    by = {(row["variant"], row["task"], row["seed"]): row for row in rows}
    found = {}
    for variant in VARIANTS:
        mine = {key[1:]: row for key, row in by.items() if key[0] == variant}
        if mine:
            found[variant] = {
                "tasks": len({task for task, _ in mine}),
                "fits": len(mine),
                "skill": round(sum(row["skill"] for row in mine.values()) / len(mine), 4),
                "against_default": against_default(mine, by, "skill"),
                "test_against_default": against_default(mine, by, "test_skill"),
                "cpu_seconds": round(sum(row["cpu_seconds"] for row in mine.values()) / len(mine), 1),
            }
    return found


def against_default(mine: dict[Any, Any], by: dict[Any, Any], figure: str) -> list[float | None]:
    """Return the paired difference of a figure from the default, a mean over tasks of means over seeds, and its error."""
    paired = defaultdict(list)
    for key, row in mine.items():
        default = by.get(("default", *key), {})
        if figure in row and figure in default:
            paired[key[0]].append(row[figure] - default[figure])
    differences = [sum(each) / len(each) for each in paired.values()]
    return [None if math.isnan(each) else round(each, 4) for each in spread(differences)]


def spread(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return (values[0] if values else math.nan), math.nan
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((each - mean) ** 2 for each in values) / (len(values) - 1) / len(values))


def page(found: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    lines = [
        "# Configurations of the graph network",
        "",
        "Written by `benchmarks/network_variants.py`: fits to their natural end on one thread, skill on the select rows of",
        "validation, the paired difference from the default with its standard error over tasks, on select and on test rows.",
        "Of one variant the difference is over the tasks and seeds that the default has too; test rows decided nothing.",
        "",
        "| variant | tasks | fits | mean skill | against the default | on test rows | CPU seconds of a fit |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for variant, each in found.items():
        margins = [
            " ± ".join("–" if part is None else f"{part:.4f}" for part in each[name])
            for name in ("against_default", "test_against_default")
        ]
        cells = [variant, each["tasks"], each["fits"], each["skill"], *margins, each["cpu_seconds"]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    tasks = sorted({row["task"] for row in rows})
    for figure, part in (("skill", "select rows"), ("test_skill", "test rows")):
        lines += ["", f"Skill on {part}, a mean over seeds:", ""]
        lines += ["| task | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
        for task in tasks:
            cells = []
            for variant in found:
                mine = [row for row in rows if (row["task"], row["variant"]) == (task, variant) and figure in row]
                cells.append(f"{sum(row[figure] for row in mine) / len(mine):.3f}" if mine else "–")
            lines.append(f"| {task} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
