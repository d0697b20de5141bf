"""What every measure looks at: train rows in an order of their own, and the labels known by the end of training."""

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

#: Above this many train rows the label measures look at a sample of whole entities.
_MOST_ROWS = 500_000


@dataclass(frozen=True)
class History:
    """Labels known by the end of training, sorted by (entity, when known, cutoff, label).

    Attributes:
        entity: Entity row numbers, shape (m,).
        known: When the label was known, ticks.
        cutoff: Its row's cutoff, ticks.
        label: Values or class numbers.
        order: entity row number -> rank of the entity, which sorts `entity`.
    """

    entity: NDArray[np.int64]
    known: NDArray[np.int64]
    cutoff: NDArray[np.int64]
    label: NDArray[np.float64]
    order: NDArray[np.int64]

    def known_before(
        self, entity: NDArray[np.int64], asof: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the labels of each entity known by `asof` begin and end, two arrays of shape (n,)."""
        moments = np.unique(self.known)
        stride = len(moments) + 1
        place = self.order[self.entity] * stride + np.searchsorted(moments, self.known)
        begin = np.searchsorted(place, self.order[entity] * stride)
        limit = np.searchsorted(moments, asof, side="right")
        return begin, np.searchsorted(place, self.order[entity] * stride + limit)


@dataclass(frozen=True)
class View:
    """The train rows of a problem, in an order that depends on keys, dates and labels only.

    Attributes:
        problem: The problem.
        seed: Seed of all draws.
        entity: Entity row number of each train row, -1 where its row is not there yet at the row's `asof`; shape (n,).
        key: Hash of the entity's key, also of one that is not there yet; shape (n,).
        cutoff: Ticks, shape (n,).
        asof: Ticks, shape (n,).
        label: Values or class numbers, shape (n,).
        known: When the label is known, ticks, `NEVER` where nobody says; shape (n,).
        number: Place among the rows of the training split, shape (n,).
        rows: Number of train rows before any sampling.
        history: Labels known by the end of training; None where it is not known when they are known.
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
    def there(self) -> View:
        """The rows about entities whose own row is visible: those that have a past and neighbours."""
        keep = self.entity >= 0
        if keep.all():
            return self
        names = ("entity", "key", "cutoff", "asof", "label", "known", "number")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})

    def __len__(self) -> int:
        return len(self.entity)


def make_view(problem: Problem, seed: int) -> View:
    """Return the view of a problem; rows without a key are left out."""
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
    # An entity whose own row comes after training looks like one that is not there.
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
