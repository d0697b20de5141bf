"""Divides the validation rows: *stop* rows end training, *select* rows choose and carry the reported score.

A score on rows that also ended the training is too good, and more so for networks, which look at them after every epoch,
than for trees. Nothing here trains or scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from relselect.database.clock import NEVER
from relselect.database.columns import combine_keys
from relselect.database.hashing import hashes_of
from relselect.errors import ConfigError
from relselect.hashing import mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.problem.problem import Problem

__all__ = ["MIN_ROWS", "ValidationSplit", "ValidationWay", "split_validation"]

#: How validation rows are divided: by alternating cutoffs, by a hash of the entity, not at all with the last train cutoffs
#: as stop rows, or not at all with all of them in both roles.
ValidationWay = Literal["cutoffs", "entities", "train_tail", "shared"]
#: Fewest validation rows that are divided.
MIN_ROWS = 100
#: Fewest cutoffs that are divided by alternation.
_MIN_CUTOFFS = 4
#: Part of the training rows that the last train cutoffs hold when they are the stop rows.
_TAIL = 0.12


@dataclass(frozen=True)
class ValidationSplit:
    """Which rows stop and which select.

    Attributes:
        way: How the rows were divided.
        stop: Places of the stop rows, among the training rows for "train_tail", else among the validation rows.
        select: Places of the select rows among the validation rows.
        train: Places of the training rows that train; None for all.
        why: The reason in one sentence.
    """

    way: ValidationWay
    stop: NDArray[np.int64]
    select: NDArray[np.int64]
    train: NDArray[np.int64] | None
    why: str

    @property
    def shared(self) -> bool:
        """Whether the rows that end training also carry the reported score."""
        return self.way == "shared"


def split_validation(problem: Problem, way: ValidationWay | Literal["auto"] = "auto") -> ValidationSplit:
    """Divide the validation rows of a problem.

    "auto" alternates cutoffs where there are four or more, the last one among the select rows, and divides by a hash of the
    entity elsewhere. Where that leaves fewer than 100 rows to divide, or a half with one class, all rows have both roles. The
    division depends on the rows' keys and cutoffs alone, never on their order or on a seed.

    Args:
        problem: The problem.
        way: How to divide.

    Raises:
        ConfigError: There is no such way.
    """
    if way != "auto" and way not in get_args(ValidationWay):
        raise ConfigError("validation", way, "is no way", f"Use one of: auto, {', '.join(get_args(ValidationWay))}")
    rows = problem.rows("val")
    everything = np.arange(len(rows))
    if way == "shared":
        return ValidationSplit("shared", everything, everything, None, "All validation rows have both roles, as asked.")
    if way == "train_tail":
        return _by_train_tail(problem, everything)
    if len(rows) < MIN_ROWS:
        why = f"{len(rows)} validation rows are too few to divide (fewer than {MIN_ROWS}): all have both roles."
        return ValidationSplit("shared", everything, everything, None, why)
    dates = np.unique(rows.cutoff)
    if way == "cutoffs" or (way == "auto" and not problem.task.static and len(dates) >= _MIN_CUTOFFS):
        stops = (len(dates) - np.searchsorted(dates, rows.cutoff)) % 2 == 0
        found = _halves(
            "cutoffs", stops, f"The {len(dates)} validation cutoffs alternate between stop and select rows."
        )
        if way == "cutoffs" or _usable(problem, found):
            return found
    stops = (mix(_key_hashes(problem)) & np.uint64(1)).astype(bool)
    found = _halves("entities", stops, "The validation rows are divided by a hash of their entity.")
    if way == "entities" or _usable(problem, found):
        return found
    why = "A half of the validation rows would hold a single class: all rows have both roles."
    return ValidationSplit("shared", everything, everything, None, why)


def _halves(way: ValidationWay, stops: NDArray[np.bool_], why: str) -> ValidationSplit:
    return ValidationSplit(way, np.flatnonzero(stops), np.flatnonzero(~stops), None, why)


def _key_hashes(problem: Problem) -> NDArray[np.uint64]:
    """Return a hash of each validation row's entity key, shape (n,)."""
    keys = problem.task.splits["val"].keys
    return hashes_of(combine_keys([keys[name] for name in keys.column_names]))


def _usable(problem: Problem, found: ValidationSplit) -> bool:
    """Whether both halves hold a third of the rows or more and, in a classification, two classes or more."""
    label, smallest = problem.rows("val").label, MIN_ROWS // 3
    halves = (found.stop, found.select)
    if label is None or min(len(half) for half in halves) < smallest:
        return False
    return problem.task.kind == "regression" or all(len(np.unique(label[half])) > 1 for half in halves)


def _by_train_tail(problem: Problem, everything: NDArray[np.int64]) -> ValidationSplit:
    """Stop on the last train cutoffs; training rows whose label is known only after the first of these are left out."""
    rows, known = problem.rows("train"), problem.task.splits["train"].known_at
    if problem.task.static:
        keys = problem.task.splits["train"].keys
        late = (
            mix(hashes_of(combine_keys([keys[name] for name in keys.column_names]))) % np.uint64(round(1 / _TAIL)) == 0
        )
        stay = ~late
    else:
        dates, counts = np.unique(rows.cutoff, return_counts=True)
        behind = np.cumsum(counts[::-1])
        start = dates[-1 - int(np.searchsorted(behind, min(_TAIL * len(rows), behind[-1])))]
        late = rows.cutoff >= start
        stay = ~late & ((known <= start) | (known == NEVER))
    why = "Training stops on the last train cutoffs; all validation rows select."
    return ValidationSplit("train_tail", np.flatnonzero(late), everything, np.flatnonzero(stay), why)
