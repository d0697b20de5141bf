"""Peak resident memory of this process, in MiB, on every platform.

Deliberately not here: the memory of child processes, and memory of a GPU.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import sys
from pathlib import Path

__all__ = ["forget_peak_memory", "peak_memory_mb"]


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


def forget_peak_memory() -> None:
    """Let the peak of this process begin anew from what is resident now, where the platform can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # see proc(5)


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
