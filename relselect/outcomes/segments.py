"""Errors by segment: entities with one value in one column of their table, where the score differs from that of all rows.

Columns are read that need no other clock than their row's own: those that become known later could tell the label. A difference
is kept where its interval excludes zero at a level that holds for all compared values together (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.columns import as_strings, is_nested
from relselect.outcomes.draws import ranged
from relselect.outcomes.outcome import SegmentOutcome
from relselect.tasks.metrics import cluster_draws, clusters_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.problem import Problem
    from relselect.tasks import Metric, Rows

__all__ = ["compared_segments"]

#: Columns that are read at most, values of a column at most, and rows that a value needs.
_COLUMNS, _VALUES, _ROWS = 8, 8, 50
#: Values whose differences are tested, draws, the fewest defined ones, and the coverage of all intervals together.
_TESTED, _DRAWS, _FEWEST, _LEVEL = 10, 60, 20, 0.9


@dataclass(frozen=True)
class _Segment:
    """One value of one column, and the numbers of its rows."""

    column: str
    value: str
    rows: NDArray[np.int64]


def compared_segments(
    problem: Problem, rows: Rows, predicted: NDArray[np.float64], expected: NDArray[np.float64] | None, *, seed: int
) -> tuple[int, tuple[SegmentOutcome, ...]]:
    """Compare the rows of each value of a few columns of the entity table with all rows.

    Args:
        problem: The database and the task.
        rows: n labelled rows.
        predicted: Their predictions, shape (n,) or (n, classes).
        expected: What is summed beside the labels, shape (n,); None for classes.
        seed: Seed of the bootstrap.

    Returns:
        How many values were compared, and those that differ beyond chance, the largest difference first.
    """
    label = np.empty(0) if rows.label is None else rows.label
    score = problem.task.metric.score
    whole = score(label, predicted)
    known = [each for each in _segments(problem, rows) if np.isfinite(score(label[each.rows], predicted[each.rows]))]
    if not known or not np.isfinite(whole):
        return 0, ()
    own = [score(label[each.rows], predicted[each.rows]) for each in known]
    # the standard error of a score falls with the root of the rows: the others cannot differ beyond chance before these do
    strongest = sorted(range(len(known)), key=lambda k: -abs(own[k] - whole) * np.sqrt(len(known[k].rows)))[:_TESTED]
    errors = _errors([known[k] for k in strongest], problem.task.metric, rows, predicted, seed)
    wide = NormalDist().inv_cdf(1 - (1 - _LEVEL) / (2 * len(known)))
    found = []
    for k, error in zip(strongest, errors, strict=True):
        difference, reach, each = own[k] - whole, wide * error, known[k]
        if abs(difference) > reach:
            sums = None if expected is None else (float(expected[each.rows].sum()), float(label[each.rows].sum()))
            lead = ranged(difference, difference - reach, difference + reach)
            found.append(SegmentOutcome(each.column, each.value, len(each.rows), own[k], lead, *(sums or (None, None))))
    found.sort(key=lambda each: (-abs(each.difference.value or 0.0), each.column, each.value))
    return len(known), tuple(found)


def _errors(
    tested: list[_Segment], metric: Metric, rows: Rows, predicted: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Return the standard error of each segment's difference, shape (k,); nan, which nothing exceeds, where it is undefined."""
    label = np.empty(0) if rows.label is None else rows.label
    inside = np.zeros((len(tested), len(rows)), dtype=bool)
    for place, each in enumerate(tested):
        inside[place, each.rows] = True
    drawn, score_of = [], metric.score_of_rows(label, predicted)
    for draw in cluster_draws(clusters_of(rows), seed=seed, draws=_DRAWS):
        whole = score_of(draw)
        parts = [draw[mask[draw]] for mask in inside]
        drawn.append([metric.score(label[part], predicted[part]) - whole for part in parts])
    differences = np.array(drawn).reshape(-1, len(tested))
    defined = np.isfinite(differences)
    errors = [
        np.std(values[known], ddof=1) if known.sum() >= _FEWEST else np.nan
        for values, known in zip(differences.T, defined.T, strict=True)
    ]
    return np.array(errors)


def _segments(problem: Problem, rows: Rows) -> list[_Segment]:
    """Return the values of the first columns with few values that enough rows have; unknown entities are in none."""
    table = problem.database[problem.entity]
    later = {name for names in table.known_at.values() for name in names}
    inside = np.flatnonzero(rows.entity >= 0)
    found: list[_Segment] = []
    columns = 0
    for name in table.columns:
        if name in table.structural or name in later or is_nested(table.data.schema.field(name).type):
            continue
        code, values = as_strings(table.data[name].take(pa.array(rows.entity[inside])))
        sizes = np.bincount(code[code >= 0], minlength=len(values))
        many = np.flatnonzero(sizes >= _ROWS)
        if not 2 <= (sizes > 0).sum() <= _VALUES or not len(many):
            continue
        found += [_Segment(name, values[place], inside[code == place]) for place in many]
        columns += 1
        if columns == _COLUMNS:
            break
    return found
