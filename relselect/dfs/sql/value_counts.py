"""Aggregates of the number of rows of each value: mode, entropy, and distinct values of nested features.

Rows are counted per value first and the counts aggregated after. So no function is used that some databases lack, and none
that has to hold all values of a group at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.sql.names import UniqueNames
from relselect.dfs.sql.nodes import (
    Node,
    alias,
    case,
    column,
    divided,
    double,
    equal,
    every,
    inner,
    integer,
    later,
    minus,
    present,
    real,
    relation,
    times,
)
from relselect.dfs.sql.visible_rows import ReadColumns, VisibleRows

__all__ = ["value_counts"]


def value_counts(
    visible: VisibleRows, names: UniqueNames, requests: Sequence[tuple[str, Feature, ReadColumns]]
) -> list[tuple[str, exp.Select]]:
    """Return common table expressions; the last holds the features.

    Args:
        visible: The rows.
        names: Names common table expressions.
        requests: Column names, features and what they read, which is one and the same value for all of them.
    """
    value = requests[0][2].value[0]
    numbers = {name: f"n{place}" for place, (name, _, _) in enumerate(requests, start=1)}
    counts = [
        alias(visible.dialect.count(visible.when(read, feature.window)), numbers[name])
        for name, feature, read in requests
    ]
    window = visible.longest_window([(feature, read) for _, feature, read in requests])
    counted = names.new("counts")
    ids = [column(counted, key) for key in visible.ids]
    tops: list[Node] = []
    for name, feature, _ in requests:
        if feature.aggregate == Aggregate.MODE:
            number = case((present(column(counted, value)), column(counted, numbers[name])))
            over = exp.Window(this=exp.Max(this=number), partition_by=[key.copy() for key in ids])
            tops.append(alias(over, f"top_{numbers[name]}"))
    everything = exp.Column(this=exp.Star(), table=exp.to_identifier(counted, quoted=True))
    marked = exp.select(everything, *tops, copy=False).from_(relation(counted), copy=False)
    features = [alias(_feature(visible, feature, value, numbers[name]), name) for name, feature, _ in requests]
    result = exp.select(*(column("g", key) for key in visible.ids), *features, copy=False)
    result = result.from_(inner(marked, "g"), copy=False)
    return [
        (counted, visible.select(counts, window=window, by=[value])),
        (names.new("path"), result.group_by(*(column("g", key) for key in visible.ids), copy=False)),
    ]


def _feature(visible: VisibleRows, feature: Feature, value: str, number: str) -> Node:
    there = present(column("g", value))
    some = later(column("g", number), integer(0))
    rows = double(exp.Sum(this=column("g", number)))
    if feature.aggregate == Aggregate.MODE:
        frequent = equal(column("g", number), column("g", f"top_{number}"))
        least = visible.dialect.collated(column("g", value))
        return visible.dialect.aggregate(lambda node: exp.Min(this=node), least, every([there, some, frequent]))
    if feature.aggregate == Aggregate.NUM_UNIQUE:
        return case((later(rows, real(0)), double(visible.dialect.count(every([there, some])))))
    n = double(column("g", number))
    weighted = exp.Sum(this=case((some, times(n, exp.Ln(this=n.copy()))), default=real(0)))
    total = exp.Nullif(this=rows, expression=real(0))
    spread = minus(exp.Ln(this=total), divided(weighted, total.copy()))
    # A single value has entropy exactly 0: the deviation of many such entropies must not be one of rounding errors.
    alone = equal(double(exp.Max(this=column("g", number))), total.copy())
    return case((alone, real(0)), default=spread)
