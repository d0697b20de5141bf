"""Standard output and error that are closed, broken or of another encoding end no command."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from relselect.display.console import CommandSession
from relselect.events import StageStarted
from relselect.progress import Progress


class Broken(io.StringIO):
    """A pipe whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def command(as_json: bool, problem: Exception | None = None) -> int:
    session = CommandSession(as_json)
    with session.work():
        print("a library that prints", file=sys.stderr)
        if problem is not None:
            raise problem
        session.result({"name": "é\u2713"}, "name é\u2713")
    return session.code


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_of_another_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str, as_json: bool) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert command(as_json) == 0
    written = out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    if as_json:
        assert json.loads(written) == {"name": "é\u2713"}
    else:
        assert "\\u2713" in written


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("lost", ["broken", "closed", "none"])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_lost_stream_changes_no_exit_code(
    monkeypatch: pytest.MonkeyPatch, name: str, lost: str, as_json: bool
) -> None:
    def stream() -> Any:
        if lost == "none":
            return None
        found = Broken() if lost == "broken" else io.StringIO()
        if lost == "closed":
            found.close()
        return found

    for problem, code in ((None, 0), (RuntimeError("no"), 1)):
        monkeypatch.setattr(sys, name, stream())
        if name == "stderr" and lost == "broken":
            with Progress(stream=sys.stderr) as progress:
                progress(StageStarted("profile"))
                progress(StageStarted("tuning"))
            continue
        assert command(as_json, problem) == code


@pytest.mark.parametrize("stream", [None, Broken()])
def test_progress_goes_on_without_its_reader(stream: Any) -> None:
    with Progress(stream=stream or Broken()) as progress:
        for stage in ("profile", "tuning"):
            progress(StageStarted(stage))
