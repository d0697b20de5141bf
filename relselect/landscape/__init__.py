"""Loss-landscape flatness and the choice of the final checkpoint.

Families are known only through their protocol.
"""

from __future__ import annotations

from relselect.landscape.choose import FinalChoice, choose_checkpoint, load_choice
from relselect.landscape.criterion import Criterion, Measurement, SlopeCriterion
from relselect.landscape.slope import Slope, slope
from relselect.landscape.ties import NearTie

__all__ = [
    "Criterion",
    "FinalChoice",
    "Measurement",
    "NearTie",
    "Slope",
    "SlopeCriterion",
    "choose_checkpoint",
    "load_choice",
    "slope",
]
