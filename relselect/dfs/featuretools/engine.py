"""Computes a plan with featuretools where it can express the features, and with the prefix engine elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relselect.database.columns import as_strings
from relselect.dfs.featuretools.computing import compute_featuretools
from relselect.dfs.featuretools.entityset import entityset
from relselect.dfs.featuretools.writing import to_featuretools
from relselect.dfs.plan.feature import Feature
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import FeatureMatrix, compute

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["compute_plan", "encoded"]

Floats = NDArray[np.float64]


def compute_plan(
    problem: Problem, plan: Plan, rows: Rows, vocabulary: Vocabulary, check: Callable[[], None] = lambda: None
) -> tuple[FeatureMatrix, list[int]]:
    """Return the features of task rows, and the positions of those that featuretools computed.

    Args:
        problem: The problem.
        plan: k features.
        rows: n task rows.
        vocabulary: The categories.
        check: Called often; may raise to stop.
    """
    steps = (len(feature.tables) for feature in plan if not feature.operands)
    depth = min(3, max(steps, default=1) or 1)
    definitions = to_featuretools(plan.bound(problem), entityset(problem, depth))
    expressible = [place for place, definition in enumerate(definitions) if definition is not None]
    others = [place for place, definition in enumerate(definitions) if definition is None]
    values = np.full((len(rows), len(plan)), np.nan, order="F")
    if expressible:
        table = compute_featuretools(problem, [definitions[place] for place in expressible], rows, check)
        values[:, expressible] = encoded(table, plan.take(expressible), vocabulary).values
    if others:
        values[:, others] = compute(problem, plan.take(others), rows, vocabulary, check).values
    return FeatureMatrix(values, plan.names, tuple(feature.categorical for feature in plan)), expressible


def encoded(table: pa.Table, plan: Plan, vocabulary: Vocabulary) -> FeatureMatrix:
    """Return computed columns as the matrix of a plan's features, categories encoded by a vocabulary.

    Args:
        table: One column per feature, in the plan's order, n rows.
        plan: k features.
        vocabulary: The categories; values outside are missing.
    """
    columns = [
        _numbers(column, feature, plan.entity, vocabulary) for column, feature in zip(table.columns, plan, strict=True)
    ]
    values = np.asfortranarray(np.column_stack(columns)) if columns else np.empty((table.num_rows, 0))
    return FeatureMatrix(values, plan.names, tuple(feature.categorical for feature in plan))


def _numbers(column: pa.ChunkedArray, feature: Feature, entity: str, vocabulary: Vocabulary) -> Floats:
    if not feature.categorical:
        return np.asarray(column.to_numpy(), dtype=np.float64)
    codes, words = as_strings(column)
    return vocabulary.encode(feature.source(entity), codes.astype(np.float64), words)
