"""One finding of a leak check, and the acceptance of findings by reasons from a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

__all__ = ["Finding", "Severity", "accept"]

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """Data or a query that may give a model information from after the cutoff.

    Attributes:
        check: Name of the check.
        severity: "error" stops the run before training; "warning" is emitted as an event; "info" stands in the report only.
        subject: The column as `table.column`, the query or the split that it is about.
        evidence: The observation, with numbers.
        fix: How to repair it, as an instruction.
        accepted: The reason given in the manifest for accepting it, or None.
    """

    check: str
    severity: Severity
    subject: str
    evidence: str
    fix: str
    accepted: str | None = None

    def __str__(self) -> str:
        reason = f" Accepted: {self.accepted.rstrip('.')}." if self.accepted else ""
        return f"{self.subject}: {self.evidence.rstrip('.')}. {self.fix.rstrip('.')}.{reason}"

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a JSON-able dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Finding:
        """Return the finding that `to_json` wrote."""
        return cls(**{name: stored[name] for name in ("check", "severity", "subject", "evidence", "fix", "accepted")})


def accept(findings: list[Finding], reasons: Mapping[str, str]) -> list[Finding]:
    """Return the findings with the reasons for which some are accepted; errors are never accepted.

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
