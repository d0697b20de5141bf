"""What the selector answers: which families to train, with the expected margins and the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, overload

from relselect.errors import ConfigError
from relselect.notebook import NotebookTable, notebook_html
from relselect.untrusted import as_list

__all__ = ["Basis", "Margin", "Recommendation", "SavedReport"]

#: What an expectation rests on: a fixed rule, or a performance bank.
Basis = Literal["rule", "bank"]


class SavedReport(Protocol):
    """A report that can be written; `relselect.report.Report` is one."""

    def html(self) -> str:
        """Return the page."""
        ...

    def save(self, path: str | Path) -> Path:
        """Write it, and return the path of what was written."""
        ...


@dataclass(frozen=True)
class Margin:
    """The expected advantage of one family over the best of the others; above zero it is expected to be better.

    It is in skill where a bank taught it (`Recommendation.basis`; see `relselect.tasks.metrics.skill`), and relative to the score
    where the size rule answers.

    Attributes:
        value: The expectation; 0.01 is one per cent of skill, or of the score.
        low: Lower end of its interval.
        high: Upper end of its interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Recommendation:
    """Which families to train, and why.

    Attributes:
        families: The families to train: one where the evidence separates it from the others, else several.
        margins: Family -> its expected margin; empty when nothing is expected.
        evidence: Sentences, the weightiest first.
        taught_by: What the expectation was learnt from, in words.
        basis: "rule" where a fixed rule answers, "bank" where a performance bank was learnt from.
        first_configs: Family -> changes of its default, option -> value, that a study tries right after it, best first.
        neighbours: The most similar known tasks, JSON-able, nearest first.
        record: The record of the measurement, from which reports are rendered; not part of the JSON.
        page: The report of the measurement; None for a recommendation that was read from a file.
    """

    families: tuple[str, ...]
    margins: Mapping[str, Margin]
    evidence: tuple[str, ...]
    taught_by: str
    basis: Basis = "bank"
    first_configs: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    neighbours: tuple[dict[str, Any], ...] = ()
    record: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    page: SavedReport | None = field(default=None, compare=False, repr=False)

    @property
    def family(self) -> str:
        """The family to train, or "both" when the evidence does not separate it from the others."""
        return self.families[0] if len(self.families) == 1 else "both"

    @property
    def leading(self) -> str | None:
        """The family with the largest expected margin, None without any."""
        return max(self.margins, key=lambda name: self.margins[name].value) if self.margins else None

    @property
    def margin(self) -> float | None:
        """The expected margin of the leading family over the best of the others, not negative; None without any."""
        return None if self.leading is None else self.margins[self.leading].value

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the margin of the leading family is expected to lie; None without a margin."""
        if self.leading is None:
            return None
        return self.margins[self.leading].low, self.margins[self.leading].high

    def _repr_html_(self) -> str:
        rows = [(name, f"{m.value:.3g}", f"{m.low:.3g} to {m.high:.3g}") for name, m in self.margins.items()]
        margins = NotebookTable(("Family", "Expected margin", "Interval"), rows, numbers=(1, 2))
        title = f"Train {self.family if len(self.families) == 1 else ' and '.join(self.families)}"
        return notebook_html(title, [*self.evidence, f"Learnt from: {self.taught_by}"], [margins])

    def reported_by(self, record: Mapping[str, Any], page: SavedReport) -> Recommendation:
        """Return the recommendation with the record of its measurement and its report."""
        return replace(self, record=record, page=page)

    @overload
    def report(self) -> SavedReport: ...

    @overload
    def report(self, path: str | Path) -> Path: ...

    def report(self, path: str | Path | None = None) -> SavedReport | Path:
        """Return the report of the measurement, or write it as one HTML page, and the same facts as JSON beside it.

        Args:
            path: The HTML file; None writes nothing.

        Returns:
            The report (`relselect.report.Report`), or the path of the page.

        Raises:
            ConfigError: The recommendation was read from a file, without its measurement; or the path cannot be written.
        """
        if self.page is None:
            rule = "was read without its measurement"
            raise ConfigError(
                "recommendation", self.family, rule, "Use the report of the predictor, or recommend again"
            )
        return self.page if path is None else self.page.save(path)

    def to_json(self) -> dict[str, Any]:
        """Return the recommendation as JSON-able values."""
        return {
            "families": list(self.families),
            "margins": {name: asdict(margin) for name, margin in self.margins.items()},
            "evidence": list(self.evidence),
            "taught_by": self.taught_by,
            "basis": self.basis,
            "first_configs": {family: list(configs) for family, configs in self.first_configs.items()},
            "neighbours": list(self.neighbours),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Recommendation:
        """Return the recommendation that `to_json` wrote.

        Raises:
            KeyError: A key is missing.
            TypeError: A value is no list.
        """
        margins = {name: Margin(each["value"], each["low"], each["high"]) for name, each in stored["margins"].items()}
        return cls(
            families=tuple(as_list(stored["families"])),
            margins=margins,
            evidence=tuple(as_list(stored["evidence"])),
            taught_by=stored["taught_by"],
            basis=stored.get("basis", "rule"),  # predictors without it were advised by the rule
            first_configs=stored["first_configs"],
            neighbours=tuple(as_list(stored["neighbours"])),
        )
