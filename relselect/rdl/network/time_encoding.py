"""Relative time as features: how long before the cutoff something happened, from seconds to decades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.database.clock import DAY, NEVER

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["WAVES", "TimeEncoder", "calendar", "elapsed", "time_unit"]

#: Angular frequencies over log(1 + elapsed): the slowest spans all scales, the fastest about a factor of two.
WAVES = (0.5, 1.0, 2.0, 4.0)
_YEAR = 365.2425 * DAY


def time_unit(kind: str | None) -> int:
    """Return the ticks of one unit of elapsed time: a day, or 1 where times are integers."""
    return 1 if kind == "integer" else DAY


def elapsed(cutoff: Tensor, moments: Tensor, unit: int) -> Tensor:
    """Return how long before `cutoff` (n,) each of `moments` (n, columns) lies, in units, nan where missing; float32."""
    missing = moments == NEVER
    # missing moments are the largest integer, from which nothing may be subtracted without overflow
    difference = cutoff.unsqueeze(1) - moments.masked_fill(missing, 0)
    return (difference.double() / unit).float().masked_fill(missing, torch.nan)


def calendar(cutoff: Tensor, kind: str | None) -> Tensor:
    """Return where in the year and the week the cutoff lies, as sines and cosines; (n, 4), zeros where there is no calendar."""
    if kind != "timestamp":
        return torch.zeros(len(cutoff), 4, device=cutoff.device)
    angles = [cutoff.double() / period * (2 * torch.pi) for period in (_YEAR, 7.0 * DAY)]
    return torch.stack([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1).float()


class TimeEncoder(nn.Module):
    """Encodes elapsed times: log scaled, linear and as waves over the logarithm, one linear map over all columns.

    Args:
        columns: Elapsed times per node.
        channels: Width of the encoding.
    """

    waves: Tensor

    def __init__(self, columns: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("waves", torch.tensor(WAVES), persistent=False)
        self.linear = nn.Linear(columns * self.width(), channels)

    @staticmethod
    def width() -> int:
        """Return the features per column."""
        return 3 + 2 * len(WAVES)

    def forward(self, time: Tensor) -> Tensor:
        """Encode elapsed times (n, columns), nan for missing, as (n, channels)."""
        missing = torch.isnan(time)
        time = time.masked_fill(missing, 0.0)
        logarithm = torch.sign(time) * torch.log1p(time.abs())
        angle = logarithm.unsqueeze(-1) * self.waves
        plain = torch.stack([logarithm / 8, (time / 1000).clamp(-10, 10), missing.to(time)], dim=-1)
        features = torch.cat([plain, angle.sin(), angle.cos()], dim=-1)
        encoded: Tensor = self.linear(features.flatten(1))
        return encoded
