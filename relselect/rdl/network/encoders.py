"""Row encoders by name, as configurations name them.

A row encoder is a module that is built from (encoding, channels, blocks, dropout) and whose `forward(tensors, rows, known)`
returns (rows, channels), see `StackedEncoder.forward`. Any such module can be registered in `ENCODERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from relselect.rdl.network.stacked_encoder import StackedEncoder

if TYPE_CHECKING:
    from torch import nn

    from relselect.rdl.graph.table_encoding import TableEncoding

__all__ = ["ENCODERS"]


def _frame_encoder(encoding: TableEncoding, channels: int, blocks: int, dropout: float) -> nn.Module:
    from relselect.rdl.network.frame_encoder import FrameEncoder  # pytorch-frame is imported where it is used

    return FrameEncoder(encoding, channels, blocks, dropout)


#: The registered encoders; each is called with (encoding, channels, blocks, dropout).
ENCODERS: dict[str, Callable[[TableEncoding, int, int, float], nn.Module]] = {
    "stacked": StackedEncoder,
    "frame": _frame_encoder,
}
