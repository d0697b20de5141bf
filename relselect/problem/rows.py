"""The rows that a fit is given: training, stop, select and refit rows of one problem.

A family asks its row source for rows and never the problem, so that other rows, or rows with further columns, can be handed
in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from relselect.problem.validation import ValidationSplit, ValidationWay, split_validation
from relselect.tasks import Rows

if TYPE_CHECKING:
    from relselect.problem.problem import Problem
    from relselect.tasks.splits import Split

__all__ = ["ExtendedRows", "SplitRows", "fit_rows", "with_columns"]


@dataclass(frozen=True)
class SplitRows:
    """The rows of a task's own splits, the validation rows divided.

    Attributes:
        problem: The problem.
        validation: Which validation rows stop and which select.
        score_test: Whether the test rows will be predicted after the studies.
    """

    problem: Problem
    validation: ValidationSplit
    score_test: bool = True

    @property
    def key(self) -> tuple[Hashable, ...]:
        """The way of the division, which with the problem decides the rows."""
        return ("splits", self.validation.way)

    @cached_property
    def stop(self) -> Rows:
        """The rows that end training."""
        split: Split = "train" if self.validation.way == "train_tail" else "val"
        return self.problem.rows(split).take(self.validation.stop)

    @cached_property
    def select(self) -> Rows:
        """The rows that choose and carry the reported score; the very stop rows where they are shared."""
        return self.stop if self.validation.shared else self.problem.rows("val").take(self.validation.select)

    @property
    def awaiting(self) -> int:
        """The number of test rows, 0 where they are not scored."""
        return len(self.problem.rows("test")) if self.score_test and self.problem.task.has_test else 0

    def train(self, *, seed: int, copies: int) -> Rows:
        """Return the training rows, shown also under the delays that evaluation rows have.

        A row that is scored with data `s` old should have been trained with data `s` old: each copy has `asof = cutoff - s`,
        `s` drawn from the delays of the evaluation rows that are not zero. Without delays (the rolling regime) these are the
        training rows themselves.

        Args:
            seed: Seed of the delays.
            copies: Delayed copies of each row.
        """
        rows, chosen = self.problem.rows("train"), self.validation.train
        return self._shown(rows if chosen is None else rows.take(chosen), seed, copies)

    def added(self, *, seed: int, copies: int) -> Rows:
        """Return the validation rows, and training rows that only stopped, as training rows are shown: fresh, and delayed.

        Args:
            seed: Seed of the delays.
            copies: Delayed copies of each row.
        """
        task, frame = self.problem.task, self.problem.task.splits["val"]
        fresh = self.problem.rows("val")
        if not task.static:
            bound = self.problem.bind(frame.keys, frame.cutoff, frame.cutoff, frame.features)
            fresh = replace(bound, label=fresh.label, weight=fresh.weight)
        if self.validation.train is not None:
            held = np.setdiff1d(np.arange(len(self.problem.rows("train"))), self.validation.train)
            fresh = Rows.concat([self.problem.rows("train").take(held), fresh])
        return self._shown(fresh, seed + 1, copies)

    def _shown(self, rows: Rows, seed: int, copies: int) -> Rows:
        delays = self.problem.evaluation_delays()
        delays = delays[delays > 0]
        if len(delays) == 0 or copies < 1:
            return rows
        draw = np.random.default_rng(seed)
        drawn = [rows.delayed(draw.choice(delays, size=len(rows))) for _ in range(copies)]
        return self.problem.hide_later_entities(Rows.concat([rows, *drawn]))


def fit_rows(problem: Problem, way: ValidationWay | Literal["auto"] = "auto", *, score_test: bool = True) -> SplitRows:
    """Return the rows of a problem's own splits.

    Args:
        problem: The problem.
        way: How validation rows are divided; see `relselect.problem.validation.split_validation`.
        score_test: Whether the test rows will be predicted after the studies.
    """
    return SplitRows(problem, split_validation(problem, way), score_test)


@dataclass(frozen=True)
class ExtendedRows:
    """The rows of another source with further columns, which every family reads like declared features.

    Attributes:
        source: The rows.
        columns: Returns the further columns of n rows, a table of n rows; a pure function of each row and of what is visible at
            its `asof`.
        name: What the columns are; equal names mean equal columns.
    """

    source: SplitRows
    columns: Callable[[Rows], pa.Table]
    name: str

    @property
    def key(self) -> tuple[Hashable, ...]:
        """The key of the source, and the name of the columns."""
        return (*self.source.key, self.name)

    @cached_property
    def stop(self) -> Rows:
        """The stop rows."""
        return self.extended(self.source.stop)

    @cached_property
    def select(self) -> Rows:
        """The select rows; the very stop rows where they are shared."""
        return self.stop if self.source.select is self.source.stop else self.extended(self.source.select)

    @property
    def awaiting(self) -> int:
        """As the source says."""
        return self.source.awaiting

    def train(self, *, seed: int, copies: int) -> Rows:
        """Return the training rows of the source."""
        return self.extended(self.source.train(seed=seed, copies=copies))

    def added(self, *, seed: int, copies: int) -> Rows:
        """Return the rows that the source adds for a refit."""
        return self.extended(self.source.added(seed=seed, copies=copies))

    def extended(self, rows: Rows) -> Rows:
        """Return rows with the further columns: what a family that was fitted on this source is asked to predict."""
        return with_columns(rows, self.columns(rows))


def with_columns(rows: Rows, further: pa.Table) -> Rows:
    """Return n rows with further columns beside the task's declared features.

    Args:
        rows: The rows.
        further: n rows of columns; one of a name that is declared takes its place.
    """
    declared = pa.table({}) if rows.features is None else rows.features
    columns = {name: declared[name] for name in declared.column_names}
    return replace(rows, features=pa.table(columns | {name: further[name] for name in further.column_names}))
