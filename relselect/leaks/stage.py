"""The stage of the leak checks: runs them in time of their own and reports what they found.

Every finding that nobody has accepted, and every check without time, becomes a notice and a Python warning. What a finding
means for the run is decided by the reader.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

from relselect.budget import Budget
from relselect.errors import LeakWarning, caller_depth
from relselect.events import Emit, Notice, StageFinished, StageStarted, silent
from relselect.leaks.checks import find_leaks
from relselect.leaks.report import LeakReport

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["announce", "check_leaks", "leak_budget"]

_STAGE = "leaks"
#: The share of what is left that the checks may use; where that is little, the least seconds up to the largest share.
_SHARE, _LEAST_SECONDS, _LARGEST_SHARE = 0.15, 15.0, 0.35


def leak_budget(budget: Budget) -> Budget:
    """Return the time of the leak checks: 15 % of what is left, at least 15 seconds, at most 35 %.

    >>> [round(leak_budget(Budget(seconds)).seconds) for seconds in (20, 60, 600)]
    [7, 15, 90]
    """
    left = budget.left()
    return budget.until(min(_LARGEST_SHARE * left, max(_SHARE * left, _LEAST_SECONDS)))


def check_leaks(problem: Problem, *, budget: Budget | None = None, emit: Emit = silent, seed: int = 0) -> LeakReport:
    """Run the leak checks as a stage of its own; see `find_leaks`.

    Args:
        problem: The database and the task.
        budget: The time of the checks; None for no limit.
        emit: Called with the stage's begin and end and with the notices.
        seed: Seed of the samples.
    """
    begun = time.monotonic()
    emit(StageStarted(_STAGE))
    report = find_leaks(problem, budget=budget, seed=seed)
    announce(report, emit)
    emit(StageFinished(_STAGE, time.monotonic() - begun, _detail(report)))
    return report


def announce(report: LeakReport, emit: Emit) -> None:
    """Emit and warn of each finding that is neither minor nor accepted, and of the checks without time.

    Warns:
        LeakWarning: Once for each.
    """
    texts = [str(finding) for finding in report.open]
    if report.out_of_time:
        texts.append(f"No time was left for these leak checks: {', '.join(report.out_of_time)}.")
    for text in texts:
        emit(Notice(_STAGE, text, "warning"))
        warnings.warn(f"Possible leak: {text}", LeakWarning, stacklevel=caller_depth())


def _detail(report: LeakReport) -> str:
    if not report.findings:
        return "no finding"
    shown = ", ".join(f"{each.check} {each.subject}" for each in report.findings)
    return f"{len(report.findings)} {'finding' if len(report.findings) == 1 else 'findings'}: {shown}"
