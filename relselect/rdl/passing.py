"""Sums along edges: the one operation all message passing comes down to, fast on the CPU and differentiable any number of times.

`pass_along(x, source, target, n)` is out[target[e]] += x[source[e]] over all edges e, so its derivative is itself with source
and target exchanged. It gathers and adds in one go, where torch would write every message to memory first and then scatter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["gather", "largest_of", "pass_along", "sum_into"]

_COMPILED = (torch.float32, torch.float64)


def pass_along(x: Tensor, source: Tensor, target: Tensor, size: int) -> Tensor:
    """Send rows of `x` along edges and add up what arrives, in the order of the edges.

    Args:
        x: (n, channels).
        source: int64 (edges,) rows of `x`.
        target: int64 (edges,) rows of the result.
        size: Number of rows of the result.

    Returns:
        (size, channels), 0 where no edge leads.
    """
    out: Tensor = _PassAlong.apply(x, source, target, size)  # type: ignore[no-untyped-call]
    return out


def sum_into(x: Tensor, target: Tensor, size: int) -> Tensor:
    """Add row e of `x`, (edges, channels), to row target[e] of the result, (size, channels)."""
    return pass_along(x, torch.arange(len(target), device=target.device), target, size)


def gather(x: Tensor, source: Tensor) -> Tensor:
    """Return x[source], (edges, channels), with a backward pass that is as fast as the forward one."""
    return pass_along(x, source, torch.arange(len(source), device=source.device), len(source))


def largest_of(x: Tensor, target: Tensor, size: int) -> Tensor:
    """Return, per row of the result and channel, the largest x[e] with target[e] there; (size, channels), 0 for none."""
    index = target.unsqueeze(1).expand_as(x)
    return x.new_zeros(size, x.shape[1]).scatter_reduce(0, index, x, "amax", include_self=False)


class _PassAlong(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, target: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(source, target)
        ctx.rows = len(x)
        out = x.new_zeros(size, x.shape[1])
        if x.device.type == "cpu" and x.dtype in _COMPILED:
            from relselect.rdl import kernels  # what runs on a GPU needs no compiler

            values, near, far = (each.detach().contiguous().numpy() for each in (x, source, target))
            kernels.pass_along(values, near, far, out.numpy())
            return out
        return out.index_add_(0, target, x.index_select(0, source))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None, None]:
        source, target = ctx.saved_tensors
        return pass_along(grads[0], target, source, ctx.rows), None, None, None
