"""Compute the same features with this package, fastdfs and featuretools, and compare times, memory and values.

    pip install -e '.[examples,bench]'
    RELSELECT_DATA=... python benchmarks/dfs.py [--only nyc_dest_day] [--out docs]
    python benchmarks/dfs.py --scaling [--out docs]

Every engine gets the same pandas frames and the same list of features and returns the finished matrix. What it makes of
the frames counts (checks, key coding, its own tables); the list of features does not. Each engine runs in a process of
its own on the same two cores, is warmed up on a few rows (our compiled loops come from their cache; what the first call
takes is printed apart), then runs several times; the best time counts and the median is kept beside it. fastdfs reads
rows before a cutoff where the others read those up to it, so its cutoffs are one nanosecond later. Peak memory is what
the process needed beyond its frames, the matrix included.

Tables go to standard output, and into the page in `--out`; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from _dfs_cases import CASES, Case, NoData
from _dfs_page import CASES_HEADING, SCALING_HEADING, case_table, update
from _dfs_scaling import picture, scaling, scaling_table

from relselect.dfs.plan.feature import Aggregate, Feature

PEERS = ("fastdfs", "featuretools")
THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS")
#: What an engine gives for nothing where we give 0; everything else of nothing is missing everywhere.
ZERO = (Aggregate.COUNT, Aggregate.SUM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(CASES), help="cases to run")
    parser.add_argument("--engines", nargs="*", default=["ours", *PEERS], choices=["ours", *PEERS])
    parser.add_argument("--repeats", type=int, default=7, help="runs of ours; peers run at most three times")
    parser.add_argument("--seconds", type=float, default=30, help="start no run that would end beyond this")
    parser.add_argument("--limit", type=float, default=120, help="stop an engine after this many seconds per case")
    parser.add_argument("--scaling", action="store_true", help="cost against task rows and history instead")
    parser.add_argument("--out", type=Path, help="a folder: write dfs_benchmark.md and dfs_scaling.svg there")
    arguments = parser.parse_args()
    found, text = scalings(arguments) if arguments.scaling else cases(arguments)
    print(text)
    if arguments.out:
        heading = SCALING_HEADING if arguments.scaling else CASES_HEADING
        update(arguments.out / "dfs_benchmark.md", heading, text)
    print(json.dumps(found))


def cases(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Return the facts of every case, and their table."""
    found = {}
    for name in arguments.only or CASES:
        try:
            case = CASES[name]()
        except NoData as reason:
            print(f"{name}: skipped, {reason}", file=sys.stderr)
            continue
        compiling = {} if found or "ours" not in arguments.engines else compiled(case, arguments)
        found[name] = compare(case, arguments) | compiling
        print(json.dumps({name: found[name]}), file=sys.stderr, flush=True)
    return found, case_table(found)


def scalings(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Return seconds and exponents of every scaling, and their tables; draw them where there is a folder to draw to."""

    def alone(case: Case, engine: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            return run(case, engine, Path(folder), arguments)

    found = scaling(alone)
    if arguments.out:
        picture(found, arguments.out / "dfs_scaling.svg")
    return found, scaling_table(found)


def compiled(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of our first call in a process that must compile its loops."""
    once = argparse.Namespace(**{**vars(arguments), "repeats": 0})
    with tempfile.TemporaryDirectory() as folder:
        result = run(case, "ours", Path(folder), once, {"NUMBA_CACHE_DIR": folder})
    return {"ours_first_call_compiling_s": round(result["first_call_s"], 2)} if "first_call_s" in result else {}


def compare(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the facts of one case: times and memory of each engine, and how far the values differ."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        runs = {engine: run(case, engine, place, arguments) for engine in arguments.engines}
        matrices = {engine: np.load(place / f"{engine}.npy") for engine in runs if (place / f"{engine}.npy").exists()}
    facts: dict[str, Any] = {"rows": len(case.targets), "features": len(case.features)}
    for engine, result in runs.items():
        facts |= seconds(engine, result)
    if "ours" in matrices:
        facts |= {f"speedup_vs_{peer}": ratio(runs, peer, arguments.limit) for peer in PEERS if peer in runs}
        differences = {
            peer: difference(case, matrices["ours"], matrices[peer], peer) for peer in PEERS if peer in matrices
        }
        facts["max_rel_diff"] = max((d["max_rel_diff"] for d in differences.values()), default=None)
        facts["missing_mismatches"] = sum(d["missing_mismatches"] for d in differences.values())
        facts["differences"] = differences
    facts["peak_memory_mb"] = memory(runs, "memory_mb")
    facts["absolute_memory_mb"] = memory(runs, "absolute_mb")
    return facts


def run(
    case: Case, engine: str, folder: Path, arguments: argparse.Namespace, more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what the worker wrote of an engine: `runs`, `first_call_s`; or `error`, or `limit`.

    Args:
        case: What to compute.
        engine: Who.
        folder: For files between the processes.
        arguments: Repeats and limits.
        more: More of the process's environment.
    """
    source = folder / "case.pickle"
    if not source.exists():
        case.save(source)
    repeats = arguments.repeats if engine == "ours" else min(3, arguments.repeats)
    worker = [sys.executable, str(Path(__file__).with_name("_dfs_worker.py")), str(source), engine, str(folder)]
    environment = {**os.environ, **dict.fromkeys(THREADS, "2"), **(more or {})}
    limit, error = False, None
    try:
        done = subprocess.run(
            [*worker, str(repeats), str(arguments.seconds)],
            env=environment, timeout=arguments.limit, capture_output=True, text=True, check=False,
        )  # fmt: skip
        error = done.stderr.strip().splitlines()[-1] if done.returncode else None
    except subprocess.TimeoutExpired:
        limit = True
    written = folder / f"{engine}.json"
    result: dict[str, Any] = json.loads(written.read_text()) if written.exists() else {}
    return {**result, **({"limit": arguments.limit} if limit else {}), **({"error": error} if error else {})}


def seconds(engine: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return the times of one engine, the best run first."""
    if "runs" not in result:
        why = result.get("error") or f"> {result.get('limit')} s"
        return {f"{engine}_s": None, f"{engine}_why": why}
    totals = [run["total_s"] for run in result["runs"]]
    best = min(result["runs"], key=lambda run: run["total_s"])
    facts = {
        f"{engine}_s": round(min(totals), 4),
        f"{engine}_median_s": round(statistics.median(totals), 4),
        f"{engine}_engine_s": round(min(run["engine_s"] for run in result["runs"]), 4),
        f"{engine}_cpu_s": round(best["cpu_s"], 4),
        f"{engine}_runs": len(totals),
    }
    return facts | ({"ours_first_call_s": round(result["first_call_s"], 3)} if engine == "ours" else {})


def ratio(runs: dict[str, Any], peer: str, limit: float) -> float | str | None:
    """Return how many times faster we are than a peer; a lower bound in text where it was stopped."""
    ours = min(run["total_s"] for run in runs["ours"]["runs"])
    if "runs" in runs[peer]:
        return round(min(run["total_s"] for run in runs[peer]["runs"]) / ours, 1)
    return f">{limit / ours:.0f}" if "limit" in runs[peer] else None


def memory(runs: dict[str, Any], what: str) -> dict[str, float]:
    """Return the peak memory of each engine's first run in MB."""
    return {engine: round(result["runs"][0][what], 1) for engine, result in runs.items() if "runs" in result}


def difference(case: Case, ours: np.ndarray, theirs: np.ndarray, peer: str) -> dict[str, Any]:
    """Return the largest relative difference of two matrices, where, and in how many cells one alone is missing.

    Differences are relative to the larger value; values below 1e-12 of their column's largest count as zero. Features
    that a peer defines otherwise are not compared with it, and named.
    """
    other_meaning = [feature.name for feature in case.features if peer == "fastdfs" and skips_zeros(feature)]
    worst: dict[str, Any] = {"max_rel_diff": 0.0, "feature": None, "missing_mismatches": 0, "other": other_meaning}
    for place, feature in enumerate(case.features):
        mine, other = ours[:, place], theirs[:, place]
        if feature.name in other_meaning:
            continue
        if feature.aggregate in ZERO:
            other = np.nan_to_num(other)
        worst["missing_mismatches"] += int((np.isnan(mine) != np.isnan(other)).sum())
        both = ~np.isnan(mine) & ~np.isnan(other)
        if not both.any():
            continue
        mine, other = mine[both], other[both]
        size = np.maximum(np.abs(mine), np.abs(other))
        apart = np.abs(mine - other) / np.maximum(size, max(1e-12 * size.max(), np.finfo(float).tiny))
        if apart.max() > worst["max_rel_diff"]:
            worst |= {"max_rel_diff": float(apart.max()), "feature": feature.name}
    return worst


def skips_zeros(feature: Feature) -> bool:
    """Return whether fastdfs aggregates nested counts without the rows that have none, where others count them as 0."""
    nested_count = feature.base is not None and feature.base.aggregate == Aggregate.COUNT
    return nested_count and feature.aggregate not in ZERO


if __name__ == "__main__":
    main()
