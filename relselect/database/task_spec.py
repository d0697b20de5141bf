"""The declaration of one task in a manifest, as a strict pydantic model.

A declaration names tables, columns and files but reads none of them; `Task.from_spec` builds the task.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = ["LabelFiles", "TaskSpec"]


def _iso(value: Any) -> Any:
    """Return a date as ISO text: YAML reads an unquoted 2005-01-01 as a date, and a declaration is JSON."""
    return value.isoformat() if isinstance(value, dt.date) else value


Moment = Annotated[str | int, BeforeValidator(_iso)]


#: What a query says itself, and what does not go with one.
_OF_QUERY = ("entity", "kind", "target")
_NOT_BESIDE_QUERY = (
    "entity_columns", "time", "horizon", "known_at", "population", "fold_column", "features", "drop_columns", "weight",
)  # fmt: skip


def _query_or_fields(schema: dict[str, Any]) -> None:
    """Say in the published schema that a query takes the place of entity, kind and target."""
    schema["anyOf"] = [{"required": ["query"]}, {"required": schema.pop("required")}]


class LabelFiles(BaseModel):
    """The label files of the three splits, Parquet or CSV, relative to the data folder."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    train: str = Field(description="File with the training rows.")
    val: str = Field(description="File with the validation rows.")
    test: str | None = Field(default=None, description="File with the test rows; may be missing.")


class TaskSpec(BaseModel):
    """One prediction task over a database: who is asked about, when, what, and where the labels come from.

    The labels come from exactly one of: `query`, `files`, `folds`, `population` with `label` (SQL), or `completes`.
    A `query` says entity, kind, target and horizon itself.
    After validation `known_after` is resolved: left out, it equals `horizon`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=_query_or_fields)

    description: str = Field(default="", description="The question in plain words.")
    query: str | None = Field(
        default=None,
        description="The question as a predictive query: PREDICT COUNT(orders.*, 0, 60, days) = 0 FOR EACH customers.id "
        "(docs/queries.md).",
    )
    entity: str | None = Field(description="The table whose rows the questions are about.")
    entity_columns: str | list[str] | None = Field(
        default=None,
        description="Names of the entity key in the label files and in the result of the population and label queries; "
        "the primary key's own names when left out.",
    )
    kind: Literal["binary", "multiclass", "regression"] | None = Field(description="What is predicted.")
    target: str | None = Field(description="The label column of the frames.")
    time: str | None = Field(default=None, description="The cutoff column of the frames; null for a static task.")
    horizon: str | int | None = Field(
        default=None,
        description="Length of the label window after the cutoff: a duration such as 30d, or an integer in a "
        "database with integer times.",
    )
    known_after: str | int | None = Field(
        default=None,
        description="When a label is known, counted from its cutoff. Left out: the horizon. "
        "Null: never, so there is no label history.",
    )
    known_at: str | None = Field(
        default=None,
        description="Column of the frames that says when the label was known; takes precedence over known_after.",
    )
    metric: str | None = Field(default=None, description="The metric; null for the default of the kind.")
    regime: Literal["rolling", "frozen"] = Field(
        default="rolling",
        description="rolling: every row sees the database as of its cutoff. frozen: evaluation rows see it as of the "
        "start of their split.",
    )
    val_start: Moment | None = Field(
        default=None, description="First moment of validation; from the frames when left out."
    )
    test_start: Moment | None = Field(default=None, description="First moment of test; from the frames when left out.")
    files: LabelFiles | None = Field(default=None, description="Label files, one per split.")
    folds: str | None = Field(default=None, description="One file with all label rows and a fold number in each.")
    fold_column: str | None = Field(default=None, description="The fold column of the folds file.")
    completes: str | None = Field(
        default=None,
        description="A column of the entity table to fill in where it is missing, instead of label frames.",
    )
    population: str | None = Field(
        default=None,
        description="DuckDB query: who is asked about at each cutoff. Reads the tables and cutoffs(cutoff), only rows "
        "up to the cutoff; returns cutoff and the entity key columns. Beside files it serves predict(at=...).",
    )
    label: str | None = Field(
        default=None,
        description="DuckDB query: the answers. Reads the tables and the relation population; returns cutoff, the "
        "entity key columns and label.",
    )
    every: str | int | None = Field(
        default=None,
        description="Distance of the cutoffs when the labels come from queries; a predictive query has a default.",
    )
    features: list[str] = Field(
        default_factory=list,
        description="Columns of the frames known at the cutoff and used as features. Nothing else is.",
    )
    drop_columns: list[str] = Field(
        default_factory=list, description="Columns of the frames that must not be used, mostly other labels."
    )
    hide: list[str] = Field(
        default_factory=list,
        description="Columns of the entity table that neither engine sees, such as one that the labels were taken from.",
    )
    weight: str | None = Field(
        default=None,
        description="Column of the frames, or of the result of the label query, with the weight of each row in the training "
        "loss: 0 or more, and rows of weight 0 are left out. Scores count every row once.",
    )
    class_weight: Literal["balanced"] | dict[str, float] | None = Field(
        default=None,
        description="Weights of the classes in the training loss, by name, or balanced: in inverse proportion to their shares "
        "of the training rows. Scores count every row once.",
    )
    sql: str | None = Field(default=None, description="How the label frames were made, for readers; never executed.")
    accept: dict[str, str] = Field(
        default_factory=dict,
        description="Accepted findings of the leak checks: the check, or the check and its subject, to the reason.",
    )
    quality: str | None = Field(default=None, description="A remark on how much signal the task has.")

    @model_validator(mode="before")
    @classmethod
    def _default_known_after(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("query") is not None:
            data = {**dict.fromkeys(_OF_QUERY), **data}
        usual = data.get("horizon") if data.get("query") is None else "horizon"
        return {"known_after": usual, **data}

    @model_validator(mode="after")
    def _one_origin(self) -> TaskSpec:
        origins = {
            "query": self.query is not None,
            "files": self.files is not None,
            "folds": self.folds is not None,
            "label": self.label is not None,
            "completes": self.completes is not None,
        }
        present = [name for name, used in origins.items() if used]
        if len(present) != 1:
            named = " and ".join(present) or "none of them"
            raise ValueError(
                f"labels come from exactly one of query, files, folds, label (with population), completes; got {named}"
            )
        missing = [name for name in _OF_QUERY if getattr(self, name) is None]
        if self.query is None and missing:
            raise ValueError(f"{' and '.join(missing)} must be declared: only a query says it itself")
        said = [name for name in (*_OF_QUERY, *_NOT_BESIDE_QUERY) if getattr(self, name)]
        if self.query is not None and said:
            raise ValueError(f"the query itself says {' and '.join(said)}: leave it out")
        if self.label is not None and self.population is None:
            raise ValueError("label needs population: the query that says who is asked about")
        if self.completes is not None and self.weight is not None:
            raise ValueError("weight is a column of label frames or of a label query; completes has neither")
        if (self.folds is None) != (self.fold_column is None):
            raise ValueError("folds and fold_column go together: the file and the column with the fold number")
        return self

    @model_validator(mode="after")
    def _consistent_columns(self) -> TaskSpec:
        columns = (self.target, self.time, self.known_at, self.fold_column, self.weight)
        taken = {*self.key_columns, *(column for column in columns if column)}
        for field in ("features", "drop_columns"):
            clash = sorted(taken.intersection(getattr(self, field)))
            if clash:
                raise ValueError(
                    f"{field} names {clash}, which are the key, the time, the target or the weight of the task"
                )
        both = sorted(set(self.features) & set(self.drop_columns))
        if both:
            raise ValueError(f"{both} are in both features and drop_columns; keep each in one of them")
        return self

    @property
    def key_columns(self) -> tuple[str, ...]:
        """`entity_columns` as a tuple; empty when the primary key's own names hold."""
        if self.entity_columns is None:
            return ()
        return (self.entity_columns,) if isinstance(self.entity_columns, str) else tuple(self.entity_columns)

    @property
    def label_files(self) -> tuple[str, ...]:
        """The files that hold labels, as they are declared."""
        files = {} if self.files is None else self.files.model_dump()
        return tuple(path for path in (*files.values(), self.folds) if path is not None)

    @property
    def static(self) -> bool:
        """Whether the task has no time; a query alone does not tell, and counts as having one."""
        return self.time is None and self.every is None and self.query is None
