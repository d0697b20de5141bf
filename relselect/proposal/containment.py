"""Measures whether the values of a column are among the keys of a table, and how improbable that is by chance.

Which columns are foreign keys is decided in `relselect.proposal.references`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from relselect.proposal.facts import ColumnFacts, Facts

__all__ = ["Containment", "contained"]

#: Densities are clipped to these bounds; more extreme estimates rest on too few values.
_LEAST, _MOST = 1e-3, 1 - 1e-6
_SHAPES_SEEN = 200


@dataclass(frozen=True)
class Containment:
    """Overlap of the distinct values of a column with the keys of a table.

    If keys are dense among the possible values (every integer from 1 on), a complete overlap is no evidence; if keys are
    rare, it is strong evidence. The surprise measures this::

        surprise = n * KL(share || density)
        KL(s || d) = s ln(s / d) + (1 - s) ln((1 - s) / (1 - d)), and 0 for s <= d

    with n the distinct values looked up and `density` the share of keys among the possible values: of integers, those
    from min(0, smallest value) to the largest; of texts, those with the same pattern of digits and letters. By the
    Chernoff-Hoeffding bound, n values drawn at random have such a share with a probability of at most exp(-surprise).

    Attributes:
        share: The share of the distinct values that are keys, from 0 to 1.
        coverage: An upper bound of the share of the keys that occur in the column, from 0 to 1.
        surprise: In nats, from 0.
        distinct: The number of distinct values.

    Of the integers from 0 to 9 three are keys, so two values that are both keys have a surprise of 2 ln(10 / 3):

    >>> import pyarrow as pa
    >>> from relselect.proposal.facts import facts_of
    >>> facts = facts_of({"users": pa.table({"id": [3, 6, 9]}), "orders": pa.table({"buyer": [3, 9, 9]})})
    >>> found = contained(facts.tables["orders"].columns["buyer"], facts.tables["users"].columns["id"], facts)
    >>> found.share, round(found.coverage, 3), round(found.surprise, 3), found.distinct
    (1.0, 0.667, 2.408, 2)
    """

    share: float
    coverage: float
    surprise: float
    distinct: int


def contained(column: ColumnFacts, key: ColumnFacts, facts: Facts) -> Containment | None:
    """Return the overlap of a column's values with a key; None where their types cannot be compared.

    Args:
        column: The column that may refer.
        key: A key.
        facts: Caches what was looked up.
    """
    if column.kind != key.kind or column.kind not in ("integer", "text") or column.family != key.family:
        return None
    place = ("contained", column.table, column.name, key.table, key.name)
    if place not in facts.cache:
        shapes = _shapes(key, facts) if key.kind == "text" else Counter[str]()
        facts.cache[place] = _look_up(column, key, shapes)
    found: Containment | None = facts.cache[place]
    return found


def _look_up(column: ColumnFacts, key: ColumnFacts, shapes: Counter[str]) -> Containment | None:
    sample = column.sample
    if len(sample) == 0 or key.present == 0:
        return None
    numbers = column.kind == "integer"
    hits = _hits_in_numbers(sample, key.keys) if numbers else _hits_in_texts(sample, key.keys)
    density = _density_of_numbers(sample, key.keys) if numbers else _density_of_texts(sample, key, shapes)
    share = float(hits) / len(sample)
    coverage = min(1.0, share * column.distinct / max(1, key.distinct))
    return Containment(share, coverage, len(sample) * _divergence(share, density), column.distinct)


def _hits_in_numbers(sample: Any, keys: Any) -> int:
    places = np.searchsorted(keys, sample)
    return int((keys[np.minimum(places, len(keys) - 1)] == sample).sum())


def _hits_in_texts(sample: Any, keys: Any) -> int:
    return sum(value in keys for value in sample)


def _density_of_numbers(sample: Any, keys: Any) -> float:
    """Return the share of keys among the integers from min(0, smallest value) to the largest value."""
    low, high = min(0, int(sample.min())), int(sample.max())
    inside = np.searchsorted(keys, high, side="right") - np.searchsorted(keys, low)
    return float(inside) / (float(high) - float(low) + 1)


def _density_of_texts(sample: Any, key: ColumnFacts, shapes: Counter[str]) -> float:
    """Return the mean, over values, of the share of keys among all texts of the value's shape (letters, digits)."""
    scale = key.distinct / max(1, len(key.sample))
    few = sample[:_SHAPES_SEEN]
    return float(np.mean([min(1.0, shapes[shape] * scale / _size(shape)) for shape in map(_shape, few)]))


def _shapes(key: ColumnFacts, facts: Facts) -> Counter[str]:
    """Return shape -> number of sampled keys of that shape."""
    place = ("shapes", key.table, key.name)
    if place not in facts.cache:
        facts.cache[place] = Counter(_shape(text) for text in key.sample)
    found: Counter[str] = facts.cache[place]
    return found


def _shape(text: str) -> str:
    kinds = (
        "9" if sign.isdigit() else "a" if sign.islower() else "A" if sign.isupper() else sign for sign in text[:24]
    )
    return "".join(kinds)


def _size(shape: str) -> float:
    """Return the number of texts of a shape."""
    return math.prod({"9": 10.0, "a": 26.0, "A": 26.0}.get(sign, 1.0) for sign in shape)


def _divergence(share: float, density: float) -> float:
    """Return KL(share || density) in nats, 0 where the share is no larger than the density."""
    density = min(max(density, _LEAST), _MOST)
    if share <= density:
        return 0.0
    rest = 0.0 if share >= 1 else (1 - share) * math.log((1 - share) / (1 - density))
    return share * math.log(share / density) + rest
