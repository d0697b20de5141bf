"""Calibrated probabilities: a scale fitted to the log odds of rows that neither trained nor stopped a model.

With two classes the order of rows by their probability stays as it is, and so do ranks and AUROC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.errors import TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ProbabilityScale"]

#: Rows below which nothing is fitted, and rows of the rarest class.
_FEWEST, _FEWEST_OF_A_CLASS = 50, 10
_EPSILON = 1e-6


class ProbabilityScale:
    """Scales log probabilities: z = s * log(p) + b, then softmax over classes.

    s and b minimise the mean log loss plus (log(s)^2 + |b|^2) / 2n, which keeps them finite where the classes are separated. For
    two classes this is Platt's scaling of the log odds (1999); for more it is vector scaling with one common slope (Guo et al.
    2017). s lies between 0.05 and 20.

    Args:
        codes: Class of each row, shape (n,), integers from 0.
        probabilities: Their probabilities by a model that has not seen them: shape (n,) of the second of two classes, or
            (n, classes).

    Raises:
        TaskError: There are too few rows, or too few of a class.
    """

    def __init__(self, codes: NDArray[np.int64], probabilities: NDArray[np.float64]) -> None:
        from scipy.optimize import minimize

        logs = _logs(probabilities)
        rows, classes = logs.shape
        counts = np.bincount(codes, minlength=classes)
        if rows < _FEWEST or counts.min() < _FEWEST_OF_A_CLASS:
            rule = f"rests on {rows} select rows, {counts.min()} of them of the rarest class"
            fix = f"Give at least {_FEWEST} validation rows to choose by, {_FEWEST_OF_A_CLASS} of each class"
            raise TaskError("calibrated", True, rule, fix)
        targets = np.zeros((rows, classes))
        targets[np.arange(rows), codes] = 1.0

        def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            slope, shift = np.exp(theta[0]), np.append(0.0, theta[1:])
            scaled = slope * logs + shift
            top = scaled.max(axis=1, keepdims=True)
            chances = np.exp(scaled - top)
            total = chances.sum(axis=1, keepdims=True)
            chances /= total
            value = float((targets * (top + np.log(total) - scaled)).sum() + 0.5 * (theta**2).sum()) / rows
            pull = (chances - targets) / rows
            return value, np.append((pull * logs).sum() * slope, pull.sum(axis=0)[1:]) + theta / rows

        bounds = [(np.log(0.05), np.log(20.0)), *[(-20.0, 20.0)] * (classes - 1)]
        found = minimize(loss, np.zeros(classes), jac=True, method="L-BFGS-B", bounds=bounds).x
        self.slope, self.shift = float(np.exp(found[0])), np.append(0.0, found[1:])

    def __call__(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated probabilities of the shape that was given."""
        scaled = self.slope * _logs(probabilities) + self.shift
        chances = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        return chances[:, 1] if probabilities.ndim == 1 else chances


def _logs(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log probabilities, shape (n, classes)."""
    both = np.stack([1 - probabilities, probabilities], axis=1) if probabilities.ndim == 1 else probabilities
    return np.log(np.clip(both, _EPSILON, 1.0))
