"""`relselect features`: compute features of a task's rows, or describe them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from relselect.cli.options import AsJson, Source, TaskName, Verbose, exclusive, exit_with, open_named
from relselect.display.console import CommandSession, Verbatim
from relselect.display.escaping import without_formulas
from relselect.errors import ConfigError
from relselect.files import check_writable, unwritable
from relselect.progress import Progress

if TYPE_CHECKING:
    from relselect.dfs.plan.plan import Plan
    from relselect.dfs.search.pool import PoolOptions
    from relselect.dfs.search.screen import SearchResult
    from relselect.dfs.synthesis import Features

__all__ = ["features"]

_Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A .parquet file for the features.")]
_SavedPlan = Annotated[
    Path | None, typer.Option("--plan", metavar="FILE", help="Apply a saved plan instead of the default one.")
]
_Rich = Annotated[bool, typer.Option("--rich", help="Medians, quantiles, trends, conditions and more as well.")]
_Engine = Annotated[
    Literal["prefix", "sql", "featuretools"], typer.Option("--engine", help="What computes the values.")
]

_SavePlan = Annotated[Path | None, typer.Option("--save-plan", metavar="FILE", help="Write the plan there.")]
_Describe = Annotated[bool, typer.Option("--describe", help="Say what every feature is; compute nothing.")]
_Dialect = Annotated[
    str | None, typer.Option("--sql", metavar="DIALECT", help="Print the plan as SQL; compute nothing.")
]
_Split = Annotated[str | None, typer.Option("--split", help="train, val or test; all labelled rows by default.")]
_At = Annotated[str | None, typer.Option("--at", metavar="DATE", help="Everyone the task asks about at a date.")]
_Depth = Annotated[int | None, typer.Option("--depth", help="Steps of a path at most, 1 to 4; 2, with --search 4.")]
_MaxFeatures = Annotated[int | None, typer.Option("--max-features", help="Features at most; 600 by default.")]
_Window = Annotated[
    list[str] | None, typer.Option("--window", metavar="LENGTH", help="A window such as 60d; may be repeated.")
]
_MemoryLimit = Annotated[
    str | None, typer.Option("--memory-limit", metavar="SIZE", help="Such as 2GB; rows are computed in blocks.")
]
_Search = Annotated[
    bool, typer.Option("--search", help="Search thousands of candidates for the features worth most in training.")
]
_Without = Annotated[
    list[str] | None,
    typer.Option("--without", help="Candidates that --search leaves out: conditions, ratios, neighbours, rich."),
]

#: Groups of candidates that a search may leave out.
_GROUPS = ("conditions", "ratios", "neighbours", "rich")
#: Rows that are printed in a terminal.
_SHOWN_ROWS = 20


def features(
    source: Source,
    task: TaskName,
    out: _Out = None,
    plan: _SavedPlan = None,
    save_plan: _SavePlan = None,
    describe: _Describe = False,
    sql: _Dialect = None,
    split: _Split = None,
    at: _At = None,
    engine: _Engine = "prefix",
    search: _Search = False,
    without: _Without = None,
    depth: _Depth = None,
    max_features: _MaxFeatures = None,
    window: _Window = None,
    rich: _Rich = False,
    memory_limit: _MemoryLimit = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Compute features of a task's rows, or say what they are, in English or in SQL."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.dfs import synthesis

        exclusive(at, split)
        _check_places(out, save_plan)
        database, opened = open_named(source, task)
        windows = None if window is None else [int(length) if length.isdigit() else length for length in window]
        made, searched = synthesis.made_plan(
            database,
            opened,
            plan=plan,
            search=_candidates(search, without),
            depth=depth,
            max_features=max_features,
            windows=windows,
            rich=rich,
        )
        if save_plan is not None:
            _save_plan(made, save_plan)
        if describe or sql or (save_plan and out is None):
            _describe(session, made, searched, describe, sql, save_plan)
        else:
            with Progress() as progress:
                found = synthesis.features(
                    database,
                    opened,
                    plan=made,
                    split=split,
                    at=at,
                    engine=engine,
                    memory_limit=memory_limit,
                    out=out,
                    on_event=progress,
                )
            _result(session, found, searched, save_plan)
    exit_with(session)


def _candidates(search: bool, without: list[str] | None) -> bool | PoolOptions:
    if without and not search:
        raise ConfigError("--without", without, "says what a search does not offer", "Add --search")
    if not without:
        return search
    if wrong := sorted(set(without) - set(_GROUPS)):
        raise ConfigError("--without", wrong, "are no candidates", f"Use some of: {', '.join(_GROUPS)}")
    from relselect.dfs.search.pool import PoolOptions

    conditions, ratios, neighbours, rich = (name not in without for name in _GROUPS)
    return PoolOptions(conditions=conditions, ratios=ratios, neighbours=neighbours, rich=rich)


def _check_places(out: Path | None, save_plan: Path | None) -> None:
    for option, place in (("--out", out), ("--save-plan", save_plan)):
        if place is not None:
            check_writable(option, place, fix="Give another file")


def _save_plan(plan: Plan, path: Path) -> None:
    with unwritable("--save-plan", path, "Give another file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        plan.save(path)


def _describe(
    session: CommandSession,
    plan: Plan,
    searched: SearchResult | None,
    describe: bool,
    dialect: str | None,
    saved: Path | None,
) -> None:
    """Set the description of a plan as the result: its groups, and its features in English or SQL on request."""
    groups = ", ".join(f"{count} {group}" for group, count in plan.summary().items())
    result: dict[str, Any] = {"command": "features", **_plan_facts(plan, searched, saved)}
    if dialect is not None:
        text = plan.to_sql(dialect)
        session.result(result | {"dialect": dialect, "sql": text}, Verbatim(text))
        return
    lines = [] if searched is None else [searched.describe()]
    lines += [f"{len(plan)} features of {plan.entity}: {groups}", *(plan.describe().splitlines() if describe else [])]
    session.result(result, *lines, *([] if saved is None else [f"Plan: {saved}"]))


def _plan_facts(plan: Plan, searched: SearchResult | None, saved: Path | None) -> dict[str, Any]:
    described = [{"name": feature.name, "description": feature.describe(plan.entity)} for feature in plan]
    facts = {"entity": plan.entity, "groups": plan.summary(), "features": described, "plan": saved and str(saved)}
    return facts if searched is None else {**facts, "search": searched.facts()}


def _result(session: CommandSession, found: Features, searched: SearchResult | None, saved: Path | None) -> None:
    """Set where the features are, or the features as CSV where they go to no file, as the result."""
    facts = _plan_facts(found.plan, searched, saved)
    result = {"command": "features", "out": found.path and str(found.path), **facts}
    if found.path is not None:
        lines = [f"{len(found.plan)} features: {found.path}", *([] if saved is None else [f"Plan: {saved}"])]
        session.result(result, *lines)
        return
    frame = found.to_pandas()
    if session.as_json:
        session.result(result | {"rows": len(frame)})
    elif sys.__stdout__ is not None and sys.__stdout__.isatty():
        more = f"{len(frame):,} rows, {len(found.plan)} features; --out FILE writes all, --describe says what they are"
        session.result(result, frame.head(_SHOWN_ROWS).to_string(index=False, max_cols=12), more)
    else:
        session.result(result, Verbatim(without_formulas(frame).to_csv(index=False).rstrip("\n")))
