"""A feature plan: features of an entity in order of priority; saved, loaded, filtered, checked, described, printed as SQL.

A saved plan is one JSON file with the part of the database's schema that it reads, so it can be checked against fresh data
and printed as SQL without any data. Features are neither computed nor chosen here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.database.byte_sizes import parse_bytes
from relselect.dfs.plan.checks import declaration_problems, plan_problems
from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.plan.groups import group_of
from relselect.dfs.plan.schema import Schema
from relselect.errors import ConfigError, DataNotFound, PlanError
from relselect.files import write_json
from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["Plan"]

#: Format of saved plans; files from before it was written down are of format 1.
_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """An ordered list of features of one entity table; names are unique.

    Attributes:
        entity: The table asked about.
        features: In order of priority.
        schema: The tables that the features read; None where the plan was not made for a database.
    """

    entity: str
    features: tuple[Feature, ...]
    schema: Schema | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __repr__(self) -> str:
        return f"Plan({len(self)} features of {self.entity})"

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    def where(self, keep: Callable[[Feature], bool]) -> list[int]:
        """Return the positions of the features for which `keep` is true."""
        return [place for place, feature in enumerate(self.features) if keep(feature)]

    def take(self, places: Sequence[int]) -> Plan:
        """Return the plan with only the features at these positions, in this order."""
        return replace(self, features=tuple(self.features[place] for place in places))

    def filter(
        self,
        keep: Callable[[Feature], bool] | None = None,
        *,
        aggregates: Iterable[str] | str | None = None,
        tables: Iterable[str] | str | None = None,
        columns: Iterable[str] | str | None = None,
    ) -> Plan:
        """Return the plan with the features that meet all conditions given.

        Args:
            keep: Returns whether a feature is kept.
            aggregates: Keep features of these aggregates, such as "mean".
            tables: Keep features whose path (or nested path) touches one of these tables; the entity's own columns and
                the task row touch none.
            columns: Keep features that read one of these columns.

        Raises:
            ConfigError: A name occurs nowhere in the plan.

        >>> from relselect.dfs.plan.feature import Hop
        >>> path = (Hop("orders", "customer", True),)
        >>> plan = Plan("customers", (Feature(Aggregate.COUNT, path), Feature(Aggregate.MEAN, path, "total")))
        >>> plan.filter(aggregates="mean").names
        ('MEAN(orders[customer].total)',)
        >>> len(plan.filter(lambda feature: feature.column is None, tables=["orders"]))
        1
        """
        wanted: dict[str, tuple[set[str] | None, Callable[[Feature], set[str]]]] = {
            "aggregates": (_words(aggregates), lambda feature: {str(feature.aggregate)}),
            "tables": (_words(tables), lambda feature: set(feature.tables)),
            "columns": (_words(columns), _columns_of),
        }
        for argument, (words, values_of) in wanted.items():
            self._refuse_unknown(argument, words, values_of)
        chosen = [
            feature
            for feature in self.features
            if all(words is None or words & values_of(feature) for words, values_of in wanted.values())
            and (keep is None or keep(feature))
        ]
        return replace(self, features=tuple(chosen))

    def _refuse_unknown(self, argument: str, words: set[str] | None, values_of: Callable[[Feature], set[str]]) -> None:
        if not words:
            return
        there = set().union(*(values_of(feature) for feature in self.features))
        if words - there:
            fix = f"Use some of: {', '.join(sorted(there))}"
            raise ConfigError(argument, sorted(words - there), "occur in no feature of the plan", fix)

    def capped(self, features: int | None = None, *, memory: int | str | None = None, rows: int | None = None) -> Plan:
        """Return the plan cut to its first features, as many as the limits allow.

        Args:
            features: Features at most.
            memory: Size of their matrix at most, in bytes or as text such as "2GB"; needs `rows`. A value takes 8 bytes.
            rows: Rows of the matrix.

        Raises:
            ConfigError: A limit is not understood, or leaves no feature.

        >>> plan = Plan("users", tuple(Feature(Aggregate.DIRECT, column=f"c{n}") for n in range(100)))
        >>> len(plan.capped(40)), len(plan.capped(memory="1MB", rows=10_000))
        (40, 12)
        """
        most = len(self) if features is None else features
        if memory is not None:
            if rows is None or rows < 0:
                raise ConfigError("rows", rows, "is needed to turn memory into features", "Give the number of rows")
            most = min(most, parse_bytes(memory, "memory") // (8 * max(1, rows)))
        if most < 1 <= len(self):
            raise ConfigError("features, memory", (features, memory), "leave no feature", "Allow more")
        return replace(self, features=self.features[:most])

    def describe(self) -> str:
        """Return the plan in English: one line per feature, its name and what it is."""
        return "\n".join(f"{feature.name}: {feature.describe(self.entity)}" for feature in self.features)

    def summary(self) -> dict[str, int]:
        """Return how many features there are of each group, the groups in the order in which they first occur."""
        return dict(Counter(group_of(feature) for feature in self.features))

    def check(self, schema: Schema | None = None, further: Sequence[str] = ()) -> None:
        """Check every definition and, given a schema, that it has everything that the plan reads.

        Args:
            schema: The schema of the database at hand.
            further: Problems found elsewhere, reported with the others.

        Raises:
            PlanError: With all problems.
        """
        problems = plan_problems(self.entity, self.features, schema)
        if schema is not None and self.schema is not None:
            problems += declaration_problems(self.features, self.entity, self.schema, schema)
        if problems or further:
            raise PlanError([*problems, *further])

    def bound(self, problem: Problem) -> Plan:
        """Return the plan with the schema of a problem's database.

        Raises:
            PlanError: With all that the database lacks.
        """
        if self.entity != problem.entity:
            rule = f"the plan is about {self.entity}, the task asks about {problem.entity}. Use a plan for it."
            raise PlanError([rule])
        schema = Schema.of(problem)
        declared = set(problem.task.feature_columns)
        lost = [f for f in self.features if f.aggregate == Aggregate.ROW and f.column not in declared]
        self.check(schema, [f"{f.name}: is no feature of the task's rows. Declare it: features=[...]." for f in lost])
        return replace(self, schema=schema)

    def to_sql(
        self,
        dialect: str = "duckdb",
        *,
        targets: str = "targets",
        labels: str = LABELS,
        row: str = "row_id",
        cutoff: str = "cutoff",
        asof: str | None = None,
        namespace: str | None = None,
    ) -> str:
        """Return the plan as one SQL statement, made from its schema alone.

        The table of task rows has the column `row`, the entity's key under the names it has in the entity's table,
        `cutoff` (a timestamp, or an integer where the database's times are integers), and the declared task-row features
        under their own names, booleans as 0 and 1. Static tasks need the cutoff only where a feature counts from it.

        The statement returns `row` and one column per feature. DuckDB's carry the features' names; elsewhere they are
        called f1, f2, ... and listed in the leading comment, because names may be longer than a database allows (63 bytes
        in PostgreSQL). Categories are returned as text. DuckDB and PostgreSQL are verified; text for other dialects is
        parsed by sqlglot, says "unverified" in its first line, and has run nowhere.

        Args:
            dialect: As sqlglot names it.
            targets: The table of task rows; `schema.table` in another schema.
            labels: What the table of past labels is called: the entity's key as `entity_0`, `entity_1`, ..., then `label`,
                `cutoff` and `known`, the moment from which the label is known.
            row: The column of the task rows that names a row.
            cutoff: The column that holds the cutoff.
            asof: The column that says up to when rows are visible, never later than the cutoff; None for the cutoff
                itself. Windows end at the asof, ages count from the cutoff.
            namespace: The schema that holds the database's tables. None for the session's own, and then tables called
                `schema.table`, as where several schemas were read, are looked for in theirs.

        Raises:
            PlanError: The plan carries no schema, or reads what the schema lacks.
            ConfigError: The dialect is not known, or names collide.
        """
        from relselect.dfs.sql.statement import printed_statement

        if self.schema is None:
            raise PlanError(["the plan carries no schema. Bind it to a problem first: plan.bound(problem)."])
        self.check(self.schema)
        return printed_statement(
            self.entity,
            self.features,
            self.schema,
            dialect,
            targets=targets,
            labels=labels,
            row=row,
            cutoff=cutoff,
            asof=asof,
            namespace=namespace,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` understands."""
        return {
            "format": _FORMAT,
            "entity": self.entity,
            "features": [feature.to_json() for feature in self.features],
            **({"schema": self.schema.to_json()} if self.schema is not None else {}),
        }

    @classmethod
    def from_json(cls, data: Any, place: str = "the feature plan") -> Plan:
        """Return the plan that `to_json` wrote.

        Args:
            data: The dictionary.
            place: Where it came from, for errors.

        Raises:
            PlanError: With all problems of the plan.
        """
        if not isinstance(data, dict) or not isinstance(data.get("entity"), str) or not _is_list(data.get("features")):
            raise PlanError(["it is no feature plan. Give a file that Plan.save wrote."], place)
        if data.get("format", 1) != _FORMAT:
            raise PlanError(
                [f"its format is {data['format']!r}, not {_FORMAT}. Save it again with this version."], place
            )
        features, problems = [], []
        for number, item in enumerate(data["features"], start=1):
            try:
                features.append(Feature.from_json(item))
            except (ValueError, TypeError) as error:
                problems.append(f"feature {number}: {error}.")
        schema, wrong = _schema(data.get("schema"))
        problems += [*plan_problems(data["entity"], features, schema), *wrong]
        if problems:
            raise PlanError(problems, place)
        return cls(data["entity"], tuple(features), schema)

    def save(self, path: str | Path) -> None:
        """Write the plan as JSON; a reader sees the old file or the new one, never half of one.

        Raises:
            OSError: The path cannot be written to.
        """
        write_json(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Return the plan that `save` wrote.

        Raises:
            DataNotFound: There is no such file.
            PlanError: The file is damaged, of another format, or holds wrong definitions; with all problems.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataNotFound("path", str(path), f"cannot be read ({error.strerror})", "Give a saved plan") from None
        except ValueError as error:
            raise PlanError([f"the file is damaged: {error}. Save the plan again."], str(path)) from None
        return cls.from_json(data, str(path))


def _words(given: Iterable[str] | str | None) -> set[str] | None:
    if given is None:
        return None
    return {str(given)} if isinstance(given, str) else {str(word) for word in given}


def _columns_of(feature: Feature) -> set[str]:
    return {each.column for each in feature.chain if each.column is not None}


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _schema(data: Any) -> tuple[Schema | None, list[str]]:
    if data is None:
        return None, []
    try:
        return Schema.from_json(data), []
    except (KeyError, TypeError, AttributeError, ValueError):
        return None, ["its schema is damaged. Save the plan again."]
