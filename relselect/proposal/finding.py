"""One proposal about one table, with its reason and its evidence in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["DECLARED", "GIVEN", "INFERRED", "Finding", "What"]

What = Literal["primary_key", "foreign_key", "time", "type", "drop", "known_at", "note"]
Origin = Literal["declared", "given", "inferred"]

#: The database says so itself.
DECLARED: Origin = "declared"
#: The caller says so.
GIVEN: Origin = "given"
INFERRED: Origin = "inferred"


@dataclass(frozen=True)
class Finding:
    """What is proposed about columns of a table.

    Attributes:
        table: The table.
        columns: The columns, of a foreign key in the order of the key referred to.
        what: "primary_key", "foreign_key", "time", "type", "drop", "known_at", or "note": something to look at that
            changes nothing.
        value: The table referred to, the semantic type, or the columns that a clock masks, joined by ", ".
        confidence: From 0 to 1; 1 for what is declared or given.
        reason: In words.
        evidence: The numbers behind it.
        origin: "declared" (by the database), "given" (by the caller) or "inferred".
    """

    table: str
    columns: tuple[str, ...]
    what: What
    value: str = ""
    confidence: float = 1.0
    reason: str = ""
    evidence: Mapping[str, float] = field(default_factory=dict)
    origin: Origin = INFERRED

    @property
    def column(self) -> str:
        """The columns, joined by "+"."""
        return "+".join(self.columns)

    @property
    def masked(self) -> tuple[str, ...]:
        """The columns that a clock masks."""
        return tuple(self.value.split(", ")) if self.what == "known_at" else ()

    def to_json(self) -> dict[str, object]:
        """Return the finding as plain values."""
        return {
            "table": self.table,
            "columns": list(self.columns),
            "what": self.what,
            "value": self.value,
            "confidence": round(self.confidence, 3),
            "reason": self.reason,
            "evidence": {name: round(float(number), 4) for name, number in self.evidence.items()},
            "origin": self.origin,
        }
