"""The page of results: one section per kind of run, each rewritten by its own run."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["CASES_HEADING", "SCALING_HEADING", "case_table", "update"]

PEERS = ("fastdfs", "featuretools")
CASES_HEADING = "Real databases"
SCALING_HEADING = "Cost against task rows and history"

_HEAD = """# Feature synthesis beside fastdfs and featuretools

Written by `benchmarks/dfs.py` (first section) and `benchmarks/dfs.py --scaling` (second). Seconds run from in-memory
pandas frames to the finished matrix: checks of the tables, key coding and everything an engine builds of them count, the
list of features does not. Every engine has a process of its own on the same two cores and is warmed up on a few rows
before; the best of several runs is shown. "Engine alone" starts where our database exists, with cold caches. Memory is
the peak beyond the frames, the matrix included, of the first run.

"""
_NOTES = {
    CASES_HEADING: """Features are the count of the rows of each path and sum, mean, standard deviation, smallest and
largest of each column (the last case: of each post's votes and comments). Differences are relative to the larger of two
values over all cells; a missing value must meet a missing one, but for sums of nothing, which are 0 here and in
featuretools and missing in fastdfs. fastdfs takes the mean, deviation, smallest and largest of nested counts without the
rows that have none to count, so these are compared with featuretools only.
""",
    SCALING_HEADING: """Random events of random entities over a year; eleven aggregates; no two task rows share a
cutoff, so featuretools, which works per distinct cutoff, is left out. The exponent is the slope of log seconds over log
size by least squares over all sizes, and over the two largest, where fixed costs weigh least.

![seconds over size](dfs_scaling.svg)
""",
}


def case_table(found: dict[str, dict[str, Any]]) -> str:
    """Return the results of the cases as a Markdown table."""
    head = [
        "| case | rows | features | ours s (engine alone) | fastdfs s | featuretools s | vs fastdfs | vs featuretools "
        "| largest relative difference | memory MB: ours | fastdfs | featuretools |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    first = _list(facts.get("ours_first_call_s") for facts in found.values())
    compiling = _list(facts.get("ours_first_call_compiling_s") for facts in found.values())
    note = f"Our first call, on a few rows: {compiling} s where loops must be compiled, {first} s where their cache is."
    return "\n".join([*head, *(_line(name, facts) for name, facts in found.items()), "", note, ""])


def _list(values: Iterable[float | None]) -> str:
    return ", ".join(f"{value:.2g}" for value in values if value is not None) or "–"


def _line(name: str, facts: dict[str, Any]) -> str:
    cells: Iterable[str] = [
        name,
        f"{facts['rows']:,}",
        str(facts["features"]),
        f"{_shown(facts.get('ours_s'))} ({_shown(facts.get('ours_engine_s'))})",
        *(_shown(facts.get(f"{peer}_s"), facts.get(f"{peer}_why", "–")) for peer in PEERS),
        *(str(facts.get(f"speedup_vs_{peer}") or "–") for peer in PEERS),
        f"{facts['max_rel_diff']:.1e}" if facts.get("max_rel_diff") is not None else "–",
        *(_shown(facts["peak_memory_mb"].get(engine)) for engine in ("ours", *PEERS)),
    ]
    return "| " + " | ".join(cells) + " |"


def _shown(value: float | None, missing: str = "–") -> str:
    return missing if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def update(path: Path, heading: str, text: str) -> None:
    """Write one section of the page and leave the other as it is."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = dict(part.split("\n", 1) for part in old.split("\n## ")[1:])
    parts[heading] = f"\n{_NOTES[heading]}\n{_machine()}\n\n{text}"
    sections = (f"## {name}\n{parts[name].rstrip()}\n" for name in (CASES_HEADING, SCALING_HEADING) if name in parts)
    path.write_text(_HEAD + "\n".join(sections), encoding="utf-8")


def _machine() -> str:
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in (*PEERS, "duckdb", "pandas", "numpy", "numba"))
    return f"Two of {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {packages}."
