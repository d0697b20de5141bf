"""Runs the hostile inputs of the tests and counts those that were tried and held, by kind.

    python benchmarks/hostile.py

An input holds where its test passes: it is refused with a typed error, or gives the right value, in its time and memory. Prints
the table of docs/security.md, and one JSON object as its last line. Exits with 1 where one did not hold.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


class Outcomes:
    """Counts the runs of each test, and those that passed: a pytest plugin."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a report of the call, or of a setup that failed."""
        name = report.nodeid.partition("[")[0]
        if report.when == "call" or (report.when == "setup" and not report.passed):
            self.ran[name] += 1
            self.passed[name] += report.passed


def main() -> int:
    """Run the tests and print what held."""
    from tests.hostile.tally import KINDS

    root, outcomes, begun = Path(__file__).parents[1], Outcomes(), time.monotonic()
    names = [f"{root}/{name}" for kind in KINDS for name in kind.cases]
    pytest.main(["-q", "-p", "no:cacheprovider", f"--rootdir={root}", *names], plugins=[outcomes])
    found = {}
    for kind in KINDS:
        held = sum(cases * outcomes.passed[name] // max(outcomes.ran[name], 1) for name, cases in kind.cases.items())
        found[kind.title] = {"least": kind.least, "tried": kind.tried, "held": held}
    print("| kind | at least | tried | held |\n|---|---:|---:|---:|")
    for title, row in found.items():
        print(f"| {title} | {row['least']} | {row['tried']} | {row['held']} |")
    print(json.dumps({"seconds": round(time.monotonic() - begun, 1), "kinds": found}))
    return 0 if all(row["held"] == row["tried"] for row in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
