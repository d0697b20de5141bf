"""Keeps what a result needs of a run's events, and passes every event on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from relselect.events import Emit, Event, Notice, StageFinished, StageStarted, silent
from relselect.run.result import StageTime

__all__ = ["RunLog"]


class RunLog:
    """A listener.

    Args:
        listener: Called with every event; None for nobody.

    Attributes:
        notices: All notices, each once.
        stages: The stages that have ended.
    """

    def __init__(self, listener: Emit | None) -> None:
        self._listener = listener or silent
        self.notices: list[Notice] = []
        self.stages: list[StageTime] = []

    def emit(self, event: Event) -> None:
        """Keep notices and ended stages, and pass the event on."""
        if isinstance(event, Notice) and event not in self.notices:
            self.notices.append(event)
        if isinstance(event, StageFinished):
            self.stages.append(StageTime(event.stage, event.seconds))
        self._listener(event)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage that does not report itself."""
        begun = time.monotonic()
        self.emit(StageStarted(name))
        yield
        self.emit(StageFinished(name, time.monotonic() - begun))
