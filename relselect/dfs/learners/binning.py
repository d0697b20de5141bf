"""LightGBM's binned data sets: made once per feature matrix and shared by all trials on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.learners.protocol import weights_of_parts
from relselect.dfs.learners.trees import shifted

if TYPE_CHECKING:
    from relselect.dfs.learners.labels import LabelScale
    from relselect.dfs.learners.protocol import TabularData

__all__ = ["BINNING", "Binned", "binned_of", "shift_of"]

Floats = NDArray[np.float64]

#: How values become bins; a data set that is used with other parameters again must not drop features for them.
BINNING = {"max_cat_to_onehot": 8, "feature_pre_filter": False, "verbosity": -1}
#: A column of more distinct values than this loses next to nothing with its last threshold.
_FEW = 32


@dataclass(frozen=True, eq=False)
class Binned:
    """Binned rows.

    Attributes:
        train: LightGBM's data set of the training rows.
        stop: That of the stop rows, with the same bins; None without any.
        shift: What was subtracted from the columns before, shape (k,); see `shift_of`.
        of: The stop rows that it was made of.
        scale: The scale of the labels in it.
    """

    train: Any
    stop: Any
    shift: Floats
    of: TabularData | None
    scale: LabelScale

    @classmethod
    def of_rows(cls, parts: Sequence[TabularData], scale: LabelScale, stop: TabularData | None = None) -> Binned:
        """Bin the rows of all parts together, and stop rows by the same bins."""
        import lightgbm

        first = parts[0].features
        categories = [place for place, flag in enumerate(first.categorical) if flag]
        shift = shift_of(parts)
        values: list[Floats] = [shifted(part.features.values, shift) for part in parts]
        main = lightgbm.Dataset(
            values[0] if len(values) == 1 else values,
            scale.standard(np.concatenate([part.label for part in parts])),
            weight=weights_of_parts(parts),
            categorical_feature=categories,
            params=BINNING,
        ).construct()
        held = None
        if stop is not None:
            held = lightgbm.Dataset(
                shifted(stop.features.values, shift),
                scale.standard(stop.label),
                reference=main,
                weight=stop.weights,
                categorical_feature=categories,
                params=BINNING,
            ).construct()
        return cls(main, held, shift, stop, scale)


def binned_of(train: TabularData, stop: TabularData, scale: LabelScale) -> Binned:
    """Return the binned training and stop rows, made once for as long as the training rows are kept."""
    found = train.derived("lightgbm", lambda: Binned.of_rows([train], scale, stop))
    return found if found.of is stop and found.scale == scale else Binned.of_rows([train], scale, stop)


def shift_of(parts: Sequence[TabularData]) -> Floats:
    """Return what makes the few values of a column negative, shape (k,); 0 for columns that stay as they are.

    With `extra_trees`, LightGBM draws the threshold of a split among all bins but the last, and it gives zero a bin of its own
    whether zero occurs or not. A column of the values 1 and 2 has the thresholds "below 1", which divides nothing, and "below
    2", which is never drawn. Once all values are negative, the threshold that is never drawn is the one before the empty
    bin of zero. Only columns of at most 32 values that subtraction keeps apart exactly are shifted.
    """
    first = parts[0].features
    shift = np.zeros(first.values.shape[1])
    for place, categorical in enumerate(first.categorical):
        if categorical:
            continue
        values = _few_values(np.concatenate([part.features.values[:, place] for part in parts]))
        if values is None or values[-1] < 0:
            continue
        largest = values[-1] + max(1.0, values[-1] - values[0])
        if ((values - largest) + largest == values).all():
            shift[place] = largest
    return shift


def _few_values(column: Floats) -> Floats | None:
    """Return the distinct finite values of a column, rising, if there are 2 to 32, else None."""
    if len(np.unique(column[:: max(1, len(column) // 1000)])) > _FEW + 1:
        return None
    values = np.unique(column[~np.isnan(column)])
    return values if 2 <= len(values) <= _FEW and np.isfinite(values).all() else None
