"""Versions of installed packages, without importing them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

__all__ = ["TRAINING_PACKAGES", "package_versions"]

#: Packages that decide what a training gives.
TRAINING_PACKAGES = (
    "relselect", "torch", "torch-geometric", "pytorch-frame", "lightgbm", "optuna", "numpy", "pyarrow",
)  # fmt: skip


def package_versions(packages: Iterable[str] = TRAINING_PACKAGES) -> dict[str, str | None]:
    """Return the version of each package, None where it is not installed.

    >>> package_versions(["no-such-package"])
    {'no-such-package': None}
    """
    return {package: _version(package) for package in packages}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
