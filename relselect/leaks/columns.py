"""Single columns and features that tell the label almost alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.hashing import mix, smallest
from relselect.leaks.finding import Finding
from relselect.tasks.ranking import auc, spearman

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.profile.view import View

__all__ = ["check_columns", "score_alone"]

#: Rows looked at, and features: those of up to one step.
_MOST_ROWS, _MOST_FEATURES, _LEAST_ROWS = 5_000, 150, 100
#: Above this, a single feature is too good to be history.
_TOO_GOOD = 0.95


def check_columns(view: View) -> list[Finding]:
    """Return the features of up to one step that alone order or separate the training labels almost perfectly.

    The score is |2*AUC - 1| for classes (one against the rest, the mean over classes weighted by their shares) and
    |Spearman's correlation| for regression; categories stand for their mean label, learnt on the other half of the
    rows. A feature that is missing for most rows is judged on the others.
    """
    from relselect.dfs.plan.enumeration import default_plan
    from relselect.dfs.prefix.encoding import Vocabulary
    from relselect.dfs.prefix.matrix import compute

    problem = view.problem
    if len(view) < _LEAST_ROWS or len(np.unique(view.label)) < 2:
        return []
    order = smallest(mix(view.key, view.cutoff, view.seed), _MOST_ROWS)
    plan = default_plan(problem, depth=1, cap=_MOST_FEATURES)
    rows = problem.rows("train").take(view.number[order])
    matrix = compute(problem, plan, rows, Vocabulary.fit(problem, plan))
    label, half = view.label[order], mix(view.key[order], view.seed + 1) % np.uint64(2) == 0
    found = []
    for place, feature in enumerate(plan):
        score, count = score_alone(matrix.values[:, place], label, view.classes, half if feature.categorical else None)
        if score < _TOO_GOOD:
            continue
        text = f"alone scores {score:.3f} on {count:,} training rows, where 1 is perfect"
        fix = "Check that it is known at the cutoff; if not, declare known_at or drop the column"
        found.append(Finding("near_perfect_feature", "warning", feature.name, text, fix))
    return found


def score_alone(
    values: NDArray[np.float64], label: NDArray[np.float64], classes: int, half: NDArray[np.bool_] | None
) -> tuple[float, int]:
    """Return how well one feature orders labels, in [0, 1], and on how many rows that was seen.

    Args:
        values: Shape (n,), nan where missing.
        label: Values or class numbers, shape (n,).
        classes: Number of classes, 0 for regression.
        half: For categories, a split of the rows in two; None for numbers.
    """
    present = ~np.isnan(values)
    values, label = values[present], label[present]
    if len(values) < _LEAST_ROWS or len(np.unique(values)) < 2 or len(np.unique(label)) < 2:
        return 0.0, len(values)
    half = None if half is None else half[present]
    if classes == 0:
        told = values if half is None else _encoded(values, label, half)
        return abs(spearman(told, label)), len(values)
    score = 0.0
    for number in range(classes):
        hit = (label == number).astype(np.float64)
        if 0 < hit.sum() < len(hit):
            told = values if half is None else _encoded(values, hit, half)
            score += hit.mean() * abs(2 * auc(hit, told) - 1)
    return score, len(values)


def _encoded(values: NDArray[np.float64], target: NDArray[np.float64], half: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each category's mean target in the other half of the rows, the overall mean where there is none."""
    codes = values.astype(np.int64)
    size, out = int(codes.max()) + 1, np.empty(len(values))
    for side in (half, ~half):
        count = np.bincount(codes[side], minlength=size)
        total = np.bincount(codes[side], weights=target[side], minlength=size)
        mean = np.where(count > 0, total / np.maximum(count, 1), target.mean())
        out[~side] = mean[codes[~side]]
    return out
