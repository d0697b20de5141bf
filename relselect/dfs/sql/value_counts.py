"""What needs the number of rows of every value: the most frequent value, entropy, and how many values nested features take.

Rows are counted per value first, and the counts are aggregated: no function that some databases lack, and nothing that
has to hold all values of a group at once.
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
    source: VisibleRows, names: UniqueNames, asked: Sequence[tuple[str, Feature, ReadColumns]]
) -> list[tuple[str, exp.Select]]:
    """Return common table expressions; the last holds the features.

    Args:
        source: The rows.
        names: Gives names to common table expressions.
        asked: Names of features, the features, and what they read: all the same value.
    """
    value = asked[0][2].value[0]
    numbers = {name: f"n{place}" for place, (name, _, _) in enumerate(asked, start=1)}
    counts = [
        alias(source.dialect.count(source.when(read, feature.window)), numbers[name]) for name, feature, read in asked
    ]
    window = source.widest([(feature, read) for _, feature, read in asked])
    counted = names.new("counts")
    ids = [column(counted, key) for key in source.ids]
    tops: list[Node] = []
    for name, feature, _ in asked:
        if feature.aggregate == Aggregate.MODE:
            number = case((present(column(counted, value)), column(counted, numbers[name])))
            over = exp.Window(this=exp.Max(this=number), partition_by=[key.copy() for key in ids])
            tops.append(alias(over, f"top_{numbers[name]}"))
    everything = exp.Column(this=exp.Star(), table=exp.to_identifier(counted, quoted=True))
    marked = exp.select(everything, *tops, copy=False).from_(relation(counted), copy=False)
    features = [alias(_feature(source, feature, value, numbers[name]), name) for name, feature, _ in asked]
    result = exp.select(*(column("g", key) for key in source.ids), *features, copy=False)
    result = result.from_(inner(marked, "g"), copy=False)
    return [
        (counted, source.select(counts, window=window, by=[value])),
        (names.new("path"), result.group_by(*(column("g", key) for key in source.ids), copy=False)),
    ]


def _feature(source: VisibleRows, feature: Feature, value: str, number: str) -> Node:
    there = present(column("g", value))
    some = later(column("g", number), integer(0))
    rows = double(exp.Sum(this=column("g", number)))
    if feature.aggregate == Aggregate.MODE:
        frequent = equal(column("g", number), column("g", f"top_{number}"))
        least = source.dialect.collated(column("g", value))
        return source.dialect.aggregate(lambda node: exp.Min(this=node), least, every([there, some, frequent]))
    if feature.aggregate == Aggregate.NUM_UNIQUE:
        return case((later(rows, real(0)), double(source.dialect.count(every([there, some])))))
    n = double(column("g", number))
    weighted = exp.Sum(this=case((some, times(n, exp.Ln(this=n.copy()))), default=real(0)))
    total = exp.Nullif(this=rows, expression=real(0))
    spread = minus(exp.Ln(this=total), divided(weighted, total.copy()))
    # one value alone has entropy 0 to the last bit: a spread of such entropies would otherwise be one of rounding errors
    alone = equal(double(exp.Max(this=column("g", number))), total.copy())
    return case((alone, real(0)), default=spread)
