"""Features as a network reads them: numbers on a normal scale, flags of missing values, numbers of categories.

Fitted on training rows alone. What is missing is at the middle of the scale and flagged; a category that training did not
show is number 0, the same as a missing one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from relselect.dfs.prefix.matrix import FeatureMatrix

__all__ = ["MOST_CATEGORIES", "QUANTILES", "TabularEncoding"]

Floats = NDArray[np.float64]

#: Quantiles kept per column, and training rows they are taken from.
QUANTILES, _ROWS = 256, 50_000
#: The outermost quantiles are placed at the normal quantiles of this share and its complement, about -3.1 and 3.1.
_TAIL = 1e-3
#: Category numbers at most, far above what a vocabulary holds.
MOST_CATEGORIES = 1 << 16


@dataclass(frozen=True)
class TabularEncoding:
    """The fitted encoding of k features.

    A number becomes the standard normal quantile of its rank among the training rows: the mean of the ranks from below and
    from above where values are tied, so that no outlier and no heavy tail reaches the network.

    Attributes:
        numeric: Columns that hold numbers, f of them.
        flagged: Which of those had missing values in training, shape (f,).
        quantiles: Evenly spaced quantiles of each of them in training, shape (q, f).
        categorical: Columns that hold categories, c of them.
        cardinalities: Numbers of each, that of unknown and missing ones included.
    """

    numeric: tuple[int, ...]
    flagged: tuple[bool, ...]
    quantiles: Floats
    categorical: tuple[int, ...]
    cardinalities: tuple[int, ...]

    @classmethod
    def fit(cls, features: FeatureMatrix) -> TabularEncoding:
        """Return the encoding of training rows."""
        values = features.values
        numeric = tuple(place for place, flag in enumerate(features.categorical) if not flag)
        categorical = tuple(place for place, flag in enumerate(features.categorical) if flag)
        some = values[:: max(1, -(-len(values) // _ROWS))]
        quantiles = np.zeros((QUANTILES, len(numeric)))
        for place, column in enumerate(numeric):
            quantiles[:, place] = _quantiles(some[:, column])
        flagged = tuple(bool(np.isnan(values[:, column]).any()) for column in numeric)
        largest = (values[:, column].max(initial=-1, where=~np.isnan(values[:, column])) for column in categorical)
        return cls(numeric, flagged, quantiles, categorical, tuple(int(code) + 2 for code in largest))

    @property
    def width(self) -> int:
        """Columns of the encoded numbers: the numbers and the flags."""
        return len(self.numeric) + sum(self.flagged)

    def encode(self, values: Floats) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return numbers with flags, shape (n, f + flags), and category numbers, shape (n, c), of features (n, k)."""
        numbers = np.empty((len(values), self.width), dtype=np.float32)
        codes = np.zeros((len(values), len(self.categorical)), dtype=np.int64)
        scale = _normal_scale(len(self.quantiles))
        flag = len(self.numeric)
        for place, column in enumerate(self.numeric):
            raw = values[:, column]
            missing = np.isnan(raw)
            numbers[:, place] = np.where(missing, 0.0, _normal(raw, self.quantiles[:, place], scale))
            if self.flagged[place]:
                numbers[:, flag] = missing
                flag += 1
        for place, column in enumerate(self.categorical):
            raw = values[:, column]
            known = (raw >= 0) & (raw <= self.cardinalities[place] - 2)
            codes[known, place] = raw[known].astype(np.int64) + 1
        return numbers, codes


def _quantiles(column: Floats) -> Floats:
    """Return the quantiles of a column's finite values, zeros where it has none."""
    known = np.sort(column[np.isfinite(column)])
    if not len(known):
        return np.zeros(QUANTILES)
    return known[np.linspace(0, len(known) - 1, QUANTILES).round().astype(np.int64)]


def _normal_scale(count: int) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(np.linspace(0, 1, count), _TAIL, 1 - _TAIL)), dtype=np.float64)


def _normal(raw: Floats, quantiles: Floats, scale: Floats) -> Floats:
    """Return normal quantiles of values; ties get the mean of their least and largest."""
    below = np.interp(raw, quantiles, scale)
    above = -np.interp(-raw, -quantiles[::-1], -scale[::-1])
    return (below + above) / 2
