"""What a terminal shows: no name, value or error moves the cursor, changes a colour or turns the direction of text."""

from __future__ import annotations

import pytest

from relselect.display.console import CommandSession, Verbatim
from relselect.display.terminal import problem_table
from relselect.errors import ConfigError, SchemaError, SchemaProblem
from relselect.escaping import escape_controls
from relselect.events import Notice
from relselect.progress import Progress

HOSTILE = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b31m",
    "a\rb",
    "a\x08b",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\u200fx",
    "\x7f",
    "\x00",
]


def clean(text: str) -> bool:
    return all(sign == "\n" or sign.isprintable() for sign in text)


@pytest.mark.parametrize("text", HOSTILE)
def test_errors_results_and_progress_are_escaped(text, capsys):
    for error in (
        ConfigError(text, text, text, text),
        SchemaError([SchemaProblem(text, text, text, text, text)]),
        RuntimeError(text),
    ):
        for verbose in (False, True):
            session = CommandSession(verbose=verbose)
            with session.work():
                raise error
    with (session := CommandSession()).work():
        session.result({}, f"line {text}", problem_table([SchemaProblem(text, text, text, text, text)]))
    with Progress() as progress:
        progress(Notice("source", f"note {text}", "warning"))
    shown = capsys.readouterr()
    assert clean(shown.out)
    assert clean(shown.err)
    assert escape_controls(text) in shown.err
    assert f"line {escape_controls(text)}" in shown.out


def test_text_for_programs_stays_as_it_is_in_a_pipe(capsys):
    with (session := CommandSession()).work():
        session.result({}, Verbatim("a,\u202eb\tc"))
    assert capsys.readouterr().out == "a,\u202eb\tc\n"


def test_letters_and_line_breaks_stay():
    assert escape_controls("é 漢 \u05d0\n\tx") == "é 漢 \u05d0\n\tx"
