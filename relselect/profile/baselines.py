"""Skill of constants: of the whole training set, and of each entity.

A constant is fitted on labels known before the first scored cutoff, so that fitting and scoring share no label. An entity
without a known label gets the global constant. The score is defined in `relselect.profile.skill`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from relselect.hashing import mix, smallest
from relselect.profile import readings
from relselect.profile.bootstrap import clusters_of, spread, sums_by_cluster
from relselect.profile.measure import Measure
from relselect.profile.skill import SkillScorer
from relselect.profile.temporal import last_fifth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.profile.view import View

__all__ = ["baseline_measures"]

Skill = Callable[["NDArray[np.float64]"], tuple[float, float]]

_GROUP = "baselines"
_NAMES = ("global_skill", "entity_skill", "entity_mean_skill", "entities_seen_before")
_MOST_SCORED = 20_000


def baseline_measures(view: View) -> list[Measure]:
    """Return the skill of the global and the per-entity constants, and the share of entities with a known label.

    The scored rows are those of the last fifth of the training cutoffs, at most 20,000, drawn by hash.

    * `global_skill`: the mean of all earlier labels (majority class for more than two classes);
    * `entity_skill`: each entity's median of its earlier labels (mean for two classes, most frequent class for more);
    * `entity_mean_skill`: each entity's mean of its earlier labels (most frequent class for more than two);
    * `entities_seen_before`: share of the scored rows whose entity has an earlier label.

    Args:
        view: The training rows.
    """
    why, view = "", view.visible_entities
    start = last_fifth(view.cutoff)
    if view.problem.task.static:
        why = readings.STATIC
    elif not len(view):
        why = readings.NO_ENTITY_YET
    elif start is None:
        why = readings.ONE_CUTOFF
    elif view.history is None:
        why = readings.UNKNOWN_TIMES
    elif not (view.history.known <= start).any():
        why = readings.NO_KNOWN_LABEL
    if why or start is None:
        return [Measure.undefined(name, _GROUP, why) for name in _NAMES]
    return _measured(view, start)


def _measured(view: View, start: int) -> list[Measure]:
    scored = np.flatnonzero(view.cutoff >= start)
    if len(scored) > _MOST_SCORED:
        drawn = mix(view.key[scored], view.cutoff[scored], view.seed)
        scored = np.sort(scored[smallest(drawn, _MOST_SCORED)])
    fitted = _Constants(view, start, view.entity[scored])
    clusters = clusters_of(view.key[scored])
    seen = (fitted.count > 0).astype(np.float64)
    share, share_error = spread(
        sums_by_cluster(clusters, clusters.max() + 1, [np.ones_like(seen), seen]),
        lambda sums: sums[:, 1] / sums[:, 0],
        view.seed,
    )
    skill = SkillScorer(view, scored, fitted.overall).skill
    measures = [
        _global(view, skill, fitted),
        _entity(view, skill, fitted, median=True),
        _entity(view, skill, fitted, median=False),
    ]
    return [*measures, Measure(_NAMES[3], share, share_error, _GROUP, readings.entities_seen(share))]


class _Constants:
    """Constants of the scored rows' entities, fitted on the labels known at `start`."""

    def __init__(self, view: View, start: int, entity: NDArray[np.int64]) -> None:
        assert view.history is not None
        history = view.history
        self.classes = view.classes
        self.begin, end = history.known_before(entity, np.full(len(entity), start))
        self.count = end - self.begin
        self.label = history.label
        known = history.label[history.known <= start]
        self.mean = float(known.mean())
        self.overall = float(np.median(known)) if view.classes == 0 else self.mean
        if self.classes > 2:
            self.overall = float(np.bincount(known.astype(int), minlength=self.classes).argmax())

    def of_entity(self, *, median: bool) -> NDArray[np.float64]:
        """Return the constant of the entity of each scored row, shape (n,): mean or median, majority class beyond two."""
        found = np.full(len(self.begin), self.overall if median or self.classes > 2 else self.mean)
        if not median and self.classes <= 2:
            total = np.concatenate([[0.0], np.cumsum(self.label)])
            filled = self.count > 0
            begin, end = self.begin[filled], (self.begin + self.count)[filled]
            found[filled] = (total[end] - total[begin]) / self.count[filled]
            return found
        ranges, place = np.unique(np.column_stack([self.begin, self.count]), axis=0, return_inverse=True)
        own = [self._constant(self.label[b : b + c], median) if c else np.nan for b, c in ranges]
        values = np.array(own)[place.reshape(-1)]
        return np.where(np.isnan(values), found, values)

    def _constant(self, labels: NDArray[np.float64], median: bool) -> float:
        if median:
            return float(np.median(labels))
        return float(np.bincount(labels.astype(int), minlength=self.classes).argmax())


def _global(view: View, skill: Skill, fitted: _Constants) -> Measure:
    if view.classes == 2:
        value, stderr = 0.0, 0.0
    else:
        value, stderr = skill(np.full(len(fitted.begin), fitted.mean if view.classes == 0 else fitted.overall))
    reading = readings.global_baseline(value, view.classes) if np.isfinite(value) else readings.UNDEFINED_SKILL
    return Measure(_NAMES[0], value, stderr, _GROUP, reading)


def _entity(view: View, skill: Skill, fitted: _Constants, *, median: bool) -> Measure:
    name = _NAMES[1] if median else _NAMES[2]
    value, stderr = skill(fitted.of_entity(median=median and view.classes == 0))
    if np.isnan(value):
        return Measure(name, value, stderr, _GROUP, readings.UNDEFINED_SKILL)
    return Measure(name, value, stderr, _GROUP, readings.baseline(value, stderr, view.classes, median=median))
