"""Where dropout draws from: the thread's own generator while it has one, PyTorch's global one otherwise.

Networks that train in threads beside one another would draw from the global generator in whichever order the threads reach it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

__all__ = ["draw_seed", "drawing_from", "happens"]


class _Source(threading.local):
    generator: torch.Generator | None = None


_SOURCE = _Source()


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Let this thread draw from a generator of its own, on the CPU, as long as the context lasts."""
    before = _SOURCE.generator
    _SOURCE.generator = torch.Generator().manual_seed(seed)
    try:
        yield
    finally:
        _SOURCE.generator = before


def draw_seed() -> int:
    """Return a seed, any int64."""
    return int(torch.randint(-(2**63), 2**63 - 1, (1,), generator=_SOURCE.generator))


def happens(shape: Sequence[int], share: float, device: torch.device) -> Tensor:
    """Return independent draws, bool of a shape, true with probability `share`."""
    generator = _SOURCE.generator if device.type == "cpu" else None
    return torch.rand(tuple(shape), device=device, generator=generator) < share
