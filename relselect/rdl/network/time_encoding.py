"""Times relative to the cutoff as features, from seconds to decades, and the calendar of the cutoff.

No absolute time enters the network, except the cutoff's place in the year and in the week.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.database.clock import DAY, NEVER

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["WAVES", "TimeEncoder", "calendar", "elapsed", "time_unit"]

#: Angular frequencies over ln(1 + elapsed): a wave of the lowest spans all scales, one of the highest about a factor of five.
WAVES = (0.5, 1.0, 2.0, 4.0)
_YEAR = 365.2425 * DAY


def time_unit(kind: str | None) -> int:
    """Return the ticks of one unit of elapsed time: a day, or 1 where times are integers."""
    return 1 if kind == "integer" else DAY


def elapsed(cutoff: Tensor, moments: Tensor, unit: int) -> Tensor:
    """Return (cutoff - moment) / unit, negative where the moment lies after the cutoff.

    Args:
        cutoff: int64 (n,) ticks.
        moments: int64 (n, columns) ticks, `NEVER` where missing.
        unit: Ticks of one unit, see `time_unit`.

    Returns:
        float32 (n, columns), NaN where missing.
    """
    missing = moments == NEVER
    # missing moments are the largest integer, from which nothing may be subtracted without overflow
    difference = cutoff.unsqueeze(1) - moments.masked_fill(missing, 0)
    return (difference.double() / unit).float().masked_fill(missing, torch.nan)


def calendar(cutoff: Tensor, kind: str | None) -> Tensor:
    """Return sine and cosine of the cutoff's phase in the year and in the week.

    Args:
        cutoff: int64 (n,) ticks.
        kind: "timestamp", "integer" or None; only timestamps have a calendar.

    Returns:
        float32 (n, 4), zeros where there is no calendar.
    """
    if kind != "timestamp":
        return torch.zeros(len(cutoff), 4, device=cutoff.device)
    angles = [cutoff.double() / period * (2 * torch.pi) for period in (_YEAR, 7.0 * DAY)]
    return torch.stack([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1).float()


class TimeEncoder(nn.Module):
    """Encodes elapsed times by one linear map of features that resolve short and long times.

    With l = sign(t) ln(1 + |t|) the features of an elapsed time t are l / 8, clip(t / 1000, -10, 10), a flag for missing, and
    sin(w l), cos(w l) for w in `WAVES`: the sinusoidal encoding of positions (Vaswani et al., NeurIPS 2017) over logarithmic
    time.

    Args:
        columns: Number of elapsed times per row.
        channels: Width of the encoding.

    Example:
        >>> TimeEncoder(2, 8)(torch.tensor([[1.0, torch.nan], [400.0, -3.0]])).shape
        torch.Size([2, 8])
    """

    waves: Tensor

    def __init__(self, columns: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("waves", torch.tensor(WAVES), persistent=False)
        self.linear = nn.Linear(columns * self.width(), channels)

    @staticmethod
    def width() -> int:
        """Return the number of features per elapsed time."""
        return 3 + 2 * len(WAVES)

    def forward(self, time: Tensor) -> Tensor:
        """Encode elapsed times, float32 (n, columns), in units, NaN where missing, as (n, channels)."""
        missing = torch.isnan(time)
        time = time.masked_fill(missing, 0.0)
        logarithm = torch.sign(time) * torch.log1p(time.abs())
        angle = logarithm.unsqueeze(-1) * self.waves
        plain = torch.stack([logarithm / 8, (time / 1000).clamp(-10, 10), missing.to(time)], dim=-1)
        features = torch.cat([plain, angle.sin(), angle.cos()], dim=-1)
        encoded: Tensor = self.linear(features.flatten(1))
        return encoded
