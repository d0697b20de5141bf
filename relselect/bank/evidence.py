"""What a bank says about two families on one task: the paired difference of their defaults, its errors, and every blend.

These numbers are all that a selector learns from, so they are kept with a bank that must not hand on single rows. A difference
is always the second family's skill less the first's. Nothing here is fitted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from relselect.bank.pairs import BLEND_WEIGHTS, PairEvidence
from relselect.bank.rows import BankTask, BankTrial
from relselect.families.registry import trained
from relselect.hashing import fingerprint_json
from relselect.tasks.metrics import metric_named, skill
from relselect.tasks.paired import paired_skill_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.bank.arrays import LabelledPart, Part
    from relselect.bank.contents import BankContents

__all__ = ["blend_of", "evidence_of", "pair_evidence", "skill_of"]

_NAN = float("nan")
#: A 90 % interval is this many standard errors wide.
_WIDTH = 2 * 1.6449


def evidence_of(bank: BankContents) -> list[PairEvidence]:
    """Return the evidence of the defaults of every two trained families, by task and seed; failed trials have none.

    What a bank's folders keep is used where its trials are unchanged; the rest is computed from the predictions.
    """
    kept = {row.id: row for folder in bank.folders for row in folder.evidence()}
    found = []
    for task in bank.tasks:
        pairs = list(_default_pairs(bank.trials_of[task.id]))
        missing = [(one, other) for one, other in pairs if _pair_id(one, other) not in kept]
        labels, predictions = _arrays(bank, task) if missing else (None, {})
        for one, other in pairs:
            row = kept.get(_pair_id(one, other))
            found.append(row or pair_evidence(task, one, other, labels, predictions))
    return found


def pair_evidence(
    task: BankTask,
    one: BankTrial,
    other: BankTrial,
    labels: Mapping[Part, LabelledPart] | None,
    predictions: Mapping[str, Mapping[Part, NDArray[np.float32]]],
) -> PairEvidence:
    """Return two trials of one task side by side.

    Args:
        task: The task.
        one: The first trial.
        other: The second trial.
        labels: The task's labels; None where they are not kept.
        predictions: Trial id -> part -> predictions; errors and blends need those of both.
    """
    both = labels is not None and one.id in predictions and other.id in predictions
    errors: dict[Part, float] = {"select": _interval_error(task, one, other), "test": _NAN}
    blends: dict[str, list[float]] = {}
    if both and labels is not None:
        for part in ("select", "test"):
            errors[part], blends[part] = _compared(
                task, part, labels[part], predictions[one.id][part], predictions[other.id][part]
            )
    return PairEvidence(
        id=_pair_id(one, other),
        task=task.id,
        database=task.database,
        kind=task.kind,
        first=one.family,
        second=other.family,
        seed=one.seed,
        first_select=skill_of(task, one, "select"),
        second_select=skill_of(task, other, "select"),
        first_test=skill_of(task, one, "test"),
        second_test=skill_of(task, other, "test"),
        select_error=errors["select"],
        test_error=errors["test"],
        first_seconds=one.seconds * one.idle_share,
        second_seconds=other.seconds * other.idle_share,
        blends=blends,
    )


def skill_of(task: BankTask, trial: BankTrial, part: Part) -> float:
    """Return the skill of a trial on select rows (as validated) or test rows (as deployed)."""
    score, reference = (
        (trial.select_score, task.reference_select) if part == "select" else (trial.test_score, task.reference_test)
    )
    return skill(metric_named(task.metric), score, reference)


def blend_of(first: NDArray[np.float32], second: NDArray[np.float32], weight: float) -> NDArray[np.float64]:
    """Return (1 - weight) first + weight second, of the rows that both have."""
    rows = min(len(first), len(second))
    return (1.0 - weight) * first[:rows].astype(np.float64) + weight * second[:rows].astype(np.float64)


def _default_pairs(trials: Sequence[BankTrial]) -> list[tuple[BankTrial, BankTrial]]:
    order = {name: place for place, name in enumerate(trained())}
    usable = [
        trial
        for trial in trials
        if trial.family in order and trial.role == "default" and not trial.failed and math.isfinite(trial.test_score)
    ]
    usable.sort(key=lambda trial: (trial.seed, order[trial.family]))
    return [
        (one, other)
        for one, other in itertools.combinations(usable, 2)
        if one.seed == other.seed and one.family != other.family
    ]


def _pair_id(one: BankTrial, other: BankTrial) -> str:
    return fingerprint_json([one.to_json(), other.to_json()])[:20]


def _arrays(
    bank: BankContents, task: BankTask
) -> tuple[dict[Part, LabelledPart] | None, dict[str, dict[Part, NDArray[np.float32]]]]:
    labels = bank.labels(task.id)
    return labels, {} if labels is None else bank.predictions(task.id)


def _compared(
    task: BankTask, part: Part, labels: LabelledPart, first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[float, list[float]]:
    """Return the standard error of the difference, and the skill of every blend."""
    metric = metric_named(task.metric)
    reference = task.reference_select if part == "select" else task.reference_test
    rows = min(len(labels), len(first), len(second))
    label, clusters = labels.label[:rows].astype(np.float64), labels.cluster[:rows]
    error = paired_skill_error(metric, label, first[:rows], second[:rows], clusters, reference)
    curve = [
        skill(metric, metric.score(label, blend_of(first[:rows], second[:rows], weight)), reference)
        for weight in BLEND_WEIGHTS
    ]
    return error, curve


def _interval_error(task: BankTask, one: BankTrial, other: BankTrial) -> float:
    """Return a standard error from the two intervals, as if the trials were independent: too large rather than too small."""
    metric = metric_named(task.metric)
    variance = 0.0
    for trial in (one, other):
        low, high = (skill(metric, score, task.reference_select) for score in (trial.select_low, trial.select_high))
        variance += ((high - low) / _WIDTH) ** 2
    return math.sqrt(variance)
