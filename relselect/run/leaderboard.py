"""The candidates of a run as a data frame, the best first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relselect.families.registry import family_infos

if TYPE_CHECKING:
    import pandas as pd

    from relselect.run.result import RunResult

__all__ = ["leaderboard_of"]

_COLUMNS = [
    "rank", "candidate", "family", "score", "low", "high", "test_score", "seconds", "device", "ended", "default", "chosen",
]  # fmt: skip


def leaderboard_of(result: RunResult, chosen: str) -> pd.DataFrame:
    """Return one row per candidate, baselines included; see `Fitted.leaderboard` for the columns.

    Args:
        result: What the run found.
        chosen: Id of the candidate that was chosen.
    """
    import pandas as pd

    default = {candidate.id for candidate in result.candidates if candidate.number == 0}
    baseline = {info.name for info in family_infos() if info.baseline}
    tested = result.scores.get("test", {})
    rows = [
        {
            "rank": rank,
            "candidate": each.id,
            "family": each.family,
            "score": each.score,
            "low": each.interval[0],
            "high": each.interval[1],
            "test_score": tested[each.id].value if each.id in tested else None,
            "seconds": each.seconds,
            "device": each.device,
            "ended": each.ended,
            "default": each.id in default and each.family not in baseline,
            "chosen": each.id == chosen,
        }
        for rank, each in enumerate(result.ranked, 1)
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)
