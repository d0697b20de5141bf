"""The features of a problem's rows: planned, computed and judged once, shared by every trial.

Trials that use fewer features take columns of the same matrix, copied once per choice of features. Nothing here trains.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.database.columns import as_strings
from relselect.dfs.learners.protocol import TabularData
from relselect.dfs.plan.enumeration import default_plan, row_type
from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import MAX_CATEGORIES, Vocabulary
from relselect.dfs.prefix.matrix import FeatureMatrix, compute
from relselect.dfs.search.pool import KEPT, PoolOptions
from relselect.dfs.search.screen import SearchResult, search_features
from relselect.dfs.search.selection import FeatureDrift, drift_of, informative
from relselect.problem import LABELS
from relselect.tasks import Rows

if TYPE_CHECKING:
    from relselect.families.candidate import Config
    from relselect.families.protocol import RowSource
    from relselect.problem import Problem

__all__ = ["SEARCHED", "FeatureFilter", "FeatureSpace", "PreparedFeatures", "added_rows", "prepare", "runs"]

#: Cells of the training matrix at most; beyond it training rows are sampled. Of the stop and select matrices a quarter.
MAX_CELLS = 120_000_000
#: Cells computed at once when rows are only predicted.
BLOCK_CELLS = 16_000_000
#: The delayed copies are drawn once, not per trial, so that trials share one matrix and differ by their configuration only.
_COPIES_SEED = 0
#: Options of the candidates that a configuration sets, as `search_<name>`.
SEARCHED = ("depth", "conditions", "ratios", "neighbours", "rich")

Check = Callable[[], None]


@dataclass(frozen=True)
class FeatureSpace:
    """Which features are computed, once for all configurations that ask for the same.

    Attributes:
        copies: Delayed copies of each training row, where evaluation is delayed.
        depth: Steps at most in the fixed plan; two to four.
        conditions: Whether the fixed plan also aggregates rows under a condition.
        rich: Whether the fixed plan also holds medians, quantiles, skewness, trends, entropies and times between rows.
        search: The candidates of the search that takes the fixed plan's place; None for the fixed plan.
        keep: Features that the search keeps at most.
    """

    copies: int = 3
    depth: int = 2
    conditions: bool = False
    rich: bool = False
    search: PoolOptions | None = None
    keep: int = KEPT

    @classmethod
    def of(cls, config: Config) -> FeatureSpace:
        """Return what a family's configuration needs; what it does not say is as by default."""
        if config.get("search"):
            named = {name: config[f"search_{name}"] for name in SEARCHED if f"search_{name}" in config}
            keep = int(config.get("search_keep", KEPT))
            return cls(int(config.get("copies", cls.copies)), search=PoolOptions(**named), keep=keep)
        known = {name: config[name] for name in ("copies", "depth", "conditions", "rich") if name in config}
        found = cls(**known)
        return replace(found, depth=max(cls.depth, found.depth))

    def plan(self, problem: Problem) -> Plan:
        """Return the fixed plan of a problem, from its cache if it is there."""

        def build() -> Plan:
            return default_plan(problem, depth=self.depth, where=self.conditions, rich=self.rich)

        return problem.cached(("dfs", "plan", replace(self, copies=0)), build)


@dataclass(frozen=True)
class FeatureFilter:
    """Which of the computed features a configuration reads.

    Attributes:
        depth: Steps at most.
        windows: Whether windows are read.
        history: Whether past labels are read.
        nested: Whether aggregates of aggregates are read.
        conditions: Whether aggregates of rows that meet a condition are read.
        drift: Features that move further between training dates are not read; None reads them.
    """

    depth: int = 9
    windows: bool = True
    history: bool = True
    nested: bool = True
    conditions: bool = True
    drift: float | None = None

    @classmethod
    def of(cls, config: Config) -> FeatureFilter:
        """Return what a family's configuration asks for; what it does not say is read."""
        known = {name: config[name] for name in cls.__dataclass_fields__ if name in config}
        if config.get("search"):  # what the search offers is said by its own options
            known = {name: value for name, value in known.items() if name not in ("depth", "conditions")}
        return cls(**known)

    def reads(self, feature: Feature) -> bool:
        """Return whether a feature is read, its drift apart."""
        chain = feature.chain
        return (
            feature.depth <= self.depth
            and (self.windows or all(each.window is None for each in chain))
            and (self.history or not any(hop.table == LABELS for each in chain for hop in each.path))
            and (self.nested or all(each.base is None or each.operands for each in chain))
            and (self.conditions or all(each.where is None for each in chain))
        )


@dataclass(frozen=True)
class PreparedFeatures:
    """Features of the rows of one row source.

    Attributes:
        plan: The features, k of them, those without information left out.
        vocabulary: Their categories.
        train: The training rows (delayed copies included where evaluation is delayed).
        stop: The rows that training is stopped on, a sample of them where memory is bounded.
        select: Features of the select rows; None where they are too many to be held at once.
        moved: How far each feature moves between early and late training rows, shape (k,).
        seconds: What computing them took, without the search.
        sampled: Whether training rows were left out to bound memory.
        drifted: The features left out because they move too far, the furthest first.
        search: What the search kept and why; None for the fixed plan.
    """

    plan: Plan
    vocabulary: Vocabulary
    train: TabularData
    stop: TabularData
    select: FeatureMatrix | None
    moved: NDArray[np.float64]
    seconds: float
    sampled: bool
    drifted: tuple[FeatureDrift, ...] = ()
    search: SearchResult | None = None

    def narrowed(self, wanted: FeatureFilter) -> PreparedFeatures:
        """Return the same with the features that are wanted; itself if all are."""
        read = [place for place in self.plan.where(wanted.reads)]
        stay = [place for place in read if wanted.drift is None or self.moved[place] <= wanted.drift] or read
        if len(stay) == len(self.plan):
            return self
        gone = sorted(set(read) - set(stay), key=lambda place: (-self.moved[place], place))
        return replace(
            self,
            plan=self.plan.take(stay),
            train=replace(self.train, features=self.train.features.take(stay)),
            stop=replace(self.stop, features=self.stop.features.take(stay)),
            select=None if self.select is None else self.select.take(stay),
            moved=self.moved[stay],
            drifted=tuple(FeatureDrift(self.plan.names[place], round(float(self.moved[place]), 4)) for place in gone),
        )


def prepare(
    problem: Problem,
    rows: RowSource,
    check: Check = lambda: None,
    space: FeatureSpace = FeatureSpace(),
    wanted: FeatureFilter | None = None,
    *,
    search_seconds: float = float("inf"),
) -> PreparedFeatures:
    """Return features of the training, stop and select rows, from the problem's cache if they are there.

    Args:
        problem: The problem.
        rows: The rows.
        check: Called often; may raise to stop, and then nothing is cached.
        space: Which features, and how many delayed copies of each training row.
        wanted: Which of them are read; None for all. The columns are copied once per filter, not per trial.
        search_seconds: Time for the search of features, where there is one.
    """
    key = ("dfs", "prepared", space, rows.key)
    whole: PreparedFeatures = problem.cached(key, lambda: _prepare(problem, rows, check, space, search_seconds))
    if wanted is None:
        return whole
    return problem.cached((*key, wanted), lambda: whole.narrowed(wanted))


def _prepare(
    problem: Problem, source: RowSource, check: Check, space: FeatureSpace, search_seconds: float
) -> PreparedFeatures:
    begun = time.monotonic()
    rows = source.train(seed=_COPIES_SEED, copies=space.copies)
    search = None
    if space.search is not None:
        search = search_features(problem, rows, space.search, keep=space.keep, seconds=search_seconds, check=check)
    searched = 0.0 if search is None else search.seconds
    plan, vocabulary = _plan(problem, rows, space, search)
    count = len(rows)
    rows = rows.drawn(MAX_CELLS // max(1, len(plan)), _COPIES_SEED)
    sampled = len(rows) < count
    train = compute(problem, plan, rows, vocabulary, check)
    kept = informative(train.values)
    plan, train = plan.take(kept), train.take(kept)
    most = MAX_CELLS // 4 // max(1, len(plan))
    stop_rows = source.stop.drawn(most, _COPIES_SEED)
    stop = compute(problem, plan, stop_rows, vocabulary, check)
    select = None
    if source.select is source.stop or len(source.select) <= most:
        shared = source.select is source.stop and stop_rows is source.stop
        select = stop if shared else compute(problem, plan, source.select, vocabulary, check)
    return PreparedFeatures(
        plan,
        vocabulary,
        TabularData(train, _labels(rows), rows.weight),
        TabularData(stop, _labels(stop_rows), stop_rows.weight),
        select,
        drift_of(train, rows.cutoff),
        time.monotonic() - begun - searched,
        sampled,
        search=search,
    )


def _plan(problem: Problem, rows: Rows, space: FeatureSpace, search: SearchResult | None) -> tuple[Plan, Vocabulary]:
    """Return the plan, with the columns of the rows beyond the declared ones in front, and its vocabulary."""
    plan = space.plan(problem) if search is None else search.plan
    vocabulary = problem.cached(("dfs", "vocabulary", plan.names), lambda: Vocabulary.fit(problem, plan))
    further = [] if rows.features is None else [*rows.features.column_names]
    further = [name for name in further if name not in problem.task.feature_columns]
    if not further or rows.features is None:
        return plan, vocabulary
    kinds = {name: row_type(rows.features.schema.field(name).type) for name in further}
    added = [Feature(Aggregate.ROW, column=name, type=kind) for name, kind in kinds.items() if kind is not None]
    words = dict(vocabulary.words)
    for feature in added:
        if feature.categorical:
            words["", feature.column or ""] = _frequent(*as_strings(rows.features[feature.column]))
    return replace(plan, features=(*added, *plan.features)), Vocabulary(words)


def _frequent(codes: NDArray[np.int64], words: list[str]) -> tuple[str, ...]:
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    order = np.lexsort((np.arange(len(words)), -counts))[: int((counts > 0).sum())]
    return tuple(sorted(words[code] for code in order[:MAX_CATEGORIES]))


def added_rows(
    problem: Problem,
    rows: RowSource,
    prepared: PreparedFeatures,
    check: Check = lambda: None,
    space: FeatureSpace = FeatureSpace(),
) -> TabularData:
    """Return the rows that a refit adds, shown as training rows are: fresh, and under the delays of the evaluation rows.

    Args:
        problem: The problem.
        rows: The rows.
        prepared: The features to compute.
        check: Called often; may raise to stop, and then nothing is cached.
        space: What they were taken from, and how many delayed copies of each row.
    """

    def build() -> TabularData:
        every = rows.added(seed=_COPIES_SEED, copies=space.copies)
        some = every.drawn(MAX_CELLS // 4 // max(1, len(prepared.plan)), _COPIES_SEED)
        return TabularData(
            compute(problem, prepared.plan, some, prepared.vocabulary, check), _labels(some), some.weight
        )

    return problem.cached(("dfs", "added", space, rows.key, prepared.plan.names), build)


def runs(rows: Rows, features: int) -> Iterator[Rows]:
    """Yield the rows in runs whose feature matrices have at most `BLOCK_CELLS` cells; one empty run for no rows."""
    size = max(1, BLOCK_CELLS // max(1, features))
    for start in range(0, max(1, len(rows)), size):
        yield rows if len(rows) <= size else rows.take(slice(start, start + size))


def _labels(rows: Rows) -> NDArray[np.float64]:
    return np.full(len(rows), np.nan) if rows.label is None else rows.label
