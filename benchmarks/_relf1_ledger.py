"""The ledger of test scores: every look at the test rows is one line of docs/relf1.jsonl, never taken back."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
from _relf1_protocol import BARS

_ROOT = Path(__file__).resolve().parent.parent
LEDGER, PAGE = _ROOT / "docs" / "relf1.jsonl", _ROOT / "docs" / "relf1.md"


def append(report: dict[str, Any], ledger: Path = LEDGER) -> None:
    """Add a run's figures with the commit and the date."""
    line = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit(), **report}
    with ledger.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")


def commit() -> str:
    """Return the commit, marked where the code has changes that it does not hold."""
    found = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "relselect", "configs", "benchmarks")
    return found + (" with changes" if changed else "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def render(ledger: Path = LEDGER, page: Path = PAGE) -> None:
    """Write the page from the ledger."""
    entries = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines() if line]
    page.write_text(text(entries), encoding="utf-8")


def text(entries: list[dict[str, Any]]) -> str:
    """Return the page: one row per look at the test rows, the newest last."""
    columns = list(BARS)
    head = [
        "# rel-f1",
        "",
        "Every time the test rows were scored, by `benchmarks/relf1.py --test`: the default configuration of one family, mean ±",
        "standard deviation over seeds of the test score, the validation score in brackets. AUROC for driver-dnf and driver-top3",
        "(higher is better), mean absolute error of the position for driver-position (lower is better). Configurations are",
        "compared on earlier folds (`--backtest`), never here.",
        "",
        "| date | commit | family | seeds | " + " | ".join(f"{task} {regime}" for task, regime in columns) + " |",
        "|---|---|---|---:|" + "---|" * len(columns),
        "| | | bar | | " + " | ".join(f"{bar:g}" for bar in BARS.values()) + " |",
    ]
    return "\n".join([*head, *(row(entry, columns) for entry in entries), ""])


def row(entry: dict[str, Any], columns: list[tuple[str, str]]) -> str:
    """Return one look as a row of the table."""
    found = {(figure["task"], figure["regime"]): figure for figure in entry["figures"]}
    named = ", ".join(f"{key}={json.dumps(value)}" for key, value in entry["config"].items())
    family = entry["family"] + (f" ({named})" if named else "")
    cells = [_cell(found[column]) if column in found else "–" for column in columns]
    return f"| {entry['date']} | {entry['commit']} | {family} | {entry['seeds']} | " + " | ".join(cells) + " |"


def _cell(figure: dict[str, Any]) -> str:
    spread = np.std(figure["test"], ddof=1) if len(figure["test"]) > 1 else 0.0
    return f"{np.mean(figure['test']):.4f} ± {spread:.4f} ({np.mean(figure['val']):.4f})"
