"""What a pretraining reads and how it learns, as YAML. Opening a database is no concern of this module."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relselect.database.yaml_loader import load_yaml
from relselect.errors import ConfigError
from relselect.untrusted import brief

__all__ = ["MaskingPlan", "PretrainingPlan", "read_pretraining_plan"]

_FIX = "Correct it; the classes of relselect.pretraining.plan and configs/pretrain/known.yaml show the rules"


class MaskingPlan(BaseModel):
    """How the language model is trained further, on the rows that are read, before the network is."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    epochs: int = Field(default=1, ge=1, description="Passes over the different rows.")
    mask: float = Field(default=0.15, gt=0, lt=1, description="Share of the tokens of values that are masked.")
    layers: int = Field(
        default=-1, ge=-1, description="Last layers that are trained: -1 for the whole model, 0 for its head alone."
    )
    batch_size: int = Field(default=32, ge=1, description="Rows per step.")
    learning_rate: float = Field(
        default=5e-5, gt=0, description="Highest rate of the layers; it falls to 0 as a cosine."
    )
    head_rate: float = Field(default=1e-3, gt=0, description="The same for the head that restores tokens.")
    weight_decay: float = Field(default=1e-2, ge=0, description="Weight decay of AdamW.")


class PretrainingPlan(BaseModel):
    """What a pretraining reads and how it learns."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str = Field(description="Name of the weights.")
    databases: Annotated[list[str], Field(min_length=1)] = Field(
        description="Known names, folders, manifests or addresses to learn from."
    )
    held_out: list[str] = Field(
        default_factory=list, description="Databases whose loss is measured after every epoch, and that teach nothing."
    )
    until: dict[str, str] = Field(
        default_factory=dict, description="Database -> last moment that is read of it; everything when left out."
    )
    language: str = Field(default="", description="The language model; the one that is installed when left out.")
    masking: MaskingPlan | None = Field(
        default=None, description="How the language model is trained further first; it stays as it is when left out."
    )
    channels: int = Field(default=128, ge=1, le=1 << 14, description="Width of the network.")
    layers: int = Field(default=2, ge=1, le=16, description="Layers of the network, and hops of the trees.")
    fan_out: int = Field(
        default=8, ge=1, le=1 << 14, description="Neighbours per relation at the first hop; half of it at each further."
    )
    rows: int = Field(
        default=2_000, ge=1, description="Rows of each database that are read, about, seeds and neighbours."
    )
    batch_size: int = Field(default=64, ge=2, description="Seed nodes per step, all of one table.")
    epochs: int = Field(default=20, ge=1, description="Passes over the seed nodes.")
    learning_rate: float = Field(default=2e-3, gt=0, description="Highest rate of AdamW; it falls to 0 as a cosine.")
    weight_decay: float = Field(default=1e-4, ge=0, description="Weight decay of AdamW.")
    mask: float = Field(default=0.15, ge=0, lt=1, description="Share of the rows around the seeds that are masked.")
    mask_seeds: float = Field(
        default=0.5, gt=0, le=1, description="Share of the seed rows that are masked and restored."
    )
    gamma: float = Field(default=2.0, ge=1, description="Exponent of the scaled cosine error.")
    mse_weight: float = Field(default=0.7, ge=0, description="Weight of the mean squared error beside it.")
    seed: int = Field(default=0, ge=0, description="The one seed.")

    def stated(self) -> dict[str, Any]:
        """Return the plan as JSON-able data, without the stages that it has not."""
        return self.model_dump(exclude_none=True)


def read_pretraining_plan(path: str | Path) -> PretrainingPlan:
    """Read what a pretraining reads and how it learns.

    Args:
        path: A YAML (or JSON) file.

    Raises:
        ConfigError: The file cannot be read, or a value is not understood.
    """
    try:
        stored = load_yaml(Path(path))
        if not isinstance(stored, dict):
            raise ConfigError("plan", str(path), "must hold a mapping", _FIX)
        plan = PretrainingPlan.model_validate(stored)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or str(path)
        more = f"; {error.error_count() - 1} more" if error.error_count() > 1 else ""
        raise ConfigError(place, first["input"], f"{first['msg']} ({Path(path).name}{more})", _FIX) from None
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError("plan", str(path), f"cannot be read ({brief(error)})", _FIX) from error
    _check(plan)
    return plan


def _check(plan: PretrainingPlan) -> None:
    both = sorted(set(plan.databases) & set(plan.held_out))
    if both:
        raise ConfigError(
            "held_out", both[0], "is among the databases to learn from", "Name it in one of the two lists"
        )
    unknown: list[Any] = sorted(set(plan.until) - {*plan.databases, *plan.held_out})
    if unknown:
        raise ConfigError("until", unknown[0], "is none of the databases", "Name a database of the plan")
