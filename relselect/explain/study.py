"""The result of an ablation study: what a predictor loses when a table, a path or a group of columns is withheld."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from relselect.explain.reach import table_title
from relselect.explain.words import change_text, counted, figure, html_of, interval_text, listed
from relselect.serialization import jsonable, number_of
from relselect.tasks.metrics import Metric, metric_named

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TASK_ROW", "Ablation", "AblationKind", "AblationStudy"]

AblationKind = Literal["table", "path", "columns"]
#: Stands for a table where declared features of the task rows are withheld.
TASK_ROW = ""
_COLUMNS = ["kind", "what", "path", "drop", "low", "high"]


@dataclass(frozen=True)
class Ablation:
    """One thing withheld, and the score that is lost.

    Attributes:
        kind: Whether it is a table, a path (a foreign key), or a group of columns of one table.
        table: The table; for a path the one it enters; `TASK_ROW` for features of the task rows.
        withheld: The columns of the group, the key of the path, nothing for a table.
        path: The shortest path from the entity to it.
        drop: score(nothing withheld) - score(this withheld), in the task's metric; above zero it mattered; nan where undefined.
        low: Lower end of the 90 % interval of `drop`, by a paired bootstrap over entities.
        high: Its upper end.
    """

    kind: AblationKind
    table: str
    withheld: tuple[str, ...]
    path: str
    drop: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """What is withheld, for readers."""
        if self.kind == "path":
            return self.path
        title = table_title(self.table) if self.table != TASK_ROW else "the task row"
        return title if self.kind == "table" else f"{title}: {', '.join(self.withheld)}"

    @property
    def matters(self) -> bool:
        """Whether the loss is beyond chance: the interval lies above zero."""
        return self.low > 0


@dataclass(frozen=True)
class AblationStudy:
    """What a predictor rests on, measured by withholding one thing at a time on rows that trained and stopped nothing.

    Attributes:
        candidate: The id of the model.
        metric: Name of the task's metric.
        rows: Number of rows that were scored.
        score: Score with nothing withheld, higher is better.
        ablations: Tables first, then paths, then columns; within each kind the greatest loss first.
        unread: Tables that the model does not read: withholding them changes nothing.
        unmeasured: Names of what was not measured.
        why: Why something was not measured, a sentence; "" if everything was.
    """

    candidate: str
    metric: str
    rows: int
    score: float
    ablations: tuple[Ablation, ...]
    unread: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    why: str = ""

    def ranked(self, kind: AblationKind, table: str | None = None) -> tuple[Ablation, ...]:
        """Return the ablations of a kind, of one table where it is given, the greatest loss first."""
        return tuple(each for each in self.ablations if each.kind == kind and table in (None, each.table))

    @property
    def tables(self) -> tuple[Ablation, ...]:
        """The tables, the one that matters most first."""
        return self.ranked("table")

    @property
    def paths(self) -> tuple[Ablation, ...]:
        """The foreign keys by which paths enter tables that are entered by several, the one that matters most first."""
        return self.ranked("path")

    @property
    def columns(self) -> tuple[Ablation, ...]:
        """The groups of columns, the one that matters most first."""
        return self.ranked("columns")

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, in words."""
        known = metric_named(self.metric)
        found = [self._first(known)]
        following = [each for each in self.tables[1:] if each.matters]
        if following:
            found.append(f"Then follow {listed([f'{each.name} ({figure(each.drop)})' for each in following[:4]])}.")
        columns = [each for each in self.columns if each.matters]
        if columns:
            found.append(f"The columns that matter most: {listed([each.name for each in columns[:3]])}.")
        if self.unread:
            found.append(f"The model does not read {listed([table_title(name) for name in self.unread])}.")
        if self.unmeasured:
            found.append(f"Not measured: {listed(self.unmeasured)}. {self.why}")
        return tuple(found)

    def _first(self, metric: Metric) -> str:
        scored = f"{metric.title} on {counted(self.rows, 'row')} is {figure(self.score * metric.sign)}"
        if not self.tables or not math.isfinite(self.tables[0].drop):
            return f"{scored}; no table was measured."
        most = self.tables[0]
        if not most.matters:
            return f"{scored}; no table matters beyond chance when it alone is withheld."
        return f"{scored}. Without {most.name} {change_text(metric, -most.drop)}{interval_text(most.low, most.high)}."

    def to_frame(self) -> pd.DataFrame:
        """Return one row per ablation: kind, what, path, drop, low, high."""
        import pandas as pd

        rows = [(a.kind, a.name, a.path, a.drop, a.low, a.high) for a in self.ablations]
        return pd.DataFrame(rows, columns=_COLUMNS)

    def to_json(self) -> dict[str, Any]:
        """Return the study as JSON-able values, null for nan."""
        plain: dict[str, Any] = jsonable(asdict(self))
        return plain

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> AblationStudy:
        """Return the study that `to_json` wrote.

        Raises:
            KeyError: A key is missing.
            TypeError: A value is of another type.
            ValueError: A kind is none of those known, or the metric.
        """
        return cls(
            candidate=stored["candidate"],
            metric=metric_named(stored["metric"]).name,
            rows=stored["rows"],
            score=number_of(stored["score"]),
            ablations=tuple(_ablation(each) for each in stored["ablations"]),
            unread=tuple(stored["unread"]),
            unmeasured=tuple(stored["unmeasured"]),
            why=stored["why"],
        )

    def __str__(self) -> str:
        lines = [*self.sentences]
        for title, found in (("Tables", self.tables), ("Paths", self.paths), ("Columns", self.columns)):
            lines += [f"{title}:"] if found else []
            lines += [f"  {figure(a.drop):>8}{interval_text(a.low, a.high)}  {a.name}" for a in found]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return html_of(self.sentences, self.to_frame())


def _ablation(stored: Mapping[str, Any]) -> Ablation:
    kind = stored["kind"]
    if kind not in ("table", "path", "columns"):
        raise ValueError(f"kind: {kind!r}")
    return Ablation(
        kind=kind,
        table=stored["table"],
        withheld=tuple(stored["withheld"]),
        path=stored["path"],
        drop=number_of(stored["drop"]),
        low=number_of(stored["low"]),
        high=number_of(stored["high"]),
    )
