"""The shift between validation and test: how far a difference seen on select rows lies from the margin on test rows.

d ~ N(delta + beta, s² + omega²): s is the sampling error of the difference, beta the optimism of validation, omega what the
difference moves beyond both sampling errors. beta and omega come from a bank, per kind of task, drawn towards those of all.

Both are estimated as in a meta-analysis with random effects (Paule and Mandel 1982, "Consensus values and weighting factors"):
omega² is such that the squared distances, each over its own variance, are one on average. A mean of squared distances less
sampling variances would be decided by the tasks with the fewest rows, whose sampling variance is far larger than omega².

The margin on test rows also has a part that neither the profile nor select rows can tell, because it comes later: the *drift*.
It is estimated in the same way from what is left of the known margins when the expectation of each comes from databases other
than its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from relselect.selector.normal import NormalMargin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.bank.pairs import PairEvidence

__all__ = ["Shift", "ValidationShift", "fit_shift"]

#: Databases' worth of all kinds in the numbers of one kind.
_SHRINK = 5.0
#: Distances beyond this are taken for it.
_LARGEST = 0.3
_LEAST_OMEGA = 0.01
#: The least and the largest variance between which omega² and the drift's are looked for, and rounds of halving.
_VARIANCES, _HALVINGS = (1e-6, 1.0), 60


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
        drift: Standard deviation of the part of the margin on test rows that neither profile nor select rows can tell.
    """

    overall: Shift
    kinds: Mapping[str, Shift]
    drift: float = 0.0

    def posterior(self, prior: NormalMargin, difference: float, error: float, kind: str) -> NormalMargin:
        """Return the margin after a difference was seen on select rows; never less sure than before.

        Args:
            prior: The margin expected before.
            difference: The paired difference in skill on the select rows.
            error: Its standard error; a nan leaves the prior as it is.
            kind: Kind of the task.
        """
        found = self._without_drift(prior, difference, error, kind)
        return NormalMargin(found.mean, min(prior.sd, math.hypot(found.sd, self.drift)))

    def with_drift(self, pairs: Sequence[PairEvidence], expected: Mapping[str, NormalMargin]) -> ValidationShift:
        """Return the shifts with the drift of known margins from what is expected of them.

        Args:
            pairs: The comparisons.
            expected: Task -> its margin before validation, expected without its own database; other tasks are left out.
        """
        known = [pair for pair in _known(pairs) if pair.task in expected]
        if not known:
            return self
        found = [
            self._without_drift(expected[pair.task], pair.difference, pair.select_error, pair.kind) for pair in known
        ]
        left = np.clip([pair.margin - each.mean for pair, each in zip(known, found, strict=True)], -_LARGEST, _LARGEST)
        sampling = [each.sd**2 + _squared(pair.test_error) for pair, each in zip(known, found, strict=True)]
        variance = _excess(left, np.array(sampling), _shares(known), centred=False)[1]
        return replace(self, drift=math.sqrt(variance))

    def _without_drift(self, prior: NormalMargin, difference: float, error: float, kind: str) -> NormalMargin:
        shift = self.kinds.get(kind, self.overall)
        return prior.updated(difference - shift.beta, math.hypot(error, shift.omega))


def fit_shift(pairs: Sequence[PairEvidence]) -> ValidationShift:
    """Fit beta and omega; every database has the same weight.

    With v = s² + s_test² of a pair, w its weight and beta the mean of d - delta with the weights w / (v + omega²):

        sum of w (d - delta - beta)² / (v + omega²) = sum of w,

    and omega = 0 where the left side is smaller without it.

    Args:
        pairs: Comparisons whose differences on select and test rows are known.
    """
    known = _known(pairs)
    overall = _of(known, None)
    kinds = {kind: _of([pair for pair in known if pair.kind == kind], overall) for kind in {p.kind for p in known}}
    return ValidationShift(overall, dict(sorted(kinds.items())))


def _known(pairs: Sequence[PairEvidence]) -> list[PairEvidence]:
    return [pair for pair in pairs if math.isfinite(pair.difference) and math.isfinite(pair.margin)]


def _of(pairs: Sequence[PairEvidence], overall: Shift | None) -> Shift:
    if not pairs:
        return overall or Shift(0.0, 0.0)
    moved = np.clip([pair.difference - pair.margin for pair in pairs], -_LARGEST, _LARGEST)
    sampling = np.array([_squared(pair.select_error) + _squared(pair.test_error) for pair in pairs])
    beta, variance = _excess(moved, sampling, _shares(pairs))
    if overall is not None:
        databases = len({pair.database for pair in pairs})
        weight = databases / (databases + _SHRINK)
        beta = weight * beta + (1.0 - weight) * overall.beta
        variance = weight * variance + (1.0 - weight) * overall.omega**2
    return Shift(beta, max(_LEAST_OMEGA, math.sqrt(variance)))


def _shares(pairs: Sequence[PairEvidence]) -> NDArray[np.float64]:
    """Return the weights of pairs; those of one database sum to 1."""
    counts: dict[str, int] = {}
    for pair in pairs:
        counts[pair.database] = counts.get(pair.database, 0) + 1
    return np.array([1.0 / counts[pair.database] for pair in pairs])


def _excess(
    distance: NDArray[np.float64], sampling: NDArray[np.float64], shares: NDArray[np.float64], *, centred: bool = True
) -> tuple[float, float]:
    """Return the mean of distances (0 unless centred) and their variance beyond that of sampling (Paule and Mandel 1982)."""

    def at(variance: float) -> tuple[float, float]:
        weights = shares / (sampling + variance)
        mean = float(weights @ distance / weights.sum()) if centred else 0.0
        return mean, float(weights @ (distance - mean) ** 2 - shares.sum())

    low, high = _VARIANCES
    if at(low)[1] <= 0:  # the distances are within the sampling errors
        return at(low)[0], 0.0
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if at(middle)[1] > 0 else (low, middle)
    return at(high)[0], high


def _squared(error: float) -> float:
    return error**2 if math.isfinite(error) else 0.0
