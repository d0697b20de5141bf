"""Feature synthesis as a table: the features of a task's rows as Arrow, for any model.

`features()` makes or takes a plan, computes it, and returns the entity's key, the cutoff, the label where it is known, and one
column per feature. Nothing is fitted to the rows: categories are text and missing values are null, so the same plan on fresh
data gives the same columns, in the same order, of the same types. No model is trained here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from relselect.database.byte_sizes import parse_bytes
from relselect.database.columns import as_strings
from relselect.dfs.plan.enumeration import MAX_FEATURES, default_plan
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary, column_codes
from relselect.dfs.search.pool import KEPT, PoolOptions
from relselect.errors import ConfigError, TaskError
from relselect.events import Emit, FeatureProgress, Notice, StageFinished, StageStarted
from relselect.files import replacing, unwritable
from relselect.problem import Problem, Types, bind_frame
from relselect.progress import watched
from relselect.tasks import Rows
from relselect.tasks.labels import as_label_values
from relselect.tasks.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

    from relselect.database import Database
    from relselect.dfs.prefix.matrix import FeatureMatrix
    from relselect.dfs.search.screen import SearchResult
    from relselect.tasks import Task

__all__ = ["Engine", "Features", "MadePlan", "features", "made_plan", "make_plan"]

Engine = Literal["prefix", "sql", "featuretools"]

#: Size of a block's matrix where the result goes to a file and no memory limit is given.
_BLOCK = 256_000_000
#: Copies of a block in memory: as a matrix, as Arrow, and some room.
_COPIES = 3
#: Seconds between two progress events.
_EVERY = 0.2


class MadePlan(NamedTuple):
    """A plan, and what the search for it offered and kept where there was one."""

    plan: Plan
    search: SearchResult | None = None


class Features(NamedTuple):
    """Features of task rows.

    Attributes:
        table: The entity's key columns, `cutoff` (unless the task is static), the label where known, then one column per
            feature: float64, or text for categories. None where the result was written to a file.
        plan: The features, with the schema they were read from: apply it again with `features(..., plan=plan)`.
        path: The Parquet file, where the result was written to one.
        search: What a search offered and kept, and why; None without one.
    """

    table: pa.Table | None
    plan: Plan
    path: Path | None = None
    search: SearchResult | None = None

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a pandas frame, read from its file if it was written to one."""
        table = self.table if self.table is not None else pq.read_table(self.path)
        return table.to_pandas()


def features(
    database: Database,
    task: Task,
    *,
    plan: Plan | str | Path | None = None,
    search: bool | PoolOptions = False,
    depth: int | None = None,
    max_features: int | None = None,
    windows: Sequence[int | str] | None = None,
    rich: bool = False,
    split: str | None = None,
    rows: Any = None,
    at: object = None,
    engine: Engine = "prefix",
    primitives: Sequence[Any] | None = None,
    memory_limit: int | str | None = None,
    out: str | Path | None = None,
    on_event: Emit | None = None,
    progress: bool | None = None,
) -> Features:
    """Compute features of a task's rows: of a split, of given rows, or of the task's population at a date.

    Args:
        database: The database, the one the task was made for or a newer one.
        task: The task; its cutoffs decide what every row may see.
        plan: A plan, or the file of a saved one, to apply; None to make one.
        search: Whether the plan is searched for among thousands of candidates (`relselect.dfs.search.screen`) by their worth on
            training rows, instead of the default plan. `PoolOptions` say which candidates are offered.
        depth: Steps of a path at most, 1 to 4; None for 2 in the default plan and for 4 in the search.
        max_features: Features at most; None for 600.
        windows: Window lengths such as "60d" (units in integer-time databases), for the plan that is made; None to choose
            them from the data.
        rich: Whether the default plan also includes medians, quantiles, skewness, trends, entropies, times between rows, and
            aggregates of rows under a condition.
        split: "train", "val" or "test"; None for all labelled rows, with their split in a column of that name.
        rows: A frame (pandas, Polars or Arrow) with the entity's key columns, the column `cutoff` (unless the task is
            static) and the task's declared features. The task's target is returned if the frame has it.
        at: A date: the rows that the task's population query returns then.
        engine: "prefix" (fastest), "sql" (DuckDB under the memory limit, spilling to disk) or "featuretools" (slow; features
            that it cannot express are computed by "prefix").
        primitives: featuretools primitives of your own; their features are appended, computed by featuretools.
        memory_limit: Bytes, or text such as "2GB". The matrix must fit into it; with `out`, rows are computed in blocks
            that do, and the rest of the limit is DuckDB's where it is the engine.
        out: A Parquet file that the result is written to, block by block; it appears only when it is complete.
        on_event: Called with every event.
        progress: Whether a line in the terminal or the notebook shows how far it is; None for yes where there is no `on_event`.
            Events go to the logger "relselect" in any case.

    Returns:
        The features and the plan.

    Raises:
        PlanError: The plan reads tables, keys or columns that the database lacks; all are named.
        TaskError: More than one of `split`, `rows` and `at` is given, or something that they need is missing.
        ConfigError: An option is not understood, or the result does not fit into the memory limit.
    """
    if engine not in get_args(Engine):
        raise ConfigError("engine", engine, "is unknown", f"Use one of: {', '.join(get_args(Engine))}")
    limit = None if memory_limit is None else parse_bytes(memory_limit, "memory_limit")
    given = _read(plan)
    problem = _problem(database, task, given, fresh=rows is not None or at is not None)
    asked = _task_rows(problem, split=split, rows=rows, at=at)

    def blocks(emit: Emit) -> _Blocks:
        made = _made(problem, given, search, depth, max_features, windows, rich)
        used = made.plan
        custom = _custom(problem, primitives or (), 2 if depth is None else depth, emit)
        compute = _engine(problem, used, engine, limit, emit)
        return _Blocks(problem, used, asked, compute=compute, custom=custom, limit=limit, emit=emit, search=made.search)

    with watched(on_event, progress) as emit:
        return _computed(partial(blocks, emit), None if out is None else Path(out), emit)


def make_plan(
    database: Database,
    task: Task,
    *,
    plan: Plan | str | Path | None = None,
    search: bool | PoolOptions = False,
    depth: int | None = None,
    max_features: int | None = None,
    windows: Sequence[int | str] | None = None,
    rich: bool = False,
) -> Plan:
    """Return the plan that `features` would compute, without computing it; arguments as there.

    Raises:
        PlanError: The given plan reads tables, keys or columns that the database lacks; all are named.
        ConfigError: An option is not understood.
    """
    return made_plan(
        database, task, plan=plan, search=search, depth=depth, max_features=max_features, windows=windows, rich=rich
    ).plan


def made_plan(
    database: Database,
    task: Task,
    *,
    plan: Plan | str | Path | None = None,
    search: bool | PoolOptions = False,
    depth: int | None = None,
    max_features: int | None = None,
    windows: Sequence[int | str] | None = None,
    rich: bool = False,
) -> MadePlan:
    """Return the plan that `features` would compute, and what a search for it found; arguments as there.

    Raises:
        PlanError: The given plan reads tables, keys or columns that the database lacks; all are named.
        ConfigError: An option is not understood.
    """
    given = _read(plan)
    problem = _problem(database, task, given, fresh=False)
    return _made(problem, given, search, depth, max_features, windows, rich)


def _read(plan: Plan | str | Path | None) -> Plan | None:
    return Plan.load(plan) if isinstance(plan, str | Path) else plan


def _made(
    problem: Problem,
    given: Plan | None,
    search: bool | PoolOptions,
    depth: int | None,
    cap: int | None,
    windows: Sequence[int | str] | None,
    rich: bool,
) -> MadePlan:
    if given is not None:
        return MadePlan(given.bound(problem))
    if search is False:
        most = MAX_FEATURES if cap is None else cap
        found = default_plan(
            problem, depth=2 if depth is None else depth, cap=most, windows=windows, rich=rich, where=rich
        )
        return MadePlan(found)
    options = search if isinstance(search, PoolOptions) else PoolOptions()
    options = replace(
        options,
        depth=options.depth if depth is None else depth,
        windows=options.windows if windows is None else tuple(windows),
    )
    keep = KEPT if cap is None else cap
    if keep < 1:
        raise ConfigError("max_features", cap, "must be one or more", "Allow more features")
    from relselect.dfs.search.screen import search_features

    result = search_features(problem, problem.rows("train"), options, keep=keep)
    return MadePlan(result.plan, result)


@dataclass(frozen=True)
class _TaskRows:
    """Task rows, and the columns of the result before the features, n rows each."""

    rows: Rows
    lead: pa.Table


def _problem(database: Database, task: Task, plan: Plan | None, *, fresh: bool) -> Problem:
    asked = task.with_later_labels(database) if fresh else task
    # The plan's features hold the types of their columns; none is inferred.
    types: Types | None = None if plan is None else {name: {} for name in database.tables}
    return Problem(database, asked, types=types)


def _task_rows(problem: Problem, *, split: str | None, rows: Any, at: object) -> _TaskRows:
    given = [name for name, value in (("split", split), ("rows", rows), ("at", at)) if value is not None]
    if len(given) > 1:
        raise TaskError("features", given, "needs at most one of split, rows and at", "Leave out the others")
    if at is not None:
        bound, keys = problem.at(at)
        return _TaskRows(bound.unlabelled(), _lead(problem, bound, keys))
    if rows is not None:
        bound, keys, frame = bind_frame(problem, rows)
        target = problem.task.target
        label = frame[target] if target in frame.column_names else None
        return _TaskRows(bound, _lead(problem, bound, keys, label))
    if split is not None and split not in problem.task.splits:
        known = ", ".join(problem.task.splits)
        raise TaskError("split", split, f"the task has {known}", f"Use one of: {known}")
    chosen = [name for name in SPLITS if name in problem.task.splits and split in (None, name)]
    parts = [_of_split(problem, name) for name in chosen]
    lead = _together([part.lead for part in parts])
    if split is None:
        names = np.repeat(chosen, [len(part.rows) for part in parts])
        lead = lead.append_column("split", pa.array(names, pa.string()))
    return _TaskRows(Rows.concat([part.rows for part in parts]), lead)


def _of_split(problem: Problem, split: Any) -> _TaskRows:
    task, rows = problem.task, problem.rows(split)
    label = as_label_values(task.splits[split].label, task.kind, task.classes)
    return _TaskRows(rows.unlabelled(), _lead(problem, rows, task.splits[split].keys, label))


def _lead(problem: Problem, rows: Rows, keys: pa.Table, label: Any = None) -> pa.Table:
    """Return the columns before the features: keys, cutoff, label; a key with the name of another is called `table.name`."""
    task = problem.task
    fixed = {"cutoff", "split", task.target}
    columns = {f"{task.entity}.{name}" if name in fixed else name: _plain(keys[name]) for name in keys.column_names}
    if not task.static:
        cutoff = pa.array(rows.cutoff)
        columns["cutoff"] = cutoff if task.time_kind == "integer" else cutoff.cast(pa.timestamp("us"))
    if label is not None:
        columns[task.target] = label
    return pa.table(columns)


def _together(parts: list[pa.Table]) -> pa.Table:
    """Concatenate the splits; keys that are numbers in one and text in another become text."""
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException:
        names = [field.name for field in parts[0].schema if len({part[field.name].type for part in parts}) > 1]
        fields = [field.with_type(pa.string()) if field.name in names else field for field in parts[0].schema]
        return pa.concat_tables([part.cast(pa.schema(fields)) for part in parts])


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


_Compute = Callable[[Rows, Vocabulary, Callable[[int, int], None]], "FeatureMatrix"]
_Custom = Callable[[Rows], pa.Table]


class _Blocks:
    """Computes blocks of rows as Arrow tables, and emits the progress."""

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        asked: _TaskRows,
        *,
        compute: _Compute,
        custom: _Custom | None,
        limit: int | None,
        emit: Emit,
        search: SearchResult | None,
    ) -> None:
        self.search = search
        self.plan, self.asked, self.limit, self.emit = plan, asked, limit, emit
        self.compute, self.custom = compute, custom
        self.vocabulary = _all_values(problem, plan, asked.rows)
        self._words = {source: pa.array(words, pa.string()) for source, words in self.vocabulary.words.items()}
        self._begun = self._reported = time.monotonic()

    def __len__(self) -> int:
        return len(self.asked.rows)

    @property
    def width(self) -> int:
        """Bytes of one row's features."""
        return 8 * max(1, len(self.plan))

    def block(self, start: int, stop: int) -> pa.Table:
        """Return rows `start` to `stop` with their features."""

        def progress(done: int, cells: int) -> None:
            self._report(start * len(self.plan) + done * (stop - start) * len(self.plan) // max(1, cells))

        rows = self.asked.rows.take(slice(start, stop))
        table = self._with_features(
            self.asked.lead.slice(start, stop - start), self.compute(rows, self.vocabulary, progress)
        )
        if self.custom is not None:
            table = _beside(table, self.custom(rows), self.plan.entity)
        self._report(stop * len(self.plan), last=stop == len(self))
        return table

    def _with_features(self, lead: pa.Table, matrix: FeatureMatrix) -> pa.Table:
        columns: dict[str, pa.Array] = {}
        for place, feature in enumerate(self.plan):
            values = matrix.values[:, place]
            if feature.categorical:
                columns[feature.name] = _texts(values, self._words[feature.source(self.plan.entity)])
            else:
                columns[feature.name] = _numbers(values)
        return _beside(lead, pa.table(columns), self.plan.entity)

    def _report(self, done: int, *, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._reported >= _EVERY:
            self._reported = now
            self.emit(FeatureProgress(done, len(self) * len(self.plan), now - self._begun))


def _engine(problem: Problem, plan: Plan, engine: Engine, limit: int | None, emit: Emit) -> _Compute:
    """Return the function that computes the plan's features with an engine."""
    if engine == "sql":
        from relselect.dfs.sql.compute import compute_sql

        return lambda rows, vocabulary, _: compute_sql(problem, plan, rows, vocabulary, memory_limit=limit)
    if engine == "featuretools":
        return partial(_by_featuretools, problem, plan, emit)
    from relselect.dfs.prefix.matrix import compute

    return lambda rows, vocabulary, progress: compute(problem, plan, rows, vocabulary, progress=progress)


def _by_featuretools(
    problem: Problem, plan: Plan, emit: Emit, rows: Rows, vocabulary: Vocabulary, _: Callable[[int, int], None]
) -> FeatureMatrix:
    from relselect.dfs.featuretools.engine import compute_plan

    matrix, computed = compute_plan(problem, plan, rows, vocabulary)
    if len(computed) < len(plan):
        rest = f"{len(plan) - len(computed)} of {len(plan)} features cannot be expressed in featuretools"
        emit(Notice("featuretools", f"{rest}; the prefix engine computed them."))
    return matrix


def _custom(problem: Problem, primitives: Sequence[Any], depth: int, emit: Emit) -> _Custom | None:
    """Return the function that computes features of the user's own primitives, None if there are none."""
    if not primitives:
        return None
    from featuretools.feature_base import DirectFeature, IdentityFeature

    from relselect.dfs.featuretools import compute_featuretools, enumerate_featuretools

    definitions = [
        definition
        for definition in enumerate_featuretools(problem, depth, primitives)
        for parts in [[definition, *definition.get_dependencies(deep=True)]]
        if not all(isinstance(part, DirectFeature | IdentityFeature) for part in parts)
    ]
    message = f"{len(definitions)} features of your own primitives are computed by featuretools, which is slow."
    emit(Notice("featuretools", message))
    return lambda rows: compute_featuretools(problem, definitions, rows)


def _all_values(problem: Problem, plan: Plan, rows: Rows) -> Vocabulary:
    """Return the vocabulary with all values of the columns that features return as categories; nothing is fitted."""
    words: dict[tuple[str, str], tuple[str, ...]] = {}
    for table, column in sorted({feature.source(plan.entity) for feature in plan if feature.categorical}):
        if table:
            _, found = column_codes(problem, table, column)
        else:
            found = [] if rows.features is None else as_strings(rows.features[column])[1]
        words[table, column] = tuple(found)
    return Vocabulary(words)


def _beside(lead: pa.Table, columns: pa.Table, entity: str) -> pa.Table:
    """Return tables side by side; a feature with the name of a leading column is called `table.name`."""
    taken = set(lead.column_names)
    found = {name: lead[name] for name in lead.column_names}
    found.update({f"{entity}.{name}" if name in taken else name: columns[name] for name in columns.column_names})
    return pa.table(found)


def _numbers(values: NDArray[np.float64]) -> pa.Array:
    """Return numbers with null for nan; memory in one piece is shared, not copied."""
    missing = np.isnan(values)
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.Array.from_buffers(pa.float64(), len(values), [valid, pa.py_buffer(np.ascontiguousarray(values))])


def _texts(codes: NDArray[np.float64], words: pa.Array) -> pa.Array:
    missing = np.isnan(codes)
    return words.take(pa.array(np.where(missing, 0, codes).astype(np.int64), mask=missing))


def _computed(make: Callable[[], _Blocks], path: Path | None, emit: Emit) -> Features:
    """Return the features of all blocks, written to a file if a path is given, between the events of their stage."""
    begun = time.monotonic()
    emit(StageStarted("features"))
    blocks = make()
    result = _in_memory(blocks) if path is None else _to_file(blocks, path)
    emit(StageFinished("features", time.monotonic() - begun, f"{len(blocks):,} rows, {len(blocks.plan)} features"))
    return result


def _in_memory(blocks: _Blocks) -> Features:
    size = blocks.width * len(blocks)
    if blocks.limit is not None and size > blocks.limit:
        rule = f"is less than the {size:,} bytes of {len(blocks):,} rows with {len(blocks.plan)} features"
        raise ConfigError("memory_limit", blocks.limit, rule, "Write to a file with out=, or ask for fewer features")
    return Features(blocks.block(0, len(blocks)), blocks.plan, search=blocks.search)


def _to_file(blocks: _Blocks, path: Path) -> Features:
    if path.suffix.lower() != ".parquet":
        raise ConfigError("out", str(path), "must end in .parquet", "Write e.g. out='features.parquet'")
    step = max(1, (blocks.limit or _BLOCK * _COPIES) // _COPIES // blocks.width)
    with unwritable("out", path, "Give another file"), replacing(path) as draft:
        first = blocks.block(0, min(step, len(blocks)))
        with pq.ParquetWriter(draft, first.schema) as writer:
            writer.write_table(first)
            for start in range(step, len(blocks), step):
                writer.write_table(blocks.block(start, min(start + step, len(blocks))))
    return Features(None, blocks.plan, path, blocks.search)
