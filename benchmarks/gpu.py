"""Measure the graph network on a GPU: its tests, the sampler, default fits, where a step's time goes, and one study.

    RELSELECT_DATA=... python benchmarks/gpu.py [--steps tests sampler steps fits study] [--seconds 420] [--out docs/gpu]

Each step runs in a process of its own and ends at its share of `--seconds`; what has been measured is kept when a step fails:

* "tests": `tests/rdl/test_gpu.py`;
* "sampler": edges per second on the GPU beside the compiled engine on one core, Lahman, batches of 512;
* "steps": milliseconds of sampling, of encoding and network forward, and of the backward pass with the optimiser;
* "fits": default fits of three tasks to their end: on the CPU, on the GPU in float32, in bfloat16, and compiled; peak memory;
* "study": one call of `select_and_train` on rel-f1 driver-dnf for 60 seconds, the network alone, validation rows only.

Without a GPU the same steps run on the CPU, which tells that the script works and nothing else. The page goes to `<out>.md`
and the figures to `<out>.json`. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

ROOT = Path(__file__).resolve().parents[1]
#: Share of the seconds that each step may take at most.
STEPS = {"tests": 0.25, "sampler": 0.15, "steps": 0.15, "fits": 0.5, "study": 0.3}
CASES = ("rel-f1/driver-dnf", "movielens-small/rating-high", "stackexchange-quantumcomputing/user-engagement")
WAYS: dict[str, dict[str, Any]] = {
    "fp32": {"precision": "fp32", "compile": "off"},
    "bf16": {"precision": "bf16", "compile": "off"},
    "default": {},
    "sampled on the GPU": {"precision": "fp32", "compile": "off", "sampling": "gpu"},
    "compiled": {"precision": "fp32", "compile": "on"},
    "cpu": {},
}
SAMPLED = "lahman-baseball/player-active"
#: Stands between the cases and the ways of a worker's words.
WAYS_FOLLOW = ":"
BATCH, LARGE, WARM, TIMED = 512, 65_536, 3, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", nargs="*", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--cases", nargs="*", default=list(CASES), metavar="DATABASE/TASK")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--seconds", type=float, default=420.0, help="most seconds of everything")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker[0], arguments.worker[1:])
        return
    ends = time.monotonic() + arguments.seconds
    found: dict[str, Any] = {"machine": machine()}
    for step in arguments.steps:
        share = min(STEPS[step] * arguments.seconds, ends - time.monotonic())
        found[step] = measured(step, share, arguments) if share > 5 else [{"failed": "no time was left"}]
        print(step, json.dumps(found[step]), file=sys.stderr, flush=True)
    if arguments.out is not None:
        arguments.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        arguments.out.with_suffix(".md").write_text(page(found), encoding="utf-8")
    print(json.dumps(found))


def machine() -> dict[str, Any]:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "gpu": gpu,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


def measured(step: str, seconds: float, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run a step in a process of its own; every line that it prints as JSON is a figure, also when it ends early."""
    command = [sys.executable, str(Path(__file__)), "--worker", step]
    if step in ("steps", "fits"):
        command += arguments.cases + ([WAYS_FOLLOW, *arguments.ways] if step == "fits" else [])
    if step == "tests":
        command = [sys.executable, "-m", "pytest", "-v", "--no-header", "-p", "no:cacheprovider", "--tb=short"]
        command += ["tests/rdl/test_gpu.py"]
    begun, ended = time.monotonic(), "rc 0"
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
        text, ended, complaint = done.stdout, f"rc {done.returncode}", done.stderr[-3000:]
    except subprocess.TimeoutExpired as error:
        text = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        ended, complaint = "out of time", ""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    if ended != "rc 0":
        lines.append({"failed": ended, "stderr": complaint, "stdout": text[-3000:]})
    elif step == "tests":
        lines.append({"passed": text.strip().splitlines()[-1]})
    return [*lines, {"step_seconds": round(time.monotonic() - begun, 1)}]


def work(step: str, words: list[str]) -> None:
    """Do one step in this process."""
    if step == "sampler":
        sampler_rates()
    elif step == "steps":
        for case in words:
            for sampling in ("cpu", "gpu"):
                emit(step_parts(case, sampling))
    elif step == "fits":
        cut = words.index(WAYS_FOLLOW) if WAYS_FOLLOW in words else len(words)
        for way in words[cut + 1 :] or list(WAYS):
            for case in words[:cut]:
                emit(fit(case, way))
    else:
        emit(study())


def emit(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def wait() -> None:
    import torch

    if device() == "cuda":
        torch.cuda.synchronize()


def sampler_rates() -> None:
    """Print edges per second of both engines, by fan-out and strategy."""
    import torch
    from sampler import FAN_OUTS, STRATEGIES, batches, checked, repeater, timed

    from relselect.rdl.graph.graph import database_graph
    from relselect.rdl.sampling.sampler import TemporalSampler

    problem = problem_of(SAMPLED)
    graph = database_graph(problem.database)
    rows = batches(problem)
    there = [tuple(each.to(device()) for each in batch) for batch in rows]
    torch.set_num_threads(1)
    for fan_out in FAN_OUTS:
        for strategy in STRATEGIES:
            compiled = TemporalSampler(graph, fan_out, strategy, engine="compiled")
            plain = TemporalSampler(graph, fan_out, strategy, engine="torch")
            sizes = checked(graph, compiled, plain, problem.entity, rows)
            gpu = TemporalSampler(graph.to(torch.device(device())), fan_out, strategy, engine="torch")
            run = repeater(gpu, problem.entity, there, 1)  # type: ignore[arg-type]

            def on_device(run: Any = run) -> None:
                run()
                wait()

            emit(
                {
                    "fan_out": list(fan_out),
                    "strategy": strategy,
                    "edges_per_batch": round(sum(sizes) / len(sizes)),
                    "gpu": timed(on_device, sizes, 5),
                    "one_core": timed(repeater(compiled, problem.entity, rows, 1), sizes, 5),
                    "gpu_large": large_batches(gpu, problem),
                }
            )


def large_batches(sampler: Any, problem: Any) -> dict[str, Any]:
    """Return the rate at `LARGE` rows a batch, where a GPU is not kept waiting by the launch of its kernels."""
    import torch

    rows, draw = problem.rows("train"), torch.Generator().manual_seed(0)
    index = torch.randint(0, len(rows), (LARGE,), generator=draw).numpy()
    columns = [torch.from_numpy(each[index].copy()).to(device()) for each in (rows.entity, rows.cutoff, rows.asof)]
    walls = []
    for _ in range(5):
        seconds, trees = clocked(lambda: sampler.sample(problem.entity, *columns))
        walls.append(seconds)
    edges = sum(each.shape[1] for each in trees.edge_index.values())
    return {"rows": LARGE, "edges": edges, "edges_per_s": round(edges / min(walls)), "ms": round(1e3 * min(walls), 2)}


def problem_of(case: str) -> Any:
    from relselect.api import open_task
    from relselect.configs import open_database
    from relselect.problem import Problem

    name, task = case.split("/")
    database = open_database(name)
    return Problem(database, open_task(database, task))


def step_parts(case: str, sampling: str) -> dict[str, Any]:
    """Return the milliseconds of the parts of a training step of the default configuration, on the device."""
    import torch

    from relselect.problem.rows import fit_rows
    from relselect.rdl import RDL
    from relselect.rdl.family import blueprint_of
    from relselect.rdl.network.ensemble import NetworkEnsemble
    from relselect.rdl.settings import NetworkSettings
    from relselect.rdl.training.fitted import batcher_of, row_tensors
    from relselect.rdl.training.precision import PrecisionPlan
    from relselect.rdl.training.stepping import Stepper

    problem, where = problem_of(case), torch.device(device())
    settings = NetworkSettings.from_config({**RDL(device()).default(problem), "sampling": sampling})
    blueprint = blueprint_of(problem, settings)
    batcher = batcher_of(blueprint, problem, where)
    rows = row_tensors(blueprint, fit_rows(problem, "auto", score_test=False).train(seed=0, copies=3), batcher.device)
    network = NetworkEnsemble(blueprint).to(where)
    stepper = Stepper(network, blueprint, rows)
    draw = torch.Generator().manual_seed(0)
    parts: dict[str, list[float]] = {"sample": [], "batch": [], "forward": [], "backward": [], "step": []}
    for turn in range(WARM + TIMED):
        index = torch.randint(0, len(rows), (BATCH,), generator=draw).to(batcher.device)
        took = {
            "sample": clocked(
                lambda index=index: batcher.sampler.sample(
                    problem.entity, rows.entity[index], rows.cutoff[index], rows.asof[index]
                )
            )[0]
        }
        took["batch"], batch = clocked(lambda index=index: batcher.batch(rows, index))
        took["forward"], _ = clocked(lambda batch=batch: network.members[0](batch))
        took["backward"], _ = clocked(lambda batch=batch: stepper.gradients(batch, PrecisionPlan()))
        took["step"], _ = clocked(lambda batch=batch: stepper.step(batch))
        if turn >= WARM:
            for name, seconds in took.items():
                parts[name].append(1e3 * seconds)
    middle = {name: round(sorted(each)[len(each) // 2], 2) for name, each in parts.items()}
    return {
        "case": case,
        "device": device(),
        "sampling": sampling,
        **{f"{name}_ms": each for name, each in middle.items()},
    }


def clocked(call: Any) -> tuple[float, Any]:
    wait()
    begun = time.perf_counter()
    result = call()
    wait()
    return time.perf_counter() - begun, result


def fit(case: str, way: str) -> dict[str, Any]:
    """Fit the default configuration to its end and return seconds, score and peak memory."""
    import torch

    from relselect.budget import Budget
    from relselect.events import silent
    from relselect.problem.rows import fit_rows
    from relselect.rdl import RDL

    where = "cpu" if way == "cpu" else device()
    problem, family = problem_of(case), RDL(where)
    rows = fit_rows(problem, "auto", score_test=False)
    config = {**family.default(problem), **WAYS[way], "refit": "none"}
    if where == "cuda":
        torch.cuda.reset_peak_memory_stats()
    try:
        candidate = family.fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent)
    except Exception as error:  # a way that fails is a figure too, and the others go on
        return {"case": case, "way": way, "failed": f"{type(error).__name__}: {error}"[:2000]}
    return {
        "case": case,
        "way": way,
        "seconds": round(candidate.seconds, 2),
        "ms_per_step": round(1e3 * candidate.facts["seconds_per_step"], 2),
        "steps": candidate.curve.points[-1].step,
        "score": round(candidate.score, 4),
        "precision": candidate.facts["precision"],
        "compiled": candidate.facts["compiled"],
        "ended": candidate.ended,
        "peak_gpu_mb": round(torch.cuda.max_memory_allocated() / 2**20) if where == "cuda" else None,
    }


def study() -> dict[str, Any]:
    """Run one study of a minute and return what it found."""
    import relselect as rs
    from relselect.configs import open_database

    database = open_database("rel-f1")
    begun = time.monotonic()
    fitted = rs.select_and_train(database, "driver-dnf", "60s", families="rdl", evaluate_test=False)
    board = fitted.leaderboard()
    return {"wall_s": round(time.monotonic() - begun, 1), "leaderboard": board.astype(str).to_dict("records")}


def page(found: dict[str, Any]) -> str:
    """Return the figures as a page."""
    where = found["machine"]
    lines = [
        "# The graph network on a GPU",
        "",
        f"Written by `benchmarks/gpu.py` on one {where['gpu']}, {where['cores']} CPU cores, PyTorch {where['torch']},",
        f"Python {where['python']}. Validation rows only.",
        "",
    ]
    for line in found.get("tests", []):
        if "passed" in line:
            lines += [f"Tests on the GPU: {line['passed'].strip('= ')}.", ""]
    lines += ["## Sampler", "", "Lahman, batches of 512 rows, two hops; edges per second.", ""]
    lines += [
        f"| fan-out | strategy | edges of a batch | one core | GPU | GPU, {LARGE:,} rows |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for each in figures(found, "sampler"):
        rates = " | ".join(f"{each[way]['edges_per_s'] / 1e6:.1f} M" for way in ("one_core", "gpu", "gpu_large"))
        fan_out = " × ".join(map(str, each["fan_out"]))
        lines.append(f"| {fan_out} | {each['strategy']} | {each['edges_per_batch']:,} | {rates} |")
    lines += ["", "## A training step", "", "Milliseconds of the default configuration, batches of 512 rows.", ""]
    names = ("sample", "batch", "forward", "backward", "step")
    lines += ["| task | sampled on | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    for each in figures(found, "steps"):
        lines.append(
            f"| {each['case']} | {each['sampling']} | " + " | ".join(str(each[f"{name}_ms"]) for name in names) + " |"
        )
    lines += [
        "",
        "`batch` samples and gathers; `backward` is forward and backward; `step` adds clipping, AdamW and the running mean.",
        "",
        "## Default fits to their end",
        "",
        "| task | way | seconds | ms per step | steps | validation score | peak GPU memory, MB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for each in figures(found, "fits"):
        lines.append(
            f"| {each['case']} | {each['way']} | {each['seconds']} | {each['ms_per_step']} | {each['steps']} "
            f"| {each['score']} | {each['peak_gpu_mb'] or '–'} |"
        )
    for each in figures(found, "study"):
        lines += ["", "## One study of a minute: rel-f1 driver-dnf", "", f"{each['wall_s']} s of wall-clock.", ""]
        rows = each["leaderboard"]
        lines += ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
        lines += ["| " + " | ".join(str(cell).replace("|", "/") for cell in row.values()) + " |" for row in rows]
    return "\n".join([*lines, ""])


def figures(found: dict[str, Any], step: str) -> list[dict[str, Any]]:
    return [each for each in found.get(step, []) if "failed" not in each and "step_seconds" not in each]


if __name__ == "__main__":
    main()
