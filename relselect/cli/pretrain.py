"""`relselect pretrain`: learn weights for graph networks from several databases, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relselect.cli.options import AsJson, Quiet, Verbose, budget_seconds, exit_with
from relselect.display.console import CommandSession
from relselect.progress import Progress, duration_text
from relselect.serialization import number_of

__all__ = ["pretrain"]


def pretrain(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="What to learn from, as YAML.")],
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of the weights.")],
    time_budget: Annotated[
        str | None, typer.Option("--time-budget", metavar="DURATION", help="Stop after 90s, 5min or 1h.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Pretrain a graph network over language rows; the same command goes on after a stop."""
    session = CommandSession(as_json, verbose)
    session.resume_hint = "Run the same command again to go on; what was finished is kept."
    with session.work():
        from relselect.budget import Budget
        from relselect.pretraining import pretrain as pretrained
        from relselect.pretraining import read_pretraining_plan

        budget = Budget(None if time_budget is None else budget_seconds(time_budget))
        with Progress(quiet=quiet) as progress:
            found = pretrained(read_pretraining_plan(plan), folder, budget=budget, emit=progress)
        last = found.card["curve"][-1]
        result = {
            "command": "pretrain",
            "weights": str(found.weights),
            "language": None if found.language is None else str(found.language),
            "identity": found.identity,
            "epochs": last["epoch"],
            "loss": last["loss"],
            "held_out": last["held_out"],
            "seconds": round(found.seconds, 1),
        }
        shown = ", ".join(f"{number_of(value):.4f} on {name}" for name, value in last["held_out"].items())
        session.result(
            result,
            f"Weights in {found.weights}, {last['epoch']} epochs in {duration_text(found.seconds)}.",
            f"Loss {number_of(last['loss']):.4f}" + (f"; held out: {shown}." if shown else "."),
        )
    exit_with(session)
