"""Parses sizes in bytes, from a number or from text such as "2GB", for every argument `memory_limit` and `memory`.

Units follow the SI and IEC 80000-13, in upper or lower case: kB, MB, GB and TB are powers of 1000, KiB, MiB, GiB and TiB
powers of 1024; the B may be left out. Free memory is not measured here.
"""

from __future__ import annotations

import math
import re

from relselect.errors import ConfigError

__all__ = ["parse_bytes"]

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i)?)?b?\s*$", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_bytes(size: int | str, argument: str = "memory_limit", *, zero: bool = False) -> int:
    """Return a size in bytes, parts of a byte cut off.

    Args:
        size: Bytes, or text such as "512MB" (512 * 1000**2 bytes) or "2GiB" (2 * 1024**3 bytes).
        argument: The name used in the error.
        zero: Whether a size of 0 is allowed.

    Raises:
        ConfigError: It is no size, or negative, or zero where that is not allowed.

    >>> parse_bytes("2GB"), parse_bytes("2GiB"), parse_bytes("1.5 kB"), parse_bytes(4096)
    (2000000000, 2147483648, 1500, 4096)
    """
    number = _of_text(size) if isinstance(size, str) else math.nan if isinstance(size, bool) else float(size)
    if not math.isfinite(number) or number < 0 or (int(number) == 0 and not zero):
        rule = "must be a size that is not negative" if zero else "must be a positive size"
        raise ConfigError(argument, size, rule, 'Write bytes, or text such as "500MB" or "2GiB"')
    return size if isinstance(size, int) else int(number)


def _of_text(text: str) -> float:
    found = _SIZE.match(text)
    if found is None:
        return math.nan
    base = 1024 if found[3] else 1000
    return float(found[1]) * float(base ** _POWERS[(found[2] or "").lower()])
