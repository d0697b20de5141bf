"""Time and memory limits of queries on files, and the check that a predicate is one predicate.

A database in a file may come from a stranger, with views that never end. Engines notice an interrupt between rows only, so a
query that does not stop is left alone in its thread and its connection is given up. Deliberately not here: the limits of
PostgreSQL, whose server has its own.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from relselect.errors import ConfigError
from relselect.memory import memory_ceiling

__all__ = ["TimeLimit", "TookTooLong", "check_predicate", "memory_limit"]

T = TypeVar("T")

#: Seconds between two interrupts, and until a query that does not stop is left alone.
_AGAIN, _GRACE = 0.1, 3.0
#: The longest wait of a thread.
_LONGEST = 1e6
#: Least bytes that an engine may use.
_LEAST = 1 << 30
#: The begin of a text in dollar signs, such as $$ or $tag$.
_DOLLARS = re.compile(r"\$[A-Za-z_\x80-\uffff]*[A-Za-z_0-9\x80-\uffff]*\$")


class TookTooLong(Exception):
    """Raised when a query took longer than its time."""


class TimeLimit:
    """Runs the calls of one connection, each query within its seconds.

    Args:
        seconds: The time of one query.
        interrupt: Asks the engine to stop; called from another thread than the query's.
        memory: Bytes by which a call may let the process grow, what the engine does not count among its own included; None
            for no bound.

    Attributes:
        given_up: Whether a query did not stop: its connection must be neither used nor closed.
    """

    def __init__(self, seconds: float, interrupt: Callable[[], object], memory: int | None = None) -> None:
        self.seconds = min(seconds, _LONGEST)
        self._memory = memory
        self.given_up = False
        self._interrupt = interrupt

    def run(self, work: Callable[[], T], spent: float = 0.0) -> T:
        """Return the result of `work`, or raise what it raises.

        Args:
            work: The call.
            spent: Seconds of the query that earlier calls took.

        Raises:
            TookTooLong: It took longer; what it returns later is lost.
        """
        found: list[T] = []
        failed: list[BaseException] = []

        def called() -> None:
            try:
                # a query that is left alone stays under its ceiling
                with nullcontext() if self._memory is None else memory_ceiling(self._memory):
                    found.append(work())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=called, name="query", daemon=True)
        thread.start()
        try:
            thread.join(max(0.0, self.seconds - spent))
        except BaseException:  # Ctrl-C
            self._stop(thread)
            raise
        if thread.is_alive():
            self._stop(thread)
            raise TookTooLong
        if failed:
            raise failed[0]
        return found[0]

    def _stop(self, thread: threading.Thread) -> None:
        end = time.monotonic() + _GRACE
        while thread.is_alive() and time.monotonic() < end:
            self._interrupt()
            thread.join(_AGAIN)
        self.given_up = thread.is_alive()


def memory_limit() -> int:
    """Return the bytes that an engine may use for one connection: a quarter of the machine's memory, at least 1 GiB."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 4 * _LEAST
    return max(_LEAST, whole // 4)


def check_predicate(argument: str, text: str, engine: str) -> None:
    """Check that a text is one predicate: it closes no bracket that it did not open, and ends no statement.

    Args:
        argument: Its name in errors.
        text: The predicate.
        engine: Who would read it, for the error.

    Raises:
        ConfigError: It is none.

    >>> check_predicate("where", "price > 3 AND name <> ');'  -- few", "SQLite")
    """
    why = _fault(text)
    if why:
        fix = "Write one predicate over the table's own columns, such as price > 3"
        raise ConfigError(argument, text, f"{engine} refuses it: {why}", fix)


def _fault(text: str) -> str:
    """Return why a text is no single predicate; "" if it is one."""
    depth, place = 0, 0
    while place < len(text):
        sign, pair = text[place], text[place : place + 2]
        if sign == "\x00":
            return "it holds a null character"
        if pair == "--":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        elif pair == "/*":
            end = text.find("*/", place + 2)
            if end < 0 or "/*" in text[place + 2 : end]:
                return "it holds a comment without an end, or one in another"
            place = end + 1
        elif sign in "'\"`":
            end = text.find(sign, place + 1)
            if end < 0:
                return f"a {sign} is missing"
            if "\\" in text[place:end] and place and text[place - 1] in "eE":
                return "it holds text with escapes"
            place = end
        elif _DOLLARS.match(text, place):
            return "it holds text in dollar signs"
        elif sign == ";":
            return "it holds a semicolon, and one predicate has none"
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if depth < 0:
                return "a bracket is closed that was not opened"
        place += 1
    return "" if depth == 0 else "a bracket is not closed"
