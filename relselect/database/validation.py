"""Validates the structure of a database: keys, foreign keys, times, masks, declared types; all problems at once.

Null and dangling foreign keys and rows without a time are no problems; `Database.counts` counts them. Leaks are checked
in `relselect.leaks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.clock import is_time_type, kind_of
from relselect.database.columns import combine_keys, inexact_ids, is_nested, rounding_limit
from relselect.database.parent_times import find_time_paths, names_path, with_parent_times
from relselect.database.schema import repeated
from relselect.database.table import ForeignKey, SemanticType, Table
from relselect.dates import with_dates
from relselect.errors import SchemaError, SchemaProblem

__all__ = ["LISTED_CLOCK", "find_problems", "valid_tables"]

#: Rule and way out for a clock that is listed among the columns that it masks.
LISTED_CLOCK = (
    "a clock masks itself without being listed",
    "List the other columns that become known then, or [] for none",
)
_EXAMPLES = 3


def valid_tables(tables: list[Table]) -> list[Table]:
    """Return the tables, with the times that some take from a parent as columns of their own.

    Args:
        tables: The tables as they were declared.

    Raises:
        SchemaError: With every problem of every table.
    """
    by_name = {table.name: table for table in tables}
    paths, problems = find_time_paths(by_name)
    bare = [replace(table, time=None) if names_path(table) else table for table in tables]
    problems = [*find_problems(bare), *problems]
    if problems:
        raise SchemaError(problems)
    if not paths:
        return tables
    found = with_parent_times(by_name, paths)
    late = [problem for table in found if table.name in paths for problem in _time(table)] + [*_one_kind_of_time(found)]
    if late:
        raise SchemaError(late)
    return found


def find_problems(tables: list[Table]) -> list[SchemaProblem]:
    """Return every problem of the tables, each with its way out; an empty list for a valid database."""
    problems = list(_names(tables))
    by_name = {table.name: table for table in tables}
    for table in tables:
        missing = list(_missing_columns(table))
        problems += missing
        problems += _duplicate_columns(table)
        if missing or len(set(table.columns)) != len(table.columns):
            continue
        problems += [
            *_primary_key(table),
            *_time(table),
            *_clocks(table),
            *_declared_types(table),
            *_rounded_ids(table),
        ]
    usable = {
        name: table for name, table in by_name.items() if not [*_missing_columns(table), *_duplicate_columns(table)]
    }
    for table in usable.values():
        for key in table.foreign_keys:
            problems += _foreign_key(table, key, by_name, usable)
    problems += _one_kind_of_time(list(usable.values()))
    return problems


def _names(tables: list[Table]) -> Iterable[SchemaProblem]:
    if not tables:
        yield SchemaProblem("database", None, "no tables", "needs at least one table", "Pass one table or more")
    seen: set[str] = set()
    for table in tables:
        if table.name in seen:
            yield SchemaProblem(table.name, None, table.name, "is declared twice", "Give every table its own name")
        if table.name.startswith("__"):
            yield SchemaProblem(table.name, None, table.name, "starts with '__', which is reserved", "Rename the table")
        seen.add(table.name)


def _missing_columns(table: Table) -> Iterable[SchemaProblem]:
    wanted: dict[str, str] = {column: "primary key" for column in table.primary_key}
    wanted.update({column: f"foreign key to {key.table}" for key in table.foreign_keys for column in key.columns})
    if table.time:
        wanted[table.time] = "time column"
    for clock, masked in table.known_at.items():
        wanted[clock] = "known_at clock"
        wanted.update({column: f"masked by known_at[{clock!r}]" for column in masked})
    wanted.update({column: "declared type" for column in table.types})
    has = set(table.columns)
    for column, role in wanted.items():
        if column not in has:
            shown = ", ".join(table.columns[:12])
            yield SchemaProblem(
                table.name,
                column,
                role,
                "is declared but the table has no such column",
                f"Use one of the table's columns: {shown}",
            )


def _duplicate_columns(table: Table) -> Iterable[SchemaProblem]:
    for column in repeated(table.columns):
        yield SchemaProblem(table.name, column, column, "occurs twice in the table", "Rename one of the two columns")


def _primary_key(table: Table) -> Iterable[SchemaProblem]:
    if not table.primary_key:
        return
    name = "+".join(table.primary_key)
    nested = [column for column in table.primary_key if is_nested(table.data[column].type)]
    for column in nested:
        yield SchemaProblem(
            table.name,
            column,
            str(table.data[column].type),
            "cannot be a key",
            "Use columns of integers, text or UUIDs",
        )
    if nested:
        return
    keys = combine_keys([table.data[column] for column in table.primary_key])
    if keys.null_count:
        yield SchemaProblem(
            table.name,
            name,
            f"{keys.null_count} null values",
            "a primary key has no nulls",
            "Fill or drop these rows, or declare no primary key",
        )
    if _repeats(keys.drop_null()):
        yield SchemaProblem(
            table.name,
            name,
            f"{_repeated(keys, table)} repeat",
            "a primary key has no duplicates",
            "Add the columns that tell these rows apart, remove the duplicates, or declare no primary key",
        )


def _rounded_ids(table: Table) -> Iterable[SchemaProblem]:
    """Refuse ids that became floats and were rounded: they would find the rows of other ids."""
    columns = [*table.primary_key, *(column for key in table.foreign_keys for column in key.columns)]
    for column in dict.fromkeys(columns):
        values = table.data[column]
        count = inexact_ids(values)
        if count:
            yield SchemaProblem(
                table.name,
                column,
                f"{count} of {len(values)} ids are {values.type} of {rounding_limit(values.type)} or more",
                "ids of this size are rounded as floats, and would refer to the rows of other ids",
                "Read the column as integers or text: Int64 in pandas (pandas.read_csv(..., dtype={'"
                + column
                + "': 'Int64'})), a nullable integer in other frames, BIGINT or TEXT in a database",
            )


def _repeats(keys: pa.Array) -> bool:
    """Return whether a key without nulls occurs twice; integers are sorted, which is faster than hashing."""
    if not pa.types.is_integer(keys.type):
        return len(pc.unique(keys)) < len(keys)
    numbers = keys.to_numpy()
    if bool((numbers[1:] > numbers[:-1]).all()):  # as numbers that are counted up mostly are
        return False
    ordered = np.sort(numbers)
    return bool((ordered[1:] == ordered[:-1]).any())


def _repeated(keys: pa.Array, table: Table) -> str:
    """Return how many values of the primary key repeat, and the first of them as the table holds them."""
    counts = pc.value_counts(keys.drop_null())
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    rows = [pc.index(keys, value).as_py() for value in repeated[:_EXAMPLES]]
    columns = [table.data[column] for column in table.primary_key]
    shown = ", ".join("|".join(str(with_dates(column[row].as_py())) for column in columns) for row in rows)
    return f"{len(repeated)} values ({shown}{', …' if len(repeated) > _EXAMPLES else ''})"


def _time(table: Table) -> Iterable[SchemaProblem]:
    if table.time is None:
        return
    values = table.data[table.time]
    if not is_time_type(values.type):
        example = next((value for value in values.slice(0, 50).to_pylist() if value is not None), None)
        yield SchemaProblem(
            table.name,
            table.time,
            f"{values.type}, e.g. {example!r}",
            "a time column holds timestamps, dates or integers",
            "Parse it first (pandas.to_datetime), or declare no time column",
        )
    elif len(values) and values.null_count == len(values):
        yield SchemaProblem(
            table.name,
            table.time,
            "all null",
            "a time column holds at least one time",
            "Declare no time column if the rows are always visible, or drop the table",
        )
    else:
        yield from _range(table, table.time)


def _range(table: Table, column: str) -> Iterable[SchemaProblem]:
    values = table.data[column]
    if len(values) == values.null_count:
        return
    plain = pc.cast(values, pa.int32()) if pa.types.is_date32(values.type) else values
    bounds = pc.min_max(pc.cast(plain, pa.uint64() if values.type == pa.uint64() else pa.int64()))
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if max(abs(low), abs(high)) > _largest(values.type):
        yield SchemaProblem(
            table.name,
            column,
            f"{low} to {high}, {values.type}",
            "lies beyond any calendar",
            "Check the unit of the times",
        )


def _largest(dtype: pa.DataType) -> int:
    """Return the largest allowed time: 100,000 years, or 64 bits less the reserved values of `clock`."""
    if pa.types.is_integer(dtype):
        return 2**63 - 3
    unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[dtype.unit] if pa.types.is_timestamp(dtype) else 0
    per_day = 86_400 * unit if unit else 1 if pa.types.is_date32(dtype) else 86_400_000
    return 36_500_000 * per_day


def _clocks(table: Table) -> Iterable[SchemaProblem]:
    masked_by: dict[str, str] = {}
    for clock, masked in table.known_at.items():
        if not is_time_type(table.data[clock].type):
            yield SchemaProblem(
                table.name,
                clock,
                str(table.data[clock].type),
                "a known_at clock holds timestamps, dates or integers",
                "Parse it to timestamps first",
            )
        else:
            yield from _range(table, clock)
        for column in masked:
            if column in table.known_at and column != clock:
                rule = "is a clock and masked by another one, and each date is known from itself on"
                fix = f"Leave {column} out of the columns of {clock}"
                yield SchemaProblem(table.name, column, f"known_at[{clock!r}]", rule, fix)
            elif column in table.structural and column not in table.known_at:
                yield SchemaProblem(
                    table.name,
                    column,
                    f"known_at[{clock!r}]",
                    "a key or the time cannot be masked",
                    "Make the row itself known later: use that clock as the table's time",
                )
            if column in masked_by:
                yield SchemaProblem(
                    table.name,
                    column,
                    f"{masked_by[column]}, {clock}",
                    "is masked by two clocks",
                    "Keep the later of the two",
                )
            masked_by[column] = clock


def _declared_types(table: Table) -> Iterable[SchemaProblem]:
    for column, semantic in table.types.items():
        dtype = table.data[column].type
        text = pa.types.is_string(dtype) or pa.types.is_large_string(dtype)
        if (semantic == SemanticType.NUMERICAL and text) or (
            semantic == SemanticType.TIMESTAMP and not is_time_type(dtype)
        ):
            yield SchemaProblem(
                table.name,
                column,
                f"{semantic} over {dtype}",
                "the declared type does not fit the data",
                "Convert the column first, or declare 'categorical' or 'text'",
            )
        if is_nested(dtype) and semantic != SemanticType.IGNORED:
            yield SchemaProblem(
                table.name,
                column,
                str(dtype),
                "lists, structs and bytes are not read",
                "Declare it 'ignored', or unnest it into a table of its own",
            )


def _foreign_key(
    table: Table, key: ForeignKey, tables: Mapping[str, Table], usable: Mapping[str, Table]
) -> list[SchemaProblem]:
    parent = tables.get(key.table)
    found = _unresolved(key, parent, tables)
    if found is not None:
        return [SchemaProblem(table.name, key.name, *found)]
    if parent is None or key.table not in usable:
        return []
    columns = zip(key.columns, key.ref_columns or parent.primary_key, strict=True)
    pairs = [(own, ref, _family(table.data[own].type), _family(parent.data[ref].type)) for own, ref in columns]
    return [
        SchemaProblem(
            table.name,
            own,
            f"{mine} against {theirs} in {key.table}.{ref}",
            "a foreign key has the type of the key it refers to",
            "Convert one of the two columns",
        )
        for own, ref, mine, theirs in pairs
        if mine != theirs and "null" not in (mine, theirs)
    ]


def _unresolved(key: ForeignKey, parent: Table | None, tables: Mapping[str, Table]) -> tuple[str, str, str] | None:
    """Return value, rule and way out of a foreign key that refers to no primary key; None if it does."""
    if parent is None:
        return key.table, "refers to a table that does not exist", f"Use one of: {', '.join(sorted(tables))}"
    if not parent.primary_key:
        return key.table, "refers to a table without a primary key", f"Declare the primary key of {key.table}"
    primary = "+".join(parent.primary_key)
    if key.ref_columns and set(key.ref_columns) != set(parent.primary_key):
        return "+".join(key.ref_columns), f"must refer to the primary key of {key.table}", f"Refer to {primary}"
    if len(key.columns) != len(parent.primary_key):
        rule = f"the primary key of {key.table} has {len(parent.primary_key)}"
        return f"{len(key.columns)} columns", rule, f"Name one column for each of {primary}, in that order"
    return None


def _family(dtype: pa.DataType) -> str:
    if pa.types.is_dictionary(dtype):
        return _family(dtype.value_type)
    if pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
        return "number"
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return "text"
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return "time"
    return "null" if pa.types.is_null(dtype) else str(dtype)


def _one_kind_of_time(tables: list[Table]) -> Iterable[SchemaProblem]:
    kinds: dict[str, list[tuple[str, str]]] = {}
    for table in tables:
        for clock in dict.fromkeys([*([table.time] if table.time else []), *table.known_at]):
            if is_time_type(table.data[clock].type):
                kinds.setdefault(kind_of(table.data[clock].type), []).append((table.name, clock))
    if len(kinds) > 1:
        few = min(kinds.values(), key=len)
        others = "integers" if few is kinds.get("timestamp") else "timestamps"
        for name, column in few:
            yield SchemaProblem(
                name,
                column,
                "mixed kinds of time",
                f"the other time columns hold {others}",
                "Convert all time columns to the same kind",
            )
