"""The device that a network computes on."""

from __future__ import annotations

import torch

from relselect.errors import ConfigError

__all__ = ["check_device", "device_of"]


def device_of(name: str | None) -> torch.device:
    """Return a device by its name; for None a GPU where there is one, else the CPU."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def check_device(name: str) -> None:
    """Refuse a device on which no tensor can be made.

    Raises:
        ConfigError: PyTorch knows no such device here.
    """
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # an AssertionError where PyTorch has no CUDA
        rule = f"is not available: {str(error).splitlines()[0]}"
        raise ConfigError("device", name, rule, "Use 'cpu', or None for a GPU where there is one") from None
