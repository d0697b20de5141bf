"""When a command began, so that the start-up of the interpreter counts as part of its time budget."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CommandClock", "process_start"]

_STAT = Path("/proc/self/stat")
#: Position of the start time among the fields that follow the name of the program (proc(5): field 22).
_START_FIELD = 19
#: Seconds beyond which the age of the process is no start-up: `main` was called from a program that ran before.
_LONGEST_START_UP = 60.0


@dataclass(frozen=True)
class CommandClock:
    """When a command began, and in whose process.

    Attributes:
        begun: The moment, on the clock of `time.monotonic`.
        own_process: Whether the process is the command's own, and may be ended with it.
    """

    begun: float
    own_process: bool = False


def process_start() -> float:
    """Returns when this process started, on the clock of `time.monotonic`.

    Read from /proc on Linux; the present moment on other systems, and where the process is older than a minute.
    """
    now = time.monotonic()
    try:
        fields = _STAT.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        started = int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return now
    return now - age if 0 <= age <= _LONGEST_START_UP else now
