"""What a caller changes of a family: options that hold in all that a study suggests, and the space that it searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from relselect.errors import ConfigError, SpaceError
from relselect.families.protocol import Adjustable, Designed, Movable, Portfolio, Watched, columns_read
from relselect.serialization import canonical_json

if TYPE_CHECKING:
    import optuna

    from relselect.families.candidate import Candidate, Config
    from relselect.families.protocol import Family, TrainingLength
    from relselect.families.space import SearchSpace
    from relselect.problem import Problem

__all__ = [
    "FixedOptions",
    "adjusted_family",
    "changed_default",
    "check_options",
    "check_space",
    "check_spaces",
    "fixed_options",
    "option_names",
    "space_of",
    "training_length",
]


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
        names = option_names(self.family)
        answers = {option: value for option, value in self.options.items() if option not in names}
        answers |= {name: self.options[option] for name, option in names.items() if option in self.options}
        asked, family = cast("optuna.Trial", _FixedTrial(trial, answers)), _with_design(self.family)
        if family is None:
            return {**self.family.space(asked, problem), **self.options}
        # what a fixed option stands for, such as a learner and its defaults, holds where the space does not ask for it, too
        suggested = family.design.suggest(asked, family.known(problem))
        return {**family.designed(problem, {**self.options, **suggested}), **self.options}


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


def adjusted_family(
    family: Family,
    options: Mapping[str, Any] | None = None,
    device: str | None = None,
    space: SearchSpace | None = None,
) -> Family:
    """Return a family on a device, with some of its options fixed, that searches a given space.

    Args:
        family: The family.
        options: Option -> value; None or empty for none.
        device: Where it computes, such as "cpu" or "cuda:0"; None leaves it to the family, which ignores it if it has no choice.
        space: What studies search; None for the family's own space.

    Raises:
        ConfigError: There is no such device, or the family's space cannot be exchanged.
    """
    if space is not None:
        if not isinstance(family, Designed):
            rule = f"is given for {family.name}, whose space cannot be exchanged"
            raise ConfigError("spaces", space.family, rule, "Leave it out, and fix options of the family instead")
        family = family.with_space(space)
    if device is not None and isinstance(family, Movable):
        family = family.on_device(device)
    return cast("Family", FixedOptions(family, options)) if options else family


def training_length(family: Family, config: Config) -> TrainingLength | None:
    """Return how long the training of a configuration can be; None where its fits cannot be ended on the way."""
    bare = family.family if isinstance(family, FixedOptions) else family
    return bare.training_length(config) if isinstance(bare, Watched) else None


def changed_default(family: Family, problem: Problem, change: Mapping[str, Any]) -> Config | None:
    """Return a family's default with other options; options that a caller fixed stay.

    Args:
        family: The family.
        problem: What the configuration is for.
        change: Option -> value.

    Returns:
        None where the family has no such option or value on this problem, as a learner for another kind of task.
    """
    fixed = fixed_options(family)
    bare = family.family if isinstance(family, FixedOptions) else family
    try:
        return adjusted_family(bare, {**change, **fixed}).default(problem)
    except ConfigError:
        return None


def fixed_options(family: Family) -> dict[str, Any]:
    """Return the options that were fixed; empty for none."""
    return dict(family.options) if isinstance(family, FixedOptions) else {}


def option_names(family: Family) -> dict[str, str]:
    """Return parameter -> option of the family's search space, for those whose names differ; empty for a space in code."""
    found = _with_design(family)
    return {} if found is None else {name: each for name, each in found.design.options.items() if name != each}


def space_of(family: Family) -> SearchSpace | None:
    """Return the search space of a family whose space is data; None for a space in code."""
    found = _with_design(family)
    return None if found is None else found.design


def _with_design(family: Family) -> Designed | None:
    """Return the family whose space is data, without options that a caller fixed; None for a space in code."""
    bare = family.family if isinstance(family, FixedOptions) else family
    return bare if isinstance(bare, Designed) else None


def check_space(family: Family, problem: Problem) -> None:
    """Check a family's search space on a problem: every choice and both ends of every range must be values that it has.

    Raises:
        SpaceError: With every value that the family refuses.
    """
    bare = _with_design(family)
    if bare is None:
        return
    space, known, fixed = bare.design, bare.known(problem), fixed_options(family)
    place = f"the search space of {family.name}"
    unknown = [
        f"{name}=${each}: is nothing that {family.name} knows. Use one of {', '.join(f'${one}' for one in known)}"
        for name, each in space.references
        if each not in known
    ]
    if unknown:
        raise SpaceError(unknown, place)
    problems: dict[str, None] = {}
    for name, value, config in space.points(known):
        try:
            adjusted_family(cast("Family", bare), bare.designed(problem, {**fixed, **config})).default(problem)
        except ConfigError as error:
            problems[f"{name}={value}: {error}"] = None
    if problems:
        raise SpaceError(list(problems), place)


def check_spaces(spaces: object, known: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return family -> search space as JSON-able values, each read and checked by itself.

    Args:
        spaces: Family -> file, or mapping of what a file would hold; None for nothing.
        known: Names of families that are trained.

    Raises:
        SpaceError: With every problem of a space.
        ConfigError: It is no such mapping, or names another family.
    """
    from relselect.families.space_files import read_space

    if spaces is None:
        return {}
    if not isinstance(spaces, Mapping):
        example = f"Write e.g. spaces={{{known[0]!r}: 'space.yaml'}}"
        raise ConfigError("spaces", spaces, "must map names of families to files or mappings", example)
    found: dict[str, dict[str, Any]] = {}
    for name, stored in spaces.items():
        if name not in known:
            rule = f"has a space of {name!r}, which is not trained here"
            raise ConfigError("spaces", list(spaces), rule, f"Name some of {', '.join(known)}")
        if not isinstance(stored, Mapping | str | PathLike):
            raise ConfigError(
                f"spaces[{name!r}]", stored, "must be a file or a mapping", "Give the path of a YAML file"
            )
        found[name] = read_space(stored if isinstance(stored, Mapping) else Path(stored), family=name).to_json()
    return found


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
