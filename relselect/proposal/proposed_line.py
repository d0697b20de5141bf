"""One line of a proposed manifest, with its reason and its evidence in numbers.

The line is a record: it neither measures its evidence nor decides whether it is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["DECLARED", "GIVEN", "INFERRED", "ProposedLine", "What"]

What = Literal["primary_key", "foreign_key", "time", "type", "drop", "known_at", "format", "note"]
LineOrigin = Literal["declared", "given", "inferred"]

#: Declared by the database.
DECLARED: LineOrigin = "declared"
#: An override of the caller.
GIVEN: LineOrigin = "given"
#: Inferred from names and values.
INFERRED: LineOrigin = "inferred"


@dataclass(frozen=True)
class ProposedLine:
    """What is proposed about one or more columns of a table.

    Attributes:
        table: The table.
        columns: The columns; those of a foreign key in the order of the primary key that they refer to.
        what: "primary_key", "foreign_key", "time", "type", "drop", "known_at", "format", or "note", a remark that declares
            nothing.
        value: The table referred to, the semantic type, or the columns that a clock masks, joined by ", " (empty for
            none), the format.
        confidence: From 0 to 1, by rules, not a probability; 1 for declared lines and overrides.
        reason: Why the line is proposed, as the predicate of a sentence about the columns.
        evidence: Name -> number that the reason rests on, such as rows, distinct values, share of missing values.
        origin: "declared" (by the database), "given" (an override of the caller) or "inferred".
    """

    table: str
    columns: tuple[str, ...]
    what: What
    value: str = ""
    confidence: float = 1.0
    reason: str = ""
    evidence: Mapping[str, float] = field(default_factory=dict)
    origin: LineOrigin = INFERRED

    @property
    def column(self) -> str:
        """The columns, joined by "+"."""
        return "+".join(self.columns)

    @property
    def masked(self) -> tuple[str, ...]:
        """The columns that a clock masks; empty for other lines."""
        return tuple(self.value.split(", ")) if self.what == "known_at" and self.value else ()

    def to_json(self) -> dict[str, object]:
        """Return the line as a JSON-able dictionary."""
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
