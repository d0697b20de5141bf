"""Finds columns that are overwritten in place: parent columns that hold an aggregate of child rows over all time.

A customer's lifetime spend, an average rating or a discontinued flag stands in the row of the customer or product, without a
date of its own, and today's value is shown at every cutoff. The check compares each such column with aggregates of the child
rows. No label is read and nothing is repaired.

An honest column may drive the child rows, as a list price drives what is paid. It agrees with the aggregate of the earlier
child rows as it does with that of all of them, up to noise that halves at most. So a column is reported only where it agrees
with the aggregate over all time and clearly less with that of the earlier rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.leaks.child_rows import ParentSample, child_rows
from relselect.leaks.finding import Finding
from relselect.leaks.parent_columns import ParentColumn, parent_columns
from relselect.tasks.ranking import average_ranks, spearman

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from relselect.problem import Problem

__all__ = ["check_overwritten", "concordance", "why_no_overwritten"]

#: A column is compared where this many parents have a value and child rows both early and late.
_LEAST = 50
#: Equality: the share of parents whose value is the aggregate of all child rows, at least; of the earlier ones, at most. Where
#: rows are exchangeable, as many early as late ones, an honest maximum m has P(all) <= 1 - (1 - P(early))^2 = 0.94 at 0.75.
_EQUAL_ALL, _EQUAL_EARLY = 0.95, 0.75
#: Order: the concordance with the aggregate of all child rows, at least, and with that of the earlier ones, at most.
_ORDER_ALL, _ORDER_EARLY = 0.95, 0.97
#: How many times the noise of the earlier rows must exceed that of all rows: independent rows give sqrt(2), a constant gap 2.
_ORDER_RATIO, _LEVEL_RATIO = 3.0, 2.3
#: Pairs are compared where the rank correlation is this large. Columns with at most this many values have levels.
_CANDIDATE, _FEW, _BLOCK = 0.5, 10, 512
#: A flag: the parents that have and that lack it, at least, and the area under the ROC curve of their last child times.
_LEAST_FLAGGED, _FLAG_AUC = 20, 0.9
_LONG_LIFE = 0.25


@dataclass(frozen=True)
class _Match:
    """An agreement: how strong it is, and its words."""

    strength: float
    evidence: str


def why_no_overwritten(problem: Problem) -> str | None:
    """Return why the check does not apply, None where it does."""
    if problem.task.static:
        return "The task has no time."
    database = problem.user_database
    timed = [name for name, table in database.tables.items() if table.time is not None and table.foreign_keys]
    return None if timed else "No table with a time column refers to another table."


def check_overwritten(problem: Problem, seed: int, check: Callable[[], None] = lambda: None) -> list[Finding]:
    """Return the finding `overwritten_column` for every parent column that holds an aggregate of later child rows.

    Args:
        problem: The database and the task; columns that the task hides are left out.
        seed: Seed of the sample of parents.
        check: Called before each foreign key; raises where the time has ended.

    Raises:
        BudgetExhausted: Raised by `check`.
    """
    best: dict[str, _Match] = {}
    database, task = problem.user_database, problem.task
    for name, table in database.tables.items():
        if table.time is None:
            continue
        for number, key in enumerate(table.foreign_keys):
            check()
            hidden = set(task.hidden_columns) if key.table == task.entity else set()
            children = child_rows(database, name, number, seed, check)
            if children is None:
                continue
            for column in parent_columns(database, key.table, hidden, children.parents):
                check()
                match = _match(column, children)
                subject = f"{key.table}.{column.name}"
                if match is not None and (subject not in best or match.strength > best[subject].strength):
                    best[subject] = match
    fix = "Drop it, or declare under known_at the date from which it holds; its value of today is shown at every cutoff"
    return [Finding("overwritten_column", "warning", subject, each.evidence, fix) for subject, each in best.items()]


def _match(column: ParentColumn, children: ParentSample) -> _Match | None:
    """Return the strongest agreement of a parent column with child rows that come later, None without one."""
    found = [_equal(column, children), _ordered(column, children), _flag(column, children)]
    return max((each for each in found if each is not None), key=lambda each: each.strength, default=None)


def _equal(column: ParentColumn, children: ParentSample) -> _Match | None:
    """Compare values with aggregates of all child rows and with those of each parent's earlier half."""
    best = None
    for aggregate in children.aggregates:
        if aggregate.labels is not None:
            mine = column.as_labels(aggregate.labels)
        else:
            mine = column.numbers if aggregate.is_time == column.is_time else None
        if mine is None:
            continue
        # `halved` is nan for parents without child rows at two times
        used = ~(np.isnan(mine) | np.isnan(aggregate.all) | np.isnan(aggregate.halved))
        if used.sum() < _LEAST:
            continue
        slip = column.rounding + 1e-6 * np.abs(mine[used])
        whole = float((np.abs(mine[used] - aggregate.all[used]) <= slip).mean())
        early = float((np.abs(mine[used] - aggregate.halved[used]) <= slip).mean())
        if whole < _EQUAL_ALL or early > _EQUAL_EARLY or (aggregate.labels is None and len(np.unique(mine[used])) < 3):
            continue
        if best is None or whole - early > best.strength:
            text = (
                f"equals {aggregate.words} over all time, later rows included, in {whole:.0%} of {used.sum():,} rows, and "
                f"over the earlier half of the rows in {early:.0%}"
            )
            best = _Match(whole - early, text)
    return best


def _ordered(column: ParentColumn, children: ParentSample) -> _Match | None:
    """Compare the order of the values with that of aggregates of all child rows and of those before the median date.

    Extremes are compared for equality alone, but for times: the last date is one of the most common overwritten values.
    """
    best = None
    for aggregate in children.aggregates:
        if aggregate.labels is not None or (aggregate.is_extreme and not (column.is_time and aggregate.is_time)):
            continue
        used = column.present & ~(np.isnan(aggregate.all) | np.isnan(aggregate.before)) & children.straddles
        if used.sum() < _LEAST:
            continue
        mine = column.ordered_by(aggregate.all, used)
        if mine is None or abs(spearman(mine, aggregate.all[used])) < _CANDIDATE:
            continue
        whole = concordance(mine, aggregate.all[used])
        early = concordance(mine, aggregate.before[used])
        if whole < 0.5:
            whole, early = 1 - whole, 1 - early
        if whole < _ORDER_ALL or early > _ORDER_EARLY:
            continue
        if not _is_sharper(whole, early, len(np.unique(mine)) <= _FEW, int(used.sum())):
            continue
        if best is None or whole - early > best.strength:
            text = (
                f"has the order of {aggregate.words} over all time, later rows included, in {whole:.1%} of the pairs of "
                f"{used.sum():,} rows, and of that before the median date in {early:.1%}"
            )
            best = _Match(whole - early, text)
    return best


def _flag(column: ParentColumn, children: ParentSample) -> _Match | None:
    """Look for a value that only parents without later child rows have, among parents that began early and lived long."""
    span, early = children.span, children.first <= children.median
    for name, flagged in column.levels():
        have, lack = early & flagged, early & ~flagged
        lived = have & (children.last - children.first >= _LONG_LIFE * span)
        if min(have.sum(), lack.sum()) < _LEAST_FLAGGED or lived.sum() < _LEAST_FLAGGED:
            continue
        area = concordance(
            np.concatenate([np.zeros(have.sum()), np.ones(lack.sum())]),
            np.concatenate([children.last[have], children.last[lack]]).astype(np.float64),
        )
        ended = float((children.last[have] > children.last[lack].max() - 0.05 * span).mean())
        if area >= _FLAG_AUC and ended <= 0.2:
            text = (
                f"is {name} only where {children.table} has no later row: the last row of those that have it is older than "
                f"of those that lack it in {area:.1%} of the pairs ({have.sum():,} and {lack.sum():,} rows)"
            )
            return _Match(area - 0.5, text)
    return None


def _is_sharper(whole: float, early: float, few: bool, rows: int) -> bool:
    """Whether the concordance with all rows exceeds that with the earlier ones by more than independent noise explains.

    Where values have many levels, the discordance is proportional to the noise near 1. With few levels it is a tail of the
    normal distribution, and the quantile of the concordance is proportional to 1 / noise.
    """
    if not few:
        return (1 - early) >= _ORDER_RATIO * (1 - whole)
    from scipy.special import ndtri

    best = 1 - 1 / rows**2
    return bool(ndtri(min(whole, best)) >= _LEVEL_RATIO * ndtri(min(max(early, 0.501), best)))


def concordance(values: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the share of the pairs with different `values` that `other` has in the same order, ties counting half.

    It is (D + 1) / 2 with Somers' D of `other` given `values` (Somers 1962, American Sociological Review 27): 1 where
    `values` is a coarser form of `other`, however coarse, and 1/2 for independent ones. All pairs are compared.

    Args:
        values: Shape (n,).
        other: Shape (n,).

    >>> concordance(np.array([0.0, 0, 1, 1]), np.array([1.0, 2, 3, 4]))
    1.0
    """
    order = np.argsort(values, kind="stable")
    level, rank = average_ranks(values)[order], average_ranks(other)[order]
    won, pairs = 0.0, 0
    for begin in range(0, len(level), _BLOCK):
        above = level[None, begin:] > level[begin : begin + _BLOCK, None]
        gap = rank[None, begin:] - rank[begin : begin + _BLOCK, None]
        won += float((above & (gap > 0)).sum()) + 0.5 * float((above & (gap == 0)).sum())
        pairs += int(above.sum())
    return won / pairs if pairs else 0.5
