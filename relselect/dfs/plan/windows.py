"""Measures how many related rows training rows see, and chooses windows from it.

A window is chosen when enough training rows see a row in it and it differs from all history for enough of them. Only what
training rows see at their own asof is measured. Where a window begins is decided in `window_start`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.database.clock import parse_duration
from relselect.dfs.plan.window_start import window_start
from relselect.dfs.prefix.paths import Paths
from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.dfs.plan.feature import Route
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["RowCounts", "Window", "given_windows", "row_counts"]

Ints = NDArray[np.int64]

#: Training rows looked at, evenly spread.
_SAMPLE = 1_000
#: The shortest window is the shortest of horizon * 1, 2, 4, ... that shows enough; each next is at least so much longer.
_DOUBLINGS, _NEXT = 10, 4
#: Shares of the training rows that see any row: at least this share sees one in the window, and this share not all of them.
_ENOUGH, _DIFFERENT = 0.5, 0.1


@dataclass(frozen=True)
class Window:
    """A window in ticks, and the median number of rows that training rows with any history see in it."""

    ticks: int
    typical: float


@dataclass(frozen=True)
class RowCounts:
    """How many rows of a relation training rows see.

    Attributes:
        seen: Share of training rows that see any row.
        mean: Mean number of rows seen.
        most: Largest number of rows seen.
        windows: The windows chosen, the shortest first.
    """

    seen: float
    mean: float
    most: int
    windows: tuple[Window, ...]


def given_windows(windows: Sequence[int | str] | None) -> tuple[int, ...] | None:
    """Return windows in ticks, the shortest first; None for None.

    Raises:
        ConfigError: A window has no positive length.
    """
    if windows is None:
        return None
    ticks = sorted({parse_duration(window, "windows") for window in windows})
    if ticks and ticks[0] <= 0:
        raise ConfigError("windows", list(windows), "must all be longer than nothing", "Write e.g. windows=['60d']")
    return tuple(ticks)


def row_counts(
    problem: Problem, up: Route, down: Route, *, most: int, given: tuple[int, ...] | None = None
) -> RowCounts:
    """Return how many of the rows reached by `up` and then `down` training rows see.

    Args:
        problem: The problem.
        up: Steps up.
        down: Steps down.
        most: Windows at most.
        given: Windows in ticks to use instead; None to choose them.
    """
    key = ("dfs", "rates", up, down, most, given)
    return problem.cached(key, lambda: _measured(problem, up, down, most, given))


def _measured(problem: Problem, up: Route, down: Route, most: int, given: tuple[int, ...] | None) -> RowCounts:
    rows = _sample(problem)
    owners = _owners(problem, up, rows)
    visible = _visible(problem, up, down, owners)
    seen = visible.number(owners, rows.asof)
    some = seen > 0
    found: list[Window] = []
    if some.any() and _timed(problem, down):
        some_rows, some_owners, counts = rows.take(some), owners[some], seen[some]
        multiples = given if given is not None else _multiples(problem)
        for ticks in multiples:
            if given is None and (len(found) == most or (found and ticks < _NEXT * found[-1].ticks)):
                continue
            inside = visible.number(some_owners, some_rows.asof, window_start(some_rows.cutoff, some_rows.asof, ticks))
            if given is not None or _is_worth(inside, counts):
                found.append(Window(ticks, float(np.median(inside))))
    return RowCounts(
        float(np.mean(some)) if len(some) else 0.0,
        float(np.mean(seen)) if len(seen) else 0.0,
        int(seen.max(initial=0)),
        tuple(found),
    )


def _is_worth(inside: Ints, counts: Ints) -> bool:
    return bool((inside > 0).mean() >= _ENOUGH and (inside < counts).mean() >= _DIFFERENT)


def _multiples(problem: Problem) -> tuple[int, ...]:
    horizon = problem.task.horizon
    if problem.task.static or horizon is None or horizon <= 0:
        return ()
    return tuple(horizon << doubling for doubling in range(_DOUBLINGS))


def _timed(problem: Problem, down: Route) -> bool:
    return not problem.task.static and any(problem.database[hop.table].time is not None for hop in down)


def _sample(problem: Problem) -> Rows:
    def take() -> Rows:
        rows = problem.rows("train").unlabelled()
        return rows.take(np.unique(np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows))).astype(np.int64)))

    return problem.cached(("dfs", "rate rows"), take)


def _owners(problem: Problem, up: Route, rows: Rows) -> Ints:
    return problem.cached(("dfs", "rate owners", up), lambda: Paths(problem).owners(up, rows, problem.entity))


@dataclass(frozen=True)
class _Visible:
    """Rows of some owners, sorted by (owner, time); plain NumPy, so that enumerating compiles nothing.

    Attributes:
        instants: The distinct times.
        place: owner * (instants + 1) + rank of the time, sorted, shape (rows,).
    """

    instants: Ints
    place: Ints

    def number(self, owners: Ints, asof: Ints, after: Ints | None = None) -> Ints:
        """Return how many rows of each owner (-1 for none) have `after < time <= asof`, shape (n,)."""
        last = self._before(owners, np.searchsorted(self.instants, asof, side="right"))
        first = self._before(owners, 0 if after is None else np.searchsorted(self.instants, after, side="right"))
        return np.where(owners >= 0, np.maximum(last - first, 0), 0)

    def _before(self, owners: Ints, rank: Ints | int) -> Ints:
        return np.searchsorted(self.place, owners * (len(self.instants) + 1) + rank)


def _visible(problem: Problem, up: Route, down: Route, owners: Ints) -> _Visible:
    """Return the relation's rows that belong to the owners and are visible at the end of training."""
    relation = Paths(problem).relation(down, up[-1].table if up else problem.entity)
    wanted = np.zeros(int(max(relation.keys.max(initial=-1), owners.max(initial=-1))) + 2, dtype=bool)
    wanted[owners] = True
    wanted[-1] = False  # the place of -1: no owner, no key
    rows = np.flatnonzero(wanted[relation.keys] & (relation.times <= problem.fit_asof))
    instants, rank = np.unique(relation.times[rows], return_inverse=True)
    return _Visible(instants, np.sort(relation.keys[rows].astype(np.int64) * (len(instants) + 1) + rank))
