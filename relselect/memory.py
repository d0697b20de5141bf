"""Memory of this process: its peak, in MiB, a ceiling on what it may take further (Linux), and how often cycles are collected.

Deliberately not here: the memory of child processes, and memory of a GPU.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["collect_seldom", "forget_peak_memory", "memory_ceiling", "peak_memory_mb"]

#: New objects before the youngest generation is searched, and the searches of one generation before the next one's.
_COLLECT_AFTER = (20_000, 20, 50)
_STATM = Path("/proc/self/statm")
#: The field of /proc/self/statm that holds the pages of data and stack (proc(5)).
_DATA_FIELD = 5


def peak_memory_mb() -> float:
    """Return the largest resident memory that this process has had so far, in MiB; NaN where the platform does not say.

    Linux and the BSDs report `ru_maxrss` in KiB, macOS in bytes; Windows reports the peak working set through `psapi`.
    """
    if sys.platform == "win32":
        return _peak_working_set_mb()
    try:
        import resource  # Missing on Windows.
    except ImportError:
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def collect_seldom() -> None:
    """Let Python's garbage collector look for cycles less often in this process, and not at its end.

    The libraries of a run make half a million objects that stay. While they are imported, the collector visits all of them many
    times, and once more when the process ends: 6 of 13 seconds for nothing. Only a process that belongs to this package is set
    so, as the commands' are.
    """
    gc.set_threshold(*_COLLECT_AFTER)
    atexit.register(gc.freeze)  # what is frozen is not visited


def forget_peak_memory() -> None:
    """Let the peak of this process begin anew from what is resident now, where the platform can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # see proc(5)


@contextmanager
def memory_ceiling(growth: int) -> Iterator[None]:
    """Refuse this process more than `growth` bytes of further memory while the block runs.

    A library in C that allocates outside its own limit then meets a failed allocation, which it reports, before the system
    kills the process. The ceiling is the soft limit RLIMIT_DATA, which only Linux applies to all memory; elsewhere the block
    runs without one. It holds for every thread of the process, and where blocks overlap, for the longest of them.

    Args:
        growth: Bytes.

    >>> with memory_ceiling(1 << 30):
    ...     kept = bytes(1 << 20)
    """
    _CEILING.lower(growth)
    try:
        yield
    finally:
        _CEILING.lift()


class _Ceiling:
    """The soft limit of the process and the blocks that hold it down; the last of them restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._before: tuple[int, int] | None = None

    def lower(self, growth: int) -> None:
        with self._lock:
            self._blocks += 1
            used = _data_bytes()
            if used is None:
                return
            import resource

            soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
            if self._blocks == 1:
                self._before = (soft, hard)
            if soft == resource.RLIM_INFINITY or used + growth < soft:
                resource.setrlimit(resource.RLIMIT_DATA, (used + growth, hard))

    def lift(self) -> None:
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0 and self._before is not None:
                import resource

                resource.setrlimit(resource.RLIMIT_DATA, self._before)
                self._before = None


#: The limit belongs to the process, and so does the count of the blocks under it.
_CEILING = _Ceiling()


def _data_bytes() -> int | None:
    """Return the bytes of private writable memory, touched or not; None where the platform does not say."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return int(_STATM.read_text(encoding="ascii").split()[_DATA_FIELD]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


class _ProcessMemoryCounters(ctypes.Structure):
    """`PROCESS_MEMORY_COUNTERS` of the Windows API; sizes are bytes."""

    _fields_ = [
        ("cb", ctypes.c_uint32),
        ("PageFaultCount", ctypes.c_uint32),
        ("PeakWorkingSetSize", ctypes.c_size_t),
        ("WorkingSetSize", ctypes.c_size_t),
        ("QuotaPeakPagedPoolUsage", ctypes.c_size_t),
        ("QuotaPagedPoolUsage", ctypes.c_size_t),
        ("QuotaPeakNonPagedPoolUsage", ctypes.c_size_t),
        ("QuotaNonPagedPoolUsage", ctypes.c_size_t),
        ("PagefileUsage", ctypes.c_size_t),
        ("PeakPagefileUsage", ctypes.c_size_t),
    ]


def _peak_working_set_mb() -> float:
    counters = _ProcessMemoryCounters(cb=ctypes.sizeof(_ProcessMemoryCounters))
    try:
        libraries = ctypes.windll  # type: ignore[attr-defined,unused-ignore]
        current = libraries.kernel32.GetCurrentProcess
        read = libraries.psapi.GetProcessMemoryInfo
        current.restype = ctypes.c_void_p  # A handle is as wide as a pointer; the default, a 32-bit int, would cut it.
        read.argtypes = [ctypes.c_void_p, ctypes.POINTER(_ProcessMemoryCounters), ctypes.c_uint32]
        if not read(current(), ctypes.byref(counters), counters.cb):
            return math.nan
    except (AttributeError, OSError):
        return math.nan
    return float(counters.PeakWorkingSetSize) / 2**20
