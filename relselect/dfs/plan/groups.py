"""Groups features by where they read from, for summaries and for leaving out whole groups."""

from __future__ import annotations

from relselect.dfs.plan.feature import Feature
from relselect.problem import LABELS

__all__ = ["GROUPS", "group_of"]

#: All groups, those nearer to the entity first.
GROUPS = (
    "task row",
    "own columns",
    "columns of parents",
    "label history",
    "children",
    "label history of siblings",
    "other children of parents",
    "descendants",
    "parents of children",
    "nested",
    "ratios and differences",
)


def group_of(feature: Feature) -> str:
    """Return a feature's group, one of `GROUPS`, with "under a condition" added for conditional features.

    >>> from relselect.dfs.plan.feature import Aggregate, Hop
    >>> group_of(Feature(Aggregate.COUNT, (Hop("orders", "customer", True),)))
    'children'
    """
    group = _group(feature)
    return f"{group} under a condition" if feature.where is not None else group


def _group(feature: Feature) -> str:
    if feature.of_task_row:
        return "task row"
    if feature.operands:
        return "ratios and differences"
    up, down, then = feature.parts
    if not down:
        return "columns of parents" if up else "own columns"
    if feature.base is not None:
        return "nested"
    if down[-1].table == LABELS:
        return "label history" if len(feature.path) == 1 else "label history of siblings"
    if then:
        return "parents of children"
    if up:
        return "other children of parents"
    return "children" if len(down) == 1 else "descendants"
