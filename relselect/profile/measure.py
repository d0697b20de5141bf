"""One number of a profile, and the profile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from relselect.leaks.finding import Finding

__all__ = ["VERSION", "Measure", "Profile"]

#: Raised when a measure changes its meaning; banks compare profiles of one version only.
VERSION = 3


@dataclass(frozen=True)
class Measure:
    """One number.

    Attributes:
        name: Its name, stable within a version.
        value: The number; nan when it does not exist for this task.
        stderr: Its standard error; nan when it has none or does not exist.
        group: "scale", "baselines", "temporal", "homophily" or "affinity".
        reading: What the number says, in plain English.
        seconds: Time it took; what several measures share is counted at the first.
    """

    name: str
    value: float
    stderr: float
    group: str
    reading: str
    seconds: float = 0.0

    @property
    def exists(self) -> bool:
        """Whether the measure exists for this task."""
        return not math.isnan(self.value)


@dataclass(frozen=True)
class Profile:
    """The task embedding: numbers measured before any training.

    Attributes:
        measures: The numbers, in a fixed order within a version apart from those of single meta-paths.
        seconds: Wall-clock of the measurement.
        version: Version of the measures' meanings.
        findings: What the leak checks found, the most severe first.
        checked: Whether the leak checks ran; they do not when the time was spent before.
    """

    measures: tuple[Measure, ...]
    seconds: float
    version: int = VERSION
    findings: tuple[Finding, ...] = ()
    checked: bool = False

    def __getitem__(self, name: str) -> Measure:
        return next(measure for measure in self.measures if measure.name == name)

    def value(self, name: str) -> float:
        """Return the value of a measure, nan when the profile has none of that name."""
        return next((measure.value for measure in self.measures if measure.name == name), math.nan)

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON-able values, null for nan."""
        measures = [{k: _null(v) for k, v in asdict(measure).items()} for measure in self.measures]
        findings = [finding.to_json() for finding in self.findings]
        told = {"measures": measures, "seconds": self.seconds, "version": self.version}
        return {**told, "findings": findings, "checked": self.checked}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Profile:
        """Return the profile that `to_json` wrote."""
        measures = tuple(
            Measure(m["name"], _nan(m["value"]), _nan(m["stderr"]), m["group"], m["reading"], _nan(m["seconds"]))
            for m in stored["measures"]
        )
        findings = tuple(Finding.from_json(each) for each in stored.get("findings", ()))
        return cls(measures, float(stored["seconds"]), int(stored["version"]), findings, stored.get("checked") is True)


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
