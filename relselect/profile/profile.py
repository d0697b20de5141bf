"""All measures of a task, in one pass and within a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from relselect.budget import Budget
from relselect.events import Emit, Notice, StageFinished, StageStarted, silent
from relselect.leaks import find_leaks
from relselect.profile.baselines import baseline_measures
from relselect.profile.cache import ProfileCache
from relselect.profile.feature_affinity import feature_affinity_measures
from relselect.profile.homophily import homophily_measures
from relselect.profile.measure import Measure, Profile
from relselect.profile.past import past_measures
from relselect.profile.path_affinity import path_affinity_measures
from relselect.profile.scale import scale_measures
from relselect.profile.temporal import temporal_measures
from relselect.profile.view import View, make_view

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["profile_task"]

_STAGE = "profile"


def profile_task(
    problem: Problem,
    *,
    budget: Budget | None = None,
    emit: Emit = silent,
    seed: int = 0,
    hops: int = 2,
    cache: ProfileCache | None = None,
) -> Profile:
    """Measure a task: scale, what constants achieve, how labels follow from labels, homophily and affinities.

    Args:
        problem: The task and its database; train labels only are read.
        budget: What there was no time for is left out; None for no limit.
        emit: Listener.
        seed: Seed of samples and bootstraps; equal inputs and seed give the equal profile, times apart.
        hops: Length of the meta-paths of homophily: 2, or 4 for longer ones as well.
        cache: Where an earlier profile of the same may be, and this one is kept.

    Returns:
        The profile.
    """
    place = None if cache is None else cache.place(problem, seed, hops)
    kept = None if cache is None or place is None else cache.read(place)
    if kept is not None:
        emit(Notice(_STAGE, f"The profile was measured before, in {kept.seconds:.1f} s; it is read from {place}."))
        return kept
    measured, whole = _measured(problem, budget, emit, seed, hops)
    if cache is not None and place is not None and whole:
        cache.write(place, measured)
    return measured


def _measured(problem: Problem, budget: Budget | None, emit: Emit, seed: int, hops: int) -> tuple[Profile, bool]:
    """Return the profile, and whether there was time for all of it."""
    limit, begun = budget or Budget(None), time.monotonic()
    emit(StageStarted(_STAGE))
    view = make_view(problem, seed)
    groups: list[Callable[[View], list[Measure]]] = [
        scale_measures,
        baseline_measures,
        temporal_measures,
        past_measures,
        lambda v: homophily_measures(v, limit, hops),
        lambda v: feature_affinity_measures(v, limit),
        lambda v: path_affinity_measures(v, limit),
    ]
    measures: list[Measure] = []
    for group in groups:
        if limit.spent:
            emit(Notice(_STAGE, "The time for the profile ended before all of it was measured.", "warning"))
            break
        measures += _timed(group, view)
    checked = not limit.spent
    findings = find_leaks(view) if checked else []
    for finding in findings:
        if finding.severity != "info" and finding.accepted is None:
            emit(Notice("leaks", str(finding), "warning"))
    seconds = time.monotonic() - begun
    told = f"{len(findings)} {'finding' if len(findings) == 1 else 'findings'}"
    emit(StageFinished(_STAGE, seconds, f"{len(measures)} measures, {told}"))
    return Profile(tuple(measures), seconds, findings=tuple(findings), checked=checked), not limit.spent


def _timed(group: Callable[[View], list[Measure]], view: View) -> list[Measure]:
    begun = time.monotonic()
    measures = group(view)
    untold = time.monotonic() - begun - sum(measure.seconds for measure in measures)
    if not measures:
        return measures
    return [replace(measures[0], seconds=measures[0].seconds + max(0.0, untold)), *measures[1:]]
