"""One run, from a database and a task to a decision."""

from relselect.run.run import Outcome, Settings, carry_out, recommend

__all__ = ["Outcome", "Settings", "carry_out", "recommend"]
