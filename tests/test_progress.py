"""Progress as plain lines, and as a bar that does not break on markup in names."""

from __future__ import annotations

import io

from relselect.events import (
    CheckpointChosen,
    EpochDone,
    Notice,
    StageFinished,
    StageStarted,
    TrialFailed,
    TrialFinished,
    TrialStarted,
)
from relselect.progress import Progress

EVENTS = (
    StageStarted("tuning [/bold] dfs"),
    TrialStarted("dfs", 0, {"depth": 2}),
    EpochDone("dfs", 0, 1, 0.5, 0.8, 1.0),
    TrialFinished("dfs", 0, 0.81234, 2.0),
    TrialFailed("dfs", 1, "no [memory]"),
    Notice("device", "no GPU", "warning"),
    StageFinished("tuning [/bold] dfs", 3.0, "2 trials"),
    CheckpointChosen("dfs", 0, None, "It is the best."),
    StageFinished("choice", 0.1, "It is the best."),
)


def shown(live: bool) -> str:
    stream = io.StringIO()
    with Progress(60.0, stream=stream, live=live) as progress:
        for event in EVENTS:
            progress(event)
    return stream.getvalue()


def test_plain_lines() -> None:
    text = shown(live=False)
    for part in (
        "validation score 0.8123 in 2.0 s",
        "trial 1 failed: no [memory]",
        "warning (device): no GPU",
        "took 3.0 s (2 trials)",
    ):
        assert part in text
    assert all(line.startswith("[") for line in text.splitlines())
    assert text.count("It is the best.") == 1


def test_live_bar_shows_the_same_news() -> None:
    text = shown(live=True)
    assert "trial 1 failed: no [memory]" in text
    assert "warning (device): no GPU" in text


def test_unlimited_budget_has_no_bar() -> None:
    with Progress(float("inf"), stream=io.StringIO(), live=True) as progress:
        progress(StageStarted("profile"))
