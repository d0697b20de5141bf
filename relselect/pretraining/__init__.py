"""Pretrains a graph network over language rows on several databases at once, without labels.

Rows are masked and restored from what is around them; the weights that all databases share are what is kept, and graph networks
begin with them by the option `init`. Where the plan says so, the language model is trained further first, by masked tokens of
values.
"""

from __future__ import annotations

from relselect.pretraining.plan import PretrainingPlan, read_pretraining_plan
from relselect.pretraining.pretrain import pretrain

__all__ = ["PretrainingPlan", "pretrain", "read_pretraining_plan"]
