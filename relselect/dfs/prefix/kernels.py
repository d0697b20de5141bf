"""Shared by all compiled loops: the compiler's options, and arithmetic on pairs of doubles.

A pair (high, low) stands for the unevaluated sum of two doubles, about 106 bits ("double-double", Dekker 1971; Shewchuk
1997). The loops themselves are in the modules beside this one: over rows sorted by (key, time), restarting at the first
row of each key, so that no other key's rows touch a bit of a result. The loops know neither tables nor features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["add", "jit", "multiply", "scale", "square", "two_product", "two_sum"]

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile a function on its first call, without the interpreter's lock, and keep the result on disk."""
    # What is kept is renewed when a function's own file changes; touch the modules beside this one after changing it.
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@jit
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return a + b exactly, as a pair."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@jit
def two_product(a: float, b: float) -> tuple[float, float]:
    """Return a * b exactly, as a pair."""
    p = a * b
    split_a = 134217729.0 * a
    a_high = split_a - (split_a - a)
    a_low = a - a_high
    split_b = 134217729.0 * b
    b_high = split_b - (split_b - b)
    b_low = b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@jit
def add(a_high: float, a_low: float, b_high: float, b_low: float) -> tuple[float, float]:
    """Return the sum of two pairs."""
    high, low = two_sum(a_high, b_high)
    return two_sum(high, low + (a_low + b_low))


@jit
def multiply(a_high: float, a_low: float, b_high: float, b_low: float) -> tuple[float, float]:
    """Return the product of two pairs."""
    high, low = two_product(a_high, b_high)
    return two_sum(high, low + (a_high * b_low + a_low * b_high))


@jit
def scale(a_high: float, a_low: float, factor: float) -> tuple[float, float]:
    """Return the product of a pair and a double."""
    high, low = two_product(a_high, factor)
    return two_sum(high, low + a_low * factor)


@jit
def square(a_high: float, a_low: float) -> tuple[float, float]:
    """Return the square of a pair."""
    high, low = two_product(a_high, a_high)
    return two_sum(high, low + 2.0 * a_high * a_low)
