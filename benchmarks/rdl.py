"""Time the graph network's training beside the same network built as RelBench builds it; validation rows only.

    RELSELECT_DATA=... python benchmarks/rdl.py [--cases rel-f1/driver-dnf ...] [--seconds 600] [--seeds 1]

Each training runs in a process of its own, on two cores, with the same channels, hops, fan-out, batches, optimiser and stopping:

* "default": the default configuration; every distinct row of a batch is encoded once, by the stacked encoder, and training may
  be followed by a last one on training and validation rows, whose time is told apart;
* "relbench": as RelBench's examples do it, every sampled row is encoded separately, by pytorch-frame's ResNet of four blocks;
* "relbench, shared": that encoder with every distinct row encoded once, so that the two differences can be told apart.

Printed: seconds per epoch, to the best validation score, and to the score that all of them reach; peak memory of the process. A
training that does not reach that score within `--seconds` is shown by the time it had. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# the standard library's own `profile` must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

CASES = ("rel-f1/driver-dnf", "stackexchange-quantumcomputing/user-engagement")
WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "relbench": {"encoder": "frame", "encoder_blocks": 4, "refit": "none"},
    "relbench, shared": {"encoder": "frame", "encoder_blocks": 4, "refit": "none"},
}
CORES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", default=list(CASES), metavar="DATABASE/TASK")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--regime", default="rolling", choices=("rolling", "frozen"))
    parser.add_argument("--seconds", type=float, default=600.0, help="most seconds of one training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        case, way, seed = arguments.worker
        print(json.dumps(train(case, way, int(seed), arguments.regime, arguments.seconds)))
        return
    found = []
    for case in arguments.cases:
        runs = [
            run
            for way in arguments.ways
            for seed in range(arguments.seeds)
            if (run := process(case, way, seed, arguments))
        ]
        reached = min(max(each["scores"]) for each in runs)
        found += [{**run, "score_of_all": reached, **when(run, reached)} for run in runs]
    print(table(found))
    print(json.dumps({"cores": CORES, "regime": arguments.regime, "runs": found, "ratios": ratios(found)}))


def process(case: str, way: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train in a process of its own and return what it printed last."""
    command = [sys.executable, __file__, "--worker", case, way, str(seed)]
    options = ["--seconds", str(arguments.seconds), "--regime", arguments.regime]
    environment = {**os.environ, "OMP_NUM_THREADS": str(CORES), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE, text=True, env=environment)
    run: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{case} {way}: best {max(run['scores']):.4f}, {run['total_s']:.0f} s", file=sys.stderr, flush=True)
    return run


def train(case: str, way: str, seed: int, regime: str, seconds: float) -> dict[str, Any]:
    """Fit one configuration and tell when it reached what."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    import torch

    import relselect.rdl.network.batch as batches
    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.events import EpochDone, Event
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.rdl import RDL

    if way == "relbench":

        def every_place(key: torch.Tensor, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
            places = torch.arange(len(key), device=key.device)
            return places, places

        batches.compact = every_place
    database_name, task_name = case.split("/")
    database = open_database(database_name)
    problem = Problem(database, open_task(database, task_name).in_regime(regime))  # type: ignore[arg-type]
    family, marks = RDL("cpu"), []
    begun = time.monotonic()

    def listen(event: Event) -> None:
        if isinstance(event, EpochDone):
            marks.append((time.monotonic() - begun, event.score, event.seconds))

    config = {**family.default(problem), **WAYS[way]}
    candidate = family.fit(problem, fit_rows(problem), config, seed=seed, number=0, budget=Budget(seconds), emit=listen)
    return {
        "case": case,
        "way": way,
        "seed": seed,
        "scores": [score for _, score, _ in marks],
        "marks_s": [round(mark, 2) for mark, _, _ in marks],
        "epoch_s": round(sum(each for _, _, each in marks) / len(marks), 3),
        "total_s": round(candidate.seconds, 2),
        "parameters": candidate.facts["parameters"],
        "peak_mb": round(peak()),
    }


def peak() -> float:
    """Return the peak of resident memory in MB."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def when(run: dict[str, Any], reached: float) -> dict[str, float]:
    """Return the seconds to the run's best score and to the score that all runs reach."""
    best = run["scores"].index(max(run["scores"]))
    first = next(place for place, score in enumerate(run["scores"]) if score >= reached)
    return {"to_best_s": run["marks_s"][best], "to_score_of_all_s": run["marks_s"][first]}


def mean(found: list[dict[str, Any]], case: str, way: str, what: str) -> float:
    values = [run[what] for run in found if (run["case"], run["way"]) == (case, way)]
    return float(sum(values) / len(values)) if values else float("nan")


def ratios(found: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return, per case, how many times longer the RelBench way takes than the default."""
    told: dict[str, dict[str, float]] = {}
    for case in dict.fromkeys(run["case"] for run in found):
        parts = {what: [mean(found, case, way, what) for way in ("relbench", "default")] for what in _COMPARED}
        told[case] = {what: round(theirs / ours, 2) for what, (theirs, ours) in parts.items()}
    return told


_COMPARED = ("epoch_s", "to_best_s", "to_score_of_all_s", "peak_mb")


def table(found: list[dict[str, Any]]) -> str:
    heads = ["case", "way", "best score", "s/epoch", "s to best", "s to the score of all", "s in all", "peak MB"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for case, way in dict.fromkeys((run["case"], run["way"]) for run in found):
        best = [max(run["scores"]) for run in found if (run["case"], run["way"]) == (case, way)]
        figures = [f"{sum(best) / len(best):.4f}"]
        for what in ("epoch_s", "to_best_s", "to_score_of_all_s", "total_s", "peak_mb"):
            figures.append(f"{mean(found, case, way, what):.{0 if what == 'peak_mb' else 1}f}")
        lines.append(f"| {case} | {way} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
