"""The learners by name: the one place that says which there are."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.dfs.learners.protocol import Learner

__all__ = ["LEARNERS", "learner_of"]

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
