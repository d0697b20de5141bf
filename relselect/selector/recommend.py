"""From a profile to a recommendation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from relselect.families.registry import info_of, trained
from relselect.selector.recommendation import Margin, Recommendation
from relselect.selector.size_rule import SizeRule

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.profile import Profile

__all__ = ["Selector", "families_to_train", "recommend_from_profile"]

_NO_BANK = "No performance bank taught this suggestion, so the readings of the profile do not enter it yet."
#: Measures whose readings are shown beside the rule; what they mean for the margin is for a bank to learn.
_SHOWN = ("entity_skill", "lag1_autocorrelation", "homophily_weighted_mean", "rows_per_entity", "label_drift")


class Selector(Protocol):
    """Something that expects margins from a profile."""

    def recommend(self, profile: Profile, problem: Problem) -> Recommendation:
        """Return a recommendation."""


class _BySize:
    """The size rule as a selector."""

    def __init__(self, rule: SizeRule) -> None:
        self.rule = rule

    def recommend(self, profile: Profile, problem: Problem) -> Recommendation:
        rows, known = len(problem.rows("train")), trained()
        margins = {name: margin for name, margin in self.rule.margins(rows).items() if name in known}
        families = families_to_train(margins, known)
        evidence = (_size_sentence(families, rows, margins), *_readings(profile), _NO_BANK)
        return Recommendation(
            families, margins, evidence, self.rule.taught_by, "rule", first_configs={name: [] for name in known}
        )


def recommend_from_profile(profile: Profile, problem: Problem, selector: Selector | None = None) -> Recommendation:
    """Return which families to train.

    Args:
        profile: The task's profile; may be empty when there was no time for it.
        problem: The task and its database.
        selector: Expects the margins; without one the size rule answers, and says so.

    Returns:
        The recommendation; several families where the intervals of their margins cover zero.
    """
    asked: Selector = _BySize(SizeRule.shipped()) if selector is None else selector
    return asked.recommend(profile, problem)


def families_to_train(margins: Mapping[str, Margin], known: Sequence[str]) -> tuple[str, ...]:
    """Return the families that may be the best: those whose margin is not expected below zero, and those without a margin.

    Args:
        margins: Family -> margin over the best of the others.
        known: The families that can be trained, in their order.
    """
    may_win = tuple(name for name in known if name not in margins or not margins[name].high < 0)
    return may_win or tuple(known)


def _size_sentence(families: Sequence[str], rows: int, margins: Mapping[str, Margin]) -> str:
    if not margins:
        return "The size rule knows none of the families, so all are trained."
    leading = max(margins, key=lambda name: margins[name].value)
    margin = margins[leading]
    low = f"{abs(margin.low):.1%} {'worse' if margin.low < 0 else 'better'}"
    text = (
        f"At {rows:,} training rows {info_of(leading).phrase} is expected to be better by {margin.value:.1%} "
        f"(interval: {low} to {margin.high:.1%} better)"
    )
    return f"{text}." if len(families) == 1 else f"{text}: too close to call, so train {_listed(families)}."


def _listed(families: Sequence[str]) -> str:
    titles = [info_of(name).title for name in families]
    return " and ".join(filter(None, (", ".join(titles[:-1]), titles[-1])))


def _readings(profile: Profile) -> tuple[str, ...]:
    found = {measure.name: measure for measure in profile.measures}
    return tuple(found[name].reading for name in _SHOWN if name in found and not math.isnan(found[name].value))
