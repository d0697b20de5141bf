"""Explanations, the same for every family: importance by ablation, single predictions, staleness."""

from relselect.explain.decay import Decay
from relselect.explain.explanation import Explanation, Explanations
from relselect.explain.importance import measure_importance
from relselect.explain.staleness import Staleness
from relselect.explain.study import Ablation, AblationStudy

__all__ = [
    "Ablation",
    "AblationStudy",
    "Decay",
    "Explanation",
    "Explanations",
    "Staleness",
    "measure_importance",
]
