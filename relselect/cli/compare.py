"""`relselect compare`: two saved predictors on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from relselect.cli.options import AsJson, Seed, TrustSource, Verbose, exit_with
from relselect.display.console import CommandSession

__all__ = ["compare"]


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A predictor's folder, or the record in it.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another predictor of the same question.")],
    split: Annotated[
        Literal["val", "test"] | None,
        typer.Option("--split", help="The rows: test by default, val where there is none."),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option("--uri", "--database", metavar="DB", help="The data that both read; by default those trained on."),
    ] = None,
    trust_source: TrustSource = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Say which of two predictors is better on rows that both predict, with a paired interval of the difference."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.comparison import compare_bundles

        found = compare_bundles(first, second, split=split, database=database, trust_source=trust_source, seed=seed)
        result = {
            "command": "compare",
            "first_predictor": str(first),
            "second_predictor": str(second),
            **found.to_json(),
        }
        session.result(result, found.sentence(str(first), str(second)))
    exit_with(session)
