"""Shows the events of a run on standard error: a live line in a terminal or a notebook, plain lines elsewhere.

This is the one implementation, for the commands and for Python (`watched`). Nothing is kept and nothing is decided here; results
go to standard output elsewhere.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from html import escape
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from relselect.errors import ConfigError
from relselect.escaping import escape_controls
from relselect.events import (
    BankProgress,
    CheckpointChosen,
    Emit,
    EpochDone,
    Event,
    FeatureProgress,
    Notice,
    Refitted,
    StageFinished,
    StageStarted,
    TrialFailed,
    TrialFinished,
    TrialPruned,
    TrialStarted,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["Progress", "duration_text", "watched"]

#: Seconds between two lines about the same long computation, where there is no bar.
_PAUSE = 5.0
#: Seconds between two updates of a notebook's line.
_REDRAW = 0.2
#: The stage that every table has, and the seconds from which it leaves a line.
_READING, _BRIEF = "read", 1.0
#: Events that come often, and say little one by one.
_DETAILS = (TrialStarted, EpochDone, FeatureProgress)
_LOGGER = logging.getLogger("relselect")
#: Held by the one call of the process that shows its progress.
_SHOWING = threading.Lock()


@contextmanager
def watched(on_event: Emit | None, progress: bool | None, seconds: float | None = None) -> Iterator[Emit]:
    """Yield what a public function passes on as its listener: the caller's own, the log, and the line that shows progress.

    Every event goes to the logger "relselect", at the level DEBUG for epochs and shares of computations and INFO for all else, as
    text and as `record.event`; nothing is configured. A line is shown where standard error is a terminal, and in a notebook; of
    calls within one another, or at one time, the first one alone shows it.

    Args:
        on_event: The caller's listener.
        progress: Whether to show the line; None where the caller has no listener of its own.
        seconds: The time budget; None or infinite when there is no limit.

    Raises:
        ConfigError: `progress` is neither true nor false nor None.
    """
    if progress not in (None, True, False):
        raise ConfigError("progress", progress, "must be True, False or None", "Pass progress=False for silence")
    wanted = on_event is None if progress is None else progress
    first = wanted and _SHOWING.acquire(blocking=False)
    shown: Progress | None = None

    def emit(event: Event) -> None:
        _log(event)
        if on_event is not None:
            on_event(event)
        if shown is not None:
            shown(event)

    try:
        with _line_of_caller(seconds) if first else nullcontext() as shown:
            yield emit
    finally:
        if first:
            _SHOWING.release()


def _line_of_caller(seconds: float | None) -> Progress:
    """Return the progress that fits where Python runs: a notebook's line, a terminal's, or none that is seen."""
    notebook = _Notebook.here()
    terminal = notebook is None and sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
    return Progress(seconds, live=terminal, news=False, notebook=notebook)


def _log(event: Event) -> None:
    """Write an event to the logger "relselect"."""
    level = logging.DEBUG if isinstance(event, _DETAILS) else logging.INFO
    if not _LOGGER.isEnabledFor(level):
        return
    text = _line(event, live=False) or str(event)
    _LOGGER.log(level, "%s", escape_controls(" ".join(text.split())), extra={"event": event})


class Progress:
    """Listens to events and shows them; use it as a context manager and pass it as `on_event`.

    Args:
        seconds: The time budget, for the bar; None when there is no limit.
        stream: Where to write; standard error by default, so that standard output stays for results.
        live: Whether to draw a live bar; by default when `stream` is a terminal.
        news: Whether events leave lines of their own, above the bar where there is one.
        quiet: Whether nothing is shown at all.
        notebook: The output of a notebook that takes the place of the stream.

    Example:
        >>> from relselect.events import StageStarted
        >>> with Progress(stream=sys.stdout, live=False) as progress:
        ...     progress(StageStarted("profile"))
        [  0.0 s] profile
    """

    def __init__(
        self,
        seconds: float | None = None,
        stream: TextIO | None = None,
        live: bool | None = None,
        *,
        news: bool = True,
        quiet: bool = False,
        notebook: _Notebook | None = None,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._seconds = seconds if seconds is not None and seconds != float("inf") else None
        self._lost = quiet or (notebook is None and (self._stream is None or self._stream.closed))
        self._live = not self._lost and notebook is None and (self._stream.isatty() if live is None else live)
        self._news, self._notebook = news, notebook
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
        """Take the bar away; a notebook's line says how long it took."""
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.stop()
            self._bar = None
        if self._notebook is not None:
            self._notebook.end(f"{'ended' if kind else 'done'} after {time.monotonic() - self._begun:.1f} s")

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
        if not self._news:
            return
        line = "" if _is_brief(event) else _line(event, live=self._bar is not None)
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
        """Update the text beside the bar, or the line of a notebook."""
        if self._notebook is None and (self._bar is None or self._task is None):
            return
        spent = time.monotonic() - self._begun
        text = escape_controls(f"{self._stage or 'working'}{_doing(event)}")
        if self._notebook is not None:
            limit = "" if self._seconds is None else f" of {self._seconds:.0f} s"
            self._notebook.show(f"{text} ({spent:.0f} s{limit})")
        elif self._bar is not None and self._task is not None:
            done = spent if self._seconds is None else min(spent, self._seconds)
            self._bar.update(self._task, description=_plain(text), completed=done)


class _Notebook:
    """One line of HTML in the output of a notebook's cell, replaced as the work goes on; needs no widgets.

    Args:
        display: IPython's function of that name.
    """

    def __init__(self, display: Any) -> None:
        self._handle = display(_Html("starting"), display_id=True)
        self._drawn = time.monotonic()

    @classmethod
    def here(cls) -> _Notebook | None:
        """Return the line of the cell that runs now; None outside a notebook."""
        module = sys.modules.get("IPython")  # where it was never imported, there is no notebook
        shell = None if module is None else module.get_ipython()
        if shell is None or getattr(shell, "kernel", None) is None:
            return None
        from importlib import import_module

        return cls(import_module("IPython.display").display)

    def show(self, text: str) -> None:
        """Replace the line, at most a few times a second."""
        if time.monotonic() - self._drawn >= _REDRAW:
            self.end(text)

    def end(self, text: str) -> None:
        """Replace the line now."""
        self._drawn = time.monotonic()
        if self._handle is not None:
            self._handle.update(_Html(text))


class _Html:
    """A line of text that a notebook draws in its own colours, light or dark."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"relselect: {self._text}"

    def _repr_html_(self) -> str:
        return f'<div style="font-family: monospace">relselect: {escape(self._text)}</div>'


def _is_brief(event: Event) -> bool:
    """Whether an event is about a table that was read at once: a database of a hundred tables would fill the screen."""
    if isinstance(event, StageStarted):
        return event.stage == _READING
    return isinstance(event, StageFinished) and event.stage == _READING and event.seconds < _BRIEF


def _doing(event: Event) -> str:
    """What is being done within a stage, for a line that is replaced."""
    if isinstance(event, BankProgress):
        return f": {_bank_line(event)}"
    if isinstance(event, FeatureProgress):
        return f": {_share(event).strip()}"
    if isinstance(event, EpochDone):
        return f": {event.family} trial {event.number}, epoch {event.epoch}"
    return f": {event.family} trial {event.number}" if isinstance(event, TrialStarted) else ""


def _line(event: Event, live: bool) -> str:
    """The line of an event; empty for the events that only move the bar."""
    if isinstance(event, StageStarted):
        return "" if live else f"{event.stage}{_detail(event.detail)}"
    if isinstance(event, StageFinished):
        return f"{event.stage} took {event.seconds:.1f} s{_detail(event.detail)}"
    if isinstance(event, TrialFinished):
        score = f"{event.metric or 'score'} {event.sign * event.score + 0.0:.4f}"
        return f"  {event.family} trial {event.number}: validation {score} in {event.seconds:.1f} s"
    if isinstance(event, TrialFailed):
        return f"  {event.family} trial {event.number} failed: {event.error}"
    if isinstance(event, TrialPruned):
        return f"  {event.family} trial {event.number} {event.reason}"
    if isinstance(event, CheckpointChosen):
        return f"chosen: {event.family} trial {event.number}. {event.why}"
    if isinstance(event, Refitted):
        trial = f"{event.family} trial {event.number}"
        return f"refitted: {trial} in {event.seconds:.1f} s" if event.done else f"no time was left to refit {trial}"
    if isinstance(event, Notice):
        return f"{'warning' if event.level == 'warning' else 'note'} ({event.topic}): {event.message}"
    return _bank_line(event) if isinstance(event, BankProgress) and not live else ""


def _bank_line(event: BankProgress) -> str:
    """How far the build of a bank is."""
    left = "unknown" if math.isnan(event.left) else duration_text(event.left)
    counts = f"{event.done} of {event.planned} trials, {event.failed} failed, {event.refused} tasks not taken"
    return f"{counts}; left: {left}  {event.detail}".rstrip()


def duration_text(seconds: float) -> str:
    """Return a length of time as text for people: "3 min 05 s", or hours and minutes."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"


def _share(event: FeatureProgress) -> str:
    """The share of cells that are computed, and the seconds that the rest will take."""
    left = "" if event.done in (0, event.cells) else f", {event.left:.0f} s left"
    return f"  {event.done / max(1, event.cells):.0%} of {event.cells:,} cells{left}"


def _detail(text: str) -> str:
    return f" ({text})" if text else ""


def _plain(text: str) -> str:
    """Text with rich's markup escaped."""
    from rich.markup import escape as escape_markup

    return escape_markup(text)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False)


def _bar(console: Console, limited: bool) -> Bar:
    """A spinner, the current stage, and the spent part of the budget."""
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = [SpinnerColumn(), TextColumn("{task.description}"), *([BarColumn(bar_width=30)] if limited else [])]
    return Bar(*columns, TimeElapsedColumn(), console=console, transient=True)
