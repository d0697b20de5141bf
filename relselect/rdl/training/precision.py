"""Chooses how training steps are computed: in float32 or bfloat16, eagerly or compiled; on a GPU by measuring both.

Validation and prediction always run eagerly in float32, so that a prediction does not depend on the batch it was made in. On a
CPU nothing is measured: "auto" means float32, not compiled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from relselect.errors import ConfigError
from relselect.rdl.network.model import RelationalNetwork
from relselect.untrusted import brief

if TYPE_CHECKING:
    from torch import nn

    from relselect.rdl.network.ensemble import NetworkEnsemble
    from relselect.rdl.settings import NetworkSettings

__all__ = ["PrecisionPlan", "choose_precision", "compile_network", "restore_eager"]

#: Steps before a measurement and within it.
_WARM, _TIMED = 3, 6
#: An alternative is taken if it needs at most this share of the time.
_WORTH = 0.9
#: Seconds of training below which compiling, which takes about a minute, is not tried.
_LONG = 300.0


@dataclass(frozen=True)
class PrecisionPlan:
    """How training steps are computed.

    Attributes:
        bf16: Whether matrices are multiplied in bfloat16; weights, sums and the optimiser stay in float32.
        compiled: Whether encoders, updates and head are compiled.
    """

    bf16: bool = False
    compiled: bool = False

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context that a forward pass runs in."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.bf16)


def choose_precision(
    settings: NetworkSettings,
    device: torch.device,
    network: NetworkEnsemble,
    run: Callable[[PrecisionPlan], object],
    steps: int,
) -> PrecisionPlan:
    """Return the plan that the settings ask for; "auto" is decided by timing training steps.

    Args:
        settings: `precision` and `compile` are read.
        device: Where training runs.
        network: The network; its parts are compiled on return if the plan says so.
        run: Computes one forward and backward pass under a plan and changes no weight.
        steps: Most steps that the training may take.

    Returns:
        The plan.

    Raises:
        ConfigError: Compiling is asked for, and PyTorch finds no compiler for the device.
    """
    gpu = device.type == "cuda"
    plan = PrecisionPlan(bf16=settings.precision == "bf16")
    seconds = 0.0
    if gpu and settings.precision == "auto" and torch.cuda.is_bf16_supported():
        seconds, other = (_seconds(run, PrecisionPlan(bf16=bf16), device) for bf16 in (False, True))
        if other < _WORTH * seconds:
            plan, seconds = PrecisionPlan(bf16=True), other
    if settings.compile == "on":
        return _compiled(network, plan, run)
    if not gpu or settings.compile == "off":
        return plan
    seconds = seconds or _seconds(run, plan, device)
    return _try_to_compile(network, plan, run, device, seconds) if steps * seconds > _LONG else plan


def _compiled(network: NetworkEnsemble, plan: PrecisionPlan, run: Callable[[PrecisionPlan], object]) -> PrecisionPlan:
    compile_network(network)
    found = PrecisionPlan(plan.bf16, compiled=True)
    try:
        run(found)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, OSError, torch._dynamo.exc.TorchDynamoException) as error:
        restore_eager(network)
        rule = f"needs a compiler that PyTorch can use here ({type(error).__name__}: {brief(error)})"
        raise ConfigError("compile", "on", rule, "Install a C++ compiler, or use 'auto' or 'off'") from error
    return found


def _try_to_compile(
    network: NetworkEnsemble,
    plan: PrecisionPlan,
    run: Callable[[PrecisionPlan], object],
    device: torch.device,
    seconds: float,
) -> PrecisionPlan:
    compile_network(network)
    try:
        if _seconds(run, PrecisionPlan(plan.bf16, compiled=True), device) < _WORTH * seconds:
            return PrecisionPlan(plan.bf16, compiled=True)
    except (RuntimeError, OSError, torch._dynamo.exc.TorchDynamoException):
        pass  # no compiler is installed, or none for this device: train eagerly
    restore_eager(network)
    return plan


def _seconds(run: Callable[[PrecisionPlan], object], plan: PrecisionPlan, device: torch.device) -> float:
    for _ in range(_WARM):
        run(plan)
    _wait(device)
    begun = time.perf_counter()
    for _ in range(_TIMED):
        run(plan)
    _wait(device)
    return (time.perf_counter() - begun) / _TIMED


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def compile_network(network: NetworkEnsemble) -> None:
    """Compile encoders, updates and head, whose structure does not depend on the trees, for any number of rows."""
    for part in _parts(network):
        part.compile(dynamic=True)


def restore_eager(network: NetworkEnsemble) -> None:
    """Undo `compile_network`; weights are kept."""
    for part in _parts(network):
        part._compiled_call_impl = None


def _parts(network: NetworkEnsemble) -> list[nn.Module]:
    members = [member for member in network.members if isinstance(member, RelationalNetwork)]
    return [part for member in members for part in (*member.encoders, *member.updates, member.head)]
