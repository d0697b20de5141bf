"""The learners by name: the one place that says which there are."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.dfs.learners.protocol import Learner
    from relselect.problem import Problem

__all__ = ["LEARNERS", "check_weighable", "learner_of", "usable_learners"]

#: Name -> module and class; imported when the learner is asked for. The first is the default.
LEARNERS = {
    "lightgbm": ("relselect.dfs.learners.lightgbm", "LightGBM"),
    "catboost": ("relselect.dfs.learners.catboost", "CatBoost"),
    "tabm": ("relselect.dfs.learners.tabm", "TabM"),
    "tabpfn": ("relselect.dfs.learners.tabpfn", "TabPFN"),
}


def learner_of(name: object) -> Learner:
    """Return a learner.

    Raises:
        ConfigError: There is no learner of that name.
    """
    if name not in LEARNERS:
        raise ConfigError("learner", name, "is no learner", f"Use one of: {', '.join(LEARNERS)}")
    module, cls = LEARNERS[str(name)]
    learner: Learner = getattr(importlib.import_module(module), cls)()
    return learner


def usable_learners(problem: Problem) -> list[str]:
    """Return the names of the learners that studies of a problem suggest: those that suit it, and its weights if it has any."""
    weighted = problem.rows("train").weight is not None
    return [
        name for name in LEARNERS if learner_of(name).tuned(problem) and (learner_of(name).weighs_rows or not weighted)
    ]


def check_weighable(name: str, problem: Problem) -> None:
    """Refuse a learner that was asked for and cannot take the weights of the task's rows.

    Raises:
        ConfigError: The rows are weighted, and its loss takes no weights.
    """
    if problem.rows("train").weight is not None and not learner_of(name).weighs_rows:
        rule = "reads training rows as they are and takes no weights, and the task's rows are weighted"
        able = ", ".join(each for each in LEARNERS if learner_of(each).weighs_rows)
        raise ConfigError("learner", name, rule, f"Use one of: {able}, or leave the weights out")
