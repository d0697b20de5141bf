"""Converts data frames of pandas, Polars and anything with the Arrow stream interface to tables of a database.

Lazy frames are refused; nothing is computed for the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.formats import Formatting, format_problems
from relselect.database.schema import as_columns, declared_types, repeated
from relselect.database.table import ForeignKey, SemanticType, Table
from relselect.database.validation import LISTED_CLOCK, find_problems
from relselect.errors import SchemaError, SchemaProblem

__all__ = ["plain", "tables_from_frames", "to_arrow", "unknown_drops", "unknown_types"]

_EXAMPLES = 2


def to_arrow(name: str, frame: Any) -> pa.Table | list[SchemaProblem]:
    """Convert a data frame to an Arrow table.

    pandas index levels that have a name become columns, unless the frame has a column of that name; an unnamed index
    is left out.

    Args:
        name: The table's name, for problems.
        frame: A pandas, Polars or Arrow frame, or anything with the Arrow stream interface (`__arrow_c_stream__`).

    Returns:
        The table, or every problem of the frame.
    """
    converted = _converted(name, frame)
    if isinstance(converted, list):
        return converted
    return list(_ranges(name, converted.schema)) or plain(converted)


def _converted(name: str, frame: Any) -> pa.Table | list[SchemaProblem]:
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        return frame
    if type(frame).__module__.split(".")[0] == "pandas" and hasattr(frame, "columns"):
        return _from_pandas(name, frame)
    if hasattr(frame, "collect_schema") and not hasattr(frame, "to_arrow"):
        return [SchemaProblem(name, None, type(frame).__name__, "is a lazy frame", "Call .collect() first")]
    objects = _object_columns(name, frame)
    if objects:
        return objects
    try:
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.table(frame)
        converted = frame.to_arrow() if hasattr(frame, "to_arrow") else None
    except pa.ArrowException as error:
        return [
            SchemaProblem(
                name, None, type(frame).__name__, f"does not convert to Arrow: {error}", "Convert it to pyarrow"
            )
        ]
    if isinstance(converted, pa.Table):
        return converted
    return [
        SchemaProblem(name, None, type(frame).__name__, "is no data frame", "Pass a pandas, Polars or pyarrow frame")
    ]


def tables_from_frames(
    frames: Mapping[str, Any],
    *,
    keys: Mapping[str, str | Sequence[str]],
    times: Mapping[str, str],
    foreign_keys: Mapping[str, Mapping[str | tuple[str, ...], str]],
    types: Mapping[str, Mapping[str, str]],
    drop: Mapping[str, Sequence[str]],
    known_at: Mapping[str, Mapping[str, Sequence[str]]],
    formats: Mapping[str, Mapping[str, str]] | None = None,
    notes: list[str] | None = None,
) -> list[Table]:
    """Build tables from frames and the declarations of `Database.from_dataframes`.

    Args:
        frames: Table name -> frame.
        keys: Table -> primary key column or columns.
        times: Table -> time column.
        foreign_keys: Table -> {column or tuple of columns: table}.
        types: Table -> {column: semantic type}.
        drop: Table -> columns to leave out.
        known_at: Table -> {clock column: masked columns}.
        formats: Table -> {column: how its texts or whole numbers are read}; see `relselect.database.formats`.
        notes: Gets a sentence for every column with values that do not fit its format.

    Raises:
        SchemaError: With every frame that does not convert, every declaration whose table, column or type is unknown, and
            then every other problem of the tables too.
    """
    declared: dict[str, Mapping[str, Any]] = {
        "keys": keys,
        "times": times,
        "foreign_keys": foreign_keys,
        "types": types,
        "drop": drop,
        "known_at": known_at,
        "formats": formats or {},
    }
    problems = list(_unknown_tables(frames, declared))
    problems += [problem for table in types for problem in unknown_types(table, types[table])]
    problems += [problem for table in known_at for problem in _listed_clocks(table, known_at[table])]
    data: dict[str, pa.Table] = {}
    for name, frame in frames.items():
        converted = to_arrow(name, frame)
        if isinstance(converted, pa.Table):
            problems += unknown_drops(name, drop.get(name, ()), converted.column_names)
            has = set(converted.column_names)
            converted = converted.drop_columns([column for column in drop.get(name, ()) if column in has])
            formatted = _formatted(name, converted, declared["formats"].get(name, {}), notes)
            problems += formatted if isinstance(formatted, list) else []
            data[name] = converted if isinstance(formatted, list) else formatted
        else:
            problems += converted
    primary = {name: as_columns(columns) for name, columns in keys.items()}
    tables = [
        Table(
            name=name,
            data=table,
            primary_key=primary.get(name, ()),
            time=times.get(name),
            foreign_keys=tuple(
                ForeignKey(as_columns(columns), parent, primary.get(parent, ()))
                for columns, parent in foreign_keys.get(name, {}).items()
            ),
            types=declared_types(_known_types(types.get(name, {}))),
            known_at={clock: as_columns(columns) for clock, columns in known_at.get(name, {}).items()},
            formats=dict(declared["formats"].get(name, {})),
        )
        for name, table in data.items()
    ]
    if problems:
        raise SchemaError([*problems, *_further(tables, set(frames) - set(data))])
    return tables


def _formatted(
    name: str, data: pa.Table, formats: Mapping[str, str], notes: list[str] | None
) -> pa.Table | list[SchemaProblem]:
    """Return the table with the values of its formats, or every problem of the formats."""
    wrong = list(format_problems(name, formats, data.column_names))
    if wrong:
        return wrong
    formatting = Formatting(name, formats)
    formatted = formatting.table(data)
    if notes is not None:
        notes += formatting.notes()
    return formatting.problems() or formatted


def _known_types(types: Mapping[str, str]) -> dict[str, str]:
    return {column: semantic for column, semantic in types.items() if semantic in set(SemanticType)}


def _further(tables: Sequence[Table], unconverted: Collection[str]) -> list[SchemaProblem]:
    """Return the problems of the tables that converted, so that all are reported at once.

    References to tables that did not convert cannot be judged.
    """
    judged = [
        replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key.table not in unconverted))
        for table in tables
    ]
    return find_problems(judged) if judged else []


def unknown_drops(table: str, drop: Sequence[str], columns: Sequence[str]) -> list[SchemaProblem]:
    """Return a problem for every dropped column that does not exist: with a misspelt name the column would be kept."""
    shown = ", ".join(columns[:12])
    return [
        SchemaProblem(
            table, column, "drop", "is to be dropped but the table has no such column", f"The table has: {shown}"
        )
        for column in drop
        if column not in columns
    ]


def plain(table: pa.Table) -> pa.Table:
    """Return the table without types that many Arrow kernels do not support; other columns are shared, not copied.

    String and binary views and half floats are widened, UUIDs become text, other extension types their storage type.
    """
    wider = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary(), pa.float16(): pa.float32()}
    for number, field in enumerate(table.schema):
        column = table.column(number)
        if isinstance(field.type, pa.BaseExtensionType):
            table = table.set_column(number, field.name, _stored(column))
        elif field.type in wider:
            table = table.set_column(number, field.name, column.cast(wider[field.type]))
        elif pa.types.is_dictionary(field.type) and (
            field.type.value_type in wider or isinstance(field.type.value_type, pa.BaseExtensionType)
        ):
            entries = plain(pa.table({"": column.combine_chunks().dictionary}))[""]
            decoded = pc.take(entries, pc.cast(column, field.type).combine_chunks().indices)
            table = table.set_column(number, field.name, decoded)
    return table


def _object_columns(name: str, frame: Any) -> list[SchemaProblem]:
    """Return a problem for every column of Python objects of a Polars frame: Arrow would get their addresses."""
    if type(frame).__module__.split(".")[0] != "polars" or not hasattr(frame, "schema"):
        return []
    return [
        SchemaProblem(name, column, "Object", "holds Python objects", "Convert it to numbers, timestamps or text")
        for column, dtype in frame.schema.items()
        if str(dtype) == "Object"
    ]


def _ranges(name: str, schema: pa.Schema) -> Iterable[SchemaProblem]:
    """Yield a problem for every column whose categories are intervals or periods."""
    for field in schema:
        dtype: Any = field.type.value_type if pa.types.is_dictionary(field.type) else None
        kind = dtype.extension_name if isinstance(dtype, pa.BaseExtensionType) else ""
        if kind in ("pandas.interval", "pandas.period"):
            rule = f"holds categories of type {kind}, as pandas.cut makes them, which are ranges and no values"
            fix = f"Convert them to text, frame[{field.name!r}].astype(str), or pass labels= to pandas.cut"
            yield SchemaProblem(name, field.name, kind, rule, fix)


def _stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type.extension_name == "arrow.uuid":
        return pa.chunked_array([[None if value is None else str(value) for value in column.to_pylist()]], pa.string())
    return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)


def _unknown_tables(frames: Mapping[str, Any], declared: Mapping[str, Mapping[str, Any]]) -> Iterable[SchemaProblem]:
    for argument, by_table in declared.items():
        for name in by_table:
            if name not in frames:
                yield SchemaProblem(
                    name,
                    None,
                    argument,
                    f"is named in {argument} but is no frame",
                    f"Use one of: {', '.join(sorted(frames))}",
                )


def unknown_types(table: str, types: Mapping[str, str]) -> Iterable[SchemaProblem]:
    """Yield a problem for every declared semantic type that does not exist."""
    for column, semantic in types.items():
        if semantic not in set(SemanticType):
            yield SchemaProblem(
                table, column, str(semantic), "is no semantic type", f"Use one of: {', '.join(SemanticType)}"
            )


def _listed_clocks(table: str, known_at: Mapping[str, Sequence[str]]) -> Iterable[SchemaProblem]:
    for clock, masked in known_at.items():
        if clock in as_columns(masked):
            yield SchemaProblem(table, clock, "known_at", *LISTED_CLOCK)


def _from_pandas(name: str, frame: Any) -> pa.Table | list[SchemaProblem]:
    named = [level for level in frame.index.names if level is not None and level not in frame.columns]
    if named:
        frame = frame.reset_index(level=named)
    problems = [
        SchemaProblem(name, str(label), repr(label), "is no text, as a column name must be", "Rename the column")
        for label in frame.columns
        if not isinstance(label, str)
    ]
    twice = repeated([label for label in frame.columns if isinstance(label, str)])
    problems += [
        SchemaProblem(name, label, label, "occurs twice in the table", "Rename one of them") for label in twice
    ]
    if problems:
        return problems
    columns: dict[str, pa.Array] = {}
    for label in frame.columns:
        if str(frame[label].dtype).startswith("period["):
            problems.append(
                SchemaProblem(
                    name,
                    label,
                    str(frame[label].dtype),
                    "is a period, not a moment",
                    f"Say which moment counts, e.g. frame[{label!r}].dt.to_timestamp(how='end')",
                )
            )
            continue
        try:
            columns[label] = pa.array(_uuids_as_text(frame[label]), from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            problems.append(_inconvertible(name, label, frame[label], error))
    return problems or pa.table(columns)


def _uuids_as_text(values: Any) -> Any:
    """Return a column of UUID objects as text, which older versions of Arrow do not convert; other columns as they are."""
    if str(values.dtype) != "object":
        return values
    present = values.dropna()
    if not len(present) or not all(isinstance(value, UUID) for value in present):
        return values
    return values.map(lambda value: str(value) if isinstance(value, UUID) else None)


def _inconvertible(table: str, column: str, values: Any, error: Exception) -> SchemaProblem:
    if str(values.dtype) != "object":
        return SchemaProblem(
            table,
            column,
            str(values.dtype),
            f"does not convert to Arrow: {str(error).splitlines()[0]}",
            "Convert it to numbers, timestamps or text",
        )
    kinds: dict[str, list[object]] = {}
    for value in values.dropna():
        kinds.setdefault(type(value).__name__, []).append(value)
    shown = "; ".join(f"{kind}: {', '.join(map(repr, found[:_EXAMPLES]))}" for kind, found in kinds.items())
    if len(kinds) > 1:
        return SchemaProblem(
            table, column, shown, "mixes kinds of values", f"Convert it, e.g. frame[{column!r}].astype(str)"
        )
    return SchemaProblem(
        table,
        column,
        shown,
        f"does not convert to Arrow: {str(error).splitlines()[0]}",
        "Convert it to numbers, timestamps or text, or drop it",
    )
