"""The meta-selector: from a profile to rdl, dfs or both, with a margin, an interval and evidence."""

from __future__ import annotations

from relselect.selector.recommend import Bank, Selector, recommend_from_profile
from relselect.selector.recommendation import Recommendation
from relselect.selector.size_rule import SizeRule

__all__ = ["Bank", "Recommendation", "Selector", "SizeRule", "recommend_from_profile"]
