"""The bodies of requests: JSON without surprises, checked against the key, the features and the times of the task.

Every problem of a body is told at once, as field, value and rule. Nothing is predicted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from relselect.database.clock import moment_of, parse_time
from relselect.errors import TaskError, shorten
from relselect.untrusted import brief, parse_strict_json

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.tasks import Task

__all__ = ["AskedRows", "BadRequest", "RequestReader"]

#: Characters of a key or a feature that is text.
_LONGEST_TEXT = 10_000
#: Problems of one body that are told.
_MOST_PROBLEMS = 100
_Integer = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Text = Annotated[str, Field(strict=True, max_length=_LONGEST_TEXT)]
_Truth = Annotated[bool, Field(strict=True)]


class BadRequest(Exception):
    """A request that cannot be answered as it is.

    Args:
        status: The status of HTTP.
        kind: What is wrong, in one word.
        message: A sentence.
        problems: Each with `field`, `value` and `rule`.
    """

    def __init__(self, status: int, kind: str, message: str, problems: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.problems = status, kind, message, problems or []


@dataclass(frozen=True)
class AskedRows:
    """A request that was understood.

    Attributes:
        rows: The key, `cutoff` (unless the task is static) and the features of n rows.
        cutoff: The moment that is asked about, in ticks; None for a static task.
    """

    rows: pa.Table
    cutoff: int | None


class RequestReader:
    """Reads the bodies of requests for one predictor.

    Args:
        task: Its task.
        database: The data that are read.
        max_rows: Entities of one request at most.
    """

    def __init__(self, task: Task, database: Database, max_rows: int) -> None:
        self._task, self._kind, self._last = task, database.time_kind, database.last_time
        table = database[task.entity]
        self._types = {
            name: table.data[own].type for name, own in zip(task.key_columns, table.primary_key, strict=True)
        }
        train = task.splits["train"].features
        self._types |= {} if train is None else {name: train[name].type for name in task.feature_columns}
        fields: dict[str, Any] = {}
        for place, (name, dtype) in enumerate(self._types.items()):
            kind = _kind_of(dtype)
            optional = name not in task.key_columns
            fields[f"field_{place}"] = (kind | None if optional else kind, Field(alias=name))
        strict = ConfigDict(extra="forbid", strict=True)
        row = create_model("Entity", __config__=strict, **fields)
        listed = Annotated[list[row], Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]
        times = _Integer | None if self._kind == "integer" else _Text | None
        at: Any = (times, Field(default=None, description="The moment that is asked about; now if it is left out."))
        self.model: type[BaseModel] = create_model(
            "Request", __config__=strict, entities=(listed, ...), **({} if task.static else {"at": at})
        )

    def read(self, body: bytes) -> AskedRows:
        """Return what a body asks.

        Raises:
            BadRequest: It is no JSON, or breaks a rule; with every problem.
        """
        try:
            value = parse_strict_json(body)
        except (ValueError, UnicodeDecodeError) as error:
            raise BadRequest(400, "json", f"The body is no JSON that can be read: {brief(error)}.") from None
        try:
            found: Any = self.model.model_validate(value)
        except ValidationError as error:
            problems = [_problem(each) for each in error.errors(include_url=False)[:_MOST_PROBLEMS]]
            count = error.error_count()
            message = f"The body has {count} problem{'s' if count > 1 else ''}."
            raise BadRequest(422, "validation", message, problems) from None
        return self._rows(found.entities, getattr(found, "at", None))

    def _rows(self, entities: list[BaseModel], at: Any) -> AskedRows:
        """Return the rows of entities that were checked; what Arrow has no value for is refused too."""
        columns, problems = {}, []
        for place, (name, dtype) in enumerate(self._types.items()):
            values = [getattr(each, f"field_{place}") for each in entities]
            try:
                columns[name] = _column(values, dtype)
            except (pa.ArrowException, ValueError, OverflowError) as error:
                problems.append({"field": f"entities.{name}", "value": shorten(values[0]), "rule": brief(error)})
        cutoff = None
        try:
            cutoff = self._cutoff(at)
        except TaskError as error:
            problems.append({"field": "at", "value": shorten(at), "rule": f"{error.rule}. {error.fix}"})
        if problems:
            raise BadRequest(422, "validation", f"The body has {len(problems)} problems.", problems)
        if cutoff is not None:
            ticks = pa.array([cutoff] * len(entities), pa.int64())
            columns["cutoff"] = ticks if self._kind == "integer" else ticks.cast(pa.timestamp("us"))
        return AskedRows(pa.table(columns), cutoff)

    def _cutoff(self, at: Any) -> int | None:
        """Return the moment that is asked about in ticks: where none is named the present, or the last of integer times."""
        if self._task.static:
            return None
        if at is None and self._kind == "integer":
            return self._last or 0
        return parse_time(moment_of("now" if at is None else at, self._kind), self._kind, "at")


def _kind_of(dtype: pa.DataType) -> Any:
    """Return what JSON holds for a type of Arrow."""
    if pa.types.is_dictionary(dtype):
        return _kind_of(dtype.value_type)
    if pa.types.is_boolean(dtype):
        return _Truth
    if pa.types.is_integer(dtype):
        return _Integer
    if pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
        return _Number
    return _Text


def _column(values: list[Any], dtype: pa.DataType) -> pa.Array:
    """Return values of JSON as a column that compares with one of a type."""
    if pa.types.is_dictionary(dtype):
        return _column(values, dtype.value_type)
    if pa.types.is_integer(dtype):
        return pa.array(values, pa.int64())
    if pa.types.is_decimal(dtype):
        return pa.array(values, pa.float64())
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        ticks = [None if each is None else parse_time(each, "timestamp", "time") for each in values]
        return pa.array(ticks, pa.int64()).cast(pa.timestamp("us"))
    return pa.array(values, pa.string() if pa.types.is_large_string(dtype) else dtype)


def _problem(error: Any) -> dict[str, str]:
    """Return one error of pydantic as field, value and rule."""
    places = [f"[{each}]" if isinstance(each, int) else f".{each}" for each in error["loc"]]
    missing = error["type"] == "missing"
    value = "nothing" if missing else shorten(repr(error["input"]))
    return {"field": "".join(places).lstrip(".") or "body", "value": value, "rule": str(error["msg"])}
