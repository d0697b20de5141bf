"""Skill: a score comparable between tasks, with its standard error, and the training rows that it is measured on.

Labels of validation and test are not read: rows are held out within training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.hashing import mix, smallest, uniform
from relselect.profile import readings
from relselect.profile.bootstrap import clusters_of, draw_weights, spread, sums_by_cluster
from relselect.profile.temporal import last_fifth
from relselect.tasks.ranking import auc_of_levels, levels_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.profile.view import View

__all__ = ["HeldOut", "SkillScorer", "hold_out"]

_AUC_DRAWS = 100
_STATIC_SHARE = 0.2


@dataclass(frozen=True)
class HeldOut:
    """Training rows to fit on and training rows to score on, as places in the view.

    Attributes:
        fit: Rows whose labels are known at the first scored cutoff, shape (m,).
        score: Rows to score, shape (n,).
    """

    fit: NDArray[np.int64]
    score: NDArray[np.int64]


def hold_out(view: View, most_fit: int, most_scored: int) -> HeldOut | str:
    """Return the rows to fit on and to score on, or the reason why there are none.

    The rows of the last fifth of the training cutoffs are scored; earlier rows whose labels are known at the first of these
    cutoffs are fitted on. In a static task a fifth of the entities, drawn by a hash of their keys, is scored.

    Args:
        view: The training rows.
        most_fit: Largest number of rows to fit on; more are sampled by hash.
        most_scored: Largest number of rows to score; more are sampled by hash.
    """
    if view.problem.task.static:
        held = uniform(mix(view.key, view.seed + 17)) < _STATIC_SHARE
        fit, score = np.flatnonzero(~held), np.flatnonzero(held)
    else:
        start = last_fifth(view.cutoff)
        if start is None:
            return readings.ONE_CUTOFF
        fit, score = np.flatnonzero(view.known <= start), np.flatnonzero(view.cutoff >= start)
        fit = fit[view.cutoff[fit] < start]
    if not len(fit):
        return readings.NO_KNOWN_LABEL
    if not len(score):
        return readings.NO_SCORED_ROW
    return HeldOut(_drawn(view, fit, most_fit), _drawn(view, score, most_scored))


def _drawn(view: View, places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(places) <= most:
        return places
    return np.sort(places[smallest(mix(view.key[places], view.cutoff[places], view.seed), most)])


class SkillScorer:
    """Computes the skill of predictions of some training rows.

    With y the labels, f the predictions and r the reference constant, skill is

    * 2 AUC(y, f) - 1 for two classes (the Gini coefficient; Somers 1962);
    * 1 - mean |y - f| / mean |y - r| for regression (a skill score, Murphy 1988);
    * 1 - mean [y != f] / mean [y != r] for more than two classes.

    0 is the skill of a constant, 1 of a perfect prediction; a negative skill is worse than the constant.

    Args:
        view: The training rows.
        places: Places in the view of the rows to score, shape (n,).
        reference: The constant of skill 0: a value, or a class number for more than two classes; unused for two.
    """

    def __init__(self, view: View, places: NDArray[np.int64], reference: float) -> None:
        self.classes, self.seed, self.reference = view.classes, view.seed, reference
        self.label = view.label[places]
        self.clusters = clusters_of(view.key[places])

    def skill(self, prediction: NDArray[np.float64]) -> tuple[float, float]:
        """Return the skill of predictions and its standard error from a bootstrap of entities.

        Args:
            prediction: Shape (n,): values, a ranking score for two classes, or class numbers for more.

        Returns:
            Skill and standard error; nan where the labels do not vary.
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
