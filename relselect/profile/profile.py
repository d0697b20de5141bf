"""Measures a task: all groups of measures, within a time budget, beside the report of the leak checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from relselect.budget import Budget
from relselect.events import Emit, Notice, StageFinished, StageStarted, silent
from relselect.leaks import LeakReport, announce, check_leaks
from relselect.profile.baselines import baseline_measures
from relselect.profile.cache import ProfileCache
from relselect.profile.feature_affinity import feature_affinity_measures
from relselect.profile.homophily import homophily_measures
from relselect.profile.measure import Measure, Profile
from relselect.profile.past import PAST_NAMES, past_measures
from relselect.profile.path_affinity import path_affinity_measures
from relselect.profile.scale import scale_measures
from relselect.profile.temporal import TEMPORAL_NAMES, temporal_measures
from relselect.profile.view import View, make_view

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["profile_task"]

_STAGE = "profile"
#: Share of the budget that the leak checks may use where they have no time of their own.
_LEAK_SHARE = 0.5
#: Share of the time left that the paths of homophily may use; further paths are left out, and their number is said.
_HOMOPHILY_SHARE = 0.5


def profile_task(
    problem: Problem,
    *,
    budget: Budget | None = None,
    emit: Emit = silent,
    seed: int = 0,
    hops: int = 2,
    cache: ProfileCache | None = None,
    leaks: LeakReport | None = None,
    only: Collection[str] | None = None,
) -> Profile:
    """Measure the scale of a task, the skill of constants, its autocorrelations, homophily and affinities; check for leaks.

    Args:
        problem: The database and the task; of its labels only those of training are read.
        budget: Measures whose turn comes after the budget is spent are left out; None for no limit.
        emit: Called with every event.
        seed: Seed of samples and bootstraps. Equal inputs and seed give equal profiles but for the seconds.
        hops: Maximal length of the meta-paths of homophily: 2 or 4.
        cache: Profiles of earlier runs; a profile of equal inputs is read from it, and a complete new one is written to it.
        leaks: The report of leak checks that ran before; None runs them here, in half of the budget.
        only: Names of the measures that are wanted; None for all. Scale and the skill of constants, which cost next to nothing,
            are always measured; of the others, groups and depths of the affinities that hold none of the names are left out.
            Path affinity needs PyTorch for its untrained network, the others do not.

    Returns:
        The profile, with the leak checks that did not run in `Profile.unrun_checks`.
    """
    place = None if cache is None else cache.place(problem, seed, hops, only)
    kept = None if cache is None or place is None else cache.read(place)
    if kept is None and cache is not None and only is not None:
        kept = cache.read(cache.place(problem, seed, hops))  # a whole profile has every measure
    if kept is not None:
        emit(Notice(_STAGE, f"The profile was measured before, in {kept.seconds:.1f} s; it is read from the cache."))
        if leaks is None:
            announce(kept.leaks, emit)
        return kept if leaks is None else replace(kept, leaks=leaks)
    limit = budget or Budget(None)
    if leaks is None:
        leaks = check_leaks(problem, budget=limit.share(_LEAK_SHARE), emit=emit, seed=seed)
    measured = _measured(problem, limit, emit, seed, hops, leaks, only)
    if cache is not None and place is not None and leaks.complete and not limit.spent:
        cache.write(place, measured)
    return measured


def _measured(
    problem: Problem,
    limit: Budget,
    emit: Emit,
    seed: int,
    hops: int,
    leaks: LeakReport,
    only: Collection[str] | None,
) -> Profile:
    begun = time.monotonic()
    emit(StageStarted(_STAGE))
    view = make_view(problem, seed)
    groups: list[Callable[[View], list[Measure]]] = [scale_measures, baseline_measures]
    if only is None or set(only) & set(TEMPORAL_NAMES):
        groups.append(temporal_measures)
    if only is None or set(only) & set(PAST_NAMES):
        groups.append(past_measures)
    if only is None or any("homophily" in name for name in only):
        # the affinities, which the selector reads as well, need time after the paths, whose number is not bounded by the data
        groups.append(lambda v: homophily_measures(v, limit.share(_HOMOPHILY_SHARE), hops))
    groups.append(lambda v: feature_affinity_measures(v, limit, only))
    groups.append(lambda v: path_affinity_measures(v, limit, only))
    measures: list[Measure] = []
    for group in groups:
        if limit.spent:
            emit(Notice(_STAGE, "The time for the profile ended before all of it was measured.", "warning"))
            break
        measures += _timed(group, view)
    seconds = time.monotonic() - begun
    emit(StageFinished(_STAGE, seconds, f"{len(measures)} measures"))
    return Profile(tuple(measures), seconds, leaks=leaks)


def _timed(group: Callable[[View], list[Measure]], view: View) -> list[Measure]:
    begun = time.monotonic()
    measures = group(view)
    shared = time.monotonic() - begun - sum(measure.seconds for measure in measures)
    if not measures:
        return measures
    return [replace(measures[0], seconds=measures[0].seconds + max(0.0, shared)), *measures[1:]]
