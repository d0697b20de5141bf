"""Checks of whole numbers that callers hand in: seeds and counts, NumPy integers included."""

from __future__ import annotations

from numbers import Integral

from relselect.errors import ConfigError

__all__ = ["check_count", "check_seed"]

_LARGEST_SEED = 2**32 - 1
_LARGEST_COUNT = 2**31 - 1


def check_seed(seed: object) -> int:
    """Return a seed as a plain integer.

    Raises:
        ConfigError: It is no whole number from 0 to 2**32 - 1, the range that every library takes.

    >>> check_seed(7)
    7
    """
    rule = "must be a whole number from 0 to 2**32 - 1"
    return _whole("seed", seed, 0, _LARGEST_SEED, rule, "Write e.g. seed=0")


def check_count(argument: str, value: object) -> int:
    """Return a count as a plain integer.

    Args:
        argument: The name of the argument, for the error.
        value: Its value.

    Raises:
        ConfigError: It is no whole number from 1.
    """
    return _whole(argument, value, 1, _LARGEST_COUNT, "must be a whole number from 1", f"Write e.g. {argument}=20")


def _whole(argument: str, value: object, low: int, high: int, rule: str, fix: str) -> int:
    if isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) <= high:
        return int(value)
    raise ConfigError(argument, value, rule, fix)
