"""The meta-selector: from a profile to the families to train, with margins, intervals and evidence."""

from __future__ import annotations

from relselect.selector.advice import TaughtSelector
from relselect.selector.meta import MetaSelector
from relselect.selector.recommend import Bank, Selector, recommend_from_profile
from relselect.selector.recommendation import Margin, Recommendation
from relselect.selector.size_rule import SizeRule

__all__ = [
    "Bank",
    "Margin",
    "MetaSelector",
    "Recommendation",
    "Selector",
    "SizeRule",
    "TaughtSelector",
    "recommend_from_profile",
]
