"""Progress as plain lines, and as a bar that does not break on markup in names."""

from __future__ import annotations

import io

from relselect.display.progress import Progress
from relselect.events import (
    CheckpointChosen,
    EpochDone,
    FeatureProgress,
    Notice,
    Refitted,
    StageFinished,
    StageStarted,
    TrialFailed,
    TrialFinished,
    TrialStarted,
)

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
    Refitted("dfs", 0, True, 1.5),
    Refitted("rdl", 3, False, 0.0),
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
        "refitted: dfs trial 0 in 1.5 s",
        "no time was left to refit rdl trial 3",
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


def test_long_computations_say_how_much_is_left() -> None:
    stream = io.StringIO()
    with Progress(stream=stream, live=False) as progress:
        for done, seconds in ((0, 0.5), (100, 1.0), (250, 6.0), (300, 7.0), (500, 12.0), (1000, 20.0)):
            progress(FeatureProgress(done, 1000, seconds))
    lines = [line.split("] ")[1].strip() for line in stream.getvalue().splitlines()]
    assert lines == ["25% of 1,000 cells, 18 s left", "50% of 1,000 cells, 12 s left", "100% of 1,000 cells"]
    live = io.StringIO()
    with Progress(stream=live, live=True) as progress:
        progress(FeatureProgress(250, 1000, 6.0))
    assert "cells\n" not in live.getvalue()
