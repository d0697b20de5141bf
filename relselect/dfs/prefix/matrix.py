"""Computes a plan's features for task rows with the prefix engine, on several threads.

A column is read in one pass, whatever the number of windows and aggregates. Ages and times since are in days (units in an
integer-time database) and count back from the cutoff. Features are neither chosen nor judged here.

The work is divided into pieces: a few columns of one set of rows, for a range of task rows. A piece needs memory for the
rows of the tables it reads and for its range, beside the finished matrix.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.task_row import task_row_values
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.reader import PrefixReader, at_a_time, families, grouped
from relselect.threads import openmp_threads

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["FeatureMatrix", "blocks", "combined", "compute"]

Floats = NDArray[np.float64]

_MAX_THREADS = 8
#: Task rows per piece; see `at_a_time`.
SLICE = 250_000
#: Nested features are divided among threads down to pieces of so many task rows.
_WORTH = 4_096
#: Columns per piece: they share the ranges of their task rows, and enough pieces are left for every thread.
_COLUMNS = 8
#: Seconds between two calls of `check` and `progress` while threads are at work.
_PATIENCE = 0.1


@dataclass(frozen=True)
class FeatureMatrix:
    """Features of n task rows.

    Attributes:
        values: float64 of shape (n, k), column-major; nan is missing, categories are numbers of a vocabulary.
        names: The features' names, k of them.
        categorical: Which columns hold categories, k flags.
    """

    values: Floats
    names: tuple[str, ...]
    categorical: tuple[bool, ...]

    def take(self, places: Sequence[int]) -> FeatureMatrix:
        """Return the matrix with only the columns at these positions, in this order."""
        return FeatureMatrix(
            np.asfortranarray(self.values[:, list(places)]),
            tuple(self.names[place] for place in places),
            tuple(self.categorical[place] for place in places),
        )


def compute(
    problem: Problem,
    plan: Plan,
    rows: Rows,
    vocabulary: Vocabulary,
    check: Callable[[], None] = lambda: None,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureMatrix:
    """Return the features of task rows; the number of threads changes no bit of them.

    Args:
        problem: Supplies the database; sorted structures stay in its cache.
        plan: k features.
        rows: n task rows.
        vocabulary: The categories, as fitted.
        check: Called at least every 0.1 s, from the calling thread; may raise to stop.
        threads: Threads at most; None for the cores this process may use, at most 8.
        progress: Called with the cells done and all cells, as often as `check`, from the calling thread.

    Raises:
        TaskError: A declared task-row feature has another type than in training.
    """
    work = _Computation(problem, plan, rows, vocabulary)
    work.run(_cores() if threads is None else max(1, threads), check, progress or (lambda done, cells: None))
    values = work.values[:, : len(plan)]
    return FeatureMatrix(values, plan.names, tuple(feature.categorical for feature in plan))


def combined(aggregate: Aggregate, first: Floats, second: Floats) -> Floats:
    """Return the ratio or the difference of two features, shape (n,); missing where an operand is, or the divisor is 0.

    >>> combined(Aggregate.RATIO, np.array([1.0, 1.0, np.nan]), np.array([4.0, 0.0, 2.0]))
    array([0.25,  nan,  nan])
    """
    if aggregate == Aggregate.DIFFERENCE:
        return np.asarray(first - second)
    with np.errstate(over="ignore"):
        found = np.divide(first, second, out=np.full(len(first), np.nan), where=second != 0)
    found[np.isinf(found)] = np.nan
    return found


def blocks(
    problem: Problem,
    plan: Plan,
    rows: Rows,
    vocabulary: Vocabulary,
    size: int,
    *,
    check: Callable[[], None] = lambda: None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[FeatureMatrix]:
    """Yield the features of `size` task rows at a time, where the whole matrix would not fit into memory.

    Args:
        problem: As for `compute`.
        plan: k features.
        rows: n task rows.
        vocabulary: The categories.
        size: Rows per block; every block costs a pass over the tables.
        check: As for `compute`.
        threads: As for `compute`.
        progress: Called with the cells done and all cells, those of all blocks.
    """
    size = max(1, size)
    for start in range(0, len(rows), size):
        shifted = None if progress is None else _shifted(progress, start * len(plan), len(rows) * len(plan))
        part = rows.take(slice(start, start + size))
        yield compute(problem, plan, part, vocabulary, check, threads=threads, progress=shifted)


def _shifted(progress: Callable[[int, int], None], before: int, cells: int) -> Callable[[int, int], None]:
    return lambda done, of: progress(before + done, cells)


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return openmp_threads(min(cores, _MAX_THREADS))


class _Stopped(Exception):
    """Ends a thread after another failed or the caller stopped."""


@dataclass(frozen=True)
class _Piece:
    """Groups of features (positions in the plan, see `grouped`) for a range of task rows."""

    groups: list[list[int]]
    part: slice


class _Computation:
    """Fills a matrix piece by piece.

    The matrix has a column per feature of the plan, and behind them one for each operand of a ratio or difference that is no
    feature of the plan itself. Ratios and differences are taken from these columns at the end.
    """

    def __init__(self, problem: Problem, plan: Plan, rows: Rows, vocabulary: Vocabulary) -> None:
        self.problem, self.rows, self.vocabulary = problem, rows, vocabulary
        self.wanted = len(plan)
        operands = dict.fromkeys(each for feature in plan for each in feature.operands)
        known = set(plan.features)
        self.features = [*plan.features, *(each for each in operands if each not in known)]
        self.values: Floats = np.empty((len(rows), len(self.features)), order="F")
        self.done = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, threads: int, check: Callable[[], None], progress: Callable[[int, int], None]) -> None:
        """Fill the whole matrix; `check` and `progress` are called from this thread."""
        check()
        cells, pieces = len(self.rows) * self.wanted, self._pieces(threads)
        ended: SimpleQueue[Future[None]] = SimpleQueue()
        with ThreadPoolExecutor(threads, thread_name_prefix="relselect-dfs") as pool:
            try:
                for piece in pieces:
                    pool.submit(self._fill, piece).add_done_callback(ended.put)
                left = len(pieces)
                while left:
                    try:
                        ended.get(timeout=_PATIENCE).result()
                        left -= 1
                    except Empty:
                        pass
                    check()
                    progress(self.done * cells // max(1, self.values.size), cells)
            finally:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
        self._combine(check)
        progress(cells, cells)

    def _combine(self, check: Callable[[], None]) -> None:
        places = {feature: place for place, feature in enumerate(self.features)}
        for feature, place in places.items():
            if feature.operands:
                check()
                first, second = (self.values[:, places[each]] for each in feature.operands)
                self.values[:, place] = combined(feature.aggregate, first, second)
                self.done += len(first)

    def _halt(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _pieces(self, threads: int) -> list[_Piece]:
        """Return the pieces, the longest first."""
        own = [place for place, feature in enumerate(self.features) if feature.of_task_row]
        others = [place for place, feature in enumerate(self.features) if not (feature.of_task_row or feature.operands)]
        found = [_Piece([own], slice(0, len(self.rows)))] if own else []
        for (_, _, nested), places in families([self.features[place] for place in others]).items():
            groups = grouped(self.features, [others[place] for place in places])
            size = at_a_time(self.problem, (self.features[others[place]] for place in places), SLICE)
            if nested:
                size = min(size, max(_WORTH, -(-len(self.rows) // threads)))
            many = min(_COLUMNS, -(-len(groups) // threads))
            chosen = [groups[start : start + many] for start in range(0, len(groups), many)]
            parts = [slice(start, start + size) for start in range(0, len(self.rows), size)]
            pieces = [_Piece(few, part) for part in parts for few in chosen]
            found = [*pieces, *found] if nested else [*found, *pieces]
        return found

    def _fill(self, piece: _Piece) -> None:
        whole = piece.part.stop - piece.part.start >= len(self.rows)
        rows = self.rows if whole else self.rows.take(piece.part)
        reader = PrefixReader(self.problem, self.problem.entity, rows, self._halt)
        for places in piece.groups:
            for place, values in zip(places, self._read(reader, [self.features[p] for p in places]), strict=True):
                self.values[piece.part, place] = values
                with self._lock:
                    self.done += len(values)

    def _read(self, reader: PrefixReader, features: list[Feature]) -> Iterator[Floats]:
        """Yield the values of features of one group, categories encoded by the vocabulary."""
        self._halt()
        if features[0].of_task_row:
            yield from (task_row_values(feature, reader.rows, self.vocabulary, reader.unit) for feature in features)
            return
        for feature, (values, words) in zip(features, reader.read(features), strict=True):
            if not feature.categorical:
                yield values
            else:
                yield self.vocabulary.encode(feature.source(self.problem.entity), values, words or [])
