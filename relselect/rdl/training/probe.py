"""The differentiable loss that flatness is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call

from relselect.rdl.training.fitted import batcher_of, row_tensors
from relselect.serialization import canonical_json

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.families.candidate import Checkpoint
    from relselect.problem import Problem
    from relselect.rdl.training.fitted import FittedNetwork
    from relselect.tasks import Rows

__all__ = ["PROBE_ROWS", "NetworkProbe"]

#: Select rows in the probe.
PROBE_ROWS = 256
_ARCHITECTURE = (
    *("channels", "layers", "fan_out", "strategy", "window", "edges", "routes"),
    *("encoder", "encoder_blocks", "texts", "level", "convolution", "aggregation", "members"),
    *("without", "mark", "jumping", "rows", "language", "language_tables", "language_layers"),
)


class NetworkProbe:
    """The loss of a network on a fixed batch of select rows and their fixed trees.

    Regression under the absolute error is probed with Huber's loss, since the absolute error itself has no curvature.

    Args:
        fitted: The network.
        checkpoints: The states to compare.
        problem: The problem.
        rows: Labelled rows, of which `PROBE_ROWS` at most are drawn.
    """

    def __init__(
        self, fitted: FittedNetwork, checkpoints: tuple[Checkpoint, ...], problem: Problem, rows: Rows
    ) -> None:
        blueprint, device = fitted.blueprint, fitted.device
        options = blueprint.settings.to_config()
        self.architecture = canonical_json({"family": "rdl", **{name: options[name] for name in _ARCHITECTURE}})
        rows = rows.drawn(PROBE_ROWS)
        batcher = batcher_of(blueprint, problem, device)
        tensors = row_tensors(blueprint, rows, batcher.device)
        self._batch = batcher.batch(tensors, torch.arange(len(rows), device=batcher.device))
        self._label = None if tensors.label is None else tensors.label.to(device)
        self._fitted = fitted
        self._checkpoints = checkpoints

    def parameters(self, checkpoint: int) -> dict[str, Tensor]:
        """Return the weights of a checkpoint, detached, on the network's device."""
        state = self._checkpoints[checkpoint].state
        names = [name for name, _ in self._fitted.network.named_parameters()]
        return {name: state[name].detach().clone().to(self._fitted.device) for name in names}

    def loss(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Return the scalar loss at these weights, in evaluation mode."""
        if self._label is None:
            raise ValueError("the probed rows have no labels")
        network = self._fitted.network.eval()
        output = functional_call(network, dict(parameters), (self._batch,))
        return self._fitted.blueprint.target.smooth_loss(output, self._label)
