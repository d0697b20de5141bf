"""The command line: `relselect train`, `predict`, `serve` and the other commands of the README.

Every command takes `--json`. Thin over `relselect.api`; everything heavy is imported inside the commands, so that `--help` is
fast. Exit codes:
0 good, 1 a failure inside, 2 bad input, 3 the budget was too small, 130 interrupted (what was finished is kept).
"""

from __future__ import annotations

import time
from typing import Annotated

import typer

from relselect.cli.bank import bank
from relselect.cli.clock import CommandClock, process_start
from relselect.cli.compare import compare
from relselect.cli.explain import explain
from relselect.cli.features import features
from relselect.cli.init import init
from relselect.cli.measure import profile, recommend
from relselect.cli.predict import predict
from relselect.cli.pretrain import pretrain
from relselect.cli.query import query
from relselect.cli.report import report
from relselect.cli.serve import serve
from relselect.cli.tasks import tasks
from relselect.cli.train import demo, train

__all__ = ["app", "main"]

app = typer.Typer(
    help="Graph neural network or feature synthesis? Answers for your relational database, and trains the answer.",
    epilog="Exit codes: 0 good, 1 a failure inside, 2 bad input, 3 budget too small, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo, init, tasks, query, profile, recommend, train, predict, explain, serve, compare, report, features,
    pretrain,
):  # fmt: skip
    app.command()(command)
app.add_typer(bank, name="bank")


def main() -> None:
    """Entry point of the `relselect` process: the time budget of a command counts from the start of the process."""
    import warnings

    from relselect.errors import LeakWarning
    from relselect.memory import collect_seldom
    from relselect.threads import wait_passively

    collect_seldom()

    warnings.simplefilter("ignore", LeakWarning)  # the commands show these as notices
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.")  # a library's own use of what PyTorch is about to drop

    wait_passively()
    app(prog_name="relselect", obj=CommandClock(process_start(), own_process=True))


def _version(wanted: bool) -> None:
    if wanted:
        from relselect._version import __version__

        typer.echo(f"relselect {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.obj is None:  # called from Python: the budget counts from the start of the command
        context.obj = CommandClock(time.monotonic())
