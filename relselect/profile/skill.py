"""Skill: a score in units that tasks share, and the rows it is measured on.

Skill is 2*AUC - 1 for binary tasks, 1 - MAE / MAE of the median for regression, and (accuracy - a) / (1 - a) with a the
accuracy of the majority class for more classes: 0 is a constant, 1 perfect. It is scored on the last fifth of the train
cutoffs, by what was fitted on labels known before the first of them. Static tasks have no before: a fifth of the
entities, drawn by a hash of their keys, is scored by what the others teach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.hashing import mix, smallest, uniform
from relselect.profile.bootstrap import clusters_of, draw_weights, spread, sums_by_cluster
from relselect.profile.temporal import last_fifth
from relselect.tasks.ranking import auc_of_levels, levels_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.profile.view import View

__all__ = ["UNDEFINED", "Held", "Scored", "hold_out"]

UNDEFINED = "Labels in the last fifth of the train dates do not vary, so skill is undefined."
_AUC_DRAWS = 100
_STATIC_SHARE = 0.2


@dataclass(frozen=True)
class Held:
    """Train rows to fit on and train rows to score on, as places in the view.

    Attributes:
        fit: Rows whose labels were known before the first scored row's date; shape (m,).
        score: Shape (n,).
    """

    fit: NDArray[np.int64]
    score: NDArray[np.int64]


def hold_out(view: View, most_fit: int, most_scored: int) -> Held | str:
    """Return the rows to fit and to score on, or why there are none.

    Args:
        view: The train rows.
        most_fit: More rows than this are drawn from, by a hash.
        most_scored: The same for the scored rows.
    """
    if view.problem.task.static:
        held = uniform(mix(view.key, view.seed + 17)) < _STATIC_SHARE
        fit, score = np.flatnonzero(~held), np.flatnonzero(held)
    else:
        start = last_fifth(view.cutoff)
        if start is None:
            return "All train rows share one cutoff, so nothing can be fitted before it is scored."
        fit, score = np.flatnonzero(view.known <= start), np.flatnonzero(view.cutoff >= start)
        fit = fit[view.cutoff[fit] < start]
    if not len(fit):
        return "No label was known before the last fifth of the train dates."
    if not len(score):
        return "No train row is left to score on."
    return Held(_drawn(view, fit, most_fit), _drawn(view, score, most_scored))


def _drawn(view: View, places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(places) <= most:
        return places
    return np.sort(places[smallest(mix(view.key[places], view.cutoff[places], view.seed), most)])


class Scored:
    """Scores predictions of some rows.

    Args:
        view: The train rows.
        places: The rows scored, shape (n,).
        reference: The constant that has skill 0: a value, or a class number beyond two classes; unused for binary tasks.
    """

    def __init__(self, view: View, places: NDArray[np.int64], reference: float) -> None:
        self.classes, self.seed, self.reference = view.classes, view.seed, reference
        self.label = view.label[places]
        self.clusters = clusters_of(view.key[places])

    def skill(self, prediction: NDArray[np.float64]) -> tuple[float, float]:
        """Return the skill of predictions and its standard error, by a bootstrap of entities.

        Args:
            prediction: Values, anything that ranks for binary tasks, or class numbers; shape (n,).
        """
        if self.classes == 2:
            return self._ranked(prediction)
        if self.classes == 0:
            loss, worst = np.abs(self.label - prediction), np.abs(self.label - self.reference)
        else:
            loss = (self.label != prediction).astype(np.float64)
            worst = (self.label != self.reference).astype(np.float64)
        sums = sums_by_cluster(self.clusters, int(self.clusters.max()) + 1, [loss, worst])
        return spread(sums, _one_minus_ratio, self.seed)

    def _ranked(self, prediction: NDArray[np.float64]) -> tuple[float, float]:
        level = levels_of(prediction)
        value = 2 * auc_of_levels(self.label, level) - 1
        weights = draw_weights(int(self.clusters.max()) + 1, self.seed)[:_AUC_DRAWS]
        drawn = 2 * np.array([auc_of_levels(self.label, level, row[self.clusters]) for row in weights]) - 1
        drawn = drawn[np.isfinite(drawn)]
        return value, float(drawn.std(ddof=1)) if len(drawn) > 10 else float("nan")


def _one_minus_ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[:, 1] > 0, 1.0 - sums[:, 0] / sums[:, 1], np.nan)
