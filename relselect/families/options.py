"""Options of a family that the caller fixed: they hold in the default, in the alternatives and in all that a study suggests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from relselect.errors import ConfigError
from relselect.families.protocol import Adjustable, Movable, Portfolio, columns_read
from relselect.serialization import canonical_json

if TYPE_CHECKING:
    import optuna

    from relselect.families.candidate import Candidate, Config
    from relselect.families.protocol import Family
    from relselect.problem import Problem

__all__ = ["FixedOptions", "adjusted_family", "check_options", "fixed_options"]


class FixedOptions:
    """A family some of whose options are fixed; everything else is the family's own.

    Args:
        family: The family.
        options: Option -> value.
    """

    def __init__(self, family: Family, options: Mapping[str, Any]) -> None:
        self.family, self.options = family, dict(options)

    def __getattr__(self, name: str) -> Any:
        """Return the family's attribute."""
        if name == "family":  # while being copied, before there is one
            raise AttributeError(name)
        return getattr(self.family, name)

    def default(self, problem: Problem) -> Config:
        """Return the family's default configuration with the fixed options.

        Raises:
            ConfigError: The family has no such option, or the option no such value.
        """
        if isinstance(self.family, Adjustable):
            return self.family.adjusted(problem, self.options)
        default = self.family.default(problem)
        for name, value in self.options.items():
            if name not in default:
                raise ConfigError(name, value, f"is no option of {self.family.name}", f"Use {', '.join(default)}")
        return {**default, **self.options}

    def alternatives(self, problem: Problem) -> Sequence[Config]:
        """Return the family's alternatives with the fixed options, each once and none that is the default."""
        if not isinstance(self.family, Portfolio):
            return ()
        ordinary, default = self.family.default(problem), self.default(problem)
        found = {canonical_json(default): default}
        for config in self.family.alternatives(problem):
            # what an alternative changes of the default, and the caller did not fix
            changed = {name: value for name, value in config.items() if ordinary.get(name) != value}
            kept = {name: value for name, value in changed.items() if name in default}
            mine = {**default, **kept, **self.options}
            found.setdefault(canonical_json(mine), mine)
        return tuple(found.values())[1:]

    def reads(self, candidate: Candidate) -> dict[str, set[str]] | None:
        """Return the columns that a model reads; see `ReadsSome`."""
        return columns_read(self.family, candidate)

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return a suggested configuration with the fixed options, about which the study is not asked."""
        asked = cast("optuna.Trial", _FixedTrial(trial, self.options))
        return {**self.family.space(asked, problem), **self.options}


class _FixedTrial:
    """A trial that answers with the fixed options, and asks the study for the rest."""

    def __init__(self, trial: optuna.Trial, options: Mapping[str, Any]) -> None:
        self._trial, self._options = trial, options

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> Any:
        """Return a number."""
        return self._options[name] if name in self._options else self._trial.suggest_float(name, low, high, **how)

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> Any:
        """Return a whole number."""
        return self._options[name] if name in self._options else self._trial.suggest_int(name, low, high, **how)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        return self._options[name] if name in self._options else self._trial.suggest_categorical(name, choices)


def adjusted_family(family: Family, options: Mapping[str, Any] | None = None, device: str | None = None) -> Family:
    """Return a family on a device, with some of its options fixed.

    Args:
        family: The family.
        options: Option -> value; None or empty for none.
        device: Where it computes, such as "cpu" or "cuda:0"; None leaves it to the family, which ignores it if it has no choice.

    Raises:
        ConfigError: There is no such device.
    """
    if device is not None and isinstance(family, Movable):
        family = family.on_device(device)
    return cast("Family", FixedOptions(family, options)) if options else family


def fixed_options(family: Family) -> dict[str, Any]:
    """Return the options that were fixed; empty for none."""
    return dict(family.options) if isinstance(family, FixedOptions) else {}


def check_options(options: object, known: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return family -> option -> value as plain dictionaries, checked but for the options themselves.

    Args:
        options: What the caller gave; None for nothing.
        known: Names of families that are trained.

    Raises:
        ConfigError: It is no mapping of mappings, or names another family.
    """
    if options is None:
        return {}
    example = f"Write e.g. options={{{known[0]!r}: {{...}}}} with options of that family"
    if not isinstance(options, Mapping):
        raise ConfigError("options", options, "must map names of families to their options", example)
    found: dict[str, dict[str, Any]] = {}
    for name, values in options.items():
        if name not in known:
            rule = f"has options of {name!r}, which is not trained here"
            raise ConfigError("options", dict(options), rule, f"Name some of {', '.join(known)}")
        if not isinstance(values, Mapping) or not all(isinstance(each, str) for each in values):
            raise ConfigError(f"options[{name!r}]", values, "must map names of options to values", example)
        found[name] = dict(values)
    return found
