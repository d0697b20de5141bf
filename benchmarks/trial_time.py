"""Time a default trial of each family, and the refit that follows the decision once per run.

    RELSELECT_DATA=... python benchmarks/trial_time.py [--only rel-f1/driver-dnf ...] [--repeats 3]

Prints a table of medians and, as its last line, one JSON object. Nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

CASES = ("rel-f1/driver-dnf", "rel-f1/driver-top3", "enron-email/employee-silent", "un-votes/country-absent")
FAMILIES = ("dfs", "rdl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    found = [timed(case, family, arguments.repeats) for case in arguments.only for family in FAMILIES]
    print("| case | family | trial, s | refit, s |\n|---|---|---:|---:|")
    for row in found:
        print(f"| {row['case']} | {row['family']} | {row['fit_s']:.1f} | {row['refit_s']:.1f} |")
    print(json.dumps(found))


def timed(case: str, name: str, repeats: int) -> dict[str, Any]:
    """Return the median seconds of a default fit with cold features, and of its refit."""
    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.events import silent
    from relselect.families.registry import family_of
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows
    from relselect.threads import wait_passively

    wait_passively()
    database = open_database(case.split("/")[0])
    task = open_task(database, case.split("/")[1])
    fits, refits = [], []
    for _ in range(repeats):
        problem = Problem(database, task)
        family, rows = family_of(name), fit_rows(problem)
        config = family.default(problem)
        begun = time.monotonic()
        fitted = family.fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent)
        fits.append(time.monotonic() - begun)
        begun = time.monotonic()
        family.refit(fitted, problem, rows, budget=Budget(None), emit=silent)
        refits.append(time.monotonic() - begun)
        print(case, name, fits[-1], refits[-1], file=sys.stderr, flush=True)
    return {"case": case, "family": name, "fit_s": statistics.median(fits), "refit_s": statistics.median(refits)}


if __name__ == "__main__":
    main()
