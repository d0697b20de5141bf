"""Calibration: whether rows that are predicted alike have the mean label that is predicted for them.

Rows are sorted by their predictions and cut into about ten bins with equally many rows; rows with equal predictions share a
bin. With bins b of n_b of the n rows, the expected calibration error is sum over b of n_b / n |mean prediction - mean label|
(Naeini, Cooper and Hauskrecht 2015, AAAI, there with bins of equal width).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.outcomes.draws import finite, intervals, statistics
from relselect.outcomes.outcome import CalibrationBin

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bin_numbers", "calibration_bins", "calibration_error", "calibration_noise"]

_BINS = 10
#: Draws of labels for the error of a perfectly calibrated model, and the part of them that lies below it.
_DRAWS, _BELOW = 100, 0.95
#: Rows up to which the labels themselves are drawn.
_EXACT = 5_000


def bin_numbers(predicted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each row, shape (n,), from 0 in the order of the predictions.

    >>> bin_numbers(np.array([0.3, 0.1, 0.1, 0.2]))
    array([2, 0, 0, 1])
    """
    _, level, size = np.unique(predicted, return_inverse=True, return_counts=True)
    middle = (np.cumsum(size) - size / 2) / max(len(predicted), 1)
    place = np.minimum((middle * _BINS).astype(np.int64), _BINS - 1)
    return np.asarray(np.unique(place, return_inverse=True)[1][level.reshape(-1)])


def calibration_bins(
    predicted: NDArray[np.float64],
    label: NDArray[np.float64],
    sample: NDArray[np.int64],
    clusters: NDArray[np.int64],
    *,
    seed: int,
) -> tuple[CalibrationBin, ...]:
    """Return the bins from low predictions to high ones; arguments as for `relselect.outcomes.gains.top_tenth`."""
    if not len(label):
        return ()
    number = bin_numbers(predicted)
    rows = np.bincount(number)
    forecast, truth = (np.bincount(number, values) / rows for values in (predicted, label))

    def means(weight: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = np.bincount(number[sample], weight, minlength=len(rows))
        total = np.bincount(number[sample], weight * label[sample], minlength=len(rows))
        return np.divide(total, inside, out=np.full(len(rows), np.nan), where=inside > 0)

    drawn = statistics(means, clusters[sample], seed=seed)
    low, high = intervals(truth + (drawn - means(np.ones(len(sample)))) * np.sqrt(len(sample) / len(label)))
    if (label >= 0).all():
        low = np.maximum(low, 0.0)
    return tuple(
        CalibrationBin(int(n), float(p), float(y), finite(a), finite(b))
        for n, p, y, a, b in zip(rows, forecast, truth, low, high, strict=True)
    )


def calibration_error(predicted: NDArray[np.float64], label: NDArray[np.float64]) -> float | None:
    """Return the expected calibration error; None without rows.

    >>> calibration_error(np.array([0.25, 0.25, 0.25, 0.25]), np.array([0.0, 0.0, 0.0, 1.0]))
    0.0
    """
    if not len(label):
        return None
    return _error(bin_numbers(predicted), predicted, label)


def calibration_noise(predicted: NDArray[np.float64], *, seed: int) -> float | None:
    """Return the error that labels drawn with the predicted probabilities stay below in 95 of 100 draws; None without rows."""
    if not len(predicted):
        return None
    generator = np.random.default_rng(seed)
    number, chance = bin_numbers(predicted), np.clip(predicted, 0.0, 1.0)
    spread = np.sqrt(np.bincount(number, chance * (1 - chance)))
    if len(predicted) > _EXACT:  # the sum of the labels of a bin is close to normal
        drawn = np.abs(generator.normal(size=(_DRAWS, len(spread))) * spread).sum(axis=1) / len(predicted)
    else:
        labels = generator.random((_DRAWS, len(predicted))) < chance
        drawn = np.array([_error(number, chance, each.astype(np.float64)) for each in labels])
    return float(np.quantile(drawn, _BELOW))


def _error(number: NDArray[np.int64], predicted: NDArray[np.float64], label: NDArray[np.float64]) -> float:
    return float(np.abs(np.bincount(number, predicted - label)).sum() / len(label))
