"""A process that dies at any file operation of `Fitted.save` leaves the former predictor or the new one, never neither."""

from __future__ import annotations

import copy
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import relselect as rs
from relselect.bundle import read_result
from relselect.files import current_parts, replacing_parts
from relselect.fitted import Fitted

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod"}


def die_at(work: Callable[[], object], folder: Path, at: int) -> bool:
    """Run in a fork that kills itself at its `at`-th change below `folder`; return whether it ended by itself."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in CHANGES or not str(arguments[0]).startswith(str(folder)):
            return
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def variant(fit: Fitted, version: str, refitted: bool) -> Fitted:
    """Return the predictor with another version in its result, with or without a second model."""
    other = copy.copy(fit)
    deployed = replace(fit.decision.candidate, seconds=0.5) if refitted else fit.decision.candidate
    decision = replace(fit.decision, refitted=refitted, deployed=deployed)
    other.result = replace(fit.result, version=version, decision=decision)
    other.decision = decision
    return other


def write_parts(folder: Path, version: str, names: tuple[str, ...]) -> None:
    with replacing_parts(folder, ("model", "deployed", "facts.json"), "seal") as draft:
        for name in names:
            (draft / name).mkdir()
            (draft / name / "weights").write_text(version)
        (draft / "facts.json").write_text(version)
        (draft / "seal").write_text(version)


@pytest.mark.parametrize(
    ("before", "after"), [(("model", "deployed"), ("model",)), (("model",), ("model", "deployed"))]
)
def test_parts_are_replaced_in_one_step(tmp_path: Path, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    folder, at, seen = tmp_path / "out", 0, []
    ended = False
    while not ended:
        at += 1
        write_parts(folder, "1", before)
        ended = die_at(lambda: write_parts(folder, "2", after), folder, at)
        home = current_parts(folder, "seal")
        version = (home / "seal").read_text()
        expected = {"1": before, "2": after}[version]
        assert {path.name for path in home.iterdir() if path.is_dir() and path.name[0] != "."} == set(expected)
        assert {(home / name / "weights").read_text() for name in expected} == {version}
        assert (home / "facts.json").read_text() == version
        seen.append(version)
    assert at > 15
    assert seen == sorted(seen)
    assert set(seen) == {"1", "2"}
    assert {path.name for path in folder.iterdir()} == {"seal", "facts.json", *after}


@pytest.mark.slow
@pytest.mark.parametrize("refitted", [(True, False), (False, True)])
def test_a_kill_while_a_predictor_is_replaced_loses_neither(
    trained: Any, tmp_path: Path, refitted: tuple[bool, bool]
) -> None:
    fit = trained("dfs")[0]
    former, new = (variant(fit, version, again) for version, again in zip(("1.0", "2.0"), refitted, strict=True))
    folder, seen, at = tmp_path / "out", [], 0
    former.save(folder)
    (folder / "report.html").write_text("a file of its owner")
    while True:
        at += 7 if at < 40 else 5
        ended = die_at(lambda: new.save(folder), folder, at)
        seen.append(read_result(folder).version)
        if seen[-1] == "2.0":
            expected = new.result.decision
            assert expected is not None
            assert read_result(folder).decision.refitted == expected.refitted  # type: ignore[union-attr]
            if at % 2 == 0:
                assert rs.load(folder).candidate.id == fit.candidate.id
        if ended:
            break
        former.save(folder)
        assert read_result(folder).version == "1.0"
    assert at > 30
    assert {"1.0", "2.0"} == set(seen)
    assert seen == sorted(seen)
    names = {path.name for path in folder.iterdir()}
    assert names == {"manifest.json", "model", "task", "result.json", "fitted.json", "report.html"} | (
        {"deployed"} if refitted[1] else set()
    )
