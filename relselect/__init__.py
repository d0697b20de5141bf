"""Graph neural network or feature synthesis? relselect answers for your relational database, and trains the answer.

The public names load on first use, so that `import relselect` stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relselect import examples as examples
    from relselect.api import Fitted as Fitted
    from relselect.api import load as load
    from relselect.api import profile as profile
    from relselect.api import recommend as recommend
    from relselect.api import select_and_train as select_and_train
    from relselect.database import Database as Database
    from relselect.database import ForeignKey as ForeignKey
    from relselect.database import Table as Table
    from relselect.dfs.synthesis import Features as Features
    from relselect.dfs.synthesis import features as features
    from relselect.estimators import CutoffSplit as CutoffSplit
    from relselect.estimators import RelSelectClassifier as RelSelectClassifier
    from relselect.estimators import RelSelectFeatures as RelSelectFeatures
    from relselect.estimators import RelSelectRegressor as RelSelectRegressor
    from relselect.proposal.frames import infer as infer
    from relselect.queries import explain_query as explain_query
    from relselect.selector import Recommendation as Recommendation
    from relselect.tasks import Task as Task
    from relselect.tasks.scorers import register_metric as register_metric

from relselect._version import __version__

_HOME = {
    "CutoffSplit": "relselect.estimators",
    "Database": "relselect.database",
    "Features": "relselect.dfs.synthesis",
    "Fitted": "relselect.api",
    "ForeignKey": "relselect.database",
    "Recommendation": "relselect.selector",
    "RelSelectClassifier": "relselect.estimators",
    "RelSelectFeatures": "relselect.estimators",
    "RelSelectRegressor": "relselect.estimators",
    "Table": "relselect.database",
    "Task": "relselect.tasks",
    "explain_query": "relselect.queries",
    "features": "relselect.dfs.synthesis",
    "infer": "relselect.proposal.frames",
    "load": "relselect.api",
    "recommend": "relselect.api",
    "register_metric": "relselect.tasks.scorers",
    "select_and_train": "relselect.api",
}

__all__ = [
    "CutoffSplit",
    "Database",
    "Features",
    "Fitted",
    "ForeignKey",
    "Recommendation",
    "RelSelectClassifier",
    "RelSelectFeatures",
    "RelSelectRegressor",
    "Table",
    "Task",
    "__version__",
    "examples",
    "explain_query",
    "features",
    "infer",
    "load",
    "profile",
    "recommend",
    "register_metric",
    "select_and_train",
]


def __getattr__(name: str) -> Any:
    if name in ("examples", "profile"):  # packages; that of the profile can be called
        return importlib.import_module(f"relselect.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'relselect' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
