"""Whether the values of a column lie among the keys of a table, and how much that says.

That all values are among the keys says little where every number from 1 on is a key, and much where keys are rare among
the values that could be: the surprise is the information, in nats, of the share that was found over the share that
chance would find, n KL(share || density) for n distinct values (Sanov's exponent of that share under chance).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from relselect.proposal.facts import ColumnFacts, Facts

__all__ = ["Containment", "contained"]

#: Between these bounds a density is believed; beyond them it was estimated from too little.
_LEAST, _MOST = 1e-3, 1 - 1e-6
_SHAPES_SEEN = 200


@dataclass(frozen=True)
class Containment:
    """How the distinct values of a column lie among keys.

    Attributes:
        share: The share of the distinct values that are keys.
        coverage: The share of the keys that are referred to, at most.
        surprise: Nats; see the module.
        distinct: The number of distinct values.
    """

    share: float
    coverage: float
    surprise: float
    distinct: int


def contained(column: ColumnFacts, key: ColumnFacts, facts: Facts) -> Containment | None:
    """Return how the values of a column lie among those of a key; None where they cannot be compared.

    Args:
        column: The column that may refer.
        key: A key.
        facts: Remembers what was looked up.
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
    """Return the share of the whole numbers up to the largest value, from the smallest or 0, that are keys."""
    low, high = min(0, int(sample.min())), int(sample.max())
    inside = np.searchsorted(keys, high, side="right") - np.searchsorted(keys, low)
    return float(inside) / (float(high) - float(low) + 1)


def _density_of_texts(sample: Any, key: ColumnFacts, shapes: Counter[str]) -> float:
    """Return the mean share of the texts of a value's shape (letters, digits) that are keys."""
    scale = key.distinct / max(1, len(key.sample))
    few = sample[:_SHAPES_SEEN]
    return float(np.mean([min(1.0, shapes[shape] * scale / _size(shape)) for shape in map(_shape, few)]))


def _shapes(key: ColumnFacts, facts: Facts) -> Counter[str]:
    """Return how often each shape occurs among some of the keys."""
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
    """Return how many texts have a shape."""
    return math.prod({"9": 10.0, "a": 26.0, "A": 26.0}.get(sign, 1.0) for sign in shape)


def _divergence(share: float, density: float) -> float:
    """Return KL(share || density) in nats, 0 where the share is no larger than the density."""
    density = min(max(density, _LEAST), _MOST)
    if share <= density:
        return 0.0
    rest = 0.0 if share >= 1 else (1 - share) * math.log((1 - share) / (1 - density))
    return share * math.log(share / density) + rest
