"""One engine on one case in a process of its own: times, peak memory and the matrix.

    python benchmarks/_dfs_worker.py CASE_FILE ENGINE OUT_FOLDER REPEATS SECONDS

Not called by hand; see `dfs.py`. The result file is rewritten after every repeat, so a process that is stopped at its
limit leaves what it has.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

CORES = 2


def main() -> None:
    source, engine, folder, repeats, seconds = sys.argv[1:]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    warnings.simplefilter("ignore")
    from _dfs_cases import Case
    from _dfs_engines import ENGINES

    case = Case.load(Path(source))
    result: dict[str, Any] = {"first_call_s": warm_up(ENGINES[engine], case)}
    written = Path(folder) / f"{engine}.json"
    written.write_text(json.dumps(result))
    built = ENGINES[engine](case)
    runs = []
    begun = time.perf_counter()
    for number in range(int(repeats)):
        run, computed = measure(built, case)
        runs.append(run)
        if number == 0:
            np.save(Path(folder) / f"{engine}.npy", built.matrix(computed))
        del computed
        result["runs"] = runs
        written.write_text(json.dumps(result))
        if time.perf_counter() - begun + max(run["total_s"] for run in runs) > float(seconds):
            break


def warm_up(build: Any, case: Any) -> float:
    """Run the engine on a few rows: lazy imports, and compiled loops read from their cache or compiled; seconds."""
    small = case.small()
    engine = build(small)
    begun = time.perf_counter()
    engine.compute(engine.open(copied(small.tables)))
    return time.perf_counter() - begun


def measure(engine: Any, case: Any) -> tuple[dict[str, float], Any]:
    """Return one run's seconds and memory (MB), and its result."""
    tables = copied(case.tables)
    gc.collect()
    before = forget_peak()
    begun, used = time.perf_counter(), time.process_time()
    opened = engine.open(tables)
    ready = time.perf_counter()
    computed = engine.compute(opened)
    done = time.perf_counter()
    top = peak()
    return {
        "total_s": done - begun,
        "open_s": ready - begun,
        "engine_s": done - ready,
        "cpu_s": time.process_time() - used,
        "memory_mb": top - before,
        "absolute_mb": top,
    }, computed


def copied(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the frames as new objects, since an engine may add columns to what it is given."""
    return {name: frame.copy() for name, frame in tables.items()}


def forget_peak() -> float:
    """Set the process's peak of resident memory back to what it uses now; return that, in MB."""
    with contextlib.suppress(OSError):  # Then the peak so far stays, and the difference is a lower bound.
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """Return the peak of resident memory in MB."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        from relselect.memory import peak_memory_mb

        return peak_memory_mb()


if __name__ == "__main__":
    main()
