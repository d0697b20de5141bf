"""Random draws of the network: from a generator of the thread where one is set, else from PyTorch's global generator.

Networks that train in parallel threads would otherwise share the global generator, and their draws would depend on the order
in which the threads run.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

__all__ = ["bernoulli", "draw_seed", "thread_generator"]


class _ThreadState(threading.local):
    generator: torch.Generator | None = None


_STATE = _ThreadState()


@contextmanager
def thread_generator(seed: int) -> Iterator[None]:
    """Let this thread draw from its own CPU generator, seeded with `seed`, within the context."""
    before = _STATE.generator
    _STATE.generator = torch.Generator().manual_seed(seed)
    try:
        yield
    finally:
        _STATE.generator = before


def draw_seed() -> int:
    """Draw a seed, any int64."""
    return int(torch.randint(-(2**63), 2**63 - 1, (1,), generator=_STATE.generator))


def bernoulli(shape: Sequence[int], share: float, device: torch.device) -> Tensor:
    """Draw a bool tensor of the given shape whose entries are independently true with probability `share`."""
    generator = _STATE.generator if device.type == "cpu" else None
    return torch.rand(tuple(shape), device=device, generator=generator) < share
