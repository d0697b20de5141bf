"""From a profile to a recommendation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from relselect.selector.recommendation import Choice, Recommendation
from relselect.selector.size_rule import SizeRule

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.profile import Profile

__all__ = ["Bank", "Selector", "recommend_from_profile"]

_NAMES = {"rdl": "relational deep learning", "dfs": "feature synthesis"}
_NO_BANK = "No performance bank taught this suggestion, so the readings of the profile do not enter it yet."
#: Measures whose readings are shown beside the rule; what they mean for the margin is for a bank to learn.
_SHOWN = ("entity_skill", "lag1_autocorrelation", "homophily_weighted_mean", "rows_per_entity", "label_drift")


class Selector(Protocol):
    """Something that expects a margin from a profile."""

    def recommend(self, profile: Profile, problem: Problem) -> Recommendation:
        """Return a recommendation."""


class Bank(Protocol):
    """A performance bank that can teach a selector."""

    def selector(self) -> Selector:
        """Return the selector that the bank teaches."""


class _BySize:
    """The size rule as a selector."""

    def __init__(self, rule: SizeRule) -> None:
        self.rule = rule

    def recommend(self, profile: Profile, problem: Problem) -> Recommendation:
        rows = len(problem.rows("train"))
        margin, interval = self.rule.margin(rows)
        family = decide(interval)
        evidence = (_size_sentence(family, rows, margin, interval), *_readings(profile), _NO_BANK)
        return Recommendation(
            family, margin, interval, evidence, self.rule.taught_by, first_configs={"rdl": [], "dfs": []}
        )


def recommend_from_profile(profile: Profile, problem: Problem, bank: Bank | None = None) -> Recommendation:
    """Say which family to train.

    Args:
        profile: The task's profile; may be empty when there was no time for it.
        problem: The task and its database.
        bank: Teaches the selector; without one the size rule answers, and says so.

    Returns:
        The recommendation; "both" when the interval of the expected margin covers zero.
    """
    selector: Selector = _BySize(SizeRule()) if bank is None else bank.selector()
    return selector.recommend(profile, problem)


def decide(interval: tuple[float, float]) -> Choice:
    """Return the family that the interval of the margin favours, "both" when it covers zero or is undefined."""
    low, high = interval
    if low > 0:
        return "rdl"
    return "dfs" if high < 0 else "both"


def _size_sentence(family: Choice, rows: int, margin: float, interval: tuple[float, float]) -> str:
    expected = f"{margin:+.1%} (from {interval[0]:+.1%} to {interval[1]:+.1%})"
    if family == "both":
        return (
            f"At {rows:,} training rows the rule expects {expected} for graph networks: too close to call, train both."
        )
    return f"At {rows:,} training rows the rule expects {expected} for graph networks, so it favours {_NAMES[family]}."


def _readings(profile: Profile) -> tuple[str, ...]:
    found = {measure.name: measure for measure in profile.measures}
    return tuple(found[name].reading for name in _SHOWN if name in found and not math.isnan(found[name].value))
