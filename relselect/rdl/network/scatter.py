"""Gather and scatter along edges, fast on the CPU and differentiable any number of times; message passing consists of these.

`gather_scatter_sum(x, source, target, n)` adds x[source[e]] to out[target[e]] for all edges e; its derivative is the same
operation with source and target exchanged. It needs no memory for the messages, which torch would gather before it scatters
them. Flatness takes second derivatives, which is why each derivative is again one of these functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["compiled", "gather", "gather_scatter_sum", "scatter_max", "scatter_sum", "segment_max"]

_COMPILED = (torch.float32, torch.float64)


def gather_scatter_sum(x: Tensor, source: Tensor, target: Tensor, size: int) -> Tensor:
    """Return out with out[i] = sum of x[source[e]] over the edges e with target[e] = i, added in the order of the edges.

    Args:
        x: (n, channels).
        source: int64 (edges,), rows of `x`.
        target: int64 (edges,), rows of the result.
        size: Number of rows of the result.

    Returns:
        (size, channels), 0 for rows without an edge.

    Example:
        >>> x = torch.tensor([[1.0], [2.0]])
        >>> gather_scatter_sum(x, torch.tensor([0, 1, 1]), torch.tensor([0, 0, 2]), 3).tolist()
        [[3.0], [0.0], [2.0]]
    """
    out: Tensor = _GatherScatterSum.apply(x, source, target, size)  # type: ignore[no-untyped-call]
    return out


def scatter_sum(x: Tensor, target: Tensor, size: int) -> Tensor:
    """Return out, (size, channels), with out[i] = sum of x[e], (edges, channels), over the edges e with target[e] = i."""
    out: Tensor = _ScatterSum.apply(x, target, size)  # type: ignore[no-untyped-call]
    return out


def gather(x: Tensor, source: Tensor) -> Tensor:
    """Return x[source], (edges, channels); its backward pass is `scatter_sum`."""
    out: Tensor = _Gather.apply(x, source)  # type: ignore[no-untyped-call]
    return out


def scatter_max(x: Tensor, target: Tensor, size: int) -> Tensor:
    """Return out, (size, channels), with out[i] = largest x[e] per channel over the edges e with target[e] = i, 0 for none."""
    index = target.unsqueeze(1).expand_as(x)
    return x.new_zeros(size, x.shape[1]).scatter_reduce(0, index, x, "amax", include_self=False)


def segment_max(x: Tensor, segment: Tensor, size: int) -> Tensor:
    """Return out, (size, channels), with out[i] = largest x[e] per channel over the edges e with segment[e] = i.

    The slope of a maximum goes to the first edge that reaches it.

    Args:
        x: (edges, channels).
        segment: int64 (edges,), ascending from 0 without gaps.
        size: Number of segments.

    Example:
        >>> segment_max(torch.tensor([[1.0], [3.0], [2.0]]), torch.tensor([0, 0, 1]), 2).tolist()
        [[3.0], [2.0]]
    """
    if not compiled(x):
        return scatter_max(x, segment, size)
    from relselect.rdl.sampling import kernels

    places = torch.empty(size, x.shape[1], dtype=torch.int64)
    kernels.segment_argmax(x.detach().contiguous().numpy(), segment.contiguous().numpy(), places.numpy())
    return torch.gather(x, 0, places)


def compiled(x: Tensor) -> bool:
    """Whether compiled loops take a tensor: on the CPU, in single or double precision."""
    return x.device.type == "cpu" and x.dtype in _COMPILED


class _GatherScatterSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, target: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(source, target)
        ctx.rows = len(x)
        out = x.new_zeros(size, x.shape[1])
        if compiled(x):
            from relselect.rdl.sampling import kernels  # a GPU needs no numba

            values, near, far = (each.detach().contiguous().numpy() for each in (x, source, target))
            kernels.gather_scatter_sum(values, near, far, out.numpy())
            return out
        return out.index_add_(0, target, x.index_select(0, source))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None, None]:
        source, target = ctx.saved_tensors
        return gather_scatter_sum(grads[0], target, source, ctx.rows), None, None, None


class _ScatterSum(torch.autograd.Function):
    """The transpose of `_Gather`: each is the derivative of the other."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, target: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(target)
        out = x.new_zeros(size, x.shape[1])
        if compiled(x):
            from relselect.rdl.sampling import kernels

            kernels.scatter_sum(x.detach().contiguous().numpy(), target.contiguous().numpy(), out.numpy())
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
        return scatter_sum(grads[0], source, ctx.rows), None
