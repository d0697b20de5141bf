"""What the selector says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

__all__ = ["Choice", "Recommendation"]

Choice = Literal["rdl", "dfs", "both"]


@dataclass(frozen=True)
class Recommendation:
    """Which family to train, and why.

    Attributes:
        family: "rdl", "dfs", or "both" when the evidence does not separate them.
        margin: Expected relative margin between the families' best scores, above zero in favour of rdl; None
            when nothing is expected.
        interval: Where the margin is expected to lie; None without a margin.
        evidence: Sentences, the weightiest first.
        taught_by: What the expectation was learnt from.
        first_configs: Family -> configurations to try first, best first.
        neighbours: The most similar known tasks, JSON-able, nearest first.
        record: The run record of the measurement, for a report; not part of the JSON.
    """

    family: Choice
    margin: float | None
    interval: tuple[float, float] | None
    evidence: tuple[str, ...]
    taught_by: str
    first_configs: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    neighbours: tuple[dict[str, Any], ...] = ()
    record: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    def with_record(self, record: Mapping[str, Any]) -> Recommendation:
        """Return the recommendation with the record of its measurement, from which reports are rendered."""
        return replace(self, record=record)

    def to_json(self) -> dict[str, Any]:
        """Return the recommendation as JSON-able values."""
        return {
            "family": self.family,
            "margin": self.margin,
            "interval": None if self.interval is None else list(self.interval),
            "evidence": list(self.evidence),
            "taught_by": self.taught_by,
            "first_configs": {family: list(configs) for family, configs in self.first_configs.items()},
            "neighbours": list(self.neighbours),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Recommendation:
        """Return the recommendation that `to_json` wrote."""
        interval = stored["interval"]
        return cls(
            family=stored["family"],
            margin=stored["margin"],
            interval=None if not interval else (float(interval[0]), float(interval[1])),
            evidence=tuple(stored["evidence"]),
            taught_by=stored["taught_by"],
            first_configs=stored.get("first_configs", {}),
            neighbours=tuple(stored.get("neighbours", ())),
        )
