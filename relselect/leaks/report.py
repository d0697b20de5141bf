"""The result of the leak checks: findings, checks that ran, checks that did not run and why.

It holds no severity policy: what a finding means for a run is decided where the run is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from relselect.leaks.finding import Finding

__all__ = ["NO_TIME", "LeakReport", "UnrunCheck"]

#: Why a check did not run whose turn came after the budget was spent.
NO_TIME = "No time was left for this check."

_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class UnrunCheck:
    """A leak check that did not run.

    Attributes:
        check: Name of the check, as in `Finding.check`.
        why: Why it did not run, a sentence.
    """

    check: str
    why: str


@dataclass(frozen=True)
class LeakReport:
    """What the leak checks of a task found, and which of them ran.

    Every check is named once, either in `ran` or in `unrun`.

    Attributes:
        findings: The findings, the most severe first.
        ran: Names of the checks that ran to their end.
        unrun: Checks that did not run: not applicable to the task, or no time left.

    >>> report = LeakReport.of([], ran=["epoch_dates"], unrun=[UnrunCheck("query_unbounded", NO_TIME)])
    >>> report.complete
    False
    >>> LeakReport.from_json(report.to_json()) == report
    True
    """

    findings: tuple[Finding, ...] = ()
    ran: tuple[str, ...] = ()
    unrun: tuple[UnrunCheck, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding], *, ran: Iterable[str], unrun: Iterable[UnrunCheck]) -> LeakReport:
        """Return a report with the findings in order: by severity, then check, then subject."""
        ordered = sorted(findings, key=lambda each: (_ORDER[each.severity], each.check, each.subject))
        return cls(tuple(ordered), tuple(ran), tuple(unrun))

    @property
    def open(self) -> tuple[Finding, ...]:
        """Findings that are more than remarks and that nobody has accepted."""
        return tuple(each for each in self.findings if each.severity != "info" and each.accepted is None)

    @property
    def out_of_time(self) -> tuple[str, ...]:
        """Names of the checks that did not run for lack of time."""
        return tuple(each.check for each in self.unrun if each.why == NO_TIME)

    @property
    def complete(self) -> bool:
        """Whether the checks were carried out: some ran, and none was left out for lack of time."""
        return bool(self.ran) and not self.out_of_time

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return {
            "findings": [each.to_json() for each in self.findings],
            "ran_checks": list(self.ran),
            "unrun_checks": [asdict(each) for each in self.unrun],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> LeakReport:
        """Return the report that `to_json` wrote.

        Raises:
            KeyError: `stored` was not written by `to_json`.
        """
        return cls(
            tuple(Finding.from_json(each) for each in stored["findings"]),
            tuple(stored["ran_checks"]),
            tuple(UnrunCheck(each["check"], each["why"]) for each in stored["unrun_checks"]),
        )
