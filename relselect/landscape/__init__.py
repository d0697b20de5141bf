"""Loss-landscape flatness and the choice of the final checkpoint.

Families are known only through their protocol. PyTorch is imported where flatness is measured, not before: a run of families
without gradients does not need it.
"""

from __future__ import annotations

from relselect.landscape.choose import FinalChoice, choose_checkpoint, load_choice
from relselect.landscape.criterion import (
    CRITERIA,
    Criterion,
    CurvatureCriterion,
    RiseCriterion,
    SharpnessCriterion,
    SlopeCriterion,
)
from relselect.landscape.measurement import Measurement
from relselect.landscape.ties import NearTie

__all__ = [
    "CRITERIA",
    "Criterion",
    "CurvatureCriterion",
    "FinalChoice",
    "Measurement",
    "NearTie",
    "RiseCriterion",
    "SharpnessCriterion",
    "SlopeCriterion",
    "choose_checkpoint",
    "load_choice",
]
