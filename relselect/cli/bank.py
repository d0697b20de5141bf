"""`relselect bank build | show | merge | evaluate | report | import`: make, look at, judge and combine performance banks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relselect.cli.options import AsJson, Verbose, exit_with
from relselect.display.console import CommandSession
from relselect.progress import Progress, duration_text

if TYPE_CHECKING:
    from relselect.bank import PerformanceBank

__all__ = ["bank"]

bank = typer.Typer(
    help="Make, look at and put together performance banks.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[Path, typer.Argument(metavar="BANK", help="The bank's folder.")]
Out = Annotated[Path, typer.Option("--out", metavar="BANK", help="The folder of the new bank.")]


@bank.command()
def build(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="What to build, as YAML.")],
    folder: Folder,
    jobs: Annotated[int, typer.Option("--jobs", help="Workers.")] = 1,
    backend: Annotated[str, typer.Option("--backend", help="joblib's backend: loky, ray, dask or spark.")] = "loky",
    only: Annotated[list[str] | None, typer.Option("--only", metavar="DB", help="Databases of the manifest.")] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Make every trial of a manifest that the bank lacks; the same command goes on after a kill."""
    session = CommandSession(as_json, verbose)
    session.resume_hint = "Run the same command again to go on; what was finished is kept."
    with session.work():
        from relselect.bank import build_bank, read_bank_manifest

        plan = read_bank_manifest(manifest)
        if only:
            plan = _part(plan, only)
        with Progress() as progress:
            built = build_bank(plan, folder, n_jobs=jobs, backend=backend, on_event=progress)
        refused = [f"{database}/{task}: {why}" for (database, task), why in sorted(built.refused.items())]
        result = {
            "command": "bank build",
            "bank": str(folder),
            "tasks": len(built.bank.tasks),
            "trials": len(built.bank),
            "added": built.added,
            "failed": built.failed,
            "elsewhere": built.elsewhere,
            "refused": refused,
            "seconds": round(built.seconds, 1),
        }
        lines = [
            f"{built.bank!r}: {built.added} trials added in {duration_text(built.seconds)}, {built.failed} failed."
        ]
        if built.elsewhere:
            lines.append(f"{built.elsewhere} trials are being made by another builder.")
        session.result(result, *lines, *(f"Not taken: {each}" for each in refused))
    exit_with(session)


@bank.command()
def show(folder: Folder, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Show what a bank covers, and check it."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.bank import PerformanceBank
        from relselect.bank.summary import coverage

        opened = PerformanceBank.open(folder)
        opened.validate()
        rows = coverage(opened)
        failures = [
            f"{opened.task_of[trial.task].title} {trial.family}-{trial.number}: {trial.error}"
            for trial in opened.trials
            if trial.failed
        ]
        result = {"command": "bank show", "bank": str(folder), "databases": rows, "failures": failures}
        session.result(result, _table(rows), repr(opened), *(f"Failed: {each}" for each in failures))
    exit_with(session)


@bank.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="BANK...", help="The banks.")],
    out: Out,
    shareable: Annotated[
        bool, typer.Option("--shareable", help="Leave out single rows of data that must not be handed on.")
    ] = False,
    most_rows: Annotated[
        int | None, typer.Option("--most-rows", min=1, help="Rows kept of each part of a task: a uniform sample.")
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Write the rows of several banks as one; of one bank a copy, smaller if asked for."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.bank import PerformanceBank

        first, *others = [PerformanceBank.open(folder) for folder in folders]
        written = first.merge(*others).save(out, shareable=shareable, most_rows=most_rows)
        _finish(session, "bank merge", out, written)
    exit_with(session)


@bank.command()
def evaluate(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the page there, as Markdown.")
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Replay every policy of choosing on a bank, with a selector that never saw the task's database."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.bank import PerformanceBank
        from relselect.files import check_writable, unwritable, write_text
        from relselect.selector.evaluation import evaluate_parts
        from relselect.selector.evaluation_page import evaluation_page
        from relselect.selector.portfolio import portfolio_gains

        if out is not None:
            check_writable("--out", out)
        bank = PerformanceBank.open(folder)
        found, correlations = evaluate_parts(bank)
        page = evaluation_page(found, correlations, portfolios=portfolio_gains(bank))
        if out is not None:
            with unwritable("--out", out):
                write_text(out, page)
        parts = {name: each.to_json() for name, each in found.items()}
        session.result({"command": "bank evaluate", "parts": parts, "rank_correlations": correlations}, page)
    exit_with(session)


@bank.command()
def report(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Write the HTML page there.")],
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.1, help="Time budget of a task's fits: 1, 3, 10 or 30.")
    ] = 3.0,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Write one HTML page about a bank: coverage, policies, what more databases would bring, homophily against the margin."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.bank import PerformanceBank
        from relselect.files import check_writable, unwritable, write_text
        from relselect.report import bank_page

        check_writable("--out", out)
        known = PerformanceBank.open(folder)
        page = bank_page(known, minutes=minutes)
        with unwritable("--out", out):
            write_text(out, page)
        told = {"command": "bank report", "page": str(out), "fingerprint": known.fingerprint}
        session.result(told, f"The page about {folder} is {out}.")
    exit_with(session)


@bank.command("import")
def import_(
    table: Annotated[Path, typer.Argument(metavar="CSV", help="A results.csv as RelArena publishes it.")],
    out: Out,
    source: Annotated[
        str, typer.Option("--source", help="Whose results these are; stands in every row.")
    ] = "RelArena (PriorLabs/relarena, Apache-2.0)",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Turn a published table of results into a bank: trials without profiles and predictions."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.bank.relarena import import_relarena

        _finish(session, "bank import", out, import_relarena(table, source).save(out))
    exit_with(session)


def _finish(session: CommandSession, command: str, folder: Path, written: PerformanceBank) -> None:
    result = {"command": command, "bank": str(folder), "tasks": len(written.tasks), "trials": len(written)}
    session.result(result, f"{written!r} in {folder}")


def _part(plan: Any, names: list[str]) -> Any:
    """Return a manifest with some of its databases."""
    from relselect.bank.sources import databases_of
    from relselect.errors import ConfigError

    known = databases_of(plan)
    for name in names:
        if name not in known:
            raise ConfigError("--only", name, "is no database of the manifest", f"Use one of: {', '.join(known)}")
    return plan.model_copy(update={"databases": {name: known[name] for name in names}})


def _table(rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table()
    for name in rows[0] if rows else ():
        table.add_column(name)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table
