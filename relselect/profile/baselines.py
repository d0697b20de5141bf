"""What constants achieve: skill scores (`relselect.profile.skill`) fitted on labels known before they are scored.

An entity without a known label gets the global constant. Fitting and scoring never share a label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from relselect.hashing import mix, smallest
from relselect.profile.bootstrap import clusters_of, spread, sums_by_cluster
from relselect.profile.measure import Measure
from relselect.profile.skill import UNDEFINED, Scored
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
    """Return the skills of the global and of the per-entity constants, and how many entities were seen before."""
    why, view = "", view.there
    start = last_fifth(view.cutoff)
    if view.problem.task.static:
        why = "The task has no time, so no label is earlier than another."
    elif not len(view):
        why = "No training row asks about an entity that is there at its date, so none has a past."
    elif start is None:
        why = "All train rows share one cutoff, so nothing can be fitted before it is scored."
    elif view.history is None:
        why = "It is not known when labels become known, so constants cannot be fitted before they are scored."
    elif not (view.history.known <= start).any():
        why = "No label was known before the last fifth of the train dates."
    if why or start is None:
        return [Measure(name, np.nan, np.nan, _GROUP, why) for name in _NAMES]
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
    skill = Scored(view, scored, fitted.overall).skill
    measures = [
        _global(view, skill, fitted),
        _entity(view, "entity_skill", skill, fitted.of_entity(median=view.classes == 0)),
        _entity(view, "entity_mean_skill", skill, fitted.of_entity(median=False)),
    ]
    text = (
        f"{share:.0%} of the rows in the last fifth of the train dates belong to entities with an earlier known label."
    )
    return [*measures, Measure(_NAMES[3], share, share_error, _GROUP, text)]


class _Constants:
    """Constants fitted on the labels known at `start`."""

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
        """Return the entity's constant per scored row: mean, median, or majority class beyond two classes."""
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
        return Measure(_NAMES[0], 0.0, 0.0, _GROUP, "One probability for all ranks nobody: skill 0 by definition.")
    value, stderr = skill(np.full(len(fitted.begin), fitted.mean if view.classes == 0 else fitted.overall))
    what = "mean" if view.classes == 0 else "majority class"
    text = f"The global {what} of earlier labels has skill {value:.2f} in the last fifth of the train dates."
    return Measure(_NAMES[0], value, stderr, _GROUP, text if np.isfinite(value) else UNDEFINED)


def _entity(view: View, name: str, skill: Skill, prediction: NDArray[np.float64]) -> Measure:
    value, stderr = skill(prediction)
    if np.isnan(value):
        return Measure(name, value, stderr, _GROUP, UNDEFINED)
    what = "mean" if view.classes == 2 or name.endswith("mean_skill") else "median"
    what = "most frequent class" if view.classes > 2 else what
    text = (
        f"Predicting each entity's {what} of earlier labels has skill {value:.2f} (± {stderr:.2f}) "
        "in the last fifth of the train dates (0 is a constant, 1 perfect)."
    )
    return Measure(name, value, stderr, _GROUP, text)
