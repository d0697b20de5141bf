"""Threads that wait without burning the core.

OpenMP threads spin while they wait for one another. On a core that something else uses too, that made LightGBM and
PyTorch five to twenty times slower here; waiting passively costs a few percent on an idle machine.
"""

from __future__ import annotations

import os

__all__ = ["wait_passively"]


def wait_passively() -> None:
    """Ask OpenMP to let waiting threads sleep, unless the user has said how they should wait.

    OpenMP reads this once, when it is loaded: it has no effect after PyTorch or LightGBM were imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
