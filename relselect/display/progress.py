"""Shows the events of a run on standard error: a live bar in a terminal, plain lines elsewhere.

Nothing is kept and nothing is decided here; results go to standard output elsewhere.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from relselect.display.escaping import escape_controls
from relselect.events import (
    CheckpointChosen,
    EpochDone,
    Event,
    FeatureProgress,
    Notice,
    Refitted,
    StageFinished,
    StageStarted,
    TrialFailed,
    TrialFinished,
    TrialStarted,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["Progress"]

#: Seconds between two lines about the same long computation, where there is no bar.
_PAUSE = 5.0


class Progress:
    """Listens to events and shows them; use it as a context manager and pass it as `on_event`.

    Args:
        seconds: The time budget, for the bar; None when there is no limit.
        stream: Where to write; standard error by default, so that standard output stays for results.
        live: Whether to draw a live bar; by default when `stream` is a terminal.

    Example:
        >>> from relselect.events import StageStarted
        >>> with Progress(stream=sys.stdout, live=False) as progress:
        ...     progress(StageStarted("profile"))
        [  0.0 s] profile
    """

    def __init__(self, seconds: float | None = None, stream: TextIO | None = None, live: bool | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._seconds = seconds if seconds is not None and seconds != float("inf") else None
        self._lost = self._stream is None or self._stream.closed
        self._live = not self._lost and (self._stream.isatty() if live is None else live)
        self._begun = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._lines: list[str] = []
        self._last = 0.0

    def __enter__(self) -> Progress:
        """Start the clock and, in a terminal, the bar."""
        self._begun = time.monotonic()
        if self._live:
            self._bar = _bar(_console(self._stream), self._seconds is not None)
            self._task = self._bar.add_task("starting", total=self._seconds)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.stop()
            self._bar = None

    def __call__(self, event: Event) -> None:
        """Show one event; a stream whose reader is gone shows no more, and the run goes on."""
        if self._lost:
            return
        try:
            self._show(event)
        except (OSError, ValueError):
            self._lost = True

    def _show(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self._stage = event.stage
        self._status(event)
        line = _line(event, live=self._bar is not None)
        if isinstance(event, FeatureProgress):
            line = "" if self._bar is not None or event.seconds - self._last < _PAUSE else _share(event)
            self._last = event.seconds if line else min(self._last, event.seconds)
        if isinstance(event, StageFinished) and any(event.detail in line for line in self._lines if event.detail):
            line = _line(StageFinished(event.stage, event.seconds), live=False)  # its outcome was shown already
        if line:
            self._lines.append(line)
            self._write(line)

    def _write(self, line: str) -> None:
        line = escape_controls(line)
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(line))
            return
        print(f"[{time.monotonic() - self._begun:5.1f} s] {line}", file=self._stream, flush=True)

    def _status(self, event: Event) -> None:
        """Update the text beside the bar."""
        if self._bar is None or self._task is None:
            return
        doing = ""
        if isinstance(event, TrialStarted | EpochDone):
            doing = f": {event.family} trial {event.number}"
        if isinstance(event, EpochDone):
            doing += f", epoch {event.epoch}"
        if isinstance(event, FeatureProgress):
            doing = f": {_share(event).strip()}"
        spent = time.monotonic() - self._begun
        done = spent if self._seconds is None else min(spent, self._seconds)
        self._bar.update(self._task, description=_plain(f"{self._stage or 'working'}{doing}"), completed=done)


def _line(event: Event, live: bool) -> str:
    """The line of an event; empty for the events that only move the bar."""
    if isinstance(event, StageStarted):
        return "" if live else f"{event.stage}{_detail(event.detail)}"
    if isinstance(event, StageFinished):
        return f"{event.stage} took {event.seconds:.1f} s{_detail(event.detail)}"
    if isinstance(event, TrialFinished):
        return f"  {event.family} trial {event.number}: validation score {event.score:.4f} in {event.seconds:.1f} s"
    if isinstance(event, TrialFailed):
        return f"  {event.family} trial {event.number} failed: {event.error}"
    if isinstance(event, CheckpointChosen):
        return f"chosen: {event.family} trial {event.number}. {event.why}"
    if isinstance(event, Refitted):
        trial = f"{event.family} trial {event.number}"
        return f"refitted: {trial} in {event.seconds:.1f} s" if event.done else f"no time was left to refit {trial}"
    if isinstance(event, Notice):
        return f"{'warning' if event.level == 'warning' else 'note'} ({event.topic}): {event.message}"
    return ""


def _share(event: FeatureProgress) -> str:
    """The share of cells that are computed, and the seconds that the rest will take."""
    left = "" if event.done in (0, event.cells) else f", {event.left:.0f} s left"
    return f"  {event.done / max(1, event.cells):.0%} of {event.cells:,} cells{left}"


def _detail(text: str) -> str:
    return f" ({text})" if text else ""


def _plain(text: str) -> str:
    """Text with rich's markup escaped."""
    from rich.markup import escape

    return escape(text)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False)


def _bar(console: Console, limited: bool) -> Bar:
    """A spinner, the current stage, and the spent part of the budget."""
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = [SpinnerColumn(), TextColumn("{task.description}"), *([BarColumn(bar_width=30)] if limited else [])]
    return Bar(*columns, TimeElapsedColumn(), console=console, transient=True)
