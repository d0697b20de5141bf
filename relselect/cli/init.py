"""`relselect init`: propose a manifest for a database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relselect.cli.options import AsJson, Verbose, exit_with, separated
from relselect.display.console import CommandSession
from relselect.progress import Progress

__all__ = ["init"]


def init(
    source: Annotated[str, typer.Argument(metavar="DB", help="An address, a database file or a folder of files.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The manifest; database.yaml by default.")
    ] = None,
    schema: Annotated[
        list[str] | None, typer.Option("--schema", metavar="NAME", help="The schemas to read, e.g. sales,crm.")
    ] = None,
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

        names = None if tables is None else separated(tables)
        schemas = None if schema is None else [name for each in schema for name in separated(each)]
        with Progress() as progress:
            written = init_manifest(
                source, out, schema=schemas, tables=names, overrides=override or (), force=force, on_event=progress
            )
        result = {"command": "init", **written.to_json()}
        inferred = [line for line in written.proposal.table() if line["origin"] != "declared"]
        session.result(result, proposal_table(inferred), *written.messages)
    exit_with(session)
