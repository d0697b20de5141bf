"""Computes a plan for task rows: one pass per column read, whatever the number of windows and aggregates.

Ages and times since are days in a timestamp database and plain units in an integer-time one, counted back from the
cutoff. The matrix is column-major, so a trial that uses fewer features takes a view's cost, not a new computation.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relselect.database.clock import ticks_of
from relselect.database.columns import as_float, as_strings
from relselect.database.table import SemanticType
from relselect.dfs.encoding import Vocabulary, source_of
from relselect.dfs.feature import Aggregate, Feature
from relselect.dfs.paths import route_name
from relselect.dfs.plan import Plan
from relselect.dfs.reader import OWN, Reader, grouped
from relselect.errors import TaskError

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["FeatureMatrix", "blocks", "compute"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MAX_THREADS = 8
#: Seconds between two checks while threads are at work.
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
        """Return the matrix with only those columns, in that order."""
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
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> FeatureMatrix:
    """Return the features of task rows; the number of threads changes no bit of them.

    Args:
        problem: Supplies the database; sorted structures stay in its cache.
        plan: k features.
        rows: n task rows.
        vocabulary: The categories, as fitted.
        check: Called between columns; may raise to stop.
        threads: Threads at most; None for the cores this process may use, at most 8.
        progress: Told cells done and cells in all, from the calling thread.

    Raises:
        TaskError: A declared task-row feature does not hold what training saw in it.
    """
    values = np.empty((len(rows), len(plan)), order="F")
    features = list(plan.features)
    # Groups that read along one path follow each other, so that they share what they find out about the rows.
    groups = sorted(grouped(features).values(), key=lambda places: route_name(features[places[0]].path))
    reader = Reader(problem, problem.entity, rows)

    def read(places: list[int]) -> int:
        for place, found in zip(places, _read(reader, vocabulary, [features[p] for p in places]), strict=True):
            values[:, place] = found
        return len(places)

    done = 0
    for number in _run(read, groups, _cores() if threads is None else threads, check):
        done += number * len(rows)
        progress(done, values.size)
    return FeatureMatrix(values, plan.names, tuple(feature.categorical for feature in plan))


def blocks(
    problem: Problem,
    plan: Plan,
    rows: Rows,
    vocabulary: Vocabulary,
    check: Callable[[], None] = lambda: None,
    *,
    size: int,
    threads: int | None = None,
) -> Iterator[FeatureMatrix]:
    """Yield the features of `size` task rows at a time, for whoever must not hold all of them.

    Args:
        problem: As for `compute`.
        plan: k features.
        rows: n task rows.
        vocabulary: The categories.
        check: Called between columns.
        size: Rows per block; every block costs a pass over the tables.
        threads: Threads at most.
    """
    for start in range(0, len(rows), max(1, size)):
        part = rows.take(slice(start, start + max(1, size)))
        yield compute(problem, plan, part, vocabulary, check, threads=threads)


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MAX_THREADS)


def _run(
    read: Callable[[list[int]], int], groups: list[list[int]], threads: int, check: Callable[[], None]
) -> Iterator[int]:
    """Read all groups and yield how many features each gave, as they are done; `check` is asked all the while."""
    if threads <= 1 or len(groups) <= 1:
        for places in groups:
            check()
            yield read(places)
        return
    stop = threading.Event()

    def unless_stopped(places: list[int]) -> int:
        return 0 if stop.is_set() else read(places)

    with ThreadPoolExecutor(threads, thread_name_prefix="relselect-dfs") as pool:
        waiting = {pool.submit(unless_stopped, places) for places in groups}
        try:
            while waiting:
                check()
                done, waiting = wait(waiting, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
                for each in done:
                    yield each.result()
        finally:
            stop.set()
            for each in waiting:
                each.cancel()


def _read(reader: Reader, vocabulary: Vocabulary, features: list[Feature]) -> Iterator[Floats]:
    """Yield the values of features of one group, categories as numbers of the vocabulary."""
    if features[0].aggregate in OWN:
        for feature in features:
            yield _own(reader, vocabulary, feature)
        return
    for feature, (values, words) in zip(features, reader.read(features), strict=True):
        if not feature.categorical:
            yield values
        else:
            yield vocabulary.encode(source_of(feature, reader.table), values, words or [])


def _own(reader: Reader, vocabulary: Vocabulary, feature: Feature) -> Floats:
    """Return what the task row itself says."""
    rows = reader.rows
    if feature.aggregate == Aggregate.DELAY:
        return rows.delay / reader.unit
    if feature.aggregate == Aggregate.CALENDAR:
        return _calendar(feature.column or "", rows.cutoff)
    if rows.features is None:
        return np.full(len(rows), np.nan)
    column = rows.features[feature.column]
    try:
        if feature.type == SemanticType.CATEGORICAL:
            codes, words = as_strings(column)
            return vocabulary.encode(source_of(feature, reader.table), codes.astype(np.float64), words)
        if feature.type == SemanticType.TIMESTAMP:
            return reader.age(np.where(column.is_null().to_numpy(), np.nan, ticks_of(column).astype(np.float64)))
        return as_float(column)
    except (pa.ArrowException, TypeError, ValueError):
        rule = f"holds {column.type}, where training saw {feature.type} values"
        raise TaskError(f"rows.{feature.column}", str(column.type), rule, "Convert the column") from None


_PARTS: dict[str, Callable[[NDArray[np.datetime64]], Floats]] = {
    "month": lambda moment: (moment.astype("datetime64[M]").astype(np.int64) % 12 + 1).astype(np.float64),
    "day_of_year": lambda moment: (
        (moment.astype("datetime64[D]") - moment.astype("datetime64[Y]")).astype(np.float64) + 1
    ),
    "weekday": lambda moment: ((moment.astype("datetime64[D]").astype(np.int64) + 3) % 7).astype(np.float64),
    "hour": lambda moment: (moment.astype("datetime64[h]").astype(np.int64) % 24).astype(np.float64),
}


def _calendar(part: str, cutoff: Ints) -> Floats:
    """Return a calendar part of the cutoffs in UTC: month 1-12, day_of_year 1-366, weekday 0-6 (Monday 0), hour 0-23."""
    return _PARTS[part](cutoff.astype("datetime64[us]"))
