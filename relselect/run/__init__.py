"""One run, from a database and a task to a decision, and its typed result."""

from relselect.run.result import Decision, RunResult, Score
from relselect.run.run import measure, run
from relselect.run.settings import Settings

__all__ = ["Decision", "RunResult", "Score", "Settings", "measure", "run"]
