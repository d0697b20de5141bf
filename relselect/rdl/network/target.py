"""Losses and predictions from network outputs, by kind of task."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from relselect.problem import Problem

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """How the outputs o of a network become losses and predictions.

    Binary: one logit, prediction sigmoid(o), cross-entropy. Multiclass: one logit per class, prediction softmax(o),
    cross-entropy. Regression: one output, predicted value o * scale + center, and the squared error (the absolute error where
    the metric is one) on standardised labels (y - center) / scale.

    Attributes:
        kind: "binary", "multiclass" or "regression".
        outputs: Number of outputs per task row.
        center: Mean of the training labels; 0 but for regression.
        scale: Standard deviation of the training labels; 1 but for regression.
        absolute: Whether regression minimises the absolute error rather than the squared error.
        prior: Initial value of each output: the logit of the training frequency, its logarithm per class, or 0.
    """

    kind: str
    outputs: int
    center: float
    scale: float
    absolute: bool
    prior: tuple[float, ...]

    @classmethod
    def of(cls, problem: Problem) -> Target:
        """Fit the target to the training labels of a problem."""
        task, rows = problem.task, problem.rows("train")
        label, weight = rows.label, rows.weight
        if label is None or not len(label):
            label, weight = np.zeros(1), None
        mean = float(np.average(label, weights=weight))
        absolute = "absolute" in task.metric.name
        if task.kind == "regression":
            spread = label.std() if weight is None else np.sqrt(np.average((label - mean) ** 2, weights=weight))
            return cls(task.kind, 1, mean, float(spread) or 1.0, absolute, (0.0,))
        if task.kind == "binary":
            share = float(np.clip(mean, 1e-3, 1 - 1e-3))
            return cls(task.kind, 1, 0.0, 1.0, absolute, (float(np.log(share / (1 - share))),))
        classes = len(task.classes or ()) or int(label.max()) + 1
        counts = np.bincount(label.astype(np.int64), weights=weight, minlength=classes) + 1.0
        return cls(task.kind, classes, 0.0, 1.0, absolute, tuple(float(x) for x in np.log(counts / counts.sum())))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Target:
        """Rebuild a target from what `to_json` returned."""
        return cls(**{**data, "prior": tuple(data["prior"])})

    def to_json(self) -> dict[str, Any]:
        """Return the target as JSON-able data."""
        return asdict(self)

    def loss(self, output: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the mean training loss of outputs (n, outputs) against labels, float64 (n,).

        Args:
            output: Outputs.
            label: Labels.
            weight: float32 (n,), weights of the rows in units of the mean weight of all training rows; None where all are 1.
        """
        reduction = "mean" if weight is None else "none"
        if self.kind == "binary":
            found = functional.binary_cross_entropy_with_logits(
                output[:, 0], label.to(output.dtype), reduction=reduction
            )
        elif self.kind == "multiclass":
            found = functional.cross_entropy(output, label.long(), reduction=reduction)
        else:
            measure = functional.l1_loss if self.absolute else functional.mse_loss
            found = measure(output[:, 0], self._standard(output, label), reduction=reduction)
        return found if weight is None else (found * weight).mean()

    def smooth_loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Return the mean loss with the absolute error replaced by Huber's loss, delta = one standard deviation of the labels."""
        if self.kind == "regression" and self.absolute:
            return functional.huber_loss(output[:, 0], self._standard(output, label))
        return self.loss(output, label)

    def _standard(self, output: Tensor, label: Tensor) -> Tensor:
        return ((label - self.center) / self.scale).to(output.dtype)

    def predictions(self, output: Tensor) -> NDArray[np.float64]:
        """Turn outputs (n, outputs) into values or probabilities, float64 (n,) or (n, classes)."""
        output = output.double()
        if self.kind == "multiclass":
            output = torch.softmax(output, dim=1)
        else:
            output = torch.sigmoid(output[:, 0]) if self.kind == "binary" else output[:, 0] * self.scale + self.center
        values: NDArray[np.float64] = output.cpu().numpy()
        return values
