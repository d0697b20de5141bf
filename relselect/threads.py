"""Threads of OpenMP: waiting without burning the core, one thread where a process was forked, and a limit for one block.

OpenMP threads spin while they wait for one another. On a core that something else uses too, that made LightGBM and
PyTorch five to twenty times slower here; waiting passively costs a few percent on an idle machine.

A forked child has none of its parent's threads, but OpenMP in it waits for them: the first parallel loop of LightGBM never
ends. With one thread it asks for no other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["idle_cores", "limit_threads_after_fork", "limited_threads", "openmp_threads", "wait_passively"]

#: Packages whose threads OpenMP keeps once they have worked.
_OPENMP = ("lightgbm", "sklearn", "torch")
_forked = False


def _note_fork() -> None:
    global _forked
    _forked = _forked or any(name in sys.modules for name in _OPENMP)


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_note_fork)


def limit_threads_after_fork() -> None:
    """Let this Python thread compute with one OpenMP thread where the process is a fork of one that used OpenMP.

    Such are workers of gunicorn with `--preload`, of Celery, and of `multiprocessing` where it forks. Nothing happens in other
    processes. Predictions are the same bit for bit; training takes one core.
    """
    if not _forked:
        return
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="openmp")
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def openmp_threads(wanted: int) -> int:
    """Return how many threads to ask a library for: one in such a fork, else as many as wanted, at most OMP_NUM_THREADS.

    A number that a program asks a library for replaces that environment variable, which is why it is read here.
    """
    if _forked:
        return 1
    most = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(wanted, int(most)) if most.isdecimal() and int(most) > 0 else wanted


@contextmanager
def limited_threads(most: int) -> Iterator[None]:
    """Let this process compute with at most so many threads within a `with` block; the default of PyTorch included.

    Threads that were started before go on waiting. Not for two blocks at once in one process.

    Args:
        most: Threads, at least one.
    """
    from threadpoolctl import threadpool_limits

    former = os.environ.get("OMP_NUM_THREADS")
    torch = sys.modules.get("torch")
    threads = None if torch is None else torch.get_num_threads()
    os.environ["OMP_NUM_THREADS"] = str(most)
    try:
        with threadpool_limits(most):
            if torch is not None:
                torch.set_num_threads(min(most, threads or most))
            yield
    finally:
        if former is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = former
        if torch is not None and threads is not None:
            torch.set_num_threads(threads)


def idle_cores(most: int) -> int:
    """Return how many threads to train trees with: the cores that nobody uses now, one at least.

    LightGBM's threads wait for one another after every split; on a core that is shared, two threads were measured to be
    ten to twenty times slower than one. The number of threads changes no bit of a model.

    Args:
        most: The largest answer.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE":
        return openmp_threads(min(cores, most))  # threads that sleep while they wait do not mind company
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return openmp_threads(max(1, min(cores, most, round(cores - busy))))


def wait_passively() -> None:
    """Ask OpenMP to let waiting threads sleep, unless the user has said how they should wait.

    OpenMP reads this once, when it is loaded: it has no effect after PyTorch or LightGBM were imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
