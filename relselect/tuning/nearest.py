"""Where the default configuration stands in a search space.

A family's default may lie on or just outside the bounds of its own space (a penalty of zero under a
logarithmic scale). The sampler should learn from the default's score all the same, so it is entered at the
nearest point of the space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from relselect.families.options import option_names

if TYPE_CHECKING:
    import optuna

    from relselect.families.candidate import Config
    from relselect.families.protocol import Family
    from relselect.problem import Problem

__all__ = ["nearest_point"]

_CLOSE = 0.1


class _Nearest:
    """Stands in for a trial and suggests, for each parameter, the value of the space nearest to the wanted
    one.

    Attributes:
        chosen: Parameter -> the value suggested.
        moved: Parameters whose value is close to, but not, the wanted one.
    """

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.wanted = wanted
        self.chosen: dict[str, Any] = {}
        self.moved: set[str] = set()

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the nearest number between the bounds."""
        return self._number(name, low, high, log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return the nearest whole number between the bounds."""
        value = round(self._number(name, low, high, log))
        self.chosen[name] = low + (value - low) // step * step
        return int(self.chosen[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the wanted choice, or the first one."""
        wanted = self.wanted.get(name, choices[0])
        self.chosen[name] = wanted if wanted in choices else choices[0]
        return self.chosen[name]

    def _number(self, name: str, low: float, high: float, log: bool) -> float:
        wanted = self.wanted.get(name)
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            wanted = low
        value = min(max(wanted, low), high)
        self.chosen[name] = value
        if value != wanted and _distance(wanted, value, low, high, log) <= _CLOSE:
            self.moved.add(name)
        return value


def nearest_point(family: Family, problem: Problem, default: Config) -> tuple[dict[str, Any], bool]:
    """Return the parameters that stand for the default, and whether they describe it closely enough to learn
    from.

    Args:
        family: Its space is asked once; the keys that it does not suggest are taken to be fixed.
        problem: What the space is for.
        default: The family's default configuration.

    Returns:
        Parameters by name, and whether every suggested value is the default's or within a tenth of the range
        of it (a value that is not positive counts as the lower end of a logarithmic range).
    """
    # a parameter may have another name than the option that it decides
    wanted = flat(default)
    names = option_names(family)
    stand_in = _Nearest({**wanted, **{name: wanted[option] for name, option in names.items() if option in wanted}})
    suggested = flat(family.space(cast("optuna.Trial", stand_in), problem))
    moved = {names.get(name, name) for name in stand_in.moved}
    same = all(key in moved or wanted.get(key) == value for key, value in suggested.items())
    return stand_in.chosen, same


def flat(config: Config, prefix: str = "") -> dict[str, Any]:
    """Return the scalars of a nested configuration under dotted names, as a space would name them."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _distance(wanted: float, value: float, low: float, high: float, log: bool) -> float:
    """Return how far a number was moved, as a part of the range."""
    if not log:
        return abs(wanted - value) / max(high - low, 1e-300)
    if wanted <= 0:
        return 0.0
    return abs(math.log(wanted / value)) / max(math.log(high / low), 1e-300)
