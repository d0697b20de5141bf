"""Finds single features that predict the training label almost perfectly.

Such a feature is more often written together with the label than known before it. The check does not combine features
and reads no label of validation or test. Where a label repeats itself (what a meter reads in a week), features that say what
was also say what comes: an earlier label, known by its date, is no leak, and what agrees with the label as well as that is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from relselect.database.columns import combine_keys
from relselect.database.hashing import hashes_of
from relselect.hashing import mix
from relselect.leaks.finding import Finding
from relselect.problem import LABELS
from relselect.tasks.ranking import auc, spearman

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from relselect.dfs.plan.feature import Feature
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["check_columns", "score_alone", "why_no_columns"]

#: Rows looked at, and features: those of up to one step.
_MOST_ROWS, _MOST_FEATURES, _LEAST_ROWS = 5_000, 150, 100
#: From this score on, a single feature is reported.
_TOO_GOOD = 0.95


def why_no_columns(problem: Problem) -> str | None:
    """Return why the check does not apply: too few training rows, or one label only; None where it does."""
    number, _ = _keyed_rows(problem)
    if len(number) < _LEAST_ROWS:
        return f"There are fewer than {_LEAST_ROWS} training rows."
    label = np.asarray(problem.rows("train").label)[number]
    return "All training rows have the same label." if len(np.unique(label)) < 2 else None


def check_columns(problem: Problem, seed: int, check: Callable[[], None]) -> list[Finding]:
    """Return the features of depth 0 and 1 that score at least 0.95 alone (see `score_alone`).

    At most 150 features of the default plan are scored, on at most 5,000 training rows. Features of earlier labels of the entity
    are not reported where all labels are known at the end of their horizon or later. With the best of these scores h, another
    feature is reported from max(0.95, 1 - (1 - h) / 2) on: where it leaves less than half of what the past leaves open.

    Args:
        problem: The database and the task, for which `why_no_columns` is None.
        seed: Seed of the sample of rows.
        check: Called between batches of work; raises where the time has ended.

    Raises:
        BudgetExhausted: Raised by `check`.
    """
    from relselect.dfs.plan.enumeration import default_plan
    from relselect.dfs.prefix.encoding import Vocabulary
    from relselect.dfs.prefix.matrix import compute

    rows, key = _sample(problem, seed)
    plan = default_plan(problem, depth=1, cap=_MOST_FEATURES)
    matrix = compute(problem, plan, rows, Vocabulary.fit(problem, plan), check)
    label, half = np.asarray(rows.label), mix(key, seed + 1) % np.uint64(2) == 0
    scores = [
        score_alone(matrix.values[:, place], label, _classes(problem), half if feature.categorical else None)
        for place, feature in enumerate(plan)
    ]
    past = [_reads_labels(feature) and _known_in_time(problem) for feature in plan]
    usual = max((score for (score, _), is_past in zip(scores, past, strict=True) if is_past), default=0.0)
    bar = max(_TOO_GOOD, 1 - (1 - usual) / 2)
    found = []
    for feature, (score, count), is_past in zip(plan, scores, past, strict=True):
        if score < bar or is_past:
            continue
        text = f"alone scores {score:.3f} on {count:,} training rows, where 1 is perfect"
        fix = "Check that it is known at the cutoff; if not, declare known_at or drop the column"
        found.append(Finding("near_perfect_feature", "warning", feature.name, text, fix))
    return found


def _reads_labels(feature: Feature) -> bool:
    return any(hop.table == LABELS for hop in feature.path)


def _known_in_time(problem: Problem) -> bool:
    """Whether every label is known at the end of its horizon or later, so that no label says what comes after a later cutoff."""
    frame, horizon = problem.task.splits["train"], problem.task.horizon
    return horizon is not None and bool((frame.known_at >= frame.cutoff + horizon).all())


def _keyed_rows(problem: Problem) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the places of the training rows that have a key, and the hashes of these keys; two arrays of shape (n,)."""
    keys = combine_keys(problem.task.splits["train"].keys.columns)
    number = np.flatnonzero(pc.is_valid(keys).to_numpy(zero_copy_only=False))
    return number, hashes_of(keys)[number]


def _sample(problem: Problem, seed: int) -> tuple[Rows, NDArray[np.uint64]]:
    """Return training rows drawn by a hash of key and cutoff, and the hashes of their keys; the order of rows is no matter."""
    number, key = _keyed_rows(problem)
    rows = problem.rows("train").take(number)
    order = np.lexsort((np.asarray(rows.label), rows.asof, mix(key, rows.cutoff, seed)))[:_MOST_ROWS]
    return rows.take(order), key[order]


def _classes(problem: Problem) -> int:
    """Return the number of classes; 0 for regression."""
    if problem.task.kind == "regression":
        return 0
    return 2 if problem.task.kind == "binary" else len(problem.task.classes or ())


def score_alone(
    values: NDArray[np.float64], label: NDArray[np.float64], classes: int, half: NDArray[np.bool_] | None
) -> tuple[float, int]:
    """Return how well one feature orders or separates labels, in [0, 1], and the number of rows that have a value.

    The score is |Spearman's rho| for regression and, for classes, sum_c p_c |2 AUC_c - 1|, where p_c is the share of class
    c and AUC_c the area under the ROC curve of class c against the rest (Mann and Whitney 1947). A category is replaced by
    the mean target of its rows in the other half, so that many rare categories score nothing by memory. Rows without a
    value are left out.

    Args:
        values: The feature, or category numbers, nan where missing; shape (n,).
        label: Values or class numbers, shape (n,).
        classes: Number of classes, 0 for regression.
        half: For categories, a split of the rows in two, shape (n,); None for numbers.

    Returns:
        The score, 0 with fewer than 100 values or where values or labels are constant, and the number of rows.

    >>> score, count = score_alone(np.arange(200.0), np.repeat([0.0, 1.0], 100), classes=2, half=None)
    >>> round(score, 6), count
    (1.0, 200)
    """
    present = ~np.isnan(values)
    values, label = values[present], label[present]
    if len(values) < _LEAST_ROWS or len(np.unique(values)) < 2 or len(np.unique(label)) < 2:
        return 0.0, len(values)
    half = None if half is None else half[present]
    if classes == 0:
        numbers = values if half is None else _encoded(values, label, half)
        return abs(spearman(numbers, label)), len(values)
    score = 0.0
    for number in range(classes):
        hit = (label == number).astype(np.float64)
        if 0 < hit.sum() < len(hit):
            numbers = values if half is None else _encoded(values, hit, half)
            score += hit.mean() * abs(2 * auc(hit, numbers) - 1)
    return float(score), len(values)


def _encoded(values: NDArray[np.float64], target: NDArray[np.float64], half: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each category's mean target in the other half of the rows, the overall mean where that half has none."""
    codes = values.astype(np.int64)
    size, out = int(codes.max()) + 1, np.empty(len(values))
    for side in (half, ~half):
        count = np.bincount(codes[side], minlength=size)
        total = np.bincount(codes[side], weights=target[side], minlength=size)
        mean = np.where(count > 0, total / np.maximum(count, 1), target.mean())
        out[~side] = mean[codes[~side]]
    return out
