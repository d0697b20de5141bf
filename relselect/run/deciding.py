"""Between families: how probable it is that each is the best, how the time left is shared, and whether families are blended.

What is expected of a margin comes from a selector that a bank taught (the prior) and from the select rows (the observation);
see `relselect.selector`. Within a family the checkpoint is chosen by `relselect.landscape`. Without such a selector nothing is
decided here, and the score on the select rows decides as it does within a family.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from relselect.errors import BankError
from relselect.families.registry import info_of, trained
from relselect.selector.blending import CLEAR
from relselect.tasks.metrics import skill
from relselect.tasks.paired import paired_skill_error

if TYPE_CHECKING:
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import RowSource
    from relselect.problem import Problem
    from relselect.run.settings import FinalModel
    from relselect.selector.normal import NormalMargin

__all__ = ["FamilyOdds", "MarginModel", "family_odds", "final_weights", "shares_of_time"]

#: A family with less weight than this is left out of what is deployed.
_LEAST_WEIGHT = 0.05


class MarginModel(Protocol):
    """Something that expects margins in skill of the other trained families over the first one."""

    @property
    def taught_by(self) -> str:
        """What the expectations were learnt from, as a phrase."""
        ...

    def prior(self, numbers: Mapping[str, float]) -> Mapping[str, NormalMargin]:
        """Return the margins before training."""
        ...

    def posterior(
        self, prior: Mapping[str, NormalMargin], observed: Mapping[str, tuple[float, float]], kind: str
    ) -> Mapping[str, NormalMargin]:
        """Return the margins after differences on the select rows were seen."""
        ...

    def chances(self, margins: Mapping[str, NormalMargin]) -> Mapping[str, float]:
        """Return the probability of each family that it is the best."""
        ...

    def deployed_weights(self, margins: Mapping[str, NormalMargin]) -> Mapping[str, float]:
        """Return the weight of each family in the average with the best expected skill; all of it for a clearly better one."""
        ...


@dataclass(frozen=True)
class FamilyOdds:
    """How probable it is that each family is the best one on rows yet to come.

    Attributes:
        weights: Family -> probability, with the sum 1.
        mix: Family -> weight in what is deployed, with the sum 1.
        margins: Family -> margin in skill over the first one.
        sentence: What was expected before, what was seen, and what follows.
    """

    weights: Mapping[str, float]
    mix: Mapping[str, float]
    margins: Mapping[str, NormalMargin]
    sentence: str

    @property
    def leader(self) -> str:
        """The most probable family."""
        return max(self.weights, key=lambda name: self.weights[name])


def family_odds(
    model: MarginModel,
    numbers: Mapping[str, float],
    problem: Problem,
    rows: RowSource,
    best: Mapping[str, Candidate],
    reference: float,
    *,
    as_they_are: bool = False,
    luck: Mapping[str, float] | None = None,
) -> FamilyOdds | None:
    """Return the odds of the trained families after validation.

    A candidate that the budget cut off says little of what its family can reach: for that, its family keeps the prior. What is
    deployed is the candidate as it is, cut off or not, and there its own score counts.

    Args:
        model: Expects the margins.
        numbers: The numbers of the profile that the model reads.
        problem: The problem.
        rows: The rows; the select rows are read.
        best: Family -> its candidate on the select rows.
        reference: Score of the constant baseline on the select rows.
        as_they_are: Whether candidates that the budget cut off are compared as well.
        luck: Family -> the part of its candidate's skill that is expected to be luck (`relselect.run.optimism`), which is
            subtracted; none if None.

    Returns:
        The odds; None where fewer than two families have a candidate, or the model was taught nothing of them.
    """
    first, *others = trained()
    compared = [name for name in others if name in best]
    if first not in best or not compared:
        return None
    try:
        prior = {name: margin for name, margin in model.prior(numbers).items() if name in compared}
    except BankError:
        return None
    if set(prior) != set(compared):
        return None
    observed = {
        name: difference
        for name in compared
        if as_they_are or "budget" not in (best[first].ended, best[name].ended)
        if (difference := _difference(problem, rows, best[first], best[name], reference)) is not None
    }
    known = luck or {}
    observed = {
        name: (found - known.get(name, 0.0) + known.get(first, 0.0), error) for name, (found, error) in observed.items()
    }
    margins = model.posterior(prior, observed, problem.task.kind)
    weights = dict(model.chances(margins))
    sentence = " ".join(_sentence(first, name, prior[name], observed.get(name), margins[name]) for name in compared)
    return FamilyOdds(weights, dict(model.deployed_weights(margins)), margins, sentence)


def _difference(
    problem: Problem, rows: RowSource, first: Candidate, second: Candidate, reference: float
) -> tuple[float, float] | None:
    """Return the paired difference in skill on the select rows and its standard error; None where none may be taken."""
    label = rows.select.label
    if label is None:
        return None
    metric = problem.task.metric
    found = skill(metric, second.score, reference) - skill(metric, first.score, reference)
    error = paired_skill_error(
        metric, label, first.predictions, second.predictions, rows.select.entity, reference, seed=first.seed
    )
    return (found, error) if math.isfinite(found) and math.isfinite(error) else None


def _sentence(
    first: str, name: str, prior: NormalMargin, observed: tuple[float, float] | None, margin: NormalMargin
) -> str:
    """Return three clauses with one sign each: before training, on the select rows, together."""
    seen = (
        "the fits were not both finished, so their scores were not compared"
        if observed is None
        else f"on the select rows {_lead(first, name, observed[0])} (standard error {observed[1]:.3f})"
    )
    chance = margin.probability_above_zero
    winner, sure = (name, chance) if chance >= 0.5 else (first, 1.0 - chance)
    return (
        f"Before training {_lead(first, name, prior.mean)} was expected; {seen}; "
        f"together {info_of(winner).phrase} is the better one with probability {sure:.0%}."
    )


def _lead(first: str, name: str, margin: float) -> str:
    leader = name if margin > 0 else first
    return f"a lead of {abs(margin):.3f} of skill for {info_of(leader).phrase}"


def shares_of_time(
    odds: FamilyOdds | None, names: Sequence[str], best: Mapping[str, Candidate] | None = None
) -> dict[str, float]:
    """Return the share of the time left for each family, in the order in which they are tuned; the shares have the sum 1.

    A family that is the best one almost surely gets all of it; otherwise the shares are the probabilities. Without odds they are
    equal. A family whose default the budget cut off gets nothing while another finished: its next trials would be cut off too.

    Args:
        odds: The odds after the first trials; None where there are none.
        names: The families.
        best: Family -> its best candidate so far.
    """
    finished = [name for name in names if best and name in best and best[name].ended != "budget"]
    names = finished or names
    if odds is None or not set(names) <= set(odds.weights):
        return {name: 1.0 / len(names) for name in names}
    total = sum(odds.weights[name] for name in names)
    shares = {name: odds.weights[name] / total if total else 1.0 / len(names) for name in names}
    order = sorted(names, key=lambda name: -shares[name])
    if shares[order[0]] >= CLEAR:
        return {order[0]: 1.0}
    return {name: shares[name] for name in order}


def final_weights(final: FinalModel, odds: FamilyOdds | None, best: Mapping[str, Candidate]) -> dict[str, float] | None:
    """Return the weight of each family in what is deployed; one entry means that one family is deployed alone.

    Args:
        final: What was asked for.
        odds: The odds; None where there are none.
        best: Family -> its candidate.

    Returns:
        Family -> weight; None where the score on the select rows is to decide.
    """
    if len(best) < 2:
        return None
    if odds is None:
        return dict.fromkeys(best, 1.0 / len(best)) if final == "blend" else None
    if final == "one":
        return {odds.leader: 1.0}
    # where a blend is asked for and one family has all the weight, the odds say how much the others get
    mix = odds.mix if final == "auto" or max(odds.mix.values()) < 1 else odds.weights
    kept = {name: mix[name] for name in best if final == "blend" or mix[name] >= _LEAST_WEIGHT}
    total = sum(kept.values())
    if not total:
        return {odds.leader: 1.0}
    return {name: kept[name] / total for name in sorted(kept, key=lambda each: -kept[each])}
