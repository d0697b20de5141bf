"""Measure a family on the three tasks of rel-f1, in both regimes, and print a table.

    RELSELECT_DATA=... python benchmarks/relf1.py [--family dfs|rdl] [--seeds 5]
    ... --backtest 1 2 3 4      earlier folds: the splits moved back, the real test rows left alone
    ... --ablate                what each part of the family is worth
    ... --set bags=5 drift=null one configuration other than the default
    ... --test                  score the test rows, once, and append the figures to docs/relf1.jsonl

Validation rows are scored by default; whoever compares configurations looks at earlier folds. Figures are AUROC (higher is
better) and mean absolute error (lower is better), mean and standard deviation over seeds. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import numpy as np
from _relf1_ledger import append, render
from _relf1_protocol import BARS, DATABASE, REGIMES, SECONDS, Case, Score, cases, measure

from relselect.families.registry import family_of
from relselect.threads import wait_passively

#: What is changed, one at a time, by family; delay copies matter only where evaluation is delayed.
ABLATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "dfs": {
        "default": {},
        "no windows": {"windows": False},
        "no label history": {"history": False},
        "no nested features": {"nested": False},
        "conditions": {"conditions": True},
        "one step": {"depth": 1},
        "three steps": {"depth": 3},
        "rich aggregates": {"rich": True},
        "drifting features read": {"drift": None},
        "no delay copies": {"copies": 0},
        "one delay copy": {"copies": 1},
        "six delay copies": {"copies": 6},
        "not fitted again": {"refit": False},
        "one booster": {"bags": 1},
        "best thresholds": {"extra_trees": False},
    },
    "rdl": {
        "default": {},
        "names read": {"texts": "all"},
        "one hop": {"layers": 1},
        "trees twice as wide at the root": {"fan_out": 16},
        "neighbours drawn from all of the past": {"strategy": "uniform"},
        "attention": {"convolution": "gatv2"},
        "means of neighbours": {"aggregation": "mean"},
        "level of the labels not read": {"level": False},
        "two members": {"members": 2},
        "weights not averaged": {"averaging": 0.0},
        "not trained again": {"refit": "none"},
        "no delay copies": {"copies": 0},
        "six delay copies": {"copies": 6},
    },
}


def main() -> None:
    wait_passively()
    arguments = parsed()
    shifts = arguments.backtest if arguments.backtest else [0.0]
    variants = ABLATIONS[arguments.family] if arguments.ablate else {"default": changed(arguments.set)}
    scored = arguments.test or bool(arguments.backtest)
    family = family_of(arguments.family)
    found: dict[str, dict[Case, list[Score]]] = {name: {} for name in variants}
    for case, problem in cases(arguments.regimes, shifts, arguments.database):
        for name, changes in variants.items():
            if case.regime == "rolling" and set(changes) == {"copies"}:
                continue
            scores = [
                measure(problem, family, changes, seed, test=scored, seconds=arguments.seconds)
                for seed in range(arguments.seeds)
            ]
            found[name][case] = scores
            print(f"{name} {case} {shown(scores, scored)}", file=sys.stderr, flush=True)
    report = figures(found, arguments)
    print(table(found, scored))
    if arguments.out is not None:
        arguments.out.write_text(page(table(found, scored), arguments), encoding="utf-8")
    if arguments.test:
        append(report)
        render()
    print(json.dumps(report))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="dfs")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--regimes", nargs="*", default=list(REGIMES), choices=REGIMES)
    parser.add_argument("--backtest", nargs="*", type=float, metavar="SHIFT")
    parser.add_argument("--ablate", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--test", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="budget of one fit")
    parser.add_argument("--out", type=Path, help="a file: write the table there")
    parser.add_argument(
        "--database", default=DATABASE, help="another known database: all of its tasks that have a time"
    )
    arguments = parser.parse_args()
    if arguments.backtest == []:
        arguments.backtest = [1.0, 2.0, 3.0, 4.0]
    if arguments.test and (arguments.ablate or arguments.backtest or arguments.database != DATABASE):
        parser.error(
            "--test scores the default configuration of rel-f1, once: without --ablate, --backtest, --database"
        )
    return arguments


def changed(settings: list[str]) -> dict[str, Any]:
    """Read `key=value` pairs; a value is JSON, or else the text itself."""
    return {key: _value(value) for key, value in (setting.split("=", 1) for setting in settings)}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def shown(scores: list[Score], scored: bool) -> str:
    parts = ["val " + spread([score.val for score in scores])]
    parts += ["test " + spread([score.test for score in scores])] if scored else []
    return ", ".join(parts) + f", {max(score.seconds for score in scores):.0f} s"


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.4f}" + (f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else "")


def table(found: dict[str, dict[Case, list[Score]]], scored: bool) -> str:
    """Return one row per variant and one column per task and regime; folds are averaged."""
    columns = sorted({(case.regime, case.task) for by_case in found.values() for case in by_case}, reverse=True)
    lines = [
        "| | " + " | ".join(f"{task} {regime}" for regime, task in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for name, by_case in found.items():
        cells = [cell([s for case, s in by_case.items() if (case.regime, case.task) == c], scored) for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    bars = [BARS.get((task, regime)) for regime, task in columns]
    lines.append("| bar (test) | " + " | ".join("" if bar is None else f"{bar:g}" for bar in bars) + " |")
    return "\n".join(lines)


def page(found: str, arguments: argparse.Namespace) -> str:
    """Return a table as a page that says how it came about."""
    folds = len(arguments.backtest or [0])
    what = (
        f"means of {folds} earlier folds, validation → the fold's last rows"
        if arguments.backtest
        else "validation rows"
    )
    several = f"mean ± standard deviation over {arguments.seeds} seeds" if arguments.seeds > 1 else "one seed"
    return "\n".join(
        [
            f"# {arguments.database}: what each part of the {arguments.family} family is worth",
            "",
            f"Written by `benchmarks/relf1.py {shlex.join(sys.argv[1:])}`:",
            f"{what}; {several}. AUROC for driver-dnf and driver-top3 (higher is better), mean absolute",
            "error of the position for driver-position (lower is better). Each row changes one thing of the default. The test",
            "rows are not scored.",
            "",
            found,
            "",
        ]
    )


def cell(folds: list[list[Score]], scored: bool) -> str:
    if not folds:
        return "–"
    parts = [spread(list(np.mean([[score.val for score in fold] for fold in folds], axis=0)))]
    if scored:
        parts.append(spread(list(np.mean([[score.test for score in fold] for fold in folds], axis=0))))
    return " → ".join(parts)


def figures(found: dict[str, dict[Case, list[Score]]], arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "family": arguments.family,
        "database": arguments.database,
        "config": {} if arguments.ablate else changed(arguments.set),
        "seeds": arguments.seeds,
        "cores": len(os.sched_getaffinity(0)),
        "figures": [
            {
                "variant": name,
                "task": case.task,
                "regime": case.regime,
                "shift": case.shift,
                "val": [round(score.val, 5) for score in scores],
                "test": [None if np.isnan(score.test) else round(score.test, 5) for score in scores],
                "seconds": round(max(score.seconds for score in scores), 1),
            }
            for name, by_case in found.items()
            for case, scores in by_case.items()
        ],
    }


if __name__ == "__main__":
    main()
