"""Loss-landscape flatness and the choice of the final checkpoint.

Families are known only through their protocol. PyTorch is imported where flatness is measured, not before: a run of families
without gradients does not need it.
"""

from __future__ import annotations

from relselect.landscape.choose import FinalChoice, choose_checkpoint, load_choice
from relselect.landscape.criterion import Criterion, Measurement, SlopeCriterion
from relselect.landscape.ties import NearTie

__all__ = [
    "Criterion",
    "FinalChoice",
    "Measurement",
    "NearTie",
    "SlopeCriterion",
    "choose_checkpoint",
    "load_choice",
]
