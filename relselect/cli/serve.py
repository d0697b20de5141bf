"""`relselect serve`: predictions of a saved predictor over HTTP."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer

from relselect.cli.options import (
    AsJson,
    DataPlace,
    PredictorFolder,
    Schemas,
    TrustSource,
    Verbose,
    exit_with,
)
from relselect.display.console import CommandSession
from relselect.errors import UnknownEntityWarning

__all__ = ["serve"]


def serve(
    folder: PredictorFolder,
    database: DataPlace = None,
    schema: Schemas = None,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; this machine alone by default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 for any free one.")] = 8000,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Entities of one request at most.")] = 1000,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="Bytes of one request at most.")] = 1_000_000,
    max_waiting: Annotated[int, typer.Option("--max-waiting", min=1, help="Requests at one time at most.")] = 100,
    timeout: Annotated[str, typer.Option("--timeout", help="How long one request may take.")] = "30s",
    reread: Annotated[
        str | None, typer.Option("--reread", metavar="TIME", help="Read the data again after so long, such as 15min.")
    ] = None,
    trust_source: TrustSource = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Answer requests for predictions until SIGTERM or Ctrl-C.

    A predictor that is replaced on disk is loaded while the former one answers. There is no log-in: put a proxy in front of it
    where others can reach it.
    """
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.serving.server import serve as run_server
        from relselect.serving.settings import ServerSettings

        warnings.simplefilter("ignore", UnknownEntityWarning)  # answers say it per row
        settings = ServerSettings(
            folder=folder,
            database=database,
            schema=None if schema is None else tuple(schema),
            trust_source=trust_source,
            host=host,
            port=port,
            max_rows=max_rows,
            max_bytes=max_bytes,
            max_waiting=max_waiting,
            timeout=ServerSettings.seconds_of("--timeout", timeout),
            reread=None if reread is None else ServerSettings.seconds_of("--reread", reread),
        )
        if not settings.local:
            typer.echo("warning: whoever reaches this address can ask for predictions; there is no log-in", err=True)
        service = run_server(settings, lambda address: typer.echo(f"relselect serves {folder} on {address}", err=True))
        requests, errors = service.metrics.requests, service.metrics.errors
        result = {"command": "serve", "requests": requests, "errors": errors}
        session.result(result, f"{requests:,} requests were answered, {errors:,} with an error.")
    exit_with(session)
