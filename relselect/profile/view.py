"""Training rows in an order independent of storage, and the labels known by the end of training.

Every measure reads these two. Labels of validation and test are not in them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from relselect.database.clock import ticks_of
from relselect.database.columns import as_float, as_strings, combine_keys
from relselect.database.hashing import hashes_of, key_hashes
from relselect.problem import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.problem import Problem

__all__ = ["History", "View", "make_view"]

#: Above this many training rows, whole entities are sampled.
_MOST_ROWS = 500_000


@dataclass(frozen=True)
class History:
    """Labels known by the end of training, sorted by (rank of the entity, time known, cutoff, label).

    Attributes:
        entity: Row number of the entity, shape (m,).
        known: Time from which the label is known, ticks; shape (m,).
        cutoff: Cutoff of the label's task row, ticks; shape (m,).
        label: Value or class number, shape (m,).
        order: Rank per row of the entity table, by the hash of its key; shape (entities,).
    """

    entity: NDArray[np.int64]
    known: NDArray[np.int64]
    cutoff: NDArray[np.int64]
    label: NDArray[np.float64]
    order: NDArray[np.int64]

    def known_before(
        self, entity: NDArray[np.int64], asof: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the range of each entity's labels that are known at `asof`.

        Args:
            entity: Row number of the entity per query, shape (n,).
            asof: Time of each query, ticks; shape (n,).

        Returns:
            First place and place after the last, two arrays of shape (n,); equal where nothing is known.
        """
        moments = np.unique(self.known)
        stride = len(moments) + 1
        place = self.order[self.entity] * stride + np.searchsorted(moments, self.known)
        begin = np.searchsorted(place, self.order[entity] * stride)
        limit = np.searchsorted(moments, asof, side="right")
        return begin, np.searchsorted(place, self.order[entity] * stride + limit)


@dataclass(frozen=True)
class View:
    """The training rows of a problem, sorted by (hash of the entity's key, cutoff, asof, label).

    Attributes:
        problem: The problem.
        seed: Seed of all draws.
        entity: Row number of the entity, -1 where its row is not visible at the task row's `asof`; shape (n,).
        key: Hash of the entity's key, visible or not; shape (n,).
        cutoff: Ticks, shape (n,).
        asof: Ticks, shape (n,).
        label: Values or class numbers, shape (n,).
        known: Time from which the label is known, ticks; `NEVER` where that is not declared; shape (n,).
        number: Place among the rows of the training split, shape (n,).
        rows: Number of training rows before any sampling.
        history: Labels known by the end of training; None where the times at which labels are known are not declared.
    """

    problem: Problem
    seed: int
    entity: NDArray[np.int64]
    key: NDArray[np.uint64]
    cutoff: NDArray[np.int64]
    asof: NDArray[np.int64]
    label: NDArray[np.float64]
    known: NDArray[np.int64]
    number: NDArray[np.int64]
    rows: int
    history: History | None

    @property
    def classes(self) -> int:
        """Number of classes; 0 for regression."""
        if self.problem.task.kind == "regression":
            return 0
        return 2 if self.problem.task.kind == "binary" else len(self.problem.task.classes or ())

    @property
    def visible_entities(self) -> View:
        """The rows whose entity is visible at their `asof`; only these have a past and neighbours."""
        keep = self.entity >= 0
        if keep.all():
            return self
        names = ("entity", "key", "cutoff", "asof", "label", "known", "number")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})

    def __len__(self) -> int:
        return len(self.entity)


def make_view(problem: Problem, seed: int) -> View:
    """Return the view of a problem.

    Rows without a key are left out. Above 500,000 rows, whole entities are sampled by the hashes of their keys.

    Args:
        problem: The database and the task.
        seed: Seed of the draws that the measures make.
    """
    train, frame = problem.rows("train"), problem.task.splits["train"]
    keys = combine_keys(frame.keys.columns)
    number = np.flatnonzero(pc.is_valid(keys).to_numpy(zero_copy_only=False))
    key = hashes_of(keys)[number]
    if len(number) > _MOST_ROWS:
        keep = key < np.uint64(2**64 * (_MOST_ROWS / len(number)))
        number, key = number[keep], key[keep]
    label = np.asarray(train.label)[number]
    order = np.lexsort((label, train.asof[number], train.cutoff[number], key))
    number = number[order]
    return View(
        problem,
        seed,
        entity=train.entity[number],
        key=key[order],
        cutoff=train.cutoff[number],
        asof=train.asof[number],
        label=label[order],
        known=frame.known_at[number],
        number=number,
        rows=len(train),
        history=_history(problem) if LABELS in problem.database.tables else None,
    )


def _history(problem: Problem) -> History:
    database = problem.database
    known, entity = database.times(LABELS), database.parents(LABELS)[0]
    # an entity whose own row is later than training counts as unknown
    seen = np.append(problem.visible(problem.entity, problem.fit_asof), False)[entity]
    keep = seen & problem.visible(LABELS, problem.fit_asof)
    table = database[LABELS].data
    label = _labels(problem)[keep]
    cutoff, known, entity = ticks_of(table["cutoff"])[keep], known[keep], entity[keep]
    distinct = np.unique(entity)
    rank = np.argsort(np.argsort(key_hashes(database, problem.entity, distinct), kind="stable"), kind="stable")
    order = np.full(database[problem.entity].num_rows, len(distinct), dtype=np.int64)
    order[distinct] = rank
    sorting = np.lexsort((label, cutoff, known, order[entity]))
    return History(entity[sorting], known[sorting], cutoff[sorting], label[sorting], order)


def _labels(problem: Problem) -> NDArray[np.float64]:
    column = problem.database[LABELS].data["label"]
    if problem.task.kind != "multiclass":
        return as_float(column)
    codes, words = as_strings(column)
    place = {name: number for number, name in enumerate(problem.task.classes or ())}
    return np.array([place[word] for word in words], dtype=np.float64)[codes]
