"""Output and exit codes of a command: results on standard output, everything else on standard error.

With `--json` a command writes exactly one JSON object to standard output. While a command works, what libraries print
(some do so from C) goes to standard error. This module draws no tables and reads no data.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from relselect.errors import BudgetError, RelSelectError, SchemaError, SchemaProblem, UserError
from relselect.escaping import escape_controls
from relselect.serialization import dump_document

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["BAD_INPUT", "FAILED", "GOOD", "INTERRUPTED", "TOO_SMALL_BUDGET", "CommandSession", "Verbatim"]

GOOD = 0
#: Something went wrong that is not the caller's fault.
FAILED = 1
BAD_INPUT = 2
TOO_SMALL_BUDGET = 3
INTERRUPTED = 130

_PLAIN_WIDTH = 120
#: Seconds that the last message of a process may take.
_LAST_WORDS = 0.25


class Verbatim(str):
    """Text that a program reads, such as CSV: escaped where a terminal shows it, and nowhere else."""

    __slots__ = ()


class CommandSession:
    """One command from its start to its exit code.

    Args:
        as_json: Whether the result is one JSON object.
        verbose: Whether errors come with their traceback.

    Attributes:
        code: The exit code.
        interrupted: Whether the user pressed Ctrl-C, also where the command still ended with a result.
        resume_hint: A sentence on how to resume, for the message after an interrupt.
    """

    def __init__(self, as_json: bool = False, verbose: bool = False) -> None:
        self.as_json, self.verbose = as_json, verbose
        self.code = GOOD
        self.interrupted = False
        self.resume_hint = ""
        self._result: Mapping[str, Any] | None = None
        self._stdout = 1  # the descriptor of standard output
        self._shown: list[RenderableType] = []

    @contextmanager
    def work(self) -> Iterator[CommandSession]:
        """Run a command's work inside: errors become messages and exit codes, the result is written at the end."""
        _tolerate_other_encodings()
        try:
            with self._noting_interrupts(), _output_to_stderr() as stdout:
                self._stdout = stdout
                yield self
        except KeyboardInterrupt:
            self._fail(INTERRUPTED, "Interrupted", f"Interrupted. {self.resume_hint}".rstrip())
        except RelSelectError as error:
            self._refuse(error)
        except Exception as error:
            hint = "" if self.verbose else " Run the command again with --verbose to see where."
            self._fail(FAILED, type(error).__name__, f"relselect failed: {type(error).__name__}: {error}.{hint}")
        else:
            self._write()
            self.code = INTERRUPTED if self.interrupted else GOOD

    def result(self, result: Mapping[str, Any], *shown: RenderableType) -> None:
        """Set what is written at the end: the object `result` with `--json`, otherwise the items of `shown` in order."""
        self._result, self._shown = result, list(shown)

    def end_process(self, code: int, kind: str, message: str) -> NoReturn:
        """End the process at once from any thread, with one last message; nothing is cleaned up or waited for."""
        writer = threading.Thread(target=self._write_last, args=(code, kind, message), daemon=True)
        writer.start()
        writer.join(_LAST_WORDS)  # a full pipe takes none
        os._exit(code)

    def _write_last(self, code: int, kind: str, message: str) -> None:
        """Write past Python's streams, whose locks another thread may hold."""
        with suppress(OSError):
            shown = "\x1b[?25h\n" if os.isatty(2) else ""  # a progress bar hides the cursor
            os.write(2, f"{shown}error: {escape_controls(message)}\n".encode(errors="backslashreplace"))
        if self.as_json:
            with suppress(OSError):
                os.write(self._stdout, dump_document(_error_object(code, kind, message), sort_keys=False).encode())

    def _write(self) -> None:
        if self.as_json:
            _write_json(self._result or {})
            return
        with _lost_readers():
            console = _console(sys.stdout)
            for item in self._shown:
                if isinstance(item, Verbatim) and not sys.stdout.isatty():
                    print(item)  # noqa: T201 - rich would turn tabs into blanks
                    continue
                item = escape_controls(item) if isinstance(item, str) else item
                console.print(item, markup=False, highlight=False, soft_wrap=isinstance(item, str))

    def _refuse(self, error: RelSelectError) -> None:
        code = TOO_SMALL_BUDGET if isinstance(error, BudgetError) else BAD_INPUT
        code = code if isinstance(error, UserError) else FAILED
        if isinstance(error, SchemaError):
            self._fail(code, type(error).__name__, str(error), error.problems)
        else:
            self._fail(code, type(error).__name__, str(error))

    def _fail(self, code: int, kind: str, message: str, problems: Sequence[SchemaProblem] = ()) -> None:
        """Write one error to standard error and, with `--json`, as the one object."""
        self.code = code
        with _lost_readers():
            if self.verbose:
                print(escape_controls(traceback.format_exc()), end="", file=sys.stderr)  # noqa: T201
            if problems:
                from relselect.display.terminal import problem_table

                _console(sys.stderr).print(problem_table(problems))
            else:
                print(f"error: {escape_controls(message)}", file=sys.stderr)  # noqa: T201
        if self.as_json:
            _write_json(_error_object(code, kind, message, problems))

    @contextmanager
    def _noting_interrupts(self) -> Iterator[None]:
        """Record Ctrl-C and raise it on: a run that then ends with the models it has still exits with 130."""

        def noted(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            raise KeyboardInterrupt

        try:
            earlier = signal.signal(signal.SIGINT, noted)
        except ValueError:  # not the main thread: nothing to note
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, earlier)


def _error_object(code: int, kind: str, message: str, problems: Sequence[SchemaProblem] = ()) -> dict[str, Any]:
    listed = [{"table": p.table, "column": p.column, "value": p.value, "rule": p.rule, "fix": p.fix} for p in problems]
    return {"error": {"kind": kind, "message": message, "problems": listed}, "exit_code": code}


def _write_json(result: Mapping[str, Any]) -> None:
    text = dump_document(result, sort_keys=False)
    if not (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "").startswith("utf"):
        text = json.dumps(json.loads(text), indent=2) + "\n"  # escapes stand for what the encoding lacks
    with _lost_readers():
        print(text, end="")  # noqa: T201


def _console(stream: Any) -> Console:
    from rich.console import Console

    terminal = stream is not None and not stream.closed and stream.isatty()
    return Console(file=stream, width=None if terminal else _PLAIN_WIDTH, highlight=False)


def _tolerate_other_encodings() -> None:
    """Let both streams write escapes for what their encoding lacks, and open those that are closed to nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _lost_readers() -> Iterator[None]:
    """Write to a stream whose reader may be gone: what is lost is text, and never the end of a command."""
    try:
        yield
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            try:
                stream.flush()
            except (OSError, ValueError):
                # what is still in the buffer would fail again when the interpreter ends
                setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
                with suppress(OSError, ValueError):
                    os.dup2(getattr(sys, name).fileno(), stream.fileno())


@contextmanager
def _output_to_stderr() -> Iterator[int]:
    """Send what anything prints, from Python or from C, to standard error; yield a descriptor of standard output."""
    with _lost_readers():
        sys.stdout.flush()
    saved = None
    with suppress(OSError):
        saved = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield 1 if saved is None else saved
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)
