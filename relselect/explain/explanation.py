"""The explanation of one prediction: how much each part of an entity's past moves it, in words, with the rows it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from relselect.errors import ConfigError
from relselect.explain.past import OTHERS, Relation
from relselect.explain.reach import table_title
from relselect.explain.words import counted, figure, html_of, signed
from relselect.serialization import plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Explanation", "ExplanationPart", "ExplanationTable", "Explanations"]

_LISTED = 20
_COLUMNS = ["table", "part", "rows", "share", "words"]
_RELATIONS: dict[Relation, str] = {"own": "", "referred": "what its rows refer to", "others": "rows of others"}


@dataclass(frozen=True)
class ExplanationPart:
    """A part of what the prediction could read, and what it adds.

    Attributes:
        table: The table; "" for the rows of others in all tables together.
        window: The time window in words; "" for rows without a time.
        relation: "own" rows, rows that these "referred" to, or rows of "others".
        rows: Number of rows.
        share: What the part adds to the prediction: its Shapley value.
    """

    table: str
    window: str
    relation: Relation
    rows: int
    share: float

    @property
    def name(self) -> str:
        """The part within its table, for readers."""
        return self.window or _RELATIONS[self.relation] or "at any time"


@dataclass(frozen=True)
class ExplanationTable:
    """What all own rows of a table, or those referred to, add together, with what was seen there in words."""

    table: str
    relation: Relation
    rows: int
    share: float
    words: str

    @property
    def title(self) -> str:
        """The table for readers."""
        return "the rest of the database" if self.table == OTHERS else table_title(self.table)


@dataclass(frozen=True)
class Explanation:
    """One prediction as a sum: that without any history, and what every part of the history adds.

    Attributes:
        task: Name of the task.
        entity: Key column -> value.
        cutoff: The date asked about as text; None for static tasks.
        target: What is explained: "prediction", or "probability of <class>".
        prediction: The prediction.
        base: The prediction from the entity's own row alone, every other row hidden.
        parts: The parts; their shares add up to `prediction - base`.
        words: (table, relation) as "table relation" -> what was seen there.
        orders: Orders of the parts that were averaged.
        exact: Whether these were all orders.
        evidence: Table -> the visible rows it rests on, own ones and those referred to, the newest first; at most 1,000.
    """

    task: str
    entity: Mapping[str, Any]
    cutoff: str | None
    target: str
    prediction: float
    base: float
    parts: tuple[ExplanationPart, ...]
    words: Mapping[str, str]
    orders: int
    exact: bool
    evidence: Mapping[str, pa.Table] = field(default_factory=dict, repr=False, compare=False)

    @property
    def tables(self) -> tuple[ExplanationTable, ...]:
        """The parts added up by table, the greatest push in either direction first."""
        found = []
        for table, relation in dict.fromkeys((part.table, part.relation) for part in self.parts):
            of = [part for part in self.parts if (part.table, part.relation) == (table, relation)]
            words = self.words.get(f"{table} {relation}", "")
            found.append(ExplanationTable(table, relation, sum(p.rows for p in of), sum(p.share for p in of), words))
        return tuple(sorted(found, key=lambda each: (-abs(each.share), each.table, each.relation)))

    def rows(self, table: str) -> pd.DataFrame:
        """Return the rows of a table that the prediction rests on, the newest first, values not yet known as null.

        Args:
            table: A table with own rows of the entity, or rows that these refer to.

        Raises:
            ConfigError: The prediction rests on no row of such a table.
        """
        if table not in self.evidence:
            known = ", ".join(self.evidence) or "none"
            fix = f"Use one of the tables it rests on: {known}"
            raise ConfigError("table", table, "holds no row that this prediction rests on", fix)
        return self.evidence[table].to_pandas()

    @property
    def headline(self) -> str:
        """The prediction and what it would be without any history."""
        who = ", ".join(f"{name}={value}" for name, value in self.entity.items())
        when = "" if self.cutoff is None else f" at {self.cutoff}"
        return f"{self.task}, {who}{when}: {self.target} {figure(self.prediction)}; without any history {figure(self.base)}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per part: table, part, rows, share, words."""
        import pandas as pd

        rows = [
            (
                "(others)" if p.table == OTHERS else p.table,
                p.name,
                p.rows,
                p.share,
                self.words.get(f"{p.table} {p.relation}", ""),
            )
            for p in self.parts
        ]
        return pd.DataFrame(rows, columns=_COLUMNS)

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON-able values, of each table the newest 20 rows it rests on."""
        names = ("task", "entity", "cutoff", "target", "prediction", "base", "orders", "exact")
        found: dict[str, Any] = plain(
            {
                **{name: getattr(self, name) for name in names},
                "tables": [asdict(each) for each in self.tables],
                "parts": [asdict(part) for part in self.parts],
                "rows": {name: rows.slice(0, _LISTED).to_pylist() for name, rows in self.evidence.items()},
            }
        )
        return found

    @property
    def lines(self) -> tuple[str, ...]:
        """What pushes the prediction, by table, one line each."""
        found = []
        for each in self.tables:
            words = f": {each.words}" if each.words else ""
            note = f", {_RELATIONS[each.relation]}" if each.relation == "referred" else ""
            found.append(f"{signed(each.share)}  {each.title}{note} ({counted(each.rows, 'row')}){words}")
        return tuple(found)

    def __str__(self) -> str:
        lines = [self.headline]
        for each, text in zip(self.tables, self.lines, strict=True):
            lines.append(f"  {text}")
            inner = [p for p in self.parts if (p.table, p.relation) == (each.table, each.relation)]
            if len(inner) > 1:
                lines += [f"      {signed(p.share)}  {p.name} ({counted(p.rows, 'row')})" for p in inner]
        if not self.parts:
            lines.append("  No row of the database says anything about it.")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return html_of([self.headline, *self.lines], self.to_frame())


@dataclass(frozen=True)
class Explanations:
    """The explanations of several predictions, in the order of the rows."""

    items: tuple[Explanation, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> Explanation:
        return self.items[place]

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.items)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per part of each prediction; the column `row` counts the predictions from 0."""
        import pandas as pd

        frames = [each.to_frame().assign(row=place) for place, each in enumerate(self.items)]
        if not frames:
            return pd.DataFrame(columns=["row", *_COLUMNS])
        return pd.concat(frames, ignore_index=True)[["row", *_COLUMNS]]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the explanations as JSON-able values."""
        return [each.to_json() for each in self.items]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.items))

    def _repr_html_(self) -> str:
        return "".join(each._repr_html_() for each in self.items)
