"""The aggregates of a receiver's children in one pass over the edges, on the CPU; on other devices by composed operations.

Composed of gathers, sums and maxima, an aggregation reads and writes a vector per edge about twenty times in one training step.
The compiled pass reads each sender's vector once forward and once backward, and keeps no message. Flatness takes second
derivatives: where a derivative is to be differentiated again, it is taken of the composed operations, which give the same values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from relselect.rdl.network.scatter import compiled, gather, scatter_sum, segment_max

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AGGREGATES", "child_aggregates", "composed_aggregates"]

#: Aggregates side by side: mean, mean times log count, maximum, last.
AGGREGATES = 4


def child_aggregates(
    x: Tensor, places: Tensor, source: Tensor, segment: Tensor, place: Tensor, size: int, *, ordered: bool
) -> Tensor:
    """Return mean, mean times log(1 + n), maximum and last of the messages m_e = relu(x[source[e]] + places[place[e]]) of the
    n edges of each segment.

    Args:
        x: (nodes, channels), the senders.
        places: (places, channels).
        source: int64 (edges,), rows of `x`.
        segment: int64 (edges,), ascending from 0 without gaps.
        place: int64 (edges,), rows of `places`.
        size: Number of segments.
        ordered: Whether the one edge of place 0 in each segment is the last neighbour; without an order the mean stands for it.

    Returns:
        (size, 4 * channels).

    Example:
        >>> x, edges = torch.tensor([[1.0], [3.0], [-2.0]]), torch.tensor([0, 1, 2])
        >>> child_aggregates(x, torch.zeros(1, 1), edges, torch.tensor([0, 0, 1]), torch.zeros_like(edges), 2, ordered=False)
        tensor([[2.0000, 2.1972, 3.0000, 2.0000],
                [0.0000, 0.0000, 0.0000, 0.0000]])
    """
    if not (compiled(x) and x.dtype == places.dtype):
        return composed_aggregates(x, places, source, segment, place, size, ordered=ordered)
    out: Tensor = _ChildAggregates.apply(x, places, source, segment, place, size, ordered)  # type: ignore[no-untyped-call]
    return out


def composed_aggregates(
    x: Tensor, places: Tensor, source: Tensor, segment: Tensor, place: Tensor, size: int, *, ordered: bool
) -> Tensor:
    """Return what `child_aggregates` returns, on any device, differentiable any number of times."""
    sent = (gather(x, source) + gather(places, place)).relu()
    count = torch.bincount(segment, minlength=size).to(sent.dtype).unsqueeze(1)
    mean = scatter_sum(sent, segment, size) / count
    last = mean
    if ordered:
        first = place == 0
        last = scatter_sum(sent[first], segment[first], size)
    return torch.cat([mean, mean * torch.log1p(count), segment_max(sent, segment, size), last], dim=1)


class _ChildAggregates(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, places: Tensor, source: Tensor, segment: Tensor, place: Tensor, size: int, ordered: bool
    ) -> Tensor:
        from relselect.rdl.sampling import kernels  # a GPU needs no numba

        out = x.new_empty(size, AGGREGATES * x.shape[1])
        largest = torch.empty(size, x.shape[1], dtype=torch.int64)
        values, offsets, far, part, near = (
            each.detach().contiguous().numpy() for each in (x, places, source, segment, place)
        )
        kernels.child_aggregates(values, offsets, far, part, near, ordered, out.numpy(), largest.numpy())
        ctx.save_for_backward(x, places, source, segment, place, largest)
        ctx.size, ctx.ordered = size, ordered
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, places, source, segment, place, largest = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():  # the derivative is to be differentiated again
            out = composed_aggregates(x, places, source, segment, place, ctx.size, ordered=ctx.ordered)
            leaves = [each for each, needed in zip((x, places), wanted, strict=True) if needed]
            found = iter(torch.autograd.grad(out, leaves, grads[0], create_graph=True))
            return (*(next(found) if needed else None for needed in wanted), None, None, None, None, None)
        from relselect.rdl.sampling import kernels

        slopes = torch.zeros_like(x), torch.zeros_like(places)
        slope, values, offsets = (each.detach().contiguous().numpy() for each in (grads[0], x, places))
        far, part, near, top = (each.contiguous().numpy() for each in (source, segment, place, largest))
        kernels.child_aggregates_slopes(
            slope, values, offsets, far, part, near, top, ctx.ordered, slopes[0].numpy(), slopes[1].numpy()
        )
        return (*slopes, None, None, None, None, None)
