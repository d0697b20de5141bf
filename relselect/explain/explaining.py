"""Explains single predictions: hides parts of what a task row can see and takes the difference in the prediction.

v(S) is the model's prediction of the row when only the parts S of its past are visible; the parts are those of
`relselect.explain.past`, their values those of `relselect.explain.shares`. What the model would predict if an entity had lived
otherwise is not asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.clock import format_time
from relselect.explain.explanation import Explanation, ExplanationPart
from relselect.explain.past import PastPart, parts_of, window_ticks
from relselect.explain.shares import shapley_shares
from relselect.explain.withholding import without_rows
from relselect.explain.words import counted, length_text
from relselect.families.protocol import columns_read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["explain_rows"]

#: Rows of a table that are kept as evidence, and distinct times from which a usual gap is taken.
_KEPT, _TIMES = 1_000, 3


def explain_rows(
    problem: Problem,
    family: Family,
    candidate: Candidate,
    rows: Rows,
    keys: pa.Table,
    *,
    windows: Sequence[str | int] | None = None,
    pairs: int = 4,
    seed: int = 0,
    budget: Budget,
) -> tuple[Explanation, ...]:
    """Explain the prediction of each row by itself.

    Args:
        problem: The database and the task.
        family: The family of the candidate.
        candidate: The fitted model.
        rows: n rows.
        keys: Their keys, n rows.
        windows: Ages at which time windows end; see `relselect.explain.past.window_ticks`.
        pairs: Pairs of orders that are averaged where a row has more than four parts.
        seed: Seed of the orders.
        budget: Once it is spent, no further pair of orders is begun; every row gets one pair in any case.

    Raises:
        TaskError: A window is no duration above zero.
    """
    reads = columns_read(family, candidate)
    tables = [name for name in problem.database.tables if reads is None or name in reads]
    ends = window_ticks(problem, windows)
    single = _Single(problem, family, candidate, tables, ends, pairs, seed, budget)
    found = []
    for place in range(len(rows)):
        key = {name: keys[name][place].as_py() for name in keys.column_names}
        found.append(single.explained(rows.take(slice(place, place + 1)).unlabelled(), key))
    return tuple(found)


@dataclass(frozen=True)
class _Single:
    """Explains one row at a time."""

    problem: Problem
    family: Family
    candidate: Candidate
    tables: Sequence[str]
    windows: Sequence[int]
    pairs: int
    seed: int
    budget: Budget

    def explained(self, row: Rows, key: Mapping[str, Any]) -> Explanation:
        problem, task = self.problem, self.problem.task
        entity, cutoff, asof = int(row.entity[0]), int(row.cutoff[0]), int(row.asof[0])
        # an entity that is not there reaches no row, so nothing but the task row itself can be read
        parts = parts_of(problem, entity, cutoff, asof, self.windows, self.tables) if entity >= 0 else []
        whole = self.family.predict(self.candidate, problem, row)
        number = int(np.argmax(whole[0])) if whole.ndim == 2 else -1
        shares = shapley_shares(
            len(parts), self._value(row, parts, number), pairs=self.pairs, seed=self.seed, more=self._more()
        )
        return Explanation(
            task=task.name,
            entity=key,
            cutoff=None if task.static else format_time(cutoff, task.time_kind),
            target=self._target(number),
            prediction=shares.whole,
            base=shares.base,
            parts=tuple(
                ExplanationPart(part.table, part.window, part.relation, part.count, float(share))
                for part, share in zip(parts, shares.values, strict=True)
            ),
            words=self._words(parts, cutoff),
            orders=shares.orders,
            exact=shares.exact,
            evidence=self._evidence(parts, asof),
        )

    def _target(self, number: int) -> str:
        classes = self.problem.task.classes
        return f"probability of {classes[number]}" if classes else "prediction"  # of two classes, that of the second

    def _value(self, row: Rows, parts: Sequence[PastPart], number: int) -> Callable[[frozenset[int]], float]:
        """Return v: the prediction of the row from some parts, that of class `number` where there are several columns."""

        def value(chosen: frozenset[int]) -> float:
            hidden = [part for place, part in enumerate(parts) if place not in chosen]
            problem = without_rows(self.problem, self._masks(hidden)) if hidden else self.problem
            predicted = self.family.predict(self.candidate, problem, row)
            return float(predicted[0, number] if predicted.ndim == 2 else predicted[0])

        return value

    def _masks(self, hidden: Sequence[PastPart]) -> dict[str, NDArray[np.bool_]]:
        masks: dict[str, NDArray[np.bool_]] = {}
        for part in hidden:
            for name, rows in part.rows.items():
                masks.setdefault(name, np.zeros(self.problem.database[name].num_rows, dtype=bool))[rows] = True
        return masks

    def _more(self) -> Callable[[], bool]:
        """Return whether there is time for another pair of orders, judged by the longest so far."""
        begun, longest = time.monotonic(), 0.0

        def more() -> bool:
            nonlocal begun, longest
            now = time.monotonic()
            begun, longest = now, max(longest, now - begun)
            return self.budget.left() > longest

        return more

    def _words(self, parts: Sequence[PastPart], cutoff: int) -> dict[str, str]:
        """Return what was seen of the own rows of each table, by the key of `Explanation.words`."""
        own: dict[str, list[NDArray[np.int64]]] = {}
        for part in parts:
            if part.relation == "own":
                own.setdefault(part.table, []).append(part.rows[part.table])
        return {f"{name} own": self._seen(name, np.concatenate(rows), cutoff) for name, rows in own.items()}

    def _seen(self, table: str, rows: NDArray[np.int64], cutoff: int) -> str:
        database, kind = self.problem.database, self.problem.task.time_kind
        if database[table].time is None or self.problem.task.static:
            return ""
        times = np.unique(database.times(table)[rows])
        silence = cutoff - int(times[-1])
        usual = float(np.median(np.diff(times))) if len(times) >= _TIMES else None
        ago = length_text(silence, kind)
        if usual is None:
            return f"the last one {ago} before" if len(times) > 1 else f"{counted(len(rows), 'row')}, {ago} before"
        often = f"usually one every {length_text(usual, kind)}"
        return f"none for {ago}; {often}" if silence > usual else f"the last one {ago} before; {often}"

    def _evidence(self, parts: Sequence[PastPart], asof: int) -> dict[str, pa.Table]:
        """Return the rows of all parts but that of others, the newest first, as they were known."""
        gathered: dict[str, list[NDArray[np.int64]]] = {}
        for part in parts:
            if part.relation != "others":
                gathered.setdefault(part.table, []).append(part.rows[part.table])
        found = {}
        for name, several in gathered.items():
            rows = np.concatenate(several)
            rows = rows[np.lexsort((rows, -self.problem.database.times(name)[rows].astype(np.float64)))][:_KEPT]
            found[name] = self._as_known(name, rows, asof)
        return found

    def _as_known(self, table: str, rows: NDArray[np.int64], asof: int) -> pa.Table:
        database = self.problem.database
        data = database[table].data.take(pa.array(rows))
        for place, column in enumerate(data.column_names):
            known = database.value_times(table, column)
            if known is not None:
                seen = pc.if_else(pa.array(known[rows] <= asof), data[column], pa.scalar(None, data[column].type))
                data = data.set_column(place, data.schema.field(column), seen)
        return data
