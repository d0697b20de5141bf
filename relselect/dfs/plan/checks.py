"""Validates feature definitions, and plans against a schema. All problems are reported at once, each with a way to solve it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import CALENDAR_PARTS, Aggregate, Feature, Hop
from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.database.schema import TableSchema
    from relselect.dfs.plan.schema import Schema

__all__ = ["declaration_problems", "definition_problems", "plan_problems", "schema_problems"]

A, T = Aggregate, SemanticType

_OF_ROWS = frozenset({A.COUNT, A.SINCE_LAST, A.SINCE_FIRST, A.TIME_BETWEEN})
_OF_TWO = (A.RATIO, A.DIFFERENCE)
_CODED = frozenset({A.NUM_UNIQUE, A.MODE, A.ENTROPY, A.SHARE})
_NUMBERS = frozenset({T.NUMERICAL, T.BOOLEAN, T.TEXT})
_VALUES = _NUMBERS | {T.TIMESTAMP, T.CATEGORICAL}
#: What may be read, where it is not a number.
_READS: dict[Aggregate, frozenset[SemanticType]] = {
    A.DIRECT: _VALUES,
    A.FIRST: _VALUES,
    A.LAST: _VALUES,
    A.MIN: _NUMBERS | {T.TIMESTAMP},
    A.MAX: _NUMBERS | {T.TIMESTAMP},
    A.NUM_UNIQUE: _VALUES | {T.KEY},
    A.MODE: frozenset({T.CATEGORICAL}),
    A.ENTROPY: _VALUES,
    A.SHARE: _VALUES,
    A.PERCENT_TRUE: frozenset({T.BOOLEAN, T.NUMERICAL}),
    A.ROW: frozenset({T.NUMERICAL, T.BOOLEAN, T.TIMESTAMP, T.CATEGORICAL}),
}


def definition_problems(feature: Feature) -> list[str]:
    """Return the problems of a definition that need no database to see, those of nested features included.

    >>> [problem] = definition_problems(Feature(Aggregate.QUANTILE, (Hop("orders", "customer", True),), "total"))
    >>> problem
    'QUANTILE(orders[customer].total): needs a level. Give level, between 0 and 1, e.g. level=0.9.'
    """
    try:
        found = list(_problems(feature))
        name = feature.name
    except ValueError:
        name = f"{feature.aggregate.upper()}({'.'.join(hop.table for hop in feature.path)})"
        found = ["the path goes down again after going up. Nest a feature (base) in its place."]
    inside = [
        problem for each in (feature.base, feature.other) if each is not None for problem in definition_problems(each)
    ]
    return [*(f"{name}: {problem}" for problem in found), *inside]


def _problems(feature: Feature) -> Iterator[str]:
    _, down, _ = feature.parts
    if feature.of_task_row:
        yield from _of_task_row(feature)
        return
    if feature.aggregate in _OF_TWO:
        yield from _of_two(feature)
        return
    if feature.other is not None:
        yield "has a second operand, which only RATIO and DIFFERENCE have. Leave out other."
    if feature.aggregate == A.DIRECT:
        if down:
            yield "reads many rows. Choose an aggregate, or a path without steps down."
        if feature.where is not None or feature.window is not None or feature.base is not None:
            yield "has no rows to choose from. Leave out window, where and base."
    elif not down:
        yield "has no rows to aggregate. Give a path with a step down, or use DIRECT."
    yield from _of_reading(feature)
    yield from _of_options(feature)
    yield from _of_base(feature)


def _of_task_row(feature: Feature) -> Iterator[str]:
    if feature.path or feature.window is not None or feature.where is not None or feature.base is not None:
        yield "reads the task row. Leave out path, window, where and base."
    if feature.aggregate == A.CALENDAR and feature.column not in CALENDAR_PARTS:
        yield f"is no calendar part. Use one of: {', '.join(CALENDAR_PARTS)}."
    if feature.aggregate == A.ROW and not feature.column:
        yield "needs a column. Name a declared feature of the task's rows."
    if feature.aggregate == A.DELAY and feature.column:
        yield "reads no column. Leave out column."


def _of_two(feature: Feature) -> Iterator[str]:
    plain = Feature(feature.aggregate, base=feature.base, other=feature.other)
    if feature != plain:
        yield "combines two features of the entity. Leave out path, column, type, category, window, level and where."
    if len(feature.operands) < 2:
        yield "needs two operands. Give base and other."
    for each in feature.operands:
        if each.of_task_row or each.categorical or each.aggregate in _OF_TWO:
            yield f"combines {each.name}. Combine numbers that are read from tables."


def _of_reading(feature: Feature) -> Iterator[str]:
    reads = feature.column is not None or feature.base is not None
    if feature.aggregate in _OF_ROWS and reads:
        yield "is of rows and reads no value. Leave out column and base."
    elif feature.type == T.KEY:
        if feature.aggregate != A.NUM_UNIQUE or reads or not feature.parts[2]:
            yield "reads keys. Only NUM_UNIQUE does, of a path that ends with a step up and without a column."
    elif feature.aggregate not in _OF_ROWS and not reads:
        yield "needs something to read. Give column or base."
    if feature.column is not None and feature.base is not None:
        yield "reads both a column and a nested feature. Leave out one of them."
    if (
        feature.aggregate not in _OF_ROWS
        and feature.type not in _READS.get(feature.aggregate, _NUMBERS)
        and feature.type != T.KEY
    ):
        yield f"cannot read {feature.type} values. Choose another aggregate, or another type."


def _of_options(feature: Feature) -> Iterator[str]:
    if feature.aggregate == A.QUANTILE:
        if feature.level is None:
            yield "needs a level. Give level, between 0 and 1, e.g. level=0.9."
        elif not 0 < feature.level < 1:
            yield f"has level {feature.level:g}. Give one between 0 and 1."
    elif feature.level is not None:
        yield "has a level, which only QUANTILE has. Leave it out."
    if feature.aggregate == A.SHARE and feature.category is None:
        yield "needs a category. Name the value whose share is meant."
    if feature.aggregate != A.SHARE and feature.category is not None:
        yield "has a category, which only SHARE has. Leave it out, or use where."
    if feature.window is not None and feature.window <= 0:
        yield f"has a window of {feature.window}. Give a positive length in ticks."


def _of_base(feature: Feature) -> Iterator[str]:
    if feature.base is None:
        return
    _, down, then = feature.parts
    if len(down) != 1 or then:
        yield "nests a feature, so its path must end with its only step down. Put further steps into the nested feature."
    if feature.base.of_task_row:
        yield "nests a feature of the task row, which no other row has. Nest a feature of rows."
    if feature.base.operands:
        yield "nests a ratio or difference. Combine two nested features instead."
    if feature.base.categorical != (feature.type == T.CATEGORICAL):
        wanted = T.CATEGORICAL if feature.base.categorical else T.NUMERICAL
        yield f"has type {feature.type}, the nested feature gives {wanted} values. Set type to {wanted}."
    elif feature.type not in (T.CATEGORICAL, T.NUMERICAL):
        yield f"has type {feature.type}; nested features are read as numbers. Set type to {T.NUMERICAL}."
    elif feature.aggregate in _CODED and not feature.base.categorical:
        yield "counts categories, the nested feature gives numbers. Choose another aggregate."


def schema_problems(feature: Feature, entity: str, schema: Schema) -> list[str]:
    """Return the tables, keys and columns that a feature reads and a database lacks, and columns of another type.

    Args:
        feature: The feature.
        entity: The table its path starts at.
        schema: The schema of the database.
    """
    if feature.aggregate == A.CALENDAR and schema.time_kind != "timestamp":
        return [f"{feature.name}: the task's cutoffs are no dates. Leave the feature out."]
    if feature.of_task_row:
        return []
    if feature.operands:
        return [problem for each in feature.operands for problem in schema_problems(each, entity, schema)]
    here = entity
    for hop in feature.path:
        problem = _hop_problem(here, hop, schema)
        if problem:
            return [problem]
        here = hop.table
    found = [] if feature.column is None else _column_problem(schema, here, feature.column, feature.type)
    if feature.where is not None:
        end = feature.parts[1][-1].table
        found += _column_problem(schema, end, feature.where.column, None)
    return found + (schema_problems(feature.base, here, schema) if feature.base is not None else [])


def _hop_problem(here: str, hop: Hop, schema: Schema) -> str | None:
    if hop.table == LABELS and LABELS not in schema.tables:
        return "past labels: the task says not when labels become known. Declare it, or filter these features out."
    if hop.table not in schema.tables:
        return f"table {hop.table}: is not there. Add it, with its keys."
    child, parent = (hop.table, here) if hop.down else (here, hop.table)
    if any(key.name == hop.key and key.table == parent for key in schema.tables[child].foreign_keys):
        return None
    return f"table {child}: has no foreign key {hop.key} to {parent}. Declare it."


def _column_problem(schema: Schema, table: str, column: str, kind: SemanticType | None) -> list[str]:
    found: TableSchema = schema.tables[table]
    if column not in found.columns:
        return [f"column {table}.{column}: is not there. Add it, null where unknown."]
    dtype = found.columns[column]
    if dtype.startswith(("list", "large_list", "fixed_size_list", "struct", "map", "binary", "large_binary")):
        return [f"column {table}.{column}: holds {dtype}, which no feature reads. Convert it."]
    text = dtype.startswith(("string", "large_string", "dictionary<values=string", "dictionary<values=large_string"))
    if text and kind in (T.NUMERICAL, T.BOOLEAN, T.TIMESTAMP):
        return [f"column {table}.{column}: holds text where the plan reads {kind} values. Convert it."]
    return []


def declaration_problems(features: Iterable[Feature], entity: str, made: Schema, found: Schema) -> list[str]:
    """Return the times and masks that the plan was made with and the database no longer declares: without them features
    would read the future.

    Args:
        features: The plan's features.
        entity: The table they are about.
        made: The schema that the plan was made with.
        found: The schema of the database at hand.
    """
    used = {entity, *(table for feature in features for table in feature.tables)}
    problems = []
    for name in sorted(used & set(made.tables) & set(found.tables)):
        then, now = made.tables[name], found.tables[name]
        if then.time is not None and now.time != then.time:
            problems.append(
                f"table {name}: its time was {then.time} and is {now.time or 'not declared'}. Declare it again."
            )
        lost = [c for c, clock in then.clocks.items() if c in now.columns and now.clock_of(c) != clock]
        problems += [
            f"column {name}.{c}: was known at {then.clock_of(c)} and is not. Declare known_at again." for c in lost
        ]
    return problems


def plan_problems(entity: str, features: Iterable[Feature], schema: Schema | None) -> list[str]:
    """Return all problems of a plan, each once: definitions, equal names and, given a schema, what the schema lacks."""
    found: list[str] = []
    seen: dict[str, Feature] = {}
    if schema is not None and entity not in schema.tables:
        found.append(f"table {entity}: is not there, and the plan is about it. Add it, with its keys.")
        schema = None
    for feature in features:
        problems = definition_problems(feature)
        if not problems and seen.setdefault(feature.name, feature) != feature:
            problems = [f"{feature.name}: is the name of two different features. Leave one out."]
        if not problems and schema is not None:
            problems = schema_problems(feature, entity, schema)
        found += problems
    return list(dict.fromkeys(found))
