"""The shift between validation and test: how far a difference seen on select rows lies from the margin on test rows.

d ~ N(delta + beta, s² + omega²): s is the sampling error of the difference, beta the optimism of validation, omega what the
difference moves beyond both sampling errors. beta and omega come from a bank, per kind of task, drawn towards those of all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.selector.normal import NormalMargin

if TYPE_CHECKING:
    from relselect.bank.pairs import PairEvidence

__all__ = ["Shift", "ValidationShift", "fit_shift"]

#: Databases' worth of all kinds in the numbers of one kind.
_SHRINK = 5.0
_LARGEST = 0.3
_LEAST_OMEGA = 0.01


@dataclass(frozen=True)
class Shift:
    """Optimism and shift of one kind of task, in skill.

    Attributes:
        beta: What validation adds to the margin on average.
        omega: Standard deviation of what it adds beyond sampling errors.
    """

    beta: float
    omega: float


@dataclass(frozen=True)
class ValidationShift:
    """Shifts by kind of task.

    Attributes:
        overall: Of all tasks.
        kinds: Kind -> shift; the overall one holds for others.
    """

    overall: Shift
    kinds: Mapping[str, Shift]

    def posterior(self, prior: NormalMargin, difference: float, error: float, kind: str) -> NormalMargin:
        """Return the margin after a difference was seen on select rows.

        Args:
            prior: The margin expected before.
            difference: The paired difference in skill on the select rows.
            error: Its standard error; a nan leaves the prior as it is.
            kind: Kind of the task.
        """
        shift = self.kinds.get(kind, self.overall)
        return prior.updated(difference - shift.beta, math.hypot(error, shift.omega))


def fit_shift(pairs: Sequence[PairEvidence]) -> ValidationShift:
    """Fit beta and omega; every database has the same weight, and of one task's seeds the mean error counts.

    omega² = mean((d - delta - beta)² - s² - s_test²), where it is positive.

    Args:
        pairs: Comparisons whose differences on select and test rows are known.
    """
    known = [pair for pair in pairs if math.isfinite(pair.difference) and math.isfinite(pair.margin)]
    overall = _of(known, None)
    kinds = {kind: _of([pair for pair in known if pair.kind == kind], overall) for kind in {p.kind for p in known}}
    return ValidationShift(overall, dict(sorted(kinds.items())))


def _of(pairs: Sequence[PairEvidence], overall: Shift | None) -> Shift:
    if not pairs:
        return overall or Shift(0.0, 0.0)
    counts: dict[str, int] = {}
    for pair in pairs:
        counts[pair.database] = counts.get(pair.database, 0) + 1
    shares = np.array([1.0 / counts[pair.database] for pair in pairs])
    moved = np.clip([pair.difference - pair.margin for pair in pairs], -_LARGEST, _LARGEST)
    sampling = np.array([_squared(pair.select_error) + _squared(pair.test_error) for pair in pairs])
    weight = len(counts) / (len(counts) + _SHRINK) if overall is not None else 1.0
    beta = weight * float(shares @ moved / shares.sum())
    if overall is not None:
        beta += (1.0 - weight) * overall.beta
    squares = float(shares @ ((moved - beta) ** 2 - sampling) / shares.sum())
    variance = weight * max(squares, 0.0)
    if overall is not None:
        variance += (1.0 - weight) * overall.omega**2
    return Shift(beta, max(_LEAST_OMEGA, math.sqrt(variance)))


def _squared(error: float) -> float:
    return error**2 if math.isfinite(error) else 0.0
