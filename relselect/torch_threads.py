"""Sets the number of PyTorch threads of the current Python thread, without changing what other threads use.

`torch.set_num_threads(n)` does two things: it sets the number of the calling thread, and it sets a default of the process, which
every thread takes over when it first computes something. A context that sets 1 and later restores the number that it read is
therefore wrong as soon as two threads overlap: the second reads the 1 that the first has set, and leaves it behind. Here the
default of the process is put back at once, so that no other thread takes over the limit, and each thread restores its own
number, in whatever order the threads leave.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["one_thread", "set_threads_here"]

T = TypeVar("T")

#: Held while the default of the process is changed and put back.
_LOCK = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let this Python thread compute with one PyTorch thread; contexts may nest, and overlap in any number of threads.

    Example:
        >>> before = torch.get_num_threads()
        >>> with one_thread():
        ...     torch.get_num_threads()
        1
        >>> torch.get_num_threads() == before
        True
    """
    with _LOCK:  # a thread that computes for the first time must not read a default that is just being put back
        before = torch.get_num_threads()
    set_threads_here(1)
    try:
        yield
    finally:
        set_threads_here(before)


def set_threads_here(threads: int) -> None:
    """Set the number of PyTorch threads of this Python thread alone; the default of other threads stays as it is."""
    with _LOCK:
        torch.get_num_threads()  # a thread takes over the default when it first asks, also after it was set
        default = _in_new_thread(torch.get_num_threads)
        torch.set_num_threads(threads)
        _in_new_thread(lambda: torch.set_num_threads(default))


def _in_new_thread(call: Callable[[], T]) -> T:
    """Return the result of a call in a thread that has computed nothing yet, which has the default of the process."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(call()), name="relselect-thread-limit")
    thread.start()
    thread.join()
    return results[0]
