"""The configurations of a family that a bank fits: the default, known alternatives, and a set that fills the search space.

The k-th configuration is the same point of the space on every task, so that configurations can be compared across tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from relselect.bank.rows import TrialRole
from relselect.families.protocol import Portfolio
from relselect.serialization import canonical_json

if TYPE_CHECKING:
    import optuna

    from relselect.families.candidate import Config
    from relselect.families.protocol import Family
    from relselect.problem import Problem

__all__ = ["bank_configurations"]

#: Proposals in a row that repeat earlier ones, after which a space counts as exhausted.
_REPEATS = 50
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


class _Point:
    """Stands in for a study's trial: parameter k of point i is at the fractional part of i * sqrt(prime k) (Richtmyer 1951)."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._asked: dict[str, float] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number of the range."""
        place = self._place(name)
        if log:
            return math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
        value = low + place * (high - low)
        return value if step is None else low + round((value - low) / step) * step

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return a whole number of the range, ends included."""
        if log:
            return min(high, int(math.exp(math.log(low) + self._place(name) * (math.log(high + 1) - math.log(low)))))
        count = (high - low) // step + 1
        return low + step * min(count - 1, int(self._place(name) * count))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        return choices[min(len(choices) - 1, int(self._place(name) * len(choices)))]

    def _place(self, name: str) -> float:
        if name not in self._asked:
            prime = _PRIMES[len(self._asked) % len(_PRIMES)]
            self._asked[name] = (0.5 + self.number * math.sqrt(prime)) % 1.0
        return self._asked[name]


def bank_configurations(family: Family, problem: Problem, further: int) -> list[tuple[Config, TrialRole]]:
    """Return the default and at most `further` other configurations, each with its role, no two equal.

    Args:
        family: The family.
        problem: What they are for.
        further: How many beside the default; fewer come back where the space is smaller.
    """
    found: list[tuple[Config, TrialRole]] = [(family.default(problem), "default")]
    if isinstance(family, Portfolio):
        found += [(config, "alternative") for config in family.alternatives(problem)]
    found, seen = _distinct(found[: further + 1])
    number = repeats = 0
    while len(found) <= further and repeats < _REPEATS:
        number += 1
        config = family.space(cast("optuna.Trial", _Point(number)), problem)
        key = canonical_json(config)
        repeats = repeats + 1 if key in seen else 0
        if key not in seen:
            seen.add(key)
            found.append((config, "space"))
    return found


def _distinct(listed: list[tuple[Config, TrialRole]]) -> tuple[list[tuple[Config, TrialRole]], set[str]]:
    seen: dict[str, tuple[Config, TrialRole]] = {}
    for config, role in listed:
        seen.setdefault(canonical_json(config), (config, role))
    return list(seen.values()), set(seen)
