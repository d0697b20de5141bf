"""The row that compares two trials of one task, in skill. A difference is always the second's less the first's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from relselect.bank.arrays import Part
from relselect.bank.rows import BankRow

__all__ = ["BLEND_WEIGHTS", "PairEvidence"]

#: Weights of the second family for which a blend's skill is kept.
BLEND_WEIGHTS: tuple[float, ...] = tuple(round(0.05 * step, 2) for step in range(21))


@dataclass(frozen=True)
class PairEvidence(BankRow):
    """Two trials of one task, side by side, in skill (0 for the training constant, 1 for perfection).

    Attributes:
        task: Id of the task.
        database: Its database: tasks of one database are held out together.
        kind: "binary", "multiclass" or "regression".
        first: Family of the first trial.
        second: Family of the second trial.
        seed: Seed of both.
        first_select: Skill of the first on the select rows.
        second_select: Skill of the second on the select rows.
        first_test: Skill of the first on the test rows, as deployed.
        second_test: Skill of the second on the test rows, as deployed.
        select_error: Standard error of the difference on the select rows (paired bootstrap clustered by entity).
        test_error: Standard error of the difference on the test rows.
        first_seconds: Seconds of the first fit on an idle machine.
        second_seconds: Seconds of the second fit on an idle machine.
        blends: "select" and "test" -> skill of (1 - w) first + w second, for each w of `BLEND_WEIGHTS`; empty without
            predictions.
    """

    task: str
    database: str
    kind: str
    first: str
    second: str
    seed: int
    first_select: float
    second_select: float
    first_test: float
    second_test: float
    select_error: float
    test_error: float
    first_seconds: float
    second_seconds: float
    blends: Mapping[str, Any]

    @property
    def difference(self) -> float:
        """The observed difference on the select rows."""
        return self.second_select - self.first_select

    @property
    def margin(self) -> float:
        """The difference on the test rows."""
        return self.second_test - self.first_test

    def blend(self, weight: float, part: Part = "test") -> float:
        """Return the skill of a blend; without predictions the better of what is known: a straight line between the two."""
        kept = self.blends.get(part)
        ends = (self.first_test, self.second_test) if part == "test" else (self.first_select, self.second_select)
        curve = kept or [ends[0] + each * (ends[1] - ends[0]) for each in BLEND_WEIGHTS]
        return float(np.interp(weight, BLEND_WEIGHTS, curve))
