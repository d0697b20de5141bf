"""Enumerates a problem's features with `featuretools.dfs`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import featuretools as ft
from featuretools.feature_base import IdentityFeature
from featuretools.primitives import AggregationPrimitive, Count, TransformPrimitive
from featuretools.primitives.utils import get_aggregation_primitives, get_transform_primitives

from relselect.dfs.featuretools.delayed import dependencies
from relselect.dfs.featuretools.entityset import entityset
from relselect.dfs.plan.column_facts import conditions_of
from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["PRIMITIVES", "enumerate_featuretools"]

#: The primitives whose features a plan can express.
PRIMITIVES = (
    "count", "sum", "mean", "std", "skew", "min", "max", "median", "trend", "first", "last", "num_unique", "mode",
    "entropy", "percent_true", "num_true", "time_since_last", "time_since_first", "avg_time_between",
)  # fmt: skip
#: Values per column that become conditions.
_VALUES = 2


def enumerate_featuretools(
    problem: Problem,
    depth: int = 2,
    primitives: Sequence[Any] = PRIMITIVES,
    *,
    where: Sequence[Any] = (),
    max_features: int = -1,
) -> list[Any]:
    """Return featuretools' definitions for a problem; rows are read only to find frequent values for conditions.

    Args:
        problem: The problem.
        depth: Steps from the entity at most, and levels of nesting at most.
        primitives: Names, classes or instances of primitives, aggregations and transforms together.
        where: Aggregations that are also made under conditions, on the two most frequent values of each column.
        max_features: Definitions at most; -1 for all.

    Raises:
        ConfigError: A primitive is unknown, or the depth is not supported.
    """
    aggregations, transforms = _sorted(primitives)
    target = entityset(problem, depth)
    if where:
        _mark_values(problem, target)
    loud = logging.getLogger("featuretools").level
    logging.getLogger("featuretools").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ft.dfs(
                entityset=target,
                target_dataframe_name=problem.entity,
                agg_primitives=aggregations,
                trans_primitives=transforms,
                where_primitives=list(where),
                max_depth=depth,
                max_features=max_features,
                features_only=True,
            )
    finally:
        logging.getLogger("featuretools").setLevel(loud)
    return [definition for definition in found if not any(map(_reads_structure, dependencies(definition)))]


def _reads_structure(definition: Any) -> bool:
    """Whether a definition reads a row number, a reference or a hidden clock as if it were a value."""
    if type(definition) is IdentityFeature:
        return False
    columns = [base for base in definition.base_features if type(base) is IdentityFeature]
    keys = [base for base in columns if base.column_schema.semantic_tags & {"index", "foreign_key"}]
    hidden = [base for base in columns if base.column_name.startswith("__")]
    counted = isinstance(definition.primitive, Count) and not any(
        "index" not in k.column_schema.semantic_tags for k in keys
    )
    return bool(keys or hidden) and not counted


def _sorted(primitives: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return the aggregation primitives and the transform primitives."""
    aggregations, transforms, unknown = [], [], []
    of_rows, of_values = get_aggregation_primitives(), get_transform_primitives()
    for primitive in primitives:
        name = primitive.lower() if isinstance(primitive, str) else None
        kind = primitive if isinstance(primitive, type) else type(primitive)
        if name in of_rows or (name is None and issubclass(kind, AggregationPrimitive)):
            aggregations.append(name or primitive)
        elif name in of_values or (name is None and issubclass(kind, TransformPrimitive)):
            transforms.append(name or primitive)
        else:
            unknown.append(primitive)
    if unknown:
        fix = "Give names from featuretools.list_primitives(), or primitive classes"
        raise ConfigError("primitives", unknown, "are no featuretools primitives", fix)
    return aggregations, transforms


def _mark_values(problem: Problem, target: Any) -> None:
    """Set the interesting values of dataframes to the frequent values of their columns."""
    from relselect.dfs.featuretools.layout import TABLE
    from relselect.dfs.featuretools.writing import typed

    for frame in target.dataframes:
        values: dict[str, list[Any]] = {}
        for column, word in conditions_of(problem, frame.ww.metadata[TABLE], _VALUES):
            if column in frame.ww.logical_types:
                values.setdefault(column, []).append(typed(word, str(frame.ww.logical_types[column])))
        target.add_interesting_values(dataframe_name=frame.ww.name, values=values)
