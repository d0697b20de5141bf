"""Losses and predictions from the outputs of a network's members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from relselect.dfs.learners.labels import LabelScale, constant_of, fits_median

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.families.candidate import Config
    from relselect.tasks import Task

__all__ = ["Objective"]

Floats = NDArray[np.float64]
#: Probabilities of the prior are kept this far from 0 and 1.
_LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class Objective:
    """What a network minimises, and how its outputs become predictions.

    Each member is trained by a loss of its own, and predictions are the mean over members: of probabilities for classes
    (cross-entropy), of values for a regression (squared error, or absolute error where it fits the median).

    Attributes:
        kind: "binary", "multiclass" or "regression".
        outputs: Outputs of a member: one, or one per class.
        scale: The scale of a regression's labels.
        absolute: Whether a regression minimises the absolute error.
        prior: What the outputs start at: logit of the share, logarithms of the shares, or the standardised constant.
    """

    kind: str
    outputs: int
    scale: LabelScale
    absolute: bool
    prior: tuple[float, ...]

    @classmethod
    def of(cls, task: Task, config: Config, label: Floats, weights: Floats | None = None) -> Objective:
        """Return the objective of training labels, shape (n,), and of their weights in the loss."""
        constant, scale = constant_of(task, config, label, weights), LabelScale.of(task, label, weights)
        if task.kind == "regression":
            return cls(task.kind, 1, scale, fits_median(task, config), (float(scale.standard(constant)),))
        share = np.clip(constant, _LEAST_SHARE, 1 - _LEAST_SHARE)
        if task.kind == "binary":
            return cls(task.kind, 1, scale, False, (float(np.log(share / (1 - share))),))
        return cls(task.kind, len(share), scale, False, tuple(float(value) for value in np.log(share)))

    def targets(self, label: Floats) -> Tensor:
        """Return labels as the loss reads them, shape (n,): class numbers, or float32 on the fitted scale."""
        if self.kind == "multiclass":
            return torch.from_numpy(label.astype(np.int64))
        return torch.from_numpy(self.scale.standard(label).astype(np.float32))

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None, *, smooth: bool = False) -> Tensor:
        """Return the mean loss over rows and members.

        Args:
            outputs: Shape (n, members, outputs).
            target: What `targets` returned, shape (n,).
            weight: Weights of the rows, shape (n,), in units of the mean weight of all rows; None where all are 1.
            smooth: Whether Huber's loss stands for the absolute error, which has no curvature.
        """
        members = outputs.shape[1]
        each = target.unsqueeze(1).expand(-1, members)
        if self.kind == "multiclass":
            losses = functional.cross_entropy(outputs.flatten(0, 1), each.flatten(), reduction="none").view(-1, members)
        elif self.kind == "binary":
            losses = functional.binary_cross_entropy_with_logits(outputs[..., 0], each, reduction="none")
        elif self.absolute:
            measure = functional.huber_loss if smooth else functional.l1_loss
            losses = measure(outputs[..., 0], each, reduction="none")
        else:
            losses = functional.mse_loss(outputs[..., 0], each, reduction="none")
        rows = losses.mean(1)
        return rows.mean() if weight is None else (rows * weight).mean()

    def predictions(self, outputs: Tensor) -> Floats:
        """Return values or probabilities, shape (n,) or (n, classes), of outputs (n, members, outputs)."""
        outputs = outputs.double()
        if self.kind == "multiclass":
            return np.asarray(torch.softmax(outputs, dim=2).mean(1).numpy(), dtype=np.float64)
        if self.kind == "binary":
            return np.asarray(torch.sigmoid(outputs[..., 0]).mean(1).numpy(), dtype=np.float64)
        return self.scale.values(outputs[..., 0].mean(1).numpy())

    def to_json(self) -> dict[str, Any]:
        """Return the objective as JSON-able data."""
        return {
            "kind": self.kind,
            "outputs": self.outputs,
            "scale": self.scale.to_json(),
            "absolute": self.absolute,
            "prior": list(self.prior),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Objective:
        """Return the objective that `to_json` wrote.

        Raises:
            KeyError: A field is missing.
            ValueError: A field is of another type or range.
        """
        kind, outputs, absolute = data["kind"], data["outputs"], data["absolute"]
        if (
            kind not in ("binary", "multiclass", "regression")
            or type(outputs) is not int
            or not isinstance(absolute, bool)
        ):
            raise ValueError("the objective is damaged")
        if outputs < 1 or (kind != "multiclass" and outputs != 1) or len(data["prior"]) != outputs:
            raise ValueError(f"a {kind} network has {outputs} outputs and {len(data['prior'])} priors")
        prior = tuple(float(value) for value in data["prior"])
        return cls(kind, outputs, LabelScale.from_json(data["scale"]), absolute, prior)
