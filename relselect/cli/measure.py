"""`relselect profile` and `relselect recommend`: measure a task without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from relselect.cli.options import (
    AsJson,
    Fresh,
    OptionalTask,
    QueryText,
    Quiet,
    Seed,
    Source,
    Verbose,
    exit_with,
    open_asked,
)
from relselect.cli.report import check_report_place, leak_facts, write_report_file
from relselect.display.console import CommandSession
from relselect.progress import Progress

__all__ = ["profile", "recommend"]


def profile(
    source: Source,
    task: OptionalTask = None,
    query: QueryText = None,
    seed: Seed = 0,
    hops: Annotated[int, typer.Option("--hops", help="Length of the paths of homophily: 2, or 4 for longer ones.")] = 2,
    fresh: Fresh = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Measure a task without training anything; the same content is measured once."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect import api
        from relselect.display.terminal import profile_tables
        from relselect.report.assemble import profile_record

        database, opened = open_asked(source, task, query)
        with Progress(quiet=quiet) as progress:
            found = api.profile(database, opened, on_event=progress, seed=seed, hops=hops, cache=not fresh)
        result = {"command": "profile", "database": database.name, "task": opened.name, "profile": found.to_json()}
        session.result(result, *profile_tables(profile_record(found)))
    exit_with(session)


def recommend(
    source: Source,
    task: OptionalTask = None,
    query: QueryText = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write a report there.")] = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Say which family to train, without training."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect import api
        from relselect.display.terminal import verdict_lines

        if out is not None:
            check_report_place(out)
        database, opened = open_asked(source, task, query)
        with Progress(quiet=quiet) as progress:
            advice = api.recommend(database, opened, on_event=progress, seed=seed, cache=not fresh)
        record: Any = advice.record
        page = None if out is None else write_report_file(record, out)
        result = {"command": "recommend", "database": database.name, "task": opened.name, "report": page}
        result |= leak_facts(record)
        lines = verdict_lines(record) + ([] if page is None else [f"Report: {page}"])
        session.result(result | {"recommendation": advice.to_json()}, *lines)
    exit_with(session)
