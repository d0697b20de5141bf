"""The weighted average of the predictions of several candidates: of several families, or of several seeds of one configuration.

Which candidates are averaged, and under which weights, is decided by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from relselect.errors import ConfigError
from relselect.families.candidate import Candidate
from relselect.families.registry import combination, info_of
from relselect.memory import peak_memory_mb
from relselect.tasks.metrics import interval_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.families.protocol import RowSource
    from relselect.problem import Problem

__all__ = ["AVERAGED", "BlendModel", "average_seeds", "blend_candidates", "blend_predictions", "checked_weights"]

#: The fact of an average over seeds that holds its seeds, in the order of its members.
AVERAGED = "averaged_seeds"

#: How far the weights may be from a sum of one.
_SUM = 1e-9


@dataclass(frozen=True)
class BlendModel:
    """What predicts: y = sum over m of w_m f_m(x), with w_m >= 0 and sum over m of w_m = 1.

    Attributes:
        members: The averaged candidates, with their models.
        weights: Their weights, in the same order.
    """

    members: tuple[Candidate, ...]
    weights: tuple[float, ...]


def blend_predictions(predictions: Sequence[NDArray[np.float64]], weights: Sequence[float]) -> NDArray[np.float64]:
    """Return the weighted average of predictions of equal shape, (n,) or (n, classes).

    Probabilities stay probabilities. The squared error of the average is never above the weighted average of the members'
    squared errors, and so for every convex loss (Jensen's inequality; Krogh and Vedelsby, "Neural network ensembles, cross
    validation, and active learning", NeurIPS 1994).

    Raises:
        ConfigError: The weights are not one per member, not negative, with the sum one.

    Example:
        >>> blend_predictions([np.array([0.2, 1.0]), np.array([0.4, 0.0])], [0.75, 0.25]).tolist()
        [0.25, 0.75]
    """
    parts = checked_weights(weights, len(predictions))
    total = np.zeros_like(np.asarray(predictions[0], dtype=np.float64))
    for weight, each in zip(parts, predictions, strict=True):
        total += weight * np.asarray(each, dtype=np.float64)
    return total


def blend_candidates(
    members: Sequence[Candidate], weights: Sequence[float], problem: Problem, rows: RowSource, *, seed: int = 0
) -> Candidate:
    """Return the blend of validated candidates as a candidate of its own, scored on the select rows.

    An average over seeds is taken apart: its members share its weight.

    Args:
        members: Candidates of one problem and one row source, with their models and predictions of the select rows.
        weights: One weight per member.
        problem: Their problem.
        rows: Their rows.
        seed: Seed of the bootstrap interval.

    Raises:
        ConfigError: There are fewer than two members, one of them is a blend, or the weights are wrong.
    """
    family = combination()
    if len(members) < 2 or any(info_of(each.family).combines for each in members):
        names = [each.id for each in members]
        raise ConfigError("members", names, "must be two or more candidates, none of them a blend", "Name others")
    sentence = _sentence(members, checked_weights(weights, len(members)))
    members, parts = _apart(members, weights)
    predictions = blend_predictions([each.predictions for each in members], parts)
    score, interval = interval_of(problem.task.metric, rows.select, predictions, seed=seed)
    stopped = [each.ended for each in members]
    return Candidate(
        family=family,
        config={"members": [each.id for each in members], "weights": list(parts)},
        seed=seed,
        number=0,
        model=BlendModel(tuple(members), parts),
        predictions=predictions,
        score=score,
        interval=interval,
        seconds=sum(each.seconds for each in members),
        peak_memory_mb=peak_memory_mb(),
        device=next((each.device for each in members if each.device != "cpu"), "cpu"),
        ended="budget" if "budget" in stopped else "converged",
        notes=(sentence,),
    )


def average_seeds(members: Sequence[Candidate], problem: Problem, rows: RowSource) -> Candidate:
    """Return the average of fits of one configuration with different seeds, scored on the select rows.

    It is a candidate of the family, the configuration and the number of its members; only `SeedAverage` predicts with it.

    Args:
        members: The candidate that was chosen, and further fits of its configuration.
        problem: Their problem.
        rows: Their rows.

    Raises:
        ConfigError: There are fewer than two members, they are not of one configuration, or two have the same seed.
    """
    first, seeds = members[0], [each.seed for each in members]
    alike = all((each.id, each.config) == (first.id, first.config) for each in members)
    if len(members) < 2 or not alike or len(set(seeds)) < len(seeds):
        rule = "must be fits of one configuration with two or more different seeds"
        raise ConfigError("members", [(each.id, each.seed) for each in members], rule, "Name others")
    parts = tuple(1.0 / len(members) for _ in members)
    predictions = blend_predictions([each.predictions for each in members], parts)
    score, interval = interval_of(problem.task.metric, rows.select, predictions, seed=first.seed)
    return replace(
        first.bare(),
        model=BlendModel(tuple(members), parts),
        predictions=predictions,
        score=score,
        interval=interval,
        stop_score=math.nan,
        seconds=sum(each.seconds for each in members),
        peak_memory_mb=peak_memory_mb(),
        facts={**first.facts, AVERAGED: seeds},
    )


def _apart(members: Sequence[Candidate], weights: Sequence[float]) -> tuple[list[Candidate], tuple[float, ...]]:
    """Return members and weights with the members of averages over seeds in place of the averages."""
    found: list[tuple[Candidate, float]] = []
    for each, weight in zip(members, weights, strict=True):
        if AVERAGED in each.facts:
            found += [(one, weight * part) for one, part in zip(each.model.members, each.model.weights, strict=True)]
        else:
            found.append((each, float(weight)))
    return [each for each, _ in found], tuple(weight for _, weight in found)


def _seeds(candidate: Candidate) -> str:
    seeds = candidate.facts.get(AVERAGED)
    return "" if seeds is None else f", {len(seeds)} seeds"


def checked_weights(weights: Sequence[float], members: int) -> tuple[float, ...]:
    """Return the weights as floats.

    Raises:
        ConfigError: They are not one per member, not negative, with the sum one.
    """
    parts = tuple(float(weight) for weight in weights)
    good = len(parts) == members and all(math.isfinite(part) and part >= 0 for part in parts)
    if not good or abs(sum(parts) - 1.0) > _SUM:
        fix = "Divide the weights by their sum"
        raise ConfigError("weights", list(weights), f"must be {members} numbers, none negative, with the sum 1", fix)
    return parts


def _sentence(members: Sequence[Candidate], weights: Sequence[float]) -> str:
    parts = [
        f"{weight:.0%} {info_of(each.family).title} (trial {each.number}{_seeds(each)})"
        for each, weight in zip(members, weights, strict=True)
    ]
    return f"The prediction is a weighted average: {' + '.join(parts)}."
