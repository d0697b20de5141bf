"""What predictions of evaluated rows are worth to whoever acts on them: totals, gain, calibration, errors by time and segment.

Everything follows from predictions that a run has already made: nothing is trained and nothing is predicted here.
"""

from __future__ import annotations

from relselect.outcomes.measuring import Evaluated, Rival, measure_outcome
from relselect.outcomes.outcome import Outcome
from relselect.outcomes.outlook import Outlook, outlook_of

__all__ = ["Evaluated", "Outcome", "Outlook", "Rival", "measure_outcome", "outlook_of"]
