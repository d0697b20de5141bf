"""Finds undated columns of the entity on which a trained model rests.

It looks at the gain alone, so an honest column is found too: the finding is a remark to look at, no warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relselect.leaks.finding import Finding, accept
from relselect.leaks.queries import spec_of
from relselect.leaks.report import LeakReport

if TYPE_CHECKING:
    from relselect.families.candidate import Importances
    from relselect.problem import Problem

__all__ = ["DOMINANT", "with_gain"]

#: The name of the check.
DOMINANT = "dominant_column"
#: From this share of all gain on, a column is found.
_SHARE = 0.2


def with_gain(report: LeakReport, problem: Problem, found: Sequence[Importances]) -> LeakReport:
    """Return a report with the finding `dominant_column` for each undated entity column that carries a fifth of the gain.

    Args:
        report: What the checks before training found.
        problem: The database and the task.
        found: Importances of trained models, the best model's first; the first ones that are shares of gain count.

    Returns:
        The report; unchanged where no model has a gain.
    """
    gain = next((each for each in found if each.kind == "gain"), None)
    if gain is None:
        return report
    table = problem.database[problem.entity]
    undated = {column for column in table.columns if column not in table.structural and table.clock_of(column) is None}
    fix = "Make sure that its value is the one of the cutoff and not today's; else drop it or declare known_at"
    new = [
        Finding(
            DOMINANT,
            "info",
            f"{problem.entity}.{each.feature}",
            f"carries {each.share:.0%} of the gain of the best trees and has no date of its own",
            fix,
        )
        for each in gain.features
        if each.feature in undated and each.share >= _SHARE
    ]
    spec = spec_of(problem)
    new = new if spec is None else accept(new, spec.accept)
    return LeakReport.of([*report.findings, *new], ran=[*report.ran, DOMINANT], unrun=report.unrun)
