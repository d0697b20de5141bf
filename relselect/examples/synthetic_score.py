"""The score of every person at every cutoff of a synthetic world, from the rows that are visible then.

Labels and noise are not drawn here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.examples.synthetic_spec import Pattern, SyntheticSpec
from relselect.examples.synthetic_world import SyntheticWorld

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["aggregates", "row_scores"]

_THRESHOLD, _BAND, _MONTH = 0.5, 0.674, 30.0


def row_scores(world: SyntheticWorld, spec: SyntheticSpec, days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scores, standardised at each cutoff, shape (cutoffs, people): columns a, b turned towards c, d by the drift."""
    first = _standard(aggregates(world, spec, days, "a", "b"))
    if not spec.drift:
        return first
    angle = spec.drift * np.pi / 2 * np.linspace(0.0, 1.0, len(days))[:, None]
    second = _standard(aggregates(world, spec, days, "c", "d"))
    return np.cos(angle) * first + np.sin(angle) * second


def aggregates(
    world: SyntheticWorld, spec: SyntheticSpec, days: NDArray[np.float64], column: str = "a", partner: str = "b"
) -> NDArray[np.float64]:
    """Return what a person's visible rows add up to at each cutoff, shape (cutoffs, people); 0 without such rows.

    Args:
        world: The rows.
        spec: The signal.
        days: The cutoffs in days, shape (cutoffs,).
        column: The column that the signal reads.
        partner: The column of its partner in the pattern "xor".
    """
    if spec.source == "peers":
        who, value, day = _of_peers(world, spec.pattern, column, partner)
        known = np.ones(len(who), dtype=np.bool_)
    else:
        value, known = _of_events(world, spec, column, partner)
        who, day = world.person, world.day
    found = np.stack([_at(who, value, known & (day <= cutoff), day, cutoff, spec, len(world.kin)) for cutoff in days])
    return found * np.sign(world.people[column]) if spec.pattern == "gate" else found


def _at(
    who: NDArray[np.int64],
    value: NDArray[np.float64],
    visible: NDArray[np.bool_],
    day: NDArray[np.float64],
    cutoff: float,
    spec: SyntheticSpec,
    people: int,
) -> NDArray[np.float64]:
    if spec.recency == "month":
        visible = visible & (day > cutoff - _MONTH)
    if spec.recency == "last":
        last = np.zeros(people)
        last[who[visible]] = value[visible]  # rows are in ascending order of days, and the last assignment stays
        return last
    sums = np.bincount(who[visible], value[visible], people).astype(np.float64)
    return sums if spec.aggregate == "sum" else sums / np.maximum(np.bincount(who[visible], minlength=people), 1)


def _of_peers(
    world: SyntheticWorld, pattern: Pattern, column: str, partner: str
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return person, value and day of each contact, once for each of the two people, by ascending day."""
    who = np.stack([world.one, world.other], axis=1).ravel()
    met = np.stack([world.other, world.one], axis=1).ravel()
    value = _value(world.people[column], pattern)[met]
    if pattern == "xor":
        value = value * np.sign(np.repeat(world.contacts[partner], 2))
    return who, value, np.repeat(world.met, 2)


def _of_events(
    world: SyntheticWorld, spec: SyntheticSpec, column: str, partner: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the value behind each event, and whether all foreign keys on the path to it are there."""
    top = spec.hops - 1
    value = _value(world.levels[top][column], spec.pattern)
    known = np.ones(len(value), dtype=np.bool_)
    if spec.pattern == "xor" and top == 0:
        return value * np.sign(world.levels[0][partner]), known
    for level in range(top - 1, -1, -1):
        value, known = _below(world, spec, level, value, known)
        if spec.pattern == "xor" and level == top - 1:
            value = value * np.sign(world.levels[level][partner])
    return value, known


def _below(
    world: SyntheticWorld, spec: SyntheticSpec, level: int, value: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the values of the rows of a level from those of the level above: the parent's, or the mean over the links."""
    parent = world.parents[level]
    if spec.bridge and level == 1:
        rows = len(world.levels[1]["a"])
        count = np.bincount(parent[known], minlength=rows)
        return np.bincount(parent[known], value[known], rows) / np.maximum(count, 1), count > 0
    linked = parent >= 0
    return np.where(linked, value[parent], 0.0), linked & known[parent]


def _value(column: NDArray[np.float64], pattern: Pattern) -> NDArray[np.float64]:
    if pattern == "threshold":
        return (column > _THRESHOLD).astype(np.float64)
    if pattern == "band":
        return (np.abs(column) < _BAND).astype(np.float64)
    return np.sign(column) if pattern == "xor" else column


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std(axis=1, keepdims=True)
    return (values - values.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
