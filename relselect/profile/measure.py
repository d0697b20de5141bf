"""The types of the profile: one measure, and all measures of a task with the report of its leak checks.

Nothing is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from relselect.leaks import Finding, LeakReport, UnrunCheck
from relselect.notebook import NotebookTable, notebook_html
from relselect.serialization import jsonable, number_of

__all__ = ["VERSION", "Measure", "Profile"]

#: Raised when a measure changes its meaning; banks compare profiles of one version only.
VERSION = 3


@dataclass(frozen=True)
class Measure:
    """One dimensionless number of a profile.

    Attributes:
        name: Its name, stable within a version.
        value: The number; nan when it is undefined for this task.
        stderr: Its standard error; nan when it has none, or when the value is nan.
        group: "scale", "baselines", "temporal", "homophily" or "affinity".
        reading: What the value means, or why it is undefined, as one sentence.
        seconds: Wall-clock seconds; work that several measures share is counted at the first of them.
    """

    name: str
    value: float
    stderr: float
    group: str
    reading: str
    seconds: float = 0.0

    @classmethod
    def undefined(cls, name: str, group: str, why: str, seconds: float = 0.0) -> Measure:
        """Return a measure that is undefined for the task: nan, with the reason as its reading."""
        return cls(name, math.nan, math.nan, group, why, seconds)

    @property
    def exists(self) -> bool:
        """Whether the value is defined for this task."""
        return not math.isnan(self.value)


@dataclass(frozen=True)
class Profile:
    """The task embedding: numbers measured before any training.

    Attributes:
        measures: The numbers, in an order fixed by the version, except that measures of single meta-paths vary by task.
        seconds: Wall-clock seconds of the measurement.
        version: Version of the definitions of the measures.
        leaks: Result of the leak checks.
    """

    measures: tuple[Measure, ...]
    seconds: float
    version: int = VERSION
    leaks: LeakReport = field(default_factory=LeakReport)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of the leak checks, the most severe first."""
        return self.leaks.findings

    @property
    def unrun_checks(self) -> tuple[UnrunCheck, ...]:
        """Leak checks that did not run, and why."""
        return self.leaks.unrun

    @property
    def checked(self) -> bool:
        """Whether no leak check was left out for lack of time."""
        return self.leaks.complete

    def __getitem__(self, name: str) -> Measure:
        return next(measure for measure in self.measures if measure.name == name)

    def _repr_html_(self) -> str:
        rows = [
            (each.group, each.name, _shown(each.value), _shown(each.stderr), each.reading) for each in self.measures
        ]
        columns = ("Group", "Measure", "Value", "± error", "Reading")
        found = [(each.severity, each.check, each.subject, each.evidence, each.fix) for each in self.findings]
        leaks = NotebookTable(("Severity", "Check", "Subject", "Evidence", "Way out"), found, caption="Leak checks")
        unrun = [f"{len(self.unrun_checks)} leak checks did not run."] if self.unrun_checks else []
        title = f"Profile: {len(self.measures)} measures in {self.seconds:.1f} s, {len(self.findings)} findings"
        return notebook_html(title, unrun, [leaks, NotebookTable(columns, rows, numbers=(2, 3))])

    def value(self, name: str) -> float:
        """Return the value of a measure; nan when the profile has no measure of that name."""
        return next((measure.value for measure in self.measures if measure.name == name), math.nan)

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON-able values: `findings`, `ran_checks` and `unrun_checks` beside it; null for nan."""
        measures = [{k: jsonable(v) for k, v in asdict(measure).items()} for measure in self.measures]
        numbers = {"measures": measures, "seconds": self.seconds, "version": self.version}
        return {**numbers, **self.leaks.to_json(), "checked": self.checked}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Profile:
        """Return the profile that `to_json` wrote.

        Raises:
            KeyError: `stored` was not written by `to_json` of this version.
        """
        measures = tuple(
            Measure(
                m["name"],
                number_of(m["value"]),
                number_of(m["stderr"]),
                m["group"],
                m["reading"],
                number_of(m["seconds"]),
            )
            for m in stored["measures"]
        )
        return cls(measures, float(stored["seconds"]), int(stored["version"]), LeakReport.from_json(stored))


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"
