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
    out: Tensor = _SumInto.apply(x, target, size)  # type: ignore[no-untyped-call]
    return out


def gather(x: Tensor, source: Tensor) -> Tensor:
    """Return x[source], (edges, channels), with a backward pass that is as fast as the forward one."""
    out: Tensor = _Gather.apply(x, source)  # type: ignore[no-untyped-call]
    return out


def largest_of(x: Tensor, target: Tensor, size: int) -> Tensor:
    """Return, per row of the result and channel, the largest x[e] with target[e] there; (size, channels), 0 for none."""
    index = target.unsqueeze(1).expand_as(x)
    return x.new_zeros(size, x.shape[1]).scatter_reduce(0, index, x, "amax", include_self=False)


def _compiled(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in _COMPILED


class _PassAlong(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, target: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(source, target)
        ctx.rows = len(x)
        out = x.new_zeros(size, x.shape[1])
        if _compiled(x):
            from relselect.rdl.sampling import kernels  # what runs on a GPU needs no compiler

            values, near, far = (each.detach().contiguous().numpy() for each in (x, source, target))
            kernels.pass_along(values, near, far, out.numpy())
            return out
        return out.index_add_(0, target, x.index_select(0, source))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None, None]:
        source, target = ctx.saved_tensors
        return pass_along(grads[0], target, source, ctx.rows), None, None, None


class _SumInto(torch.autograd.Function):
    """The other half of `_Gather`: each is the other's derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, target: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(target)
        out = x.new_zeros(size, x.shape[1])
        if _compiled(x):
            from relselect.rdl.sampling import kernels

            kernels.sum_into(x.detach().contiguous().numpy(), target.contiguous().numpy(), out.numpy())
            return out
        return out.index_add_(0, target, x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (target,) = ctx.saved_tensors
        return gather(grads[0], target), None, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor) -> Tensor:
        ctx.save_for_backward(source)
        ctx.rows = len(x)
        return x.index_select(0, source)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (source,) = ctx.saved_tensors
        return sum_into(grads[0], source, ctx.rows), None
