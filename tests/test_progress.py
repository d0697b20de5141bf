"""Progress as plain lines, as a bar that does not break on markup in names, in notebooks, and in the log."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

import relselect as rs
from relselect.errors import ConfigError
from relselect.events import (
    BankProgress,
    CheckpointChosen,
    EpochDone,
    FeatureProgress,
    Notice,
    Refitted,
    StageFinished,
    StageStarted,
    TrialFailed,
    TrialFinished,
    TrialPruned,
    TrialStarted,
)
from relselect.progress import Progress, watched

EVENTS = (
    StageStarted("tuning [/bold] dfs"),
    TrialStarted("dfs", 0, {"depth": 2}),
    EpochDone("dfs", 0, 1, 0.5, 0.8, 1.0),
    TrialFinished("dfs", 0, 0.81234, 2.0),
    TrialFailed("dfs", 1, "no [memory]"),
    TrialPruned("dfs", 2, "pruned at 9 of 81 rounds: worse", 0.4),
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
        "dfs trial 2 pruned at 9 of 81 rounds: worse",
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


def test_errors_are_shown_positive() -> None:
    stream = io.StringIO()
    with Progress(stream=stream, live=False) as progress:
        progress(TrialFinished("dfs", 0, -66.3, 2.0, "MAE", -1))
        progress(TrialFinished("dfs", 1, 0.75, 2.0, "AUROC"))
    assert "validation MAE 66.3000 in" in stream.getvalue()
    assert "validation AUROC 0.7500 in" in stream.getvalue()


def test_the_build_of_a_bank_is_shown_by_the_same_code() -> None:
    stream = io.StringIO()
    with Progress(stream=stream, live=False) as progress:
        progress(BankProgress(3, 12, 1, 0, 60.0, 185.0, "shop/churn"))
        progress(BankProgress(0, 12, 0, 0, 0.0, float("nan")))
    first, second = stream.getvalue().splitlines()
    assert first.endswith("3 of 12 trials, 1 failed, 0 tasks not taken; left: 3 min 05 s  shop/churn")
    assert second.endswith("left: unknown")


def test_quiet_shows_nothing() -> None:
    stream = io.StringIO()
    with Progress(60.0, stream=stream, live=True, quiet=True) as progress:
        for event in EVENTS:
            progress(event)
    assert stream.getvalue() == ""


def test_every_event_is_logged_at_its_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "relselect"), watched(None, False) as emit:
        for event in EVENTS:
            emit(event)
        emit(StageStarted("a\x1b[2J\nb"))
    levels = {type(record.event).__name__: record.levelname for record in caplog.records}
    assert len(caplog.records) == len(EVENTS) + 1
    assert levels["EpochDone"] == levels["TrialStarted"] == "DEBUG"
    assert {levels[name] for name in ("StageStarted", "TrialFinished", "TrialFailed", "Notice", "Refitted")} == {"INFO"}
    assert "trial 1 failed: no [memory]" in caplog.text
    assert caplog.records[-1].getMessage() == "a\\x1b[2J b"


def test_nothing_is_written_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    for progress in (None, True, False):
        with watched(None, progress) as emit:
            for event in EVENTS:
                emit(event)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ConfigError, match="progress=False"), watched(None, "bar"):  # type: ignore[arg-type]
        pass


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_and_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    for listener, progress, shown in (
        (None, None, True),
        (heard.append, None, False),
        (heard.append, True, True),
        (None, False, False),
    ):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        with watched(listener, progress, 60.0) as emit:
            emit(StageStarted("tuning"))
            emit(Notice("device", "no GPU", "warning"))
        assert ("tuning" in terminal.getvalue() or "starting" in terminal.getvalue()) == shown
        assert "no GPU" not in terminal.getvalue()
    assert len(heard) == 4


def test_of_calls_at_one_time_the_first_alone_shows_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with watched(None, None) as outer:
        outer(StageStarted("outer"))
        with watched(None, None) as inner:
            inner(StageStarted("inner"))
        thread = threading.Thread(target=lambda: watched(None, None).__enter__()(StageStarted("thread")))
        thread.start()
        thread.join()
    assert "inner" not in terminal.getvalue()
    assert "thread" not in terminal.getvalue()
    with pytest.raises(RuntimeError), watched(None, None):
        raise RuntimeError("no")
    with watched(None, None) as emit:
        emit(StageStarted("later"))
    assert "starting" in terminal.getvalue()


def test_a_notebook_gets_one_line_of_html_without_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, item: object) -> None:
            shown.append(item._repr_html_())  # type: ignore[attr-defined]

    def display(item: object, display_id: bool) -> Handle:
        shown.append(item._repr_html_())  # type: ignore[attr-defined]
        return Handle()

    ipython, part = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    part.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", part)
    monkeypatch.setattr("relselect.progress._REDRAW", 0.0)
    with watched(None, None, 60.0) as emit:
        emit(StageStarted("<script>tuning"))
        emit(EpochDone("dfs", 0, 3, 0.5, 0.8, 1.0))
    assert "starting" in shown[0]
    assert "&lt;script&gt;tuning" in shown[1]
    assert "dfs trial 0, epoch 3 (0 s of 60 s)" in shown[2]
    assert "done after" in shown[-1]
    assert not [each for each in shown if "<script" in each]
    ipython.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]
    before = len(shown)
    with watched(None, None) as emit:  # IPython in a terminal is no notebook
        emit(StageStarted("tuning"))
    assert len(shown) == before


def test_features_and_profiles_are_logged(database, tables, caplog: pytest.LogCaptureFixture) -> None:
    from tests.shop import shop_task

    task = shop_task(database, tables)
    with caplog.at_level(logging.INFO, "relselect"):
        rs.features(database, task, split="val", max_features=10)
        rs.recommend(database, task)
    stages = {record.event.stage for record in caplog.records if isinstance(record.event, StageFinished)}
    assert {"features", "profile"} <= stages


def test_a_real_terminal_is_clean_afterwards() -> None:
    code = (
        "import relselect as rs\n"
        "example = rs.examples.synthetic(customers=40)\n"
        "rs.features(example.database, example.tasks['planted'], split='val', max_features=5)\n"
        "print('{\"done\": true}')\n"
    )
    leader, follower = pty.openpty()
    done = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=follower, text=True)
    out, _ = done.communicate(timeout=60)
    os.close(follower)
    seen = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(leader)
    assert json.loads(out) == {"done": True}
    assert b"features" in seen or b"starting" in seen
    assert seen.rstrip().endswith(b"\x1b[2K") or seen.count(b"\n") <= 2
    assert b"\x1b[?25h" in seen  # the cursor is back
