"""Importance by ablation: predicts labelled rows again with one thing withheld at a time, within a time budget.

For a thing a, drop(a) = score(f(D)) - score(f(D without a)), where f is the fitted model as it stands, D the database and the
score that of the task's metric on the same rows. The model is not trained again: the drop says what the model reads, not what
another model could do without. The mechanism is that of permutation importance (Breiman 2001, Machine Learning 45, section 10),
in the database instead of a feature matrix.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from relselect.explain.column_groups import column_groups
from relselect.explain.reach import Reach, ReachedKey, reach_of, table_title
from relselect.explain.study import TASK_ROW, Ablation, AblationKind, AblationStudy
from relselect.explain.withholding import with_drawn_columns, with_drawn_features, without_key, without_table
from relselect.families.protocol import columns_read
from relselect.tasks.paired import paired_difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["measure_importance"]

#: Rows that are scored at most, drawn evenly, and tables whose columns are measured.
_ROWS, _TABLES = 2_000, 6
_NO_TIME = "The time for it was spent: give a longer time_budget"


def measure_importance(
    problem: Problem,
    family: Family,
    candidate: Candidate,
    rows: Rows,
    *,
    budget: Budget,
    seed: int = 0,
) -> AblationStudy:
    """Measure what a model loses when tables, paths and columns are withheld, the nearest tables first.

    A table other than the entity's loses all its rows. Of the entity's table all columns are withheld together, as its rows are
    what is asked about. Columns are withheld by drawing their values from rows known no later, near duplicates together. Paths
    are measured where several foreign keys enter one table. Columns are measured in the tables that matter, at most six.

    Args:
        problem: The database and the task.
        family: The family of the candidate.
        candidate: The fitted model.
        rows: Labelled rows that neither trained nor stopped it; 2,000 of them are drawn where there are more.
        budget: Nothing is begun that would probably outlast it; the first prediction is made in any case.
        seed: Seed of the draws and of the bootstrap.
    """
    return _Study(problem, family, candidate, rows.drawn(_ROWS, seed), budget, seed).result()


@dataclass
class _Study:
    """One study while it runs."""

    problem: Problem
    family: Family
    candidate: Candidate
    rows: Rows
    budget: Budget
    seed: int
    slowest: float = 0.0
    unmeasured: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def result(self) -> AblationStudy:
        self.reads = columns_read(self.family, self.candidate)
        self.reach: Reach = reach_of(self.problem)
        self.whole = self._predicted(self._whole)
        tables = _ranked(self._tables())
        paths = _ranked(self._paths(tables))
        columns = _ranked(self._columns(tables))
        label = np.empty(0) if self.rows.label is None else self.rows.label
        return AblationStudy(
            candidate=self.candidate.id,
            metric=self.problem.task.metric.name,
            rows=len(self.rows),
            score=self.problem.task.metric.score(label, self.whole),
            ablations=(*tables, *paths, *columns),
            unread=tuple(self.unread),
            unmeasured=tuple(self.unmeasured),
            why=f"{_NO_TIME}." if self.unmeasured else "",
        )

    def _tables(self) -> Iterator[Ablation]:
        """Withhold each table that is reached, the nearest first; of equally near ones the larger."""
        database, entity = self.problem.database, self.problem.entity
        distances = self.reach.distances
        order = sorted(distances, key=lambda name: (max(distances[name], 1), -database[name].num_rows, name))
        for name in order:
            if not self._read(name):
                self.unread.append(name)
                continue
            columns = self._readable(name)
            if name == entity:
                if columns:
                    yield from self._measured("table", name, (), partial(self._drawn, entity, columns))
            else:
                yield from self._measured("table", name, (), partial(self._without, name))

    def _paths(self, tables: Sequence[Ablation]) -> Iterator[Ablation]:
        """Withhold each foreign key by which a table is entered that is entered by several."""
        for each in tables:
            ways = self.reach.ways_to(each.table)
            if len(ways) < 2:
                continue
            for way in ways:
                yield from self._measured("path", each.table, (way.name,), partial(self._cut, way), way.path)

    def _columns(self, tables: Sequence[Ablation]) -> Iterator[Ablation]:
        """Withhold groups of columns: features of the task row, then those of the tables that matter."""
        declared = [] if self.rows.features is None else self.rows.features.column_names
        for name in declared:
            yield from self._measured("columns", TASK_ROW, (name,), partial(self._permuted, name))
        matter = [each.table for each in tables if each.matters] or [each.table for each in tables[:1]]
        for table in matter[:_TABLES]:
            for group in column_groups(self.problem, table, self._readable(table), seed=self.seed):
                yield from self._measured("columns", table, group, partial(self._drawn, table, group))

    def _whole(self) -> tuple[Problem, Rows]:
        return self.problem, self.rows

    def _without(self, table: str) -> tuple[Problem, Rows]:
        return without_table(self.problem, table), self.rows

    def _cut(self, way: ReachedKey) -> tuple[Problem, Rows]:
        return without_key(self.problem, way.child, way.place), self.rows

    def _permuted(self, feature: str) -> tuple[Problem, Rows]:
        return self.problem, with_drawn_features(self.rows, [feature], seed=self.seed)

    def _drawn(self, table: str, columns: Sequence[str]) -> tuple[Problem, Rows]:
        return with_drawn_columns(self.problem, table, columns, seed=self.seed), self.rows

    def _read(self, table: str) -> bool:
        """Whether the model reads a table at all; where its family does not say, it may."""
        return self.reads is None or table in self.reads

    def _readable(self, table: str) -> list[str]:
        """Return the columns that the model may read and that decide nothing about which rows belong together, and when."""
        known = self.problem.database[table]
        read = None if self.reads is None else self.reads.get(table, set())
        return [name for name in known.columns if name not in known.structural and (read is None or name in read)]

    def _measured(
        self,
        kind: AblationKind,
        table: str,
        withheld: tuple[str, ...],
        made: Callable[[], tuple[Problem, Rows]],
        path: str | None = None,
    ) -> Iterator[Ablation]:
        """Yield the ablation, or note that there was no time for it."""
        way = self.reach.path_to(table) if path is None else path
        if self.budget.left() <= self.slowest:
            nothing = Ablation(kind, table, withheld, way, 0.0, 0.0, 0.0)
            self.unmeasured.append(nothing.name)
            return
        lost = paired_difference(self.problem.task.metric, self.rows, self._predicted(made), self.whole, seed=self.seed)
        yield Ablation(kind, table, withheld, way, lost.value, lost.low, lost.high)

    def _predicted(self, made: Callable[[], tuple[Problem, Rows]]) -> NDArray[np.float64]:
        begun = time.monotonic()
        problem, rows = made()
        found = self.family.predict(self.candidate, problem, rows.unlabelled())
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return found


def _ranked(found: Iterator[Ablation]) -> list[Ablation]:
    """Return ablations, the greatest loss first, undefined ones last."""
    return sorted(
        found, key=lambda each: (-np.nan_to_num(each.drop, nan=-np.inf), table_title(each.table), each.withheld)
    )
