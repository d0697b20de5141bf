"""What a predictive query means for a database: the kind of its task, and its SQL."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from relselect.queries.syntax import PredictiveQuery

__all__ = ["QueryKind", "QueryPlan"]

QueryKind = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class QueryPlan:
    """What a predictive query means for a database.

    Attributes:
        query: The query as it was understood.
        entity: The entity table.
        keys: Names of the entity's key columns in the SQL, in the order of the primary key.
        kind: The kind of the task.
        target: Name of the label column.
        label: SQL that returns the labels of a population; of a task that fills in a column, its rows and labels.
        population: SQL that returns who is asked about at a cutoff; None for a task that fills in a column.
        horizon: Length of the label window, as a task declares it; None for a task that fills in a column.
        timed: Tables whose rows the windows read.
        plain: Whether the task fills in a column as it stands, in every row.
        notes: What readers should know about the columns that the query reads.
    """

    query: PredictiveQuery
    entity: str
    keys: tuple[str, ...]
    kind: QueryKind
    target: str
    label: str
    population: str | None = None
    horizon: str | int | None = None
    timed: tuple[str, ...] = ()
    plain: bool = False
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON-able dictionary."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            **values,
            "query": str(self.query),
            "keys": list(self.keys),
            "timed": list(self.timed),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        about = f"a {self.kind} task about {self.entity}"
        about += "" if self.horizon is None else f", horizon {self.horizon}"
        head = "\n".join(map(_comment, (str(self.query), about, *self.notes)))
        if self.population is None:
            return f"{head}\n\n-- the rows and their labels\n{self.label}"
        return (
            f"{head}\n\n-- population: who is asked about at a cutoff\n{self.population}"
            f"\n\n-- label: what came true afterwards\n{self.label}"
        )


def _comment(text: str) -> str:
    """Return a text as one line of SQL comment: a name or a constant may hold line breaks."""
    return "-- " + "".join(sign if sign.isprintable() else " " for sign in text)
