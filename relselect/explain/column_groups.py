"""Groups columns of a table that say nearly the same, so that they are withheld together and listed once.

Withholding one of two copies changes nothing, as the model reads the other: importance by ablation must take both away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database import SemanticType
from relselect.database.columns import as_float, as_strings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.problem import Problem

__all__ = ["column_groups"]

#: Rows that are compared, and rows with both values that a comparison of numbers needs.
_ROWS, _FEWEST = 4_000, 20
#: Two columns are near duplicates from this rank correlation, or this share of common information, on.
_CORRELATION, _INFORMATION = 0.98, 0.95
_NUMERIC = (SemanticType.NUMERICAL, SemanticType.TIMESTAMP)


def column_groups(problem: Problem, table: str, columns: Sequence[str], *, seed: int = 0) -> list[tuple[str, ...]]:
    """Return the columns in groups of near duplicates, in the order of the first of each group.

    Two numeric columns are near duplicates where their rank correlation is at least 0.98 in size and they are missing in the
    same rows (95 % of them); two others where their mutual information is at least 0.95 of the larger entropy. A column joins the
    first group whose first column it duplicates. Rows that are not visible at the end of training are not looked at.

    Args:
        problem: The problem.
        table: The table.
        columns: Names of its columns.
        seed: Seed of the sample of rows.
    """
    rows = np.flatnonzero(problem.visible(table, problem.fit_asof))
    if len(rows) > _ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, size=_ROWS, replace=False))
    data = problem.database[table].data.select(list(columns)).take(pa.array(rows))
    groups: list[list[str]] = []
    read: dict[str, tuple[bool, NDArray[np.float64]]] = {}
    for name in columns:
        numeric = problem.types[table].get(name) in _NUMERIC if table in problem.types else False
        read[name] = numeric, as_float(data[name]) if numeric else as_strings(data[name])[0].astype(np.float64)
        same = next((group for group in groups if _duplicates(read[group[0]], read[name])), None)
        if same is None:
            groups.append([name])
        else:
            same.append(name)
    return [tuple(group) for group in groups]


def _duplicates(first: tuple[bool, NDArray[np.float64]], second: tuple[bool, NDArray[np.float64]]) -> bool:
    (numeric, one), (also, other) = first, second
    return _correlated(one, other) if numeric and also else _informed(one, other)


def _correlated(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    both = ~np.isnan(one) & ~np.isnan(other)
    if both.sum() < _FEWEST or (np.isnan(one) != np.isnan(other)).mean() > 0.05:
        return False
    ranks = [np.unique(values[both], return_inverse=True)[1].astype(np.float64) for values in (one, other)]
    if min(values.std() for values in ranks) == 0:
        return False
    return bool(abs(np.corrcoef(ranks[0], ranks[1])[0, 1]) >= _CORRELATION)


def _informed(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two columns, as codes, share nearly all information; columns with a value of its own in most rows never do."""
    codes = [np.unique(np.nan_to_num(values, nan=-1.0), return_inverse=True)[1] for values in (one, other)]
    sizes = [int(values.max(initial=0)) + 1 for values in codes]
    if len(one) < _FEWEST or min(sizes) < 2 or max(sizes) > len(one) / 2:
        return False
    joint = np.unique(codes[0] * sizes[1] + codes[1], return_counts=True)[1]
    entropies = [_entropy(np.bincount(values)) for values in codes]
    return bool(sum(entropies) - _entropy(joint) >= _INFORMATION * max(entropies))


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
