"""What features cost as task rows and histories grow: a table, a picture and fitted exponents.

featuretools is left out: it works per distinct cutoff, and here no two task rows share one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _dfs_cases import Case, random_case

__all__ = ["SCALINGS", "picture", "scaling", "scaling_table"]

ENGINES = ("ours", "fastdfs")
TARGETS = [round(2000 * 10 ** (step / 2)) for step in range(5)]

#: Heading -> what grows, its sizes, and the case of one size.
SCALINGS: dict[str, tuple[str, Sequence[int], Callable[[int], Case]]] = {
    "targets": ("task rows", TARGETS, lambda size: random_case(size, rows=300_000, owners=3_000)),
    "history": (
        "events per entity, 300,000 in all",
        [30, 300, 3_000],
        lambda size: random_case(20_000, rows=300_000, owners=300_000 // size),
    ),
    "table": (
        "events per entity, 1,000 entities",
        [30, 300, 3_000],
        lambda size: random_case(20_000, rows=1_000 * size, owners=1_000),
    ),
}


def scaling(run: Callable[[Case, str], dict[str, Any]]) -> dict[str, Any]:
    """Return, per scaling, the sizes, the best seconds of each engine (None where stopped) and the exponents.

    Args:
        run: Runs an engine on a case; returns its `runs`.
    """
    found = {}
    for name, (grows, sizes, case_of) in SCALINGS.items():
        times: dict[str, list[float | None]] = {engine: [] for engine in ENGINES}
        for size in sizes:
            case = case_of(size)
            for engine in ENGINES:
                stopped = times[engine] and times[engine][-1] is None
                times[engine].append(None if stopped else best(run(case, engine)))
        fitted = {engine: exponent(sizes, seconds) for engine, seconds in times.items()}
        last = {engine: exponent(sizes[-2:], seconds[-2:]) for engine, seconds in times.items()}
        found[name] = {
            "grows": grows, "sizes": list(sizes), "seconds": times, "exponents": fitted, "last_exponents": last,
        }  # fmt: skip
    return found


def best(result: dict[str, Any]) -> float | None:
    """Return the seconds of the fastest run, None when none ended."""
    return min((run["total_s"] for run in result.get("runs", ())), default=None)


def exponent(sizes: Sequence[int], seconds: Sequence[float | None]) -> float | None:
    """Return the slope of log seconds over log size, by least squares; None for fewer than two points."""
    points = [(math.log(size), math.log(time)) for size, time in zip(sizes, seconds, strict=True) if time]
    return round(float(np.polyfit(*zip(*points, strict=True), 1)[0]), 3) if len(points) > 1 else None


def scaling_table(found: dict[str, Any]) -> str:
    """Return the scalings as Markdown."""
    lines = []
    for each in found.values():
        head = " | ".join(f"{size:,}" for size in each["sizes"])
        lines += [f"| {each['grows']} | {head} | exponent | last step |"]
        lines += ["|---|" + "---:|" * (len(each["sizes"]) + 2)]
        for engine, seconds in each["seconds"].items():
            cells = " | ".join("> limit" if time is None else f"{time:.3g} s" for time in seconds)
            lines.append(
                f"| {engine} | {cells} | {_shown(each['exponents'][engine])} | {_shown(each['last_exponents'][engine])} |"
            )
        lines.append("")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def picture(found: dict[str, Any], path: Path) -> None:
    """Draw the scalings, seconds over size on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.hashsalt": "dfs", "font.size": 9}
    figure, places = pyplot.subplots(1, len(found), figsize=(4 * len(found), 3.2), sharey=True)
    for place, each in zip(places, found.values(), strict=True):
        for engine, seconds in each["seconds"].items():
            label = f"{engine}, exponent {_shown(each['exponents'][engine])}"
            place.loglog(each["sizes"], [time or np.nan for time in seconds], marker="o", label=label)
        place.set_xlabel(each["grows"])
        place.grid(visible=True, which="major", alpha=0.3)
        place.legend(frameon=False, fontsize=8)
    places[0].set_ylabel("seconds, frames to matrix")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
