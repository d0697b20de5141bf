"""`relselect init`: propose a manifest for a database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relselect.cli.options import AsJson, Verbose, exit_with
from relselect.display.console import CommandSession
from relselect.progress import Progress

__all__ = ["init"]


def init(
    source: Annotated[str, typer.Argument(metavar="DB", help="An address, a database file or a folder of files.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The manifest; database.yaml by default.")
    ] = None,
    schema: Annotated[list[str] | None, typer.Option("--schema", help="The schema to read; may be repeated.")] = None,
    tables: Annotated[str | None, typer.Option("--tables", help="Read only these, e.g. orders,customers.")] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="LINE", help='Overrule, e.g. "orders.buyer -> customers" or "orders: time=day".'),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "--yes", help="Replace a manifest that is there already.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Propose keys, references and times, and write a manifest with two example tasks that run.

    Every line has its reason. The database is only read; no password goes into the manifest.
    """
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.display.terminal import proposal_table
        from relselect.proposal.init import init_manifest

        names = None if tables is None else [name.strip() for name in tables.split(",") if name.strip()]
        with Progress() as progress:
            written = init_manifest(
                source, out, schema=schema, tables=names, overrides=override or (), force=force, on_event=progress
            )
        result = {"command": "init", **written.to_json()}
        session.result(result, proposal_table(written.proposal.table()), *written.messages)
    exit_with(session)
