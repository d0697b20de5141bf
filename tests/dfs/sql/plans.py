"""Random plans: any aggregate of any path up to three steps, with windows, conditions, nested features, ratios, differences."""

from __future__ import annotations

import numpy as np

from relselect.database.clock import DAY
from relselect.database.columns import as_strings
from relselect.database.table import SemanticType
from relselect.dfs.plan.checks import plan_problems
from relselect.dfs.plan.feature import Aggregate, Condition, Feature, Hop, Route
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.schema import Schema
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.problem import Problem

__all__ = ["random_plan", "words_of"]

A, T = Aggregate, SemanticType
DEPTH = 3
OF_ROWS = (A.COUNT, A.SINCE_LAST, A.SINCE_FIRST, A.TIME_BETWEEN)
OF_NUMBERS = (A.SUM, A.MEAN, A.STD, A.SKEW, A.MIN, A.MAX, A.MEDIAN, A.QUANTILE, A.FIRST, A.LAST, A.TREND)
OF_CATEGORIES = (A.NUM_UNIQUE, A.MODE, A.ENTROPY, A.FIRST, A.LAST, A.SHARE)
OF_TYPE = {
    T.NUMERICAL: (*OF_NUMBERS, A.NUM_UNIQUE, A.ENTROPY, A.SHARE),
    T.BOOLEAN: (A.PERCENT_TRUE, A.FIRST, A.LAST, A.MEAN, A.SHARE),
    T.CATEGORICAL: OF_CATEGORIES,
    T.TIMESTAMP: (A.FIRST, A.LAST, A.MIN, A.MAX),
    T.TEXT: OF_NUMBERS,
}


class _Drawn:
    """Draws features of one problem."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self.problem, self.rng = problem, rng
        self.schema = Schema.of(problem)

    def choose(self, items):
        return items[int(self.rng.integers(len(items)))]

    def feature(self, table: str, depth: int) -> Feature | None:
        route = self.choose(list(self._routes(table, depth)))
        _, down, then = Feature(A.DIRECT, route).parts
        end = route[-1].table if route else table
        columns = [(name, kind) for name, kind in self.problem.types[end].items() if kind in OF_TYPE]
        if not down:
            return Feature(A.DIRECT, route, *self.choose(columns)) if columns else None
        rows = {"window": self._window(), "where": self._where(down[-1].table)}
        if self.rng.random() < 0.15:
            if then:
                return Feature(A.NUM_UNIQUE, route, type=T.KEY, **rows)
            return Feature(self.choose(OF_ROWS), route, **rows)
        if len(down) == 1 and not then and self.rng.random() < 0.5:
            return self._nested(route, end, rows)
        if not columns:
            return None
        column, kind = self.choose(columns)
        return self._of(self.choose(OF_TYPE[kind]), route, column, kind, rows)

    def _of(self, aggregate, route, column, kind, rows, base=None) -> Feature:
        level = self.choose([0.1, 0.5, 0.75]) if aggregate == A.QUANTILE else None
        end = route[-1].table
        category = None
        if aggregate == A.SHARE:
            table, read = base.source(end) if base is not None else (end, column)
            category = self._word(table, read)
        return Feature(aggregate, route, column, kind, category, level=level, base=base, **rows)

    def _nested(self, route: Route, end: str, rows) -> Feature | None:
        base = self.feature(end, DEPTH - len(route))
        if base is None:
            return None
        kind = T.CATEGORICAL if base.categorical else T.NUMERICAL
        return self._of(self.choose(OF_CATEGORIES if base.categorical else OF_NUMBERS), route, None, kind, rows, base)

    def _window(self) -> int | None:
        unit = 1 if self.schema.time_kind == "integer" else DAY
        return self.choose([None, 3 * unit, 7 * unit])

    def _where(self, table: str) -> Condition | None:
        kinds = self.problem.types[table]
        columns = [c for c, kind in kinds.items() if kind in (T.CATEGORICAL, T.BOOLEAN, T.NUMERICAL)]
        if not columns or self.rng.random() < 0.6:
            return None
        column = self.choose(columns)
        return Condition(column, self._word(table, column))

    def _word(self, table: str, column: str) -> str:
        return self.choose([*as_strings(self.problem.database[table].data[column])[1][:4], "nowhere"])

    def _routes(self, table: str, depth: int):
        yield ()
        level = [((), table, 0)]
        for _ in range(depth):
            level = [
                ((*route, hop), hop.table, phase)
                for route, here, before in level
                for hop in self._hops(here)
                if (phase := (1 if hop.down else min(2, 2 * before))) >= before
            ]
            yield from (route for route, _, _ in level)

    def _hops(self, table: str):
        for key in self.schema.tables[table].foreign_keys:
            yield Hop(key.table, key.name, down=False)
        for name, other in self.schema.tables.items():
            for key in other.foreign_keys:
                if key.table == table:
                    yield Hop(name, key.name, down=True)


#: Divisors are whole numbers or times, which all engines compute exactly.
DIVISORS = (A.COUNT, A.SINCE_LAST, A.SINCE_FIRST, A.TIME_BETWEEN, A.NUM_UNIQUE)
#: Numbers whose difference keeps its digits in all engines: no aggregates that round.
MINUENDS = (*DIVISORS, A.MIN, A.MAX, A.LAST, A.FIRST, A.DIRECT)


def combined(found: list[Feature], rng: np.random.Generator, count: int) -> list[Feature]:
    """Ratios and differences of features of the task row's entity."""
    numbers = [f for f in found if not (f.of_task_row or f.categorical)]
    divisors = [f for f in numbers if f.aggregate in DIVISORS]
    minuends = [f for f in numbers if f.aggregate in MINUENDS and f.base is None]
    made = []
    for _ in range(count if divisors else 0):
        made.append(
            Feature(A.RATIO, base=numbers[rng.integers(len(numbers))], other=divisors[rng.integers(len(divisors))])
        )
    for _ in range(count if minuends else 0):
        first, second = (minuends[rng.integers(len(minuends))] for _ in range(2))
        made.append(Feature(A.DIFFERENCE, base=first, other=second))
    return made


def random_plan(problem: Problem, seed: int, count: int) -> Plan:
    """A plan of features that are right, with the problem's schema."""
    drawn = _Drawn(problem, np.random.default_rng(seed))
    found: dict[str, Feature] = {}
    for _ in range(20 * count):
        feature = drawn.feature(problem.entity, DEPTH)
        if feature is None or plan_problems(problem.entity, [feature], drawn.schema):
            continue
        if feature.depth <= DEPTH:
            found.setdefault(feature.name, feature)
        if len(found) == count:
            break
    found |= {feature.name: feature for feature in combined(list(found.values()), drawn.rng, count // 6)}
    return Plan(problem.entity, tuple(found.values()), drawn.schema)


def words_of(problem: Problem, plan: Plan) -> Vocabulary:
    """All values of every column that some feature hands on as a category."""
    sources = {feature.source(plan.entity) for feature in plan if feature.categorical and feature.aggregate != A.ROW}
    found = {(table, column): as_strings(problem.database[table].data[column])[1] for table, column in sources}
    return Vocabulary({source: tuple(words) for source, words in found.items()})
