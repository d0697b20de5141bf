"""Dropout as fast as memory on the CPU: eight draws from one hash, where torch draws one number of its generator for each.

With generators, dropout is an eighth of a training step there. On a GPU torch's own is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from relselect.rdl.network.draws import draw_seed

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Dropout"]

#: A share is rounded to so many parts.
_PARTS = 256


class Dropout(nn.Module):
    """Sets a share of all numbers to 0 in training and scales the others so that sums stay what they are expected to be.

    Which numbers are dropped follows from one draw a call, see `relselect.rdl.network.draws`.

    Args:
        share: In [0, 1). On a CPU it is rounded to 256ths.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor of any shape to one of the same shape."""
        if not self.training or self.share == 0.0:
            return x
        if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
            return functional.dropout(x, self.share, training=True)
        dropped = min(_PARTS - 1, round(self.share * _PARTS))
        out: Tensor = _Thin.apply(x, draw_seed(), dropped)  # type: ignore[no-untyped-call]
        return out

    def extra_repr(self) -> str:
        """Show the share."""
        return f"share={self.share}"


class _Thin(torch.autograd.Function):
    """Multiplies by a mask that a seed stands for; so does its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, seed: int, dropped: int) -> Tensor:
        from relselect.rdl.sampling import kernels  # what runs on a GPU needs no compiler

        ctx.seed, ctx.dropped = seed, dropped
        values = x.detach().contiguous()
        out = torch.empty_like(values)
        kernels.thin(values.view(-1).numpy(), seed, dropped, _PARTS / (_PARTS - dropped), out.view(-1).numpy())
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        gradient: Tensor = _Thin.apply(grads[0], ctx.seed, ctx.dropped)  # type: ignore[no-untyped-call]
        return gradient, None, None
