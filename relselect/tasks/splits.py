"""Splits: which labelled rows train, validate and test, and which are purged between them.

What the rows of a split may see is decided in `regimes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from relselect.database.clock import NEVER, TimeKind, format_time
from relselect.errors import TaskError
from relselect.tasks.labels import LabelFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SPLITS", "Split", "by_fold", "by_group", "by_time", "default_starts", "purge"]

Split = Literal["train", "val", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")
#: Shares of the distinct cutoffs that validate and test when the user names no dates.
_VAL_SHARE, _TEST_SHARE = 0.15, 0.15


def default_starts(cutoff: NDArray[np.int64], delay: int = 0) -> tuple[int, int]:
    """Return the default starts of validation and test, which get the last 15 % of the dates each.

    Validation ends early enough for its labels to be known when the test begins, so that purging does not empty it.

    Args:
        cutoff: Ticks of all rows.
        delay: Ticks from a cutoff until its label is known.

    Raises:
        TaskError: There are fewer than three distinct cutoffs, or too few for the delay.
    """
    dates = np.unique(cutoff)
    if len(dates) < 3:
        raise TaskError(
            "cutoffs",
            len(dates),
            "three or more distinct dates are needed to split by time",
            "Ask at more cutoffs, or give train, val and test frames",
        )
    n_test = max(1, round(_TEST_SHARE * len(dates)))
    n_val = max(1, round(_VAL_SHARE * len(dates)))
    test_start = int(dates[-n_test])
    known = dates[dates <= min(test_start - delay, int(dates[-n_test - 1]))]
    if len(known) <= n_val or dates[0] + delay > known[-n_val]:
        raise TaskError(
            "cutoffs",
            len(dates),
            "cover too short a time: labels would be known only after the next split begins",
            "Ask at earlier cutoffs, shorten known_after, or give val_start and test_start",
        )
    return int(known[-n_val]), test_start


def by_time(
    frame: LabelFrame, val_start: int, test_start: int | None, kind: TimeKind | None = "timestamp"
) -> dict[Split, LabelFrame]:
    """Split by cutoff: before `val_start`, from there, and from `test_start` (ticks of the `kind` of time) on.

    Raises:
        TaskError: The dates are out of order or a split is empty.
    """
    end = test_start if test_start is not None else NEVER
    if end <= val_start:
        raise TaskError(
            "test_start",
            format_time(end, kind),
            f"must lie after val_start, {format_time(val_start, kind)}",
            "Give a later test_start",
        )
    parts: dict[Split, LabelFrame] = {
        "train": frame.take(frame.cutoff < val_start),
        "val": frame.take((frame.cutoff >= val_start) & (frame.cutoff < end)),
    }
    if test_start is not None:
        parts["test"] = frame.take(frame.cutoff >= test_start)
    for split, part in parts.items():
        if len(part) == 0:
            raise TaskError(f"{split} rows", 0, "no row falls into this split", "Move val_start or test_start")
    return parts


def by_fold(frame: LabelFrame, fold: NDArray[np.int64]) -> dict[Split, LabelFrame]:
    """Split a static task by declared folds: the lowest number tests, the next validates, the others train.

    Raises:
        TaskError: There are fewer than three folds.
    """
    numbers = np.unique(fold)
    if len(numbers) < 3:
        raise TaskError("folds", numbers.tolist(), "three or more folds are needed", "Give more folds")
    return {
        "train": frame.take(~np.isin(fold, numbers[:2])),
        "val": frame.take(fold == numbers[1]),
        "test": frame.take(fold == numbers[0]),
    }


def by_group(frame: LabelFrame, entity: NDArray[np.int64], seed: int = 0) -> dict[Split, LabelFrame]:
    """Split a static task 60/20/20 by a seeded draw of whole entities.

    Raises:
        TaskError: There are fewer than five entities.
    """
    groups, inverse = np.unique(entity, return_inverse=True)
    if len(groups) < 5:
        raise TaskError("labels", f"{len(groups)} entities", "five or more are needed to split them by a draw",
                        "Give train, val and test frames")  # fmt: skip
    place = np.random.default_rng(seed).permutation(len(groups))[inverse] / max(1, len(groups))
    return {
        "train": frame.take(place >= 0.4),
        "val": frame.take((place >= 0.2) & (place < 0.4)),
        "test": frame.take(place < 0.2),
    }


def purge(
    frames: Mapping[Split, LabelFrame], starts: Mapping[Split, int], embargo: int = 0
) -> tuple[dict[Split, LabelFrame], dict[Split, int]]:
    """Leave out the rows of a split whose label is known only after the next split has begun.

    A row stays when `known_at + embargo <= start of the next split`, and when its label time is unknown (de Prado 2018,
    chapter 7, for purging and embargo).

    Args:
        frames: The splits.
        starts: First cutoff of each split, ticks.
        embargo: Additional ticks between a label and the next split.

    Returns:
        The frames, and how many rows of each were purged.

    Raises:
        TaskError: Nothing is left of a split.
    """
    kept: dict[Split, LabelFrame] = {}
    counts: dict[Split, int] = {}
    for split, following in zip(SPLITS, [*SPLITS[1:], None], strict=True):
        if split not in frames:
            continue
        frame = frames[split]
        if following is not None and following in frames:
            late = (frame.known_at != NEVER) & (frame.known_at > starts[following] - embargo)
            frame = frame.take(~late)
        if len(frame) == 0:
            raise TaskError(
                f"{split} rows",
                len(frames[split]),
                f"every label is known only after the {following} split begins",
                "Start the next split later, or shorten known_after",
            )
        kept[split], counts[split] = frame, len(frames[split]) - len(frame)
    return kept, counts
