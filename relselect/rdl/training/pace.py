"""How training steps are computed: in single precision or bfloat16, as written or compiled; what pays is measured on a GPU.

Only training steps are affected. Validation and prediction are computed in single precision and as written, so that a
prediction does not depend on the batch it was made in. On a CPU "auto" is single precision and nothing compiled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from relselect.rdl.network.model import RelationalNetwork

if TYPE_CHECKING:
    from torch import nn

    from relselect.rdl.network.ensemble import NetworkEnsemble
    from relselect.rdl.settings import Settings

__all__ = ["Pace", "compiled", "find_pace", "one_thread_if_small", "uncompiled"]

#: Passes before and within a measurement.
_WARM, _TIMED = 3, 6
#: What another way of computing must save to be taken.
_WORTH = 0.9
#: Numbers in a batch's full trees from which on a step is worth sharing among threads: below it, waiting for one another costs
#: more than it saves (two threads that wait passively took 1.5 times as long as one; above it, 0.88 times).
_SHARED = 20_000_000
#: Seconds of training below which compiling, which takes about a minute, is not tried.
_LONG = 300.0


@dataclass(frozen=True)
class Pace:
    """How training steps are computed.

    Attributes:
        bf16: Whether matrices are multiplied in bfloat16.
        compiled: Whether the encoders, updates and head are compiled.
    """

    bf16: bool = False
    compiled: bool = False

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.bf16)


@contextmanager
def one_thread_if_small(settings: Settings, device: torch.device) -> Iterator[None]:
    """Let PyTorch compute with one thread, on a CPU, what is too small to be shared; members have a thread each anyway.

    What is small follows from the settings alone, not from a clock: sums by several threads differ in their last bits.
    """
    nodes, width = 1, 1
    for most in settings.fan_outs:
        width *= most
        nodes += width
    small = settings.batch_size * nodes * settings.channels < _SHARED
    threads = torch.get_num_threads()
    if device.type != "cpu" or settings.members > 1 or not small:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def find_pace(
    settings: Settings, device: torch.device, network: NetworkEnsemble, run: Callable[[Pace], object], steps: int
) -> Pace:
    """Return what the settings ask for, "auto" decided by trying it out.

    Args:
        settings: `precision` and `compile`.
        device: Where training runs.
        network: The network; left compiled if that was chosen.
        run: Does one forward and backward pass; no weight moves.
        steps: Steps that training may take.
    """
    gpu = device.type == "cuda"
    pace = Pace(bf16=settings.precision == "bf16")
    seconds = 0.0
    if gpu and settings.precision == "auto" and torch.cuda.is_bf16_supported():
        seconds, other = (_seconds(run, Pace(bf16=bf16), device) for bf16 in (False, True))
        if other < _WORTH * seconds:
            pace, seconds = Pace(bf16=True), other
    if settings.compile == "on":
        compiled(network)
        return Pace(pace.bf16, compiled=True)
    if not gpu or settings.compile == "off":
        return pace
    seconds = seconds or _seconds(run, pace, device)
    return _try_to_compile(network, pace, run, device, seconds) if steps * seconds > _LONG else pace


def _try_to_compile(
    network: NetworkEnsemble, pace: Pace, run: Callable[[Pace], object], device: torch.device, seconds: float
) -> Pace:
    compiled(network)
    try:
        if _seconds(run, Pace(pace.bf16, compiled=True), device) < _WORTH * seconds:
            return Pace(pace.bf16, compiled=True)
    except (RuntimeError, OSError, torch._dynamo.exc.TorchDynamoException):
        pass  # no compiler here, or none that knows this device: go on as written
    uncompiled(network)
    return pace


def _seconds(run: Callable[[Pace], object], pace: Pace, device: torch.device) -> float:
    for _ in range(_WARM):
        run(pace)
    _wait(device)
    begun = time.perf_counter()
    for _ in range(_TIMED):
        run(pace)
    _wait(device)
    return (time.perf_counter() - begun) / _TIMED


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def compiled(network: NetworkEnsemble) -> None:
    """Compile, for any number of rows, the parts of a network whose structure does not depend on the trees."""
    for part in _parts(network):
        part.compile(dynamic=True)


def uncompiled(network: NetworkEnsemble) -> None:
    """Undo `compiled`; the weights stay."""
    for part in _parts(network):
        part._compiled_call_impl = None


def _parts(network: NetworkEnsemble) -> list[nn.Module]:
    members = [member for member in network.members if isinstance(member, RelationalNetwork)]
    return [part for member in members for part in (*member.encoders, *member.updates, member.head)]
