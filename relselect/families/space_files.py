"""Reads search spaces from files and mappings, and says everything that is wrong with one at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from relselect.configs import config_path
from relselect.database.yaml_loader import load_yaml
from relselect.errors import ConfigError, SpaceError, shorten
from relselect.families.space import ChoiceParameter, IntegerParameter, Parameter, SearchSpace, among, refers
from relselect.untrusted import brief

__all__ = ["read_space", "shipped_space", "space_schema"]

_RULES = "configs/spaces.schema.json has the rules"
#: What pydantic puts into the path of a problem beside the names in the file.
_MEMBERS = ("choice", "integer", "number", "[key]", "int", "float", "str", "bool", "constrained-str")


def space_schema() -> dict[str, Any]:
    """Return the JSON schema of a search space, `configs/spaces.schema.json`."""
    return SearchSpace.model_json_schema()


def read_space(stored: str | Path | Mapping[str, Any], *, family: str | None = None) -> SearchSpace:
    """Read a search space.

    Args:
        stored: A YAML (or JSON) file, or what it would hold.
        family: The family that it is for; a mapping need not name it then.

    Returns:
        The space, its included parameters written out.

    Raises:
        SpaceError: With every problem of the space.
        ConfigError: The file cannot be read, or another family's space is included that is not shipped.

    Example:
        >>> space = read_space({"parameters": {"layers": {"type": "integer", "low": 1, "high": 2}}}, family="rdl")
        >>> space.parameters["layers"].high
        2
    """
    place = "the search space" if isinstance(stored, Mapping) else Path(stored).name
    content = dict(stored) if isinstance(stored, Mapping) else _read(Path(stored))
    if isinstance(stored, Mapping) and family is not None:
        content = {"family": family, **content}
    try:
        space = SearchSpace.model_validate(content)
    except ValidationError as error:
        raise SpaceError(_explained(error), place) from None
    if family is not None and space.family != family:
        raise SpaceError([f"family={space.family}: is not {family}. Write `family: {family}`"], place)
    if space.include is not None:
        further = shipped_space(space.include).parameters
        every = {**space.parameters, **{name: each for name, each in further.items() if name not in space.parameters}}
        space = space.model_copy(update={"include": None, "parameters": every})
    problems = [text for name, each in space.parameters.items() for text in _faults(name, each, space)]
    if problems:
        raise SpaceError(problems, place)
    return space


@lru_cache
def shipped_space(family: str) -> SearchSpace:
    """Return the shipped space of a family.

    Raises:
        ConfigError: None is shipped.
    """
    return read_space(config_path("spaces", f"{family}.yaml"))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = load_yaml(path)
    except (OSError, ValueError) as error:
        raise ConfigError("space", str(path), f"cannot be read ({brief(error)})", f"Correct it; {_RULES}") from error
    if not isinstance(content, dict):
        raise ConfigError("space", str(path), "must hold a mapping", f"Correct it; {_RULES}")
    return content


def _explained(error: ValidationError) -> list[str]:
    """Return the problems that pydantic found, one for each place: it reports a union once per member."""
    found: dict[str, str] = {}
    for details in error.errors(include_url=False):
        place = ".".join(str(each) for each in details["loc"] if each not in _MEMBERS)
        shown = "{...}" if isinstance(details["input"], dict) else shorten(details["input"])
        rule = details["msg"].removeprefix("Input ").removeprefix("String ")
        if details["type"] == "missing":
            found[place] = f"{place}: is missing. Add it; {_RULES}"
        elif details["type"] == "extra_forbidden":
            found[place] = f"{place}={shown}: is not understood here. Leave it out; {_RULES}"
        else:
            found.setdefault(place, f"{place}={shown}: {rule}. {_RULES}")
    return list(found.values())


def _faults(name: str, parameter: Parameter, space: SearchSpace) -> Iterator[str]:
    """Yield what is wrong with one parameter among the others."""
    earlier = list(space.parameters)[: list(space.parameters).index(name)]
    for other, wanted in parameter.when.items():
        if other not in earlier:
            yield f"{name}.when={other}: is no earlier parameter. Put {other} before {name}, or correct its name"
            continue
        asked = space.parameters[other]
        if isinstance(asked, ChoiceParameter) and not any(map(refers, asked.choices)):
            for value in wanted:
                if not among(value, asked.choices):
                    yield f"{name}.when.{other}={value}: is no choice of {other}. Use one of {asked.choices}"
    if isinstance(parameter, ChoiceParameter):
        kept: list[Any] = []
        for value in parameter.choices:
            if among(value, kept):
                yield f"{name}.choices={value}: stands there twice. Leave it out once"
            elif (
                value in kept
            ):  # the sampler, and everything that compares configurations, would take one for the other
                other = kept[kept.index(value)]
                yield f"{name}.choices={value}: is equal to the choice {other}. Keep one of the two"
            kept.append(value)
        return
    low, high = parameter.low, parameter.high
    if not isinstance(low, str) and not isinstance(high, str) and low > high:
        yield f"{name}.low={low}: is above high={high}. Exchange them"
    if parameter.log and not isinstance(low, str) and low <= 0:
        yield f"{name}.low={low}: has no logarithm. Give a number above 0, or leave out log"
    if isinstance(parameter, IntegerParameter) and parameter.log and parameter.step > 1:
        yield f"{name}.step={parameter.step}: goes with no logarithm. Leave out step or log"
