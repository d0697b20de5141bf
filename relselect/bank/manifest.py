"""What a bank is built of: databases, families, configurations, seeds and the limits of a trial, as YAML.

`configs/bank.schema.json` is generated from the models here. Opening a database is no concern of this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relselect.budget import parse_seconds
from relselect.database.yaml_loader import load_yaml
from relselect.errors import BudgetError, ConfigError
from relselect.problem.validation import ValidationWay
from relselect.untrusted import brief

__all__ = ["BankManifest", "BankSource", "read_bank_manifest"]

_FIX = "Correct it; configs/bank.schema.json has the rules"


class BankSource(BaseModel):
    """One database of a bank."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    place: str | None = Field(
        default=None,
        description="A known name, folder, manifest or address; the database's name in this file when left out. "
        "Not for generated databases.",
    )
    tasks: list[str] | None = Field(default=None, description="Tasks to take; all that are declared when left out.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Arguments of the generator.")
    licence: str | None = Field(
        default=None, description="Licence of the data; that of a known database's manifest when left out."
    )
    shares_rows: bool = Field(
        default=True,
        description="Whether labels and predictions of single rows may be handed on with the bank; else only scores.",
    )
    accept: dict[str, str] = Field(
        default_factory=dict,
        description="Task -> reason for which it is taken although the leak checks have open findings.",
    )


class BankManifest(BaseModel):
    """What a bank is built of."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str = Field(description="Name of the bank.")
    description: str = Field(default="", description="What the bank is for.")
    origin: Literal["real", "synthetic"] = Field(default="real", description="Where its databases come from.")
    generator: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="For synthetic databases: module:Class of a `relselect.bank.sources.DatabaseGenerator`.",
    )
    databases: dict[str, BankSource] = Field(
        default_factory=dict, description="Name -> database; all that the generator names when left out."
    )
    families: list[str] | None = Field(default=None, description="Families; all that are trained when left out.")
    seeds: Annotated[list[int], Field(min_length=1)] = Field(
        default=[0], description="Seeds of the default configurations; the others are fitted with the first one."
    )
    configurations: int = Field(
        default=0,
        ge=0,
        description="Configurations per family beside the default: known alternatives, then a space-filling set.",
    )
    cap: str = Field(default="30min", description="Longest time of one fit, and of its refit: 90s, 30min, 1h.")
    threads: int = Field(default=1, ge=1, description="Threads of one trial.")
    most_rows: int = Field(
        default=20_000,
        ge=1,
        description="Rows of each part of a task whose labels and predictions are kept; scores are of all rows.",
    )
    validation: Literal["auto"] | ValidationWay = Field(
        default="auto", description="How validation rows are divided into stop and select rows."
    )

    @property
    def cap_seconds(self) -> float:
        """The longest time of one fit, in seconds."""
        return parse_seconds(self.cap)


def read_bank_manifest(path: str | Path) -> BankManifest:
    """Read what a bank is built of.

    Args:
        path: A YAML (or JSON) file.

    Raises:
        ConfigError: The file cannot be read, or a value is not understood.
    """
    try:
        return BankManifest.model_validate(_checked(load_yaml(Path(path)), path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or str(path)
        more = f"; {error.error_count() - 1} more" if error.error_count() > 1 else ""
        raise ConfigError(place, first["input"], f"{first['msg']} ({Path(path).name}{more})", _FIX) from None
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError("manifest", str(path), f"cannot be read ({brief(error)})", _FIX) from error


def _checked(stored: Any, path: str | Path) -> Any:
    if not isinstance(stored, dict):
        raise ConfigError("manifest", str(path), "must hold a mapping", _FIX)
    if isinstance(stored.get("databases"), dict):  # `name:` with nothing behind it takes every default
        stored["databases"] = {name: {} if each is None else each for name, each in stored["databases"].items()}
    if "cap" in stored:
        try:
            parse_seconds(stored["cap"])
        except BudgetError as error:
            raise ConfigError("cap", error.value, error.rule, error.fix) from None
    if stored.get("origin") == "synthetic" and not stored.get("generator"):
        rule = "is needed for synthetic databases"
        raise ConfigError("generator", stored.get("generator"), rule, "Write generator: module:Class")
    if not stored.get("databases") and not stored.get("generator"):
        rule = "is needed where there is no generator"
        raise ConfigError("databases", stored.get("databases"), rule, "Name at least one database")
    return stored
