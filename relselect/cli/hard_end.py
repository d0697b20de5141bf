"""The hard end of a command with a time budget: a process that outlasts budget and allowance ends, whatever it is doing.

Every stage keeps time by itself; this is for a call into a library that does not come back. Nothing is cleaned up: studies and
predictors are written so that a process may die at any moment. Deliberately not in the Python interface: a library ends no
process of its caller.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from relselect.display.console import TOO_SMALL_BUDGET
from relselect.events import StageStarted

if TYPE_CHECKING:
    from types import TracebackType

    from relselect.budget import Budget
    from relselect.cli.clock import CommandClock
    from relselect.display.console import CommandSession
    from relselect.events import Event

__all__ = ["HardEnd"]

#: Seconds that are left for the message and for the system to take the process down.
_LAST_SECONDS = 1.0


class HardEnd:
    """Ends the process with exit code 3 once budget and allowance are over, unless its block has ended.

    Args:
        session: The command, through which the last message goes.
        budget: The time budget of the command.
        clock: Says whose process it is; one that is not the command's own is left alone.

    Attributes:
        doing: What the command is doing, for the message; `on_event` keeps it.
        kept: A sentence on what is kept.
    """

    def __init__(self, session: CommandSession, budget: Budget, clock: CommandClock) -> None:
        self.doing = "reading the database and the labels"
        self.kept = "Nothing is kept."
        self._session, self._budget = session, budget
        self._armed = clock.own_process and math.isfinite(budget.seconds)
        self._over = threading.Event()

    def __enter__(self) -> HardEnd:
        if self._armed:
            threading.Thread(target=self._wait, name="hard end", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def on_event(self, event: Event) -> None:
        """Note the stage that begins."""
        if isinstance(event, StageStarted):
            self.doing = event.stage

    def _wait(self) -> None:
        budget = self._budget
        latest = budget.seconds + budget.allowance - _LAST_SECONDS
        if self._over.wait(max(0.0, latest - budget.elapsed())):
            return
        message = (
            f"time_budget={budget.seconds:g} s: the process was ended after {budget.elapsed():.1f} s, in the stage"
            f" '{self.doing}'. {self.kept} Give a longer --time-budget."
        )
        self._session.end_process(TOO_SMALL_BUDGET, "BudgetError", message)
