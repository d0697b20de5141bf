"""The tables of the benchmark of pretraining: losses, scores, paired differences, and when a fit had the score of another."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from typing import Any

__all__ = ["WAYS", "loss_table", "paired", "tables_of"]

WAYS = (
    "sentence", "random", "frozen", "tuned", "language", "both", "both-scratch", "columns", "foundation", "dfs",
)  # fmt: skip
#: What is compared: the first of each pair minus the second, fits of the same seed.
PAIRS = (
    ("frozen", "random"), ("tuned", "frozen"), ("tuned", "language"), ("tuned", "columns"), ("both", "both-scratch"),
    ("both", "columns"), ("both-scratch", "columns"),
)  # fmt: skip
#: Fits from pretrained weights, and the fit from scratch whose best stop score they should have sooner.
RACES = (("tuned", "language"), ("tuned", "columns"), ("both", "both-scratch"), ("both", "columns"))

Row = dict[str, Any]


def tables_of(rows: list[Row]) -> list[str]:
    """Return all tables of fits in Markdown."""
    return [*score_table(rows), "", *pair_table(rows), "", *race_table(rows)]


def loss_table(card: Row) -> list[str]:
    """Return the losses of the pretraining by epoch."""
    if not card:
        return []
    names = sorted(card["curve"][0]["held_out"])
    lines = ["| epoch | loss | " + " | ".join(names) + " |", "|---|" + "---:|" * (len(names) + 1)]
    for each in card["curve"]:
        cells = [each["loss"], *(each["held_out"][name] for name in names)]
        lines.append(f"| {each['epoch']} | " + " | ".join("" if x is None else f"{x:.3f}" for x in cells) + " |")
    return lines


def groups_of(rows: list[Row]) -> dict[tuple[str, str], dict[str, dict[int, Row]]]:
    """Return the fits that ended by themselves per task and regime, way and seed; the last one counts."""
    found: dict[tuple[str, str], dict[str, dict[int, Row]]] = {}
    for row in rows:
        if row["ended"] != "budget":
            found.setdefault((row["task"], row["regime"]), {}).setdefault(row["way"], {})[row["seed"]] = row
    return found


def score_table(rows: list[Row]) -> list[str]:
    """Return the scores per task, regime and way; errors are shown as positive numbers."""
    lines = ["| task | regime | way | seeds | select | test | epochs | CPU seconds |", "|---|---|---|" + "---:|" * 5]
    for (task, regime), ways in groups_of(rows).items():
        for way in (each for each in WAYS if each in ways):
            found = list(ways[way].values())
            epochs = f"{statistics.fmean(len(row['curve']) for row in found):.0f}" if found[0]["curve"] else ""
            cells = [spread([abs(row[name]) for row in found]) for name in ("val", "test")]
            cells += [epochs, f"{statistics.fmean(row['cpu_seconds'] for row in found):.0f}"]
            lines.append(f"| {task} | {regime} | {way} | {len(found)} | {' | '.join(cells)} |")
    return lines


def paired(rows: list[Row]) -> list[Row]:
    """Return the differences of the pairs: mean over seeds, standard deviation, and in how many seeds the first is better."""
    found = []
    for (task, regime), ways in groups_of(rows).items():
        for first, second in PAIRS:
            seeds = sorted(set(ways.get(first, {})) & set(ways.get(second, {})))
            if seeds:
                row: Row = {"task": task, "regime": regime, "first": first, "second": second, "seeds": len(seeds)}
                for name in ("val", "test"):
                    gains = [ways[first][seed][name] - ways[second][seed][name] for seed in seeds]
                    row[name] = {
                        "mean": round(statistics.fmean(gains), 4),
                        "sd": round(statistics.stdev(gains), 4) if len(gains) > 1 else None,
                        "better": sum(gain > 0 for gain in gains),
                    }
                found.append(row)
    return found


def pair_table(rows: list[Row]) -> list[str]:
    """Return the paired differences; above 0 the first is better, for errors too."""
    lines = [
        "| task | regime | difference | seeds | select | better in | test | better in |",
        "|---|---|---|" + "---:|" * 5,
    ]
    for row in paired(rows):
        cells = []
        for name in ("val", "test"):
            each = row[name]
            error = "" if each["sd"] is None else f" ± {each['sd']:.3f}"
            cells += [f"{each['mean']:+.3f}{error}", f"{each['better']} of {row['seeds']}"]
        name = f"{row['first']} − {row['second']}"
        lines.append(f"| {row['task']} | {row['regime']} | {name} | {row['seeds']} | {' | '.join(cells)} |")
    return lines


def race_table(rows: list[Row]) -> list[str]:
    """Return when fits had the best stop score of the fit of the same seed from scratch, and when that fit itself had it.

    CPU seconds are those of a fit's epochs, counted by the mean of all but its first, in which tables are prepared.
    """
    head = "| task | regime | start | stop score of | reached | its epochs | own epochs | its CPU seconds | own CPU seconds |"
    lines = [head, "|---|---|---|---|" + "---:|" * 5]
    for (task, regime), ways in groups_of(rows).items():
        for first, second in RACES:
            races = list(_races(ways.get(first, {}), ways.get(second, {})))
            if not races:
                continue
            had = [each for each in races if each[0] is not None]
            cells = [f"{len(had)} of {len(races)}"]
            for goal, own in ((1, 0), (3, 2)):
                cells += [figure([each[goal] for each in races]), figure([each[own] for each in had])]
            lines.append(f"| {task} | {regime} | {first} | {second} | {' | '.join(cells)} |")
    return lines


def _races(fits: dict[int, Row], goals: dict[int, Row]) -> Iterator[tuple[float | None, ...]]:
    """Yield per seed own epochs (None: never), epochs of the goal, own CPU seconds, CPU seconds of the goal."""
    for seed in sorted(set(fits) & set(goals)):
        fit, goal = fits[seed], goals[seed]
        best = max(score for _, score in goal["curve"])
        own, its = (epochs_to(row, best) for row in (fit, goal))
        times = [None if epochs is None else epochs * per_epoch(row) for epochs, row in ((own, fit), (its, goal))]
        yield own, its, *times


def epochs_to(row: Row, goal: float) -> int | None:
    """Return the number of epochs after which a fit had a stop score; None where it never had."""
    return next((place + 1 for place, (_, score) in enumerate(row["curve"]) if score >= goal), None)


def per_epoch(row: Row) -> float:
    """Return the mean CPU seconds of an epoch but the first."""
    curve = row["curve"]
    return math.nan if len(curve) < 2 else float((curve[-1][0] - curve[0][0]) / (len(curve) - 1))


def figure(values: list[float | None]) -> str:
    """Return the median, or nothing where there is none."""
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.0f}" if known else ""


def spread(values: list[float]) -> str:
    """Return the mean, and the standard deviation where there are several."""
    error = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{error}"
