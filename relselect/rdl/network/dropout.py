"""Dropout from counter-based hashes on the CPU: eight draws per hash, so that it takes as long as copying the tensor.

With torch's dropout, which draws every number from a generator, dropout takes an eighth of a training step on a CPU. On a GPU
torch's dropout is used.
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

#: On a CPU the share is rounded to multiples of 1 / 256: one byte of a hash decides.
_PARTS = 256


class Dropout(nn.Module):
    """In training, sets each number to 0 with probability p and divides the others by 1 - p, which keeps the expectation
    (Srivastava et al., JMLR 2014). One draw per call seeds the mask, see `relselect.rdl.network.draws`.

    Args:
        share: p, in [0, 1). On a CPU it is rounded to a multiple of 1 / 256.

    Example:
        >>> Dropout(0.5).eval()(torch.ones(2)).tolist()
        [1.0, 1.0]
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
        out: Tensor = _HashedDropout.apply(x, draw_seed(), dropped)  # type: ignore[no-untyped-call]
        return out

    def extra_repr(self) -> str:
        """Return the text that `repr` shows."""
        return f"share={self.share}"


class _HashedDropout(torch.autograd.Function):
    """Multiplies by the mask of a seed; its derivative does the same."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, seed: int, dropped: int) -> Tensor:
        from relselect.rdl.sampling import kernels  # a GPU needs no numba

        ctx.seed, ctx.dropped = seed, dropped
        values = x.detach().contiguous()
        out = torch.empty_like(values)
        kernels.dropout(values.view(-1).numpy(), seed, dropped, _PARTS / (_PARTS - dropped), out.view(-1).numpy())
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        gradient: Tensor = _HashedDropout.apply(grads[0], ctx.seed, ctx.dropped)  # type: ignore[no-untyped-call]
        return gradient, None, None
