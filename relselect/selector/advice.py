"""From a profile to a recommendation by a selector that a bank taught: margins, sentences with one sign, reasons, neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from relselect.families.registry import info_of, trained
from relselect.selector.meta import MetaSelector
from relselect.selector.normal import NormalMargin
from relselect.selector.prior import numbers_of
from relselect.selector.recommend import families_to_train
from relselect.selector.recommendation import Margin, Recommendation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.problem import Problem
    from relselect.profile import Profile
    from relselect.tasks.metrics import Metric

__all__ = ["TaughtSelector", "margin_sentence", "margins_over_best", "skill_unit"]

#: Reasons that are named, and the smallest that is, in skill.
_MOST_REASONS, _LEAST_REASON = 3, 0.001
_READABLE = {
    "log10_train_rows": "the number of training rows (10^{value:.1f})",
    "entity_skill": "what an entity's own past labels say (skill {value:.2f})",
    "homophily_weighted_mean": "how alike the labels of neighbours are (adjusted homophily {value:.2f})",
    "feature_affinity_depth2": "what cheap features say (skill {value:.2f})",
    "network_lead": "an untrained network against cheap features ({value:+.2f} of skill)",
    "regression": "that the task is {value:.0f} for regression",
}


class TaughtSelector:
    """A `MetaSelector` as what a run asks for a recommendation.

    Args:
        selector: The selector.
    """

    def __init__(self, selector: MetaSelector) -> None:
        self.selector = selector

    def recommend(self, profile: Profile, problem: Problem) -> Recommendation:
        """Return the recommendation of a task.

        Raises:
            BankError: The bank is too small to teach anything.
        """
        numbers = numbers_of(
            {each.name: each.value for each in profile.measures}, regression=problem.task.kind == "regression"
        )
        expected = self.selector.prior(numbers)
        margins = margins_over_best(expected)
        families = families_to_train(margins, trained())
        neighbours = self.selector.nearest(numbers)
        leading = max(margins, key=lambda name: margins[name].value)
        label = problem.rows("train").label
        unit = skill_unit(problem.task.metric, np.empty(0) if label is None else label)
        evidence = [margin_sentence(leading, margins[leading], unit, problem.task.metric.title)]
        probability = self.selector.chances(expected)[leading]
        evidence.append(f"The probability that {info_of(leading).title} is the better one is {probability:.0%}.")
        evidence += self._reasons(numbers)
        if neighbours:
            minutes = float(np.median([each["minutes"] for each in neighbours]))
            evidence.append(f"Training both took about {minutes:.1f} minutes on similar tasks, on one core.")
        return Recommendation(
            families=families,
            margins=margins,
            evidence=tuple(evidence),
            taught_by=self.selector.taught_by,
            first_configs={
                name: [dict(each.change) for each in found] for name, found in self.selector.first_configs.items()
            },
            neighbours=neighbours,
        )

    def _reasons(self, numbers: Mapping[str, float]) -> list[str]:
        """Return which numbers move the expectation, and towards which family, the weightiest first."""
        found = []
        for name, comparison in self.selector.comparisons.items():
            pushes = comparison.prior.pushes(numbers)
            for number, moved in list(pushes.items())[:_MOST_REASONS]:
                if abs(moved) < _LEAST_REASON:
                    continue
                towards = info_of(name if moved > 0 else comparison.first).title
                what = _readable(number, numbers[number])
                found.append(f"{what} moves the expectation by {abs(moved):.3f} of skill towards {towards}.")
        return found


def margins_over_best(expected: Mapping[str, NormalMargin]) -> dict[str, Margin]:
    """Return the margin of each family over the best of the others, in skill, with 90 % intervals.

    Args:
        expected: Margin of each family but the first over the first.
    """
    first = trained()[0]
    level = {first: NormalMargin(0.0, 0.0), **expected}
    found = {}
    for name, own in level.items():
        rival = max((other for key, other in level.items() if key != name), key=lambda other: other.mean)
        margin = NormalMargin(own.mean - rival.mean, math.hypot(own.sd, rival.sd))
        found[name] = Margin(margin.mean, *margin.interval)
    return found


def skill_unit(metric: Metric, label: NDArray[np.float64]) -> float:
    """Return what one unit of skill is in the task's own metric: half an AUROC, or the error of the training constant.

    Args:
        metric: The metric.
        label: Training labels, shape (n,).
    """
    if metric.name in ("roc_auc", "roc_auc_ovr"):
        return 0.5
    constant = np.median(label) if metric.name == "neg_mean_absolute_error" else label.mean()
    if metric.kind == "multiclass":
        return 1.0
    reference = metric.score(label, np.full(len(label), constant))
    return abs(reference) if metric.sign < 0 else 1.0 - reference


def margin_sentence(family: str, margin: Margin, unit: float, title: str) -> str:
    """Return the expected margin of a family in words with one sign and one direction.

    >>> margin_sentence("dfs", Margin(0.024, -0.006, 0.054), 0.5, "AUROC")
    'Feature synthesis is expected to be better by 0.012 AUROC (90 % interval: 0.003 worse to 0.027 better).'
    """
    name = info_of(family).title
    low, high = (f"{abs(end) * unit:.3g} {'worse' if end < 0 else 'better'}" for end in (margin.low, margin.high))
    head = f"{name[0].upper()}{name[1:]} is expected to be better by {margin.value * unit:.3g} {title}"
    return f"{head} (90 % interval: {low} to {high})."


def _readable(name: str, value: float) -> str:
    if math.isnan(value):
        text = f"{name} (unknown)"
    elif name == "regression":
        text = "the kind of the task"
    else:
        text = _READABLE[name].format(value=value)
    return text[0].upper() + text[1:]
