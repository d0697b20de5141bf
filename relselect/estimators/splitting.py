"""Cross-validation in the order of time: later cutoffs test what was fitted on labels that were known by then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sklearn.model_selection import BaseCrossValidator

from relselect.counts import check_count
from relselect.database.clock import is_time_type, parse_duration, ticks_of
from relselect.errors import ConfigError, TaskError
from relselect.estimators.frames import names_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CutoffSplit"]


class CutoffSplit(BaseCrossValidator):
    """Splits rows by their cutoffs: fold k tests on a block of cutoffs and trains on all rows known before it.

    scikit-learn's random splits (`KFold` with shuffling, `train_test_split`, the default of `cross_val_score`) are wrong here:
    a model that was fitted on a later label of an entity is then scored on an earlier one, and looks better than it is.
    `TimeSeriesSplit` counts rows, so that it may cut through the rows of one date. This one counts distinct cutoffs, and
    leaves out training rows whose label window reaches into the test block (purging, de Prado 2018, chapter 7).

    Args:
        n_splits: Folds, at least 2. X needs `n_splits + 1` distinct cutoffs; the first block only trains.
        cutoff: The cutoff column of X.
        horizon: Length of the label window, such as "30d" (ticks where times are integers); None for labels that are known at
            the cutoff.

    Example:
        >>> import pandas as pd
        >>> X = pd.DataFrame({"id": [1, 2] * 4, "cutoff": pd.date_range("2024-01-01", periods=4).repeat(2)})
        >>> [(train.tolist(), test.tolist()) for train, test in CutoffSplit(2, horizon="1d").split(X)]
        [([0, 1, 2, 3], [4, 5]), ([0, 1, 2, 3, 4, 5], [6, 7])]
    """

    def __init__(self, n_splits: int = 5, *, cutoff: str = "cutoff", horizon: str | int | None = None) -> None:
        self.n_splits = n_splits
        self.cutoff = cutoff
        self.horizon = horizon

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the places of the training and the test rows of each fold, in ascending order.

        Args:
            X: A frame with the cutoff column, n rows.
            y: Not used.
            groups: Not used.

        Raises:
            TaskError: There are too few distinct cutoffs, or no row is known before a test block.
        """
        folds = self.get_n_splits()
        delay = 0 if self.horizon is None else parse_duration(self.horizon, "horizon")
        cutoff = self._ticks(X)
        dates = np.unique(cutoff)
        size = len(dates) // (folds + 1)
        if size < 1:
            rule = f"{folds} folds need {folds + 1} or more"
            raise TaskError(
                "X.cutoff", f"{len(dates)} distinct cutoffs", rule, "Ask at more cutoffs, or take fewer folds"
            )
        for first in range(len(dates) - folds * size, len(dates), size):
            block = dates[first : first + size]
            train = np.flatnonzero((cutoff < block[0]) & (cutoff + delay <= block[0]))
            if not len(train):
                rule = "no label is known before the first test block"
                raise TaskError("horizon", self.horizon, rule, "Take fewer folds, or earlier cutoffs")
            yield train, np.flatnonzero((cutoff >= block[0]) & (cutoff <= block[-1]))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Raises:
            ConfigError: It is less than 2.
        """
        folds = check_count("n_splits", self.n_splits)
        if folds < 2:
            raise ConfigError("n_splits", folds, "must be 2 or more", "Use e.g. 5")
        return folds

    def _ticks(self, X: Any) -> NDArray[np.int64]:
        if self.cutoff not in names_of(X):
            raise TaskError(
                "X",
                names_of(X) or type(X).__name__,
                f"has no column {self.cutoff!r}",
                "Pass the frame with the cutoffs",
            )
        values = pa.chunked_array([pa.array(X[self.cutoff])])
        if values.null_count or not is_time_type(values.type):
            rule = "must hold a timestamp, a date or an integer in every row"
            raise TaskError(
                f"X.{self.cutoff}", f"{values.type}, {values.null_count} missing", rule, "Parse the column first"
            )
        return ticks_of(values, up=False)
