"""Bridge to featuretools: its definitions as plans, plans as its definitions, and its own values for task rows."""

from relselect.dfs.featuretools.computing import compute_featuretools
from relselect.dfs.featuretools.differences import Difference, difference
from relselect.dfs.featuretools.engine import compute_plan, encoded
from relselect.dfs.featuretools.entityset import entityset
from relselect.dfs.featuretools.enumeration import PRIMITIVES, enumerate_featuretools
from relselect.dfs.featuretools.reading import from_featuretools
from relselect.dfs.featuretools.writing import to_featuretools

__all__ = [
    "PRIMITIVES",
    "Difference",
    "compute_featuretools",
    "compute_plan",
    "difference",
    "encoded",
    "entityset",
    "enumerate_featuretools",
    "from_featuretools",
    "to_featuretools",
]
