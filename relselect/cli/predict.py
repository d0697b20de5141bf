"""`relselect predict`: predict with a saved predictor."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relselect.cli.options import (
    AsJson,
    DataPlace,
    PredictorFolder,
    Schemas,
    TrustSource,
    Verbose,
    exclusive,
    exit_with,
)
from relselect.display.console import CommandSession, Verbatim
from relselect.display.escaping import without_formulas
from relselect.errors import ConfigError, UnknownEntityWarning
from relselect.escaping import escape_controls
from relselect.files import check_writable, replacing, unwritable

if TYPE_CHECKING:
    import pandas as pd

    from relselect.api import Fitted
    from relselect.database.sources.writing import Written
    from relselect.drift import DatabaseDrift

__all__ = ["predict"]

#: Rows that are printed in a terminal.
_SHOWN_ROWS = 20
_FIX = "Give another file"


def predict(
    folder: PredictorFolder,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE", help="Everyone the task asks about at a date, now or today.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="The task's own rows: train, val or test; test by default, val where there is none."
        ),
    ] = None,
    database: DataPlace = None,
    schema: Schemas = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A .parquet or .csv file.")] = None,
    write_to: Annotated[
        str | None, typer.Option("--write-to", metavar="TABLE", help="Append to this table where the data are.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --write-to: replace what earlier runs wrote for the same dates.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            "--interval", help="For numbers: add columns low and high that hold this share of labels, such as 0.9."
        ),
    ] = None,
    calibrated: Annotated[
        bool,
        typer.Option("--calibrated", help="For classes: scale probabilities to the shares of the validation rows."),
    ] = False,
    trust_source: TrustSource = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Predict with a saved predictor, at a date or for a split of the task (by default the last one).

    Only what the predictor needs is read, and what has changed since training is reported. Nothing is written to the
    database, unless --write-to names a table.
    """
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.api import load
        from relselect.scoring_place import check_own_place, database_of

        exclusive(at, split)
        _check_places(out, write_to, replace)
        fitted = load(folder)
        if at is None and split is None:
            split = "test" if fitted.task.has_test else "val"
        if database is None:
            check_own_place(fitted, trusted=trust_source, writes=write_to is not None)
        place = _target(fitted, database, write_to)
        read, drift = database_of(fitted, database, schema)
        with _unknown_told():
            frame = fitted.predict(at=at, split=split, database=read, interval=interval, calibrated=calibrated)
        state = _state(fitted, split)
        typer.echo(f"predicted by the {state}", err=True)
        written = None
        with _written(frame, out):
            if place is not None and write_to is not None:
                written = fitted.write(frame, place, write_to, replace=replace)
        _result(session, frame, out, drift, written, state)
    exit_with(session)


def _check_places(out: Path | None, write_to: str | None, replace: bool) -> None:
    """Refuse places where predictions cannot be written, before anything is read."""
    if replace and write_to is None:
        raise ConfigError("--replace", True, "replaces rows of a table", "Name the table with --write-to")
    if out is not None and out.suffix.lower() not in {".parquet", ".csv"}:
        raise ConfigError("--out", str(out), "must end in .parquet or .csv", "Write e.g. --out predictions.parquet")
    if out is not None:
        check_writable("--out", out, fix=_FIX)


@contextmanager
def _unknown_told() -> Iterator[None]:
    """Write warnings of unknown entities as plain text; others are warned of as they were."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnknownEntityWarning)
        yield
    for each in caught:
        if issubclass(each.category, UnknownEntityWarning):
            typer.echo(f"warning: {escape_controls(str(each.message))}", err=True)
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _state(fitted: Fitted, split: str | None) -> str:
    """Which state of the model predicted, in words."""
    if not fitted.decision.refitted:
        return "final model, trained on the training rows: it has not seen the validation rows"
    if fitted.state_for(split) is fitted.candidate:
        return "validated model: it has not seen the validation rows"
    return "final model, trained on training and validation rows"


def _target(fitted: Fitted, name: str | None, table: str | None) -> str | Path | None:
    """Where predictions are written to; refused before any work when nothing can be written there."""
    if table is None:
        return None
    from relselect.configs import place_of
    from relselect.database.sources.writing import parse_target, writable

    name = name or fitted.source
    if name is None:
        rule = "is a table of a database, and the predictor knows no database"
        raise ConfigError("--write-to", table, rule, "Pass --uri with its address")
    parse_target(table)
    writable(place_of(name))
    return place_of(name)


def _result(
    session: CommandSession,
    frame: pd.DataFrame,
    out: Path | None,
    drift: DatabaseDrift | None,
    written: Written | None,
    state: str,
) -> None:
    """Set what has changed since training and where the predictions are, or the predictions, as the result."""
    from relselect.display.terminal import drift_table

    result: dict[str, Any] = {
        "command": "predict",
        "rows": len(frame),
        "columns": [str(name) for name in frame.columns],
    }
    result |= {"model": state, "drift": drift and drift.to_json(), "written": written and vars(written)}
    lines = [] if written is None else [f"{written.rows:,} predictions: table {written.table}"]
    if written is not None and written.replaced:
        lines[0] += f", in the place of {written.replaced:,} earlier ones"
    changed = [drift_table(drift.to_json())] if drift is not None and drift.findings else []
    if out is not None:
        lines.append(f"{len(frame):,} predictions: {out}")
    if lines:
        session.result(result | {"out": out and str(out)}, *changed, *lines)
    elif session.as_json:
        session.result(result | {"predictions": frame.to_dict(orient="records")})
    elif sys.__stdout__ is not None and sys.__stdout__.isatty():
        more = f"{len(frame) - _SHOWN_ROWS:,} more rows; --out FILE writes all" if len(frame) > _SHOWN_ROWS else ""
        session.result(result, *changed, frame.head(_SHOWN_ROWS).to_string(index=False), *([more] if more else []))
    else:
        if changed and drift is not None:
            typer.echo(escape_controls(f"since training: {drift.summary}; --json or --out lists the changes"), err=True)
        session.result(result, Verbatim(without_formulas(frame).to_csv(index=False).rstrip("\n")))


@contextmanager
def _written(frame: pd.DataFrame, out: Path | None) -> Iterator[None]:
    """Write a file under a temporary name, and move it into its place when the `with` block ends without an error."""
    if out is None:
        yield
        return
    with ExitStack() as stack:
        with unwritable("--out", out, _FIX):
            draft = stack.enter_context(replacing(out))
            if out.suffix.lower() == ".csv":
                without_formulas(frame).to_csv(draft, index=False)
            else:
                frame.to_parquet(draft, index=False)
        yield
        with unwritable("--out", out, _FIX):
            stack.close()
