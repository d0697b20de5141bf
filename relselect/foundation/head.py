"""The linear head: ridge regression in closed form, logistic regression by Newton's method. Nothing here knows about networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LinearHead", "fit_head"]

#: Newton's steps of a logistic regression, passes of reweighted least squares for the absolute error, and the largest input
#: after it was standardised.
_STEPS, _PASSES, _LARGEST = 12, 15, 8.0
#: Smallest residual by which a row's weight is divided, in standard deviations of the labels.
_LEAST_RESIDUAL = 0.05


@dataclass(frozen=True)
class LinearHead:
    """A fitted head of k outputs over d inputs.

    Attributes:
        kind: "binary", "multiclass" or "regression".
        mean: float64 (d,), means of the inputs.
        scale: float64 (d,), their standard deviations.
        weights: float64 (d + 1, k), the intercept last.
        center: Mean of the labels of a regression, else 0.
        spread: Their standard deviation, else 1.
    """

    kind: str
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    center: float = 0.0
    spread: float = 1.0

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values or probabilities of inputs (n, d): (n,), or (n, k) where there are several classes."""
        outputs = _standard(inputs, self.mean, self.scale) @ self.weights
        if self.kind == "regression":
            return np.asarray(outputs[:, 0] * self.spread + self.center)
        chance = 1 / (1 + np.exp(-np.clip(outputs, -30, 30)))
        if self.kind == "binary":
            return np.asarray(chance[:, 0])
        return np.asarray(chance / chance.sum(axis=1, keepdims=True))


def fit_head(
    inputs: NDArray[np.float64],
    label: NDArray[np.float64],
    kind: str,
    classes: int,
    penalty: float,
    *,
    absolute: bool,
    row_weight: NDArray[np.float64] | None = None,
) -> LinearHead:
    """Fit a head.

    Regression: w = (X'X + penalty n I)^-1 X'y on standardised X and y (Hoerl and Kennard, Technometrics 1970), repeated with the
    weights 1 / |residual| where the absolute error counts (iteratively reweighted least squares). Classification: the penalised
    logistic regression by Newton's steps, one per class against all others, normalised. The intercept is not penalised.

    Args:
        inputs: (n, d).
        label: (n,); 0 or 1, class numbers, or values.
        kind: "binary", "multiclass" or "regression".
        classes: Number of classes of a multiclass task.
        penalty: Penalty on the squared weights, per row.
        absolute: Whether a regression minimises the absolute error.
        row_weight: Weights of the rows in the loss, all above 0, shape (n,); None where all are 1.

    Example:
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> fit_head(x, 3 * x[:, 0] + 1, "regression", 0, 1e-9, absolute=False).predict(np.array([[0.5]])).round(3)
        array([2.5])
    """
    mean = inputs.mean(axis=0) if len(inputs) else np.zeros(inputs.shape[1])
    scale = inputs.std(axis=0) if len(inputs) else np.ones(inputs.shape[1])
    scale = np.where(scale > 1e-9, scale, 1.0)
    x = _standard(inputs, mean, scale)
    counted = np.ones(len(label)) if row_weight is None or not len(label) else row_weight / row_weight.mean()
    if kind == "regression":
        center, spread = (float(label.mean()), float(label.std()) or 1.0) if len(label) else (0.0, 1.0)
        found = _ridge(x, (label - center) / spread, counted, penalty, absolute)
        return LinearHead(kind, mean, scale, found[:, None], center, spread)
    columns = [label == 1] if kind == "binary" else [label == each for each in range(classes)]
    weights = np.column_stack([_logistic(x, each.astype(np.float64), counted, penalty) for each in columns])
    return LinearHead(kind, mean, scale, weights)


def _standard(
    inputs: NDArray[np.float64], mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return standardised inputs within bounds and a column of ones."""
    return np.column_stack([np.clip((inputs - mean) / scale, -_LARGEST, _LARGEST), np.ones(len(inputs))])


def _penalties(x: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Return the diagonal of the penalty: nothing on the intercept but what keeps the system solvable."""
    found = np.full(x.shape[1], max(penalty, 1e-9) * max(1, len(x)))
    found[-1] = 1e-9
    return found


def _ridge(
    x: NDArray[np.float64], y: NDArray[np.float64], counted: NDArray[np.float64], penalty: float, absolute: bool
) -> NDArray[np.float64]:
    weight = counted
    added = np.diag(_penalties(x, penalty))
    found: NDArray[np.float64] = np.zeros(x.shape[1])
    for _ in range(_PASSES if absolute else 1):
        weighted = x * weight[:, None]
        found = np.asarray(np.linalg.solve(weighted.T @ x + added, weighted.T @ y), dtype=np.float64)
        weight = counted / np.maximum(np.abs(y - x @ found), _LEAST_RESIDUAL)
        weight /= max(weight.mean(), 1e-12) if len(weight) else 1.0
    return found


def _logistic(
    x: NDArray[np.float64], y: NDArray[np.float64], counted: NDArray[np.float64], penalty: float
) -> NDArray[np.float64]:
    """Return the weights of a logistic regression; Newton's steps are halved while the loss would rise."""
    added = _penalties(x, penalty)
    share = (counted @ y + 0.5) / (counted.sum() + 1)
    found: NDArray[np.float64] = np.zeros(x.shape[1])
    found[-1] = np.log(share / (1 - share))
    loss = _loss(x, y, counted, found, added)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
        slope = x.T @ (counted * (chance - y)) + added * found
        curvature = (x * (counted * chance * (1 - chance) + 1e-9)[:, None]).T @ x + np.diag(added)
        step, part = np.linalg.solve(curvature, slope), 1.0
        while part > 1e-4 and (next_loss := _loss(x, y, counted, found - part * step, added)) > loss:
            part /= 2
        if part <= 1e-4:
            break
        found, loss = found - part * step, next_loss
    return found


def _loss(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    counted: NDArray[np.float64],
    weights: NDArray[np.float64],
    added: NDArray[np.float64],
) -> float:
    output = x @ weights
    return float(counted @ (np.logaddexp(0, output) - y * output) + 0.5 * (added * weights**2).sum())
