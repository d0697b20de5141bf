"""Lets a training step that is too small for several threads use one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from relselect.torch_threads import one_thread

if TYPE_CHECKING:
    import torch

    from relselect.rdl.settings import NetworkSettings

__all__ = ["one_thread_if_small"]

#: Channels times nodes of a batch's full trees from which on a training step gains from several threads. Below it, two threads
#: that wait passively took 1.5 times as long as one, because they wait for each other; above it, 0.88 times.
_WORTH_SHARING = 20_000_000


@contextmanager
def one_thread_if_small(settings: NetworkSettings, device: torch.device) -> Iterator[None]:
    """Let this Python thread compute with one PyTorch thread where a training step is too small for several; CPU only.

    Ensembles are not limited: each member has a thread of its own already. Whether a step is small follows from the settings
    alone and not from a measurement, because sums by several threads differ in their last bits.

    Args:
        settings: The options of the network.
        device: Where it computes.
    """
    nodes, width = 1, 1
    for most in settings.fan_outs:
        width *= most
        nodes += width
    small = settings.batch_size * nodes * settings.channels < _WORTH_SHARING
    if device.type != "cpu" or settings.members > 1 or not small:
        yield
        return
    with one_thread():
        yield
