"""Presets: what a run does with its time, by one word. Options given beside a preset go first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from relselect.errors import ConfigError

__all__ = ["PRESETS", "Preset", "preset_of"]


@dataclass(frozen=True)
class Preset:
    """What a run does with its time.

    Attributes:
        promise: What it gives, in one sentence.
        time_budget: Wall-clock of the run.
        options: Options of `select_and_train` that differ from their defaults.
    """

    promise: str
    time_budget: str
    options: dict[str, Any]


PRESETS: dict[str, Preset] = {
    "quick": Preset(
        "A first answer in a minute: the default of each recommended family, the better one deployed, nothing tuned.",
        "1min",
        {"max_trials": 1, "final": "one", "explain": False},
    ),
    "good": Preset(
        "The recommended families tuned for five minutes, with what the predictor rests on.",
        "5min",
        {},
    ),
    "best": Preset(
        "Every family tuned for an hour, whatever is recommended, and a blend deployed where it is open which is better.",
        "1h",
        {"families": "all"},
    ),
}


def preset_of(name: str | None) -> Preset:
    """Return a preset; "good" for None.

    Raises:
        ConfigError: There is none of that name.
    """
    if name is None:
        return PRESETS["good"]
    if name not in PRESETS:
        promises = " ".join(f"{each!r}: {preset.promise}" for each, preset in PRESETS.items())
        raise ConfigError("preset", name, "is no preset", f"Use one of {', '.join(PRESETS)}. {promises}")
    return PRESETS[name]
