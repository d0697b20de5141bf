"""P2: the ends of the Hessian's spectrum at a checkpoint, by Lanczos iteration with Hessian-vector products.

H = d²L / d theta², over all floating parameters that the loss reads. Lanczos (1950) builds an orthonormal basis q_1, ..., q_m of
the Krylov space of H and a random start, in which H is the tridiagonal T with

    alpha_j = q_j . H q_j,    beta_j = |H q_j - alpha_j q_j - beta_(j-1) q_(j-1)|

The ends of T's spectrum approach those of H's, and |lambda - theta| <= beta_m |s_m| bounds the distance of a Ritz value theta
from an eigenvalue lambda, with s_m the last entry of its eigenvector of T (Parlett, The Symmetric Eigenvalue Problem, 1998,
section 13.2). The basis is orthogonalised anew at every step. H v is one gradient of the gradient (Pearlmutter 1994), so that
memory is that of two backward passes, and H itself is never formed.

An eigenvalue of the Hessian changes when a filter is rescaled without changing the function. With `relative` the Hessian is
taken in relative steps: H' = D H D with D the diagonal of the filters' lengths, which does not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from relselect.families.protocol import Probe

__all__ = ["Spectrum", "hessian_product", "spectrum"]


@dataclass(frozen=True)
class Spectrum:
    """The ends of the Hessian's spectrum at one checkpoint.

    Attributes:
        largest: The largest eigenvalue found.
        smallest: The smallest one.
        largest_error: A bound on the distance of `largest` from an eigenvalue of the Hessian.
        smallest_error: The same for `smallest`.
        iterations: Lanczos steps taken.
        seconds: Time it took.
    """

    largest: float
    smallest: float
    largest_error: float
    smallest_error: float
    iterations: int
    seconds: float


def hessian_product(
    probe: Probe, checkpoint: int, *, relative: bool = False
) -> tuple[Callable[[torch.Tensor], torch.Tensor], int]:
    """Return the map v -> H v at a checkpoint, and the number of entries of v.

    Args:
        probe: A differentiable loss on a fixed batch.
        checkpoint: Index of the checkpoint.
        relative: Whether v is in units of the filters' lengths; the parameters then are those that have filters (two axes or
            more), the others do not move.

    Returns:
        The map, from and to float64 vectors on the CPU, in the order of the sorted names of the parameters; and their length.
    """
    theta = {name: tensor.detach() for name, tensor in probe.parameters(checkpoint).items()}
    moving = [name for name in sorted(theta) if theta[name].is_floating_point() and theta[name].numel()]
    if relative:
        moving = [name for name in moving if theta[name].ndim >= 2]
    leaves = {name: theta[name].clone().requires_grad_() for name in moving}
    loss = probe.loss({**theta, **leaves})
    slopes = torch.autograd.grad(loss, list(leaves.values()), create_graph=True, allow_unused=True)
    read = [(name, slope) for name, slope in zip(moving, slopes, strict=True) if slope is not None]
    lengths = torch.cat(
        [_lengths(theta[name]) if relative else torch.ones(theta[name].numel()).double() for name, _ in read]
    )

    def product(vector: torch.Tensor) -> torch.Tensor:
        parts = torch.split(vector * lengths, [slope.numel() for _, slope in read])
        inner = sum(
            (slope * part.reshape(slope.shape).to(slope)).sum() for (_, slope), part in zip(read, parts, strict=True)
        )
        if not isinstance(inner, torch.Tensor) or not inner.requires_grad:  # the slope is constant
            return torch.zeros_like(vector)
        found = torch.autograd.grad(inner, [leaves[name] for name, _ in read], retain_graph=True, allow_unused=True)
        flat = [
            torch.zeros(slope.numel(), dtype=torch.float64)
            if part is None
            else part.detach().reshape(-1).cpu().double()
            for part, (_, slope) in zip(found, read, strict=True)
        ]
        return torch.cat(flat) * lengths

    return product, int(lengths.numel())


def spectrum(
    probe: Probe,
    checkpoint: int,
    *,
    seed: int,
    iterations: int = 20,
    relative: bool = False,
    tolerance: float = 1e-3,
    budget: Budget | None = None,
) -> Spectrum:
    """Measure the ends of the Hessian's spectrum (formulas in the module's docstring).

    Args:
        probe: A differentiable loss on a fixed batch, twice differentiable.
        checkpoint: Index of the checkpoint.
        seed: Seed of the start vector.
        iterations: Most Lanczos steps; each takes one Hessian-vector product.
        relative: Whether the Hessian is taken in relative steps of filters.
        tolerance: The iteration ends early when the bound on the largest eigenvalue's error is below this part of it.
        budget: Checked before every product.

    Returns:
        The ends with their error bounds, in units of the loss; all nan where the loss has no finite second derivative.

    Raises:
        BudgetExhausted: The budget ended before the last step.
    """
    clock, limit = time.monotonic(), budget or Budget(None)
    limit.check()
    product, size = hessian_product(probe, checkpoint, relative=relative)
    draw = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    basis = [draw / draw.norm()] if size else []
    alphas: list[float] = []
    betas: list[float] = []
    ends = (np.nan, np.nan, np.nan, np.nan)
    while basis and len(alphas) < min(iterations, size):
        limit.check()
        image = product(basis[-1])
        if not bool(torch.isfinite(image).all()):
            return Spectrum(*(np.nan,) * 4, len(alphas), time.monotonic() - clock)
        alphas.append(float(basis[-1] @ image))
        for _ in range(2):  # twice is enough (Parlett)
            for each in basis:
                image = image - (each @ image) * each
        beta = float(image.norm())
        ends = _ends(alphas, betas, beta)
        if beta <= 1e-12 * max(1.0, abs(ends[0])) or ends[2] <= tolerance * abs(ends[0]):
            break
        betas.append(beta)
        basis.append(image / beta)
    return Spectrum(*ends, len(alphas), time.monotonic() - clock)


def _ends(alphas: list[float], betas: list[float], beta: float) -> tuple[float, float, float, float]:
    """Return the largest and smallest Ritz value and the bounds on their errors."""
    from scipy.linalg import eigh_tridiagonal

    values: NDArray[np.float64]
    if len(alphas) == 1:
        return alphas[0], alphas[0], beta, beta
    values, vectors = eigh_tridiagonal(np.array(alphas), np.array(betas))
    return (
        float(values[-1]),
        float(values[0]),
        float(beta * abs(vectors[-1, -1])),
        float(beta * abs(vectors[-1, 0])),
    )


def _lengths(tensor: torch.Tensor) -> torch.Tensor:
    """Return, for every entry, the length of the filter that it belongs to: float64 (entries,)."""
    filters = tensor.reshape(tensor.shape[0], -1).cpu().double()
    return filters.norm(dim=1, keepdim=True).expand_as(filters).reshape(-1)
