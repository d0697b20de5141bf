"""Runs all leak checks of a task, in a fixed order and within a time budget.

It does not decide what follows from a finding, and it does not repair anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relselect.budget import Budget
from relselect.errors import BudgetExhausted
from relselect.leaks.columns import check_columns, why_no_columns
from relselect.leaks.finding import Finding, accept
from relselect.leaks.moments import check_dates, check_late_values, why_no_dates, why_no_late_values
from relselect.leaks.overwritten import check_overwritten, why_no_overwritten
from relselect.leaks.queries import check_queries, spec_of, why_no_queries
from relselect.leaks.report import NO_TIME, LeakReport, UnrunCheck
from relselect.leaks.rows import check_label_names, check_rows

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["LEAK_CHECKS", "LeakCheck", "find_leaks"]


@dataclass(frozen=True)
class LeakCheck:
    """A function that looks for leaks, and the names of the checks that it carries out.

    Attributes:
        names: The values of `Finding.check` that `run` may return.
        run: Takes the problem, a seed for samples and the budget; raises `BudgetExhausted` when the time ends within.
        why_not: Returns why the checks do not apply to a problem, or None where they do.
    """

    names: tuple[str, ...]
    run: Callable[[Problem, int, Budget], list[Finding]]
    why_not: Callable[[Problem], str | None] = lambda problem: None


#: All leak checks. The cheapest run first, so that a short budget leaves out as few as possible.
LEAK_CHECKS = (
    LeakCheck(
        names=(
            "query_unbounded",
            "query_bounded_by_key",
            "query_unreadable",
            "population_reads_past_cutoff",
            "label_window_open",
            "query_bound_elsewhere",
        ),
        run=lambda problem, seed, budget: check_queries(problem),
        why_not=why_no_queries,
    ),
    LeakCheck(("column_named_like_label",), lambda problem, seed, budget: check_label_names(problem)),
    LeakCheck(
        ("repeated_rows", "rows_shared_with_training"),
        lambda problem, seed, budget: check_rows(problem),
    ),
    LeakCheck(
        ("epoch_dates", "far_future_dates"),
        lambda problem, seed, budget: check_dates(problem.user_database, budget.check),
        lambda problem: why_no_dates(problem.user_database),
    ),
    LeakCheck(
        ("later_than_row", "filled_later"),
        lambda problem, seed, budget: check_late_values(problem.user_database, budget.check),
        lambda problem: why_no_late_values(problem.user_database),
    ),
    LeakCheck(
        ("overwritten_column",),
        lambda problem, seed, budget: check_overwritten(problem, seed, budget.check),
        why_no_overwritten,
    ),
    LeakCheck(
        ("near_perfect_feature",),
        lambda problem, seed, budget: check_columns(problem, seed, budget.check),
        why_no_columns,
    ),
)


def find_leaks(problem: Problem, *, budget: Budget | None = None, seed: int = 0) -> LeakReport:
    """Return what in the data or the queries of a task may carry information from after the cutoff.

    Labels of the training split are read; of the validation and test splits only entities and cutoffs. The checks of
    dates read all rows of the database, visible or not: a date in the far future is a fault of the data.

    Args:
        problem: The database and the task.
        budget: A check whose turn comes after the budget is spent does not run; None for no limit.
        seed: Seed of the sample of training rows; equal inputs and seed give the equal report.

    Returns:
        The findings, with the reasons for which the task's manifest accepts some of them, and for every check whether it
        ran.

    >>> import relselect
    >>> from relselect.problem import Problem
    >>> example = relselect.examples.synthetic(customers=60)
    >>> report = find_leaks(Problem(example.database, example.task("planted")))
    >>> [each.check for each in report.findings], report.complete
    ([], True)
    >>> next(each.why for each in report.unrun if each.check == "query_unbounded")
    'The task has no query.'
    """
    limit = budget or Budget(None)
    found: list[Finding] = []
    ran: list[str] = []
    unrun: list[UnrunCheck] = []
    for each in LEAK_CHECKS:
        why = each.why_not(problem)
        if why is None:
            try:
                limit.check()
                found += each.run(problem, seed, limit)
            except BudgetExhausted:
                why = NO_TIME
        if why is None:
            ran += each.names
        else:
            unrun += [UnrunCheck(name, why) for name in each.names]
    spec = spec_of(problem)
    return LeakReport.of(found if spec is None else accept(found, spec.accept), ran=ran, unrun=unrun)
