"""One finding of a leak check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

__all__ = ["Finding", "Severity", "accept"]

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """Something that may let a model know what it could not know.

    Attributes:
        check: Name of the check.
        severity: "error" refuses to train, "warning" is told, "info" is worth knowing.
        subject: What it is about: `table.column`, a query, a split.
        evidence: What was seen, with numbers.
        fix: The way out, as an instruction.
        accepted: The reason why somebody who knows the data lets it stand, or None.
    """

    check: str
    severity: Severity
    subject: str
    evidence: str
    fix: str
    accepted: str | None = None

    def __str__(self) -> str:
        stands = f" Accepted: {self.accepted.rstrip('.')}." if self.accepted else ""
        return f"{self.subject}: {self.evidence.rstrip('.')}. {self.fix.rstrip('.')}.{stands}"

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a JSON-able dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Finding:
        """Return the finding that `to_json` wrote."""
        return cls(**{name: stored[name] for name in ("check", "severity", "subject", "evidence", "fix", "accepted")})


def accept(findings: list[Finding], reasons: Mapping[str, str]) -> list[Finding]:
    """Return the findings with the reasons for which some are let stand; errors are not.

    Args:
        findings: The findings.
        reasons: "check" or "check subject" -> reason.
    """
    return [
        finding
        if finding.severity == "error"
        else replace(finding, accepted=reasons.get(f"{finding.check} {finding.subject}", reasons.get(finding.check)))
        for finding in findings
    ]
