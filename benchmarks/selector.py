"""Replay all policies of a performance bank leave-one-database-out, and print how they do; the last line is one JSON object.

    python benchmarks/selector.py [--bank bank] [--out docs/selector.md]

Real tasks and all tasks are judged apart; both are taught by the real tasks of other databases, see
`relselect.selector.meta.teaching`.
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
    from relselect.selector.meta import teaching
    from relselect.selector.portfolio import portfolio_gains

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bank = PerformanceBank.open(arguments.bank or bank_path())
    found, correlations = evaluate_parts(bank)
    curve = learning_curve(teaching(bank))
    portfolios = portfolio_gains(bank)
    page = evaluation_page(found, correlations, curve, portfolios)
    if arguments.out:
        arguments.out.write_text(page, encoding="utf-8")
    print(page)
    parts = {name: each.to_json() for name, each in found.items()}
    first = {family: [asdict(each) for each in gains] for family, gains in portfolios.items()}
    taught = {"learning_curve": [asdict(each) for each in curve], "first_configs": first}
    print(json.dumps({**parts, "rank_correlations": correlations, **taught}))


if __name__ == "__main__":
    main()
