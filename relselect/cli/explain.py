"""`relselect explain`: explain single predictions of a saved predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from relselect.cli.options import (
    AsJson,
    DataPlace,
    PredictorFolder,
    Schemas,
    Seed,
    TrustSource,
    Verbose,
    exit_with,
)
from relselect.display.console import CommandSession

if TYPE_CHECKING:
    from relselect.api import Fitted

__all__ = ["explain"]


def explain(
    folder: PredictorFolder,
    entity: Annotated[
        str, typer.Option("--entity", metavar="KEY", help="The key of the entity; the parts of a composite key as a,b.")
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DATE", help="The date it is asked about, or now; the task's last by default."),
    ] = None,
    database: DataPlace = None,
    schema: Schemas = None,
    trust_source: TrustSource = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Explain a prediction: what in an entity's past pushes it up or down, by table and time window."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.api import load
        from relselect.scoring_place import check_own_place, database_of

        fitted = load(folder)
        if database is None:
            check_own_place(fitted, trusted=trust_source)
        read, drift = database_of(fitted, database, schema)
        found = fitted.explain(entity=_key(fitted, entity), at=_date(fitted, at), database=read, seed=seed)[0]
        result = {"command": "explain", "drift": drift and drift.to_json(), "explanation": found.to_json()}
        session.result(result, str(found))
    exit_with(session)


def _key(fitted: Fitted, text: str) -> Any:
    """The parts of a composite key; the text itself for a key of one column."""
    return tuple(text.split(",")) if len(fitted.task.key_columns) > 1 else text


def _date(fitted: Fitted, text: str | None) -> object:
    """The date as it was written; a whole number where times are integers."""
    whole = text is not None and text.lstrip("-").isdigit() and fitted.task.time_kind == "integer"
    return int(text) if text is not None and whole else text
