"""The search: candidates are computed on a sample of training rows, judged on rows that came later, and a few hundred kept.

1. The candidates (`relselect.dfs.search.pool`) are computed for a sample of the training rows, evenly spread over time.
2. Constants and repetitions are dropped.
3. Trees are fitted on purged forward folds of the sample, and every candidate gets its held-out gain
   (`relselect.dfs.search.held_out_gain`).
4. Those whose gain is above the noise are taken in its order. One beyond the fixed plan that orders the rows as a feature of the
   fixed plan or one already taken does (absolute Spearman correlation above 0.99) says nothing new and is dropped.
5. Places that are left go to features of the fixed plan in its order, whose worth a sample may be too small to show, but for
   those whose loss is beyond the noise.

Only training rows are looked at, and of the database only what each of them may see; the same seed keeps the same features.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.groups import group_of
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.dfs.search.folds import forward_folds, time_sample
from relselect.dfs.search.held_out_gain import Screening, held_out_gains, noise_level
from relselect.dfs.search.pool import EVERY, KEPT, PoolOptions, candidate_pool
from relselect.dfs.search.selection import informative
from relselect.errors import BudgetExhausted

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["SAMPLE", "KeptFeature", "SearchResult", "search_features"]

Floats = NDArray[np.float64]

#: Training rows that the candidates are computed for.
SAMPLE = 10_000
#: Two features with a larger absolute rank correlation say the same; measured on so many rows.
_SAME, _COMPARED = 0.99, 2_000
#: Features compared at a time.
_BATCH = 256
#: Reasons to keep a feature.
_GAIN, _FIXED = "gain on later rows", "part of the fixed plan"
#: Features named in the facts.
_NAMED = 20

Check = Callable[[], None]


@dataclass(frozen=True)
class KeptFeature:
    """A feature that the search kept.

    Attributes:
        name: Its name.
        group: Its group, see `relselect.dfs.plan.groups`.
        gain: Its held-out gain, a share of the loss of a constant.
        reason: Why it was kept.
    """

    name: str
    group: str
    gain: float
    reason: str


@dataclass(frozen=True)
class SearchResult:
    """What a search kept, and what it looked at.

    Attributes:
        plan: The features kept, the best first.
        kept: Why each of them was, in the plan's order.
        offered: Candidates of each group.
        dropped: Candidates that were dropped, by the reason.
        rows: Training rows looked at.
        folds: Folds that judged.
        seconds: What the search took.
        fallback: Why the fixed plan was used instead; "" where it was not.
    """

    plan: Plan
    kept: tuple[KeptFeature, ...] = ()
    offered: Sequence[tuple[str, int]] = ()
    dropped: Sequence[tuple[str, int]] = ()
    rows: int = 0
    folds: int = 0
    seconds: float = 0.0
    fallback: str = ""

    def describe(self) -> str:
        """Return what the search did in one sentence."""
        if self.fallback:
            return f"The fixed plan of {len(self.plan)} features is used, because {self.fallback}."
        offered, gained = sum(count for _, count in self.offered), sum(each.reason == _GAIN for each in self.kept)
        return (
            f"The search kept {len(self.plan):,} of {offered:,} candidate features, {gained:,} of them for their gain on later "
            f"rows, looking at {self.rows:,} training rows for {self.seconds:.1f} s."
        )

    def facts(self) -> dict[str, Any]:
        """Return what was offered, what was kept and why, as a JSON-able dictionary."""
        kept, gain = Counter(each.group for each in self.kept), Counter[str]()
        for each in self.kept:
            gain[each.group] += each.gain  # type: ignore[assignment]
        groups = {
            group: {"offered": count, "kept": kept[group], "gain": round(float(gain[group]), 5)}
            for group, count in self.offered
        }
        return {
            "offered": sum(count for _, count in self.offered),
            "kept": len(self.kept),
            "dropped": dict(self.dropped),
            "rows": self.rows,
            "folds": self.folds,
            "seconds": round(self.seconds, 2),
            "fallback": self.fallback,
            "groups": groups,
            "best": [
                {"feature": each.name, "gain": round(each.gain, 5), "reason": each.reason}
                for each in self.kept[:_NAMED]
            ],
        }


def search_features(
    problem: Problem,
    rows: Rows,
    options: PoolOptions = EVERY,
    *,
    keep: int = KEPT,
    seed: int = 0,
    seconds: float = float("inf"),
    check: Check = lambda: None,
) -> SearchResult:
    """Return the features that a search keeps, or the fixed plan where it cannot be done.

    Args:
        problem: The problem.
        rows: Labelled training rows; no others are looked at.
        options: Which candidates are offered.
        keep: Features kept at most.
        seed: Seed of the sample and of the trees.
        seconds: Time for the search; when it is over, the fixed plan is returned.
        check: Called often; may raise to stop.

    Raises:
        ConfigError: An option is not understood.
    """
    begun = time.monotonic()

    def clock() -> None:
        check()
        if time.monotonic() - begun > seconds:
            raise _Late

    try:
        found = _searched(problem, rows, options, keep, seed, clock)
    except _Late:
        fixed = default_plan(problem, depth=min(2, options.depth), windows=options.windows)
        found = SearchResult(fixed, fallback=f"the search did not finish in its {seconds:.1f} s")
    return replace(found, seconds=time.monotonic() - begun)


class _Late(BudgetExhausted):
    """The search has used up its time."""

    def __init__(self) -> None:
        super().__init__("the time for the search of features is over")


def _searched(problem: Problem, rows: Rows, options: PoolOptions, keep: int, seed: int, check: Check) -> SearchResult:
    fixed = default_plan(problem, depth=min(2, options.depth), windows=options.windows)
    sample = time_sample(rows, SAMPLE, seed)
    folds = forward_folds(problem, sample)
    if not folds or sample.label is None:
        return SearchResult(fixed, rows=len(sample), fallback="there are too few training rows to judge features on")
    check()
    pool = candidate_pool(problem, options)
    check()
    matrix = compute(problem, pool, sample, Vocabulary.fit(problem, pool), check)
    places = informative(matrix.values)
    matrix = matrix.take(places)
    check()
    classes = len(problem.task.classes or ()) if problem.task.kind == "multiclass" else 1
    target = _target(sample.label, problem)
    data = Screening(matrix.values, target, problem.task.kind, classes, sample.weight)
    gains = held_out_gains(data, folds, seed, check)
    noise = noise_level(gains)
    worth = [int(place) for place in np.argsort(-gains, kind="stable") if gains[place] >= noise]
    base = set(fixed.features)
    near = [place for place, at in enumerate(places) if pool.features[at] in base]
    chosen = _distinct(matrix.values, matrix.categorical, worth, near, keep, check)
    rest = [place for place in near if -noise < gains[place] < noise]
    fill = rest[: max(0, keep - len(chosen))]
    plan = pool.take([places[place] for place in (*chosen, *fill)])
    reasons = [*(_GAIN for _ in chosen), *(_FIXED for _ in fill)]
    return SearchResult(
        plan,
        tuple(
            KeptFeature(feature.name, group_of(feature), float(gains[place]), reason)
            for feature, place, reason in zip(plan, (*chosen, *fill), reasons, strict=True)
        ),
        tuple(pool.summary().items()),
        (
            ("constant or a repetition", len(pool) - len(places)),
            ("says the same as a better one, or one too many", len(worth) - len(chosen)),
            ("no gain on later rows", len(places) - len(worth) - len(fill)),
        ),
        len(sample),
        len(folds),
    )


def _target(label: Floats, problem: Problem) -> Floats:
    """Return what the trees are fitted to: ranks where the metric is an absolute error, which no outlier must dominate."""
    if problem.task.kind == "regression" and problem.task.metric.name == "neg_mean_absolute_error":
        return _ranks(label[:, None])[:, 0].astype(np.float64)
    return label


def _distinct(
    values: Floats, categorical: tuple[bool, ...], worth: list[int], near: list[int], keep: int, check: Check
) -> list[int]:
    """Return the first columns of an order, at most so many, without further ones that say nothing new.

    Args:
        values: Features, shape (n, k).
        categorical: Which are categories; they are never compared, for their numbers have no order.
        worth: Columns in the order in which they are taken.
        near: Columns that are taken whatever they say, and that the others must differ from.
        keep: Columns at most.
        check: Called often.
    """
    some = np.unique(np.linspace(0, len(values) - 1, min(_COMPARED, len(values))).astype(np.int64))
    sample, exempt = values[some], {*near, *(place for place, flag in enumerate(categorical) if flag)}
    known = _ranks(sample[:, near])
    taken: list[int] = []
    for start in range(0, len(worth), _BATCH):
        batch = worth[start : start + _BATCH]
        check()
        ranks = _ranks(sample[:, batch])
        before, within = np.abs(known.T @ ranks), np.abs(ranks.T @ ranks)
        fresh: list[int] = []
        for place, column in enumerate(batch):
            same = before[:, place].max(initial=0.0) > _SAME or within[fresh, place].max(initial=0.0) > _SAME
            if column in exempt or not same:
                taken.append(column)
                fresh += [] if column in exempt else [place]
        known = np.concatenate([known, ranks[:, fresh]], axis=1)
        if len(taken) >= keep:
            break
    return taken[:keep]


def _ranks(values: Floats) -> NDArray[np.float32]:
    """Return the ranks of each column's values, equal ones alike, centred and of length 1; missing values rank lowest."""
    found = np.empty(values.shape, dtype=np.float32)
    for place in range(values.shape[1]):
        column = np.nan_to_num(values[:, place], nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        _, number, count = np.unique(column, return_inverse=True, return_counts=True)
        middle = np.cumsum(count) - (count - 1) / 2
        centred = middle[number] - middle[number].mean()
        found[:, place] = centred / max(float(np.sqrt((centred**2).sum())), 1e-30)
    return found
