"""Replay all policies of a performance bank leave-one-database-out, and print how they do; the last line is one JSON object.

    python benchmarks/selector.py [--bank bank] [--out docs/selector.md]

Real tasks and all tasks are judged apart; both are taught by all tasks of other databases.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path


def main() -> None:
    from relselect.bank import PerformanceBank
    from relselect.configs import bank_path
    from relselect.selector.evaluation import evaluate_parts
    from relselect.selector.evaluation_page import evaluation_page
    from relselect.selector.learning_curve import learning_curve

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bank = PerformanceBank.open(arguments.bank or bank_path())
    found, correlations = evaluate_parts(bank)
    curve = learning_curve(bank.current().filter(task=lambda task: task.origin != "imported"))
    page = evaluation_page(found, correlations, curve)
    if arguments.out:
        arguments.out.write_text(page, encoding="utf-8")
    print(page)
    parts = {name: each.to_json() for name, each in found.items()}
    print(json.dumps({**parts, "rank_correlations": correlations, "learning_curve": [asdict(each) for each in curve]}))


if __name__ == "__main__":
    main()
