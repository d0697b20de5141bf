"""Search spaces as data: typed parameters, some of them asked only where others have certain values.

`configs/spaces/` holds the spaces of the families; `configs/spaces.schema.json` is generated from the models here. Nothing here
knows what an option means; the family that has it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    import optuna

    from relselect.families.candidate import Config

__all__ = ["ChoiceParameter", "IntegerParameter", "NumberParameter", "Parameter", "SearchSpace", "among", "refers"]


def _number(value: Any) -> Any:
    """Read 5e-4, which YAML takes for a text, as the number that it is."""
    if isinstance(value, str) and not value.startswith("$"):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Scalar = str | bool | int | float
Name = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
Reference = Annotated[str, Field(pattern=r"^\$[a-z_]+$")]
Finite = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]


class _Parameter(BaseModel):
    """What all parameters have."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    option: Name | None = Field(
        default=None, description="Option of the configuration; the parameter's name when left out."
    )
    when: dict[str, Annotated[list[Scalar], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="Earlier parameter -> values: the parameter is asked only where each of them has one of its values.",
    )
    description: str = Field(default="", description="What it decides.")


class ChoiceParameter(_Parameter):
    """One of several values."""

    type: Literal["choice"]
    choices: Annotated[list[Scalar], Field(min_length=1)] = Field(
        description="The values. $name stands for values that the family knows of the problem, such as $learners."
    )

    def stated(self) -> list[Any]:
        """Return the choices as they are written."""
        return list(self.choices)

    def values(self, known: Mapping[str, Any]) -> list[Any]:
        """Return the values for one problem."""
        found: list[Any] = []
        for each in self.choices:
            found += list(known[str(each)[1:]]) if refers(each) else [each]
        return found

    def ask(self, trial: optuna.Trial, name: str, known: Mapping[str, Any]) -> Any:
        """Return the value that a trial suggests."""
        return trial.suggest_categorical(name, self.values(known))


class IntegerParameter(_Parameter):
    """A whole number."""

    type: Literal["integer"]
    low: int | Reference = Field(description="The least value, or $name for one that the family knows of the problem.")
    high: int | Reference = Field(
        description="The greatest value, or $name for one that the family knows of the problem."
    )
    step: int = Field(default=1, ge=1, description="Distance of neighbouring values.")
    log: bool = Field(default=False, description="Whether the logarithm is searched; without a step.")

    def stated(self) -> list[Any]:
        """Return the two ends as they are written."""
        return [self.low, self.high]

    def values(self, known: Mapping[str, Any]) -> list[Any]:
        """Return the two ends for one problem."""
        return [known[end[1:]] if isinstance(end, str) else end for end in self.stated()]

    def ask(self, trial: optuna.Trial, name: str, known: Mapping[str, Any]) -> Any:
        """Return the value that a trial suggests."""
        low, high = self.values(known)
        return trial.suggest_int(name, low, max(low, high), step=self.step, log=self.log)


class NumberParameter(_Parameter):
    """A number."""

    type: Literal["number"]
    low: Finite = Field(description="The least value.")
    high: Finite = Field(description="The greatest value.")
    log: bool = Field(default=False, description="Whether the logarithm is searched.")

    def stated(self) -> list[Any]:
        """Return the two ends."""
        return [self.low, self.high]

    def values(self, known: Mapping[str, Any]) -> list[Any]:
        """Return the two ends."""
        return self.stated()

    def ask(self, trial: optuna.Trial, name: str, known: Mapping[str, Any]) -> Any:
        """Return the value that a trial suggests."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)


Parameter = Annotated[ChoiceParameter | IntegerParameter | NumberParameter, Field(discriminator="type")]


class SearchSpace(BaseModel):
    """What a study searches of one family's configuration; all other options keep their defaults.

    Example:
        >>> layers = IntegerParameter(type="integer", low=1, high=2)
        >>> SearchSpace(family="rdl", parameters={"layers": layers}).options
        {'layers': 'layers'}
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    family: Name = Field(description="The family whose options they are.")
    description: str = Field(default="", description="What is searched.")
    include: Name | None = Field(
        default=None,
        description="A family whose shipped parameters are searched as well, but for those of the names given here.",
    )
    parameters: Annotated[dict[Name, Parameter], Field(min_length=1)] = Field(
        description="Name in the study -> parameter, in the order in which they are asked."
    )

    def suggest(self, trial: optuna.Trial, known: Mapping[str, Any]) -> Config:
        """Return option -> value as a trial suggests them.

        Args:
            trial: The trial; it is asked for those parameters alone whose conditions hold.
            known: Name -> what `$name` stands for: a list among choices, a whole number as a bound.
        """
        values: dict[str, Any] = {}
        config: Config = {}
        for name, parameter in self.parameters.items():
            if all(among(values.get(other), wanted) for other, wanted in parameter.when.items()):
                values[name] = config[parameter.option or name] = parameter.ask(trial, name, known)
        return config

    @property
    def options(self) -> dict[str, str]:
        """Parameter -> option of the configuration."""
        return {name: parameter.option or name for name, parameter in self.parameters.items()}

    @property
    def references(self) -> list[tuple[str, str]]:
        """Parameters, each with a name behind a $ of what the family has to know of the problem."""
        return [(name, each[1:]) for name, one in self.parameters.items() for each in one.stated() if refers(each)]

    def points(self, known: Mapping[str, Any]) -> Iterator[tuple[str, Any, Config]]:
        """Yield (parameter, value, configuration) for each choice and each end of a range, under conditions that it needs.

        Args:
            known: As for `suggest`.
        """
        for name, parameter in self.parameters.items():
            for value in parameter.values(known):
                yield name, value, {**self._needed(name), self.options[name]: value}

    def _needed(self, name: str) -> Config:
        """Return a configuration under which a parameter is asked: its conditions, and theirs."""
        found: Config = {}
        for other, wanted in self.parameters[name].when.items():
            found |= {**self._needed(other), self.options[other]: wanted[0]}
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the space as JSON-able values that `read_space` reads."""
        return self.model_dump(mode="json", exclude_defaults=True)


def refers(value: Any) -> bool:
    """Whether a choice stands for values that the family knows of the problem."""
    return isinstance(value, str) and value.startswith("$")


def among(value: Any, values: list[Any]) -> bool:
    """Whether a value is among others; true is not 1 here."""
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in values)
