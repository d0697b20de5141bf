"""Computes a plan on DuckDB, for databases and task rows whose intermediate results do not fit into memory.

Each path is one statement over the Arrow tables (several if it has very many features), the same that `Plan.to_sql` prints but
for the names. Results equal the prefix engine's to about ten digits and not bit for bit: DuckDB adds in the order in which its
threads happen to work.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relselect.database.byte_sizes import parse_bytes
from relselect.database.clock import ticks_of
from relselect.database.columns import as_float, as_numpy, as_strings
from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature, Route
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.schema import Schema
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import FeatureMatrix
from relselect.dfs.sql.arrow_catalog import ArrowCatalog
from relselect.dfs.sql.dialects import dialect_of
from relselect.dfs.sql.statement import statement
from relselect.dfs.sql.task_rows import TaskRowTable
from relselect.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["compute_sql"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Blocks of so few task rows are not halved any further when memory runs out.
_FEWEST = 16
_TARGETS = "asked_rows"
#: Features of one statement: DuckDB takes twice as long for 226 aggregates at once as for the same in four parts.
_WIDEST = 64


def compute_sql(
    problem: Problem,
    plan: Plan,
    rows: Rows,
    vocabulary: Vocabulary,
    check: Callable[[], None] = lambda: None,
    *,
    memory_limit: int | str | None = None,
    spill: str | Path | None = None,
    threads: int | None = None,
) -> FeatureMatrix:
    """Return the features of task rows, computed by DuckDB.

    Where DuckDB runs out of memory, the task rows are halved until their results fit.

    Args:
        problem: Supplies the database.
        plan: k features.
        rows: n task rows.
        vocabulary: The categories, as fitted.
        check: Called between statements; may raise to stop.
        memory_limit: What DuckDB may use at most, in bytes or as text such as "2GB"; the tables and the matrix, which
            belong to the caller, come on top. None for DuckDB's own limit.
        spill: A folder for what does not fit; files are kept in a folder of their own there, which is removed at the
            end. None for the system's folder for temporary files.
        threads: Threads of DuckDB; None for as many as there are cores.

    Raises:
        ConfigError: An option is not understood, or the memory does not suffice for a few rows.
        PlanError: The plan reads what the database lacks.
    """
    plan = plan.bound(problem)
    values = np.full((len(rows), len(plan)), np.nan, order="F")
    with _opened(memory_limit, spill, threads) as connection:
        folder = str(spill if spill is not None else tempfile.gettempdir())
        run = _Run(problem, rows, vocabulary, connection, check, memory_limit, folder)
        for places in _groups(plan):
            if len(rows):
                run.fill(values, places, [plan.features[place] for place in places])
    return FeatureMatrix(values, plan.names, tuple(feature.categorical for feature in plan))


def _groups(plan: Plan) -> list[list[int]]:
    """Return the places of the features that one statement computes: those of one path, not too many."""
    groups: dict[tuple[tuple[Route, bool], ...] | None, list[int]] = {}
    for place, feature in enumerate(plan):
        many = any(hop.down for leaf in feature.leaves for hop in leaf.path)
        paths = tuple((leaf.path, leaf.base is not None) for leaf in feature.leaves)
        groups.setdefault(tuple(dict.fromkeys(paths)) if many else None, []).append(place)
    return [
        members[start : start + _WIDEST] for members in groups.values() for start in range(0, len(members), _WIDEST)
    ]


@contextmanager
def _opened(
    memory_limit: int | str | None, spill: str | Path | None, threads: int | None
) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    if threads is not None and threads < 1:
        raise ConfigError("threads", threads, "must be at least 1", "Leave it out, or give a number")
    options = {"enable_external_access": "false", "preserve_insertion_order": "false"}
    if memory_limit is not None:
        options["memory_limit"] = f"{parse_bytes(memory_limit, 'memory_limit')}B"
    if threads is not None:
        options["threads"] = str(threads)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="relselect-spill-", dir=spill))
        except OSError as error:
            rule = f"cannot hold files ({error.strerror})"
            raise ConfigError("spill", str(spill), rule, "Give a folder that exists and can be written to") from None
        connection = duckdb.connect(":memory:", config={**options, "temp_directory": folder})
        stack.callback(connection.close)
        connection.execute("SET lock_configuration = true")
        yield connection


class _Run:
    """Computes features of one set of task rows on one connection."""

    def __init__(
        self,
        problem: Problem,
        rows: Rows,
        vocabulary: Vocabulary,
        connection: duckdb.DuckDBPyConnection,
        check: Callable[[], None],
        memory_limit: int | str | None,
        folder: str,
    ) -> None:
        self.folder = folder
        self.problem, self.rows, self.vocabulary = problem, rows, vocabulary
        self.connection, self.check, self.memory_limit = connection, check, memory_limit
        self.catalog = ArrowCatalog(problem, Schema.of(problem), dialect_of("duckdb"))
        self._known: dict[str, list[str]] = {}

    def fill(self, values: Floats, places: Sequence[int], features: Sequence[Feature]) -> None:
        """Compute features into columns of a matrix."""
        if self.rows.features is None:
            kept = [i for i, feature in enumerate(features) if feature.aggregate != Aggregate.ROW]
            places, features = [places[i] for i in kept], [features[i] for i in kept]
        if not features:
            return
        targets = TaskRowTable(_TARGETS, "r", (("entity", "integer"),), "cutoff", "asof", ticks=True)
        names = [f"f{number}" for number in range(len(features))]
        query = statement(self.catalog, targets, self.problem.entity, features, names).sql(dialect="duckdb")
        for name, table in self.catalog.tables().items():
            if self._known.get(name) != table.column_names:
                self.connection.register(name, table)
                self._known[name] = table.column_names
        asked = self._targets(features)
        chunks = [np.arange(len(self.rows))]
        most = len(self.rows)
        while chunks:
            chunk = chunks.pop()
            if len(chunk) > most:
                chunks += np.array_split(chunk, 2)
                continue
            self.check()
            result = self._ask(query, asked.take(pa.array(chunk)))
            if result is not None:
                self._write(values, places, features, result)
            elif len(chunk) <= _FEWEST:
                self._give_up(features)
            else:
                chunks.append(chunk)
                most = (len(chunk) + 1) // 2

    def _targets(self, features: Sequence[Feature]) -> pa.Table:
        rows = self.rows
        columns = {
            "r": pa.array(np.arange(len(rows), dtype=np.int64)),
            "entity": pa.array(rows.entity, mask=rows.entity < 0),
            "cutoff": pa.array(rows.cutoff),
            "asof": pa.array(rows.asof),
        }
        for feature in features:
            if feature.aggregate == Aggregate.ROW and rows.features is not None:
                columns[feature.column or ""] = _declared(rows.features[feature.column], feature.type)
        return pa.table(columns)

    def _ask(self, query: str, asked: pa.Table) -> pa.Table | None:
        """Return a statement's result, None where DuckDB runs out of memory."""
        import duckdb

        self.connection.register(_TARGETS, asked)
        try:
            return self.connection.sql(query).to_arrow_table()
        except duckdb.OutOfMemoryException:
            return None
        except duckdb.IOException as error:
            rule = f"DuckDB could not write to it: {str(error).strip().splitlines()[0]}"
            raise ConfigError("spill", self.folder, rule, "Give a folder with more room") from None
        finally:
            self.connection.unregister(_TARGETS)

    def _write(self, values: Floats, places: Sequence[int], features: Sequence[Feature], result: pa.Table) -> None:
        at = as_numpy(result["r"])
        for number, (place, feature) in enumerate(zip(places, features, strict=True)):
            column = result[f"f{number}"]
            if feature.categorical:
                codes, words = as_strings(column)
                source = feature.source(self.problem.entity)
                values[at, place] = self.vocabulary.encode(source, codes.astype(np.float64), words)
            else:
                values[at, place] = as_float(column)

    def _give_up(self, features: Sequence[Feature]) -> None:
        path = features[0].name
        rule = f"does not suffice for {_FEWEST} task rows of {path} and the {len(features)} features like it"
        limit = self.memory_limit if self.memory_limit is not None else "DuckDB's own"
        raise ConfigError("memory_limit", limit, rule, "Allow more memory, or leave these features out")


def _declared(column: pa.ChunkedArray, kind: SemanticType) -> pa.Array:
    """Return a declared task-row feature converted to what it is read as."""
    if kind == SemanticType.CATEGORICAL:
        codes, words = as_strings(column)
        return pa.array(words, pa.string()).take(pa.array(codes, mask=codes < 0))
    numbers = ticks_of(column).astype(np.float64) if kind == SemanticType.TIMESTAMP else as_float(column)
    return pa.array(numbers, mask=np.isnan(numbers) | column.is_null().to_numpy())
