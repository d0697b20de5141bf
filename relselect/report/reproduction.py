"""The command that would run a record's run again."""

from __future__ import annotations

import json
import shlex

from relselect.queries import parse_query, task_name
from relselect.report.record import RunRecord

__all__ = ["reproduction_command"]

#: Database, task and regime that `relselect demo` trains on.
_DEMO = ("lahman", "player-active", "rolling")


def reproduction_command(record: RunRecord) -> str:
    """Returns the command line, or "" where it cannot express the run (frames in memory and search spaces have no name)."""
    source, task = record["database"]["source"], record["task"]["name"]
    settings = record["settings"]
    seed = ["--seed", str(settings["seed"])]
    budget = [] if settings["time_budget"] is None else ["--time-budget", f"{settings['time_budget']:g}s"]
    options = _options(record)
    if settings["spaces"]:
        return ""
    if source is None:
        named = (record["database"]["name"], task, record["task"]["regime"]) == _DEMO
        demo = named and record["kind"] == "run" and not options
        return " ".join(["relselect", "demo", *seed, *budget]) if demo else ""
    names = [shlex.quote(source), *_task(record), *seed]
    if record["kind"] == "recommendation":
        return " ".join(["relselect", "recommend", *names])
    regime = [] if record["task"]["regime"] == "static" else ["--regime", record["task"]["regime"]]
    return " ".join(["relselect", "train", *names, *budget, *regime, *options])


def _options(record: RunRecord) -> list[str]:
    """The settings that differ from the defaults of `relselect train`; a preset is written out as what it stands for."""
    settings = record["settings"]
    fixed = [
        f"{family}.{name}={json.dumps(value, ensure_ascii=False)}"
        for family, values in settings["options"].items()
        for name, value in values.items()
    ]
    more = [word for text in fixed for word in ("--option", shlex.quote(text))]
    more += [] if settings["metric"] is None else ["--metric", settings["metric"]]
    weights = settings["class_weight"]
    if weights is not None:
        texts = [weights] if isinstance(weights, str) else [f"{name}={weight!r}" for name, weight in weights.items()]
        more += [word for text in texts for word in ("--class-weight", shlex.quote(text))]
    more += [] if settings["device"] is None else ["--device", settings["device"]]
    families = [] if settings["families"] is None else ["--families", shlex.quote(",".join(settings["families"]))]
    trials = [] if settings["max_trials"] is None else ["--max-trials", str(settings["max_trials"])]
    trials += [] if settings["fidelity"] == "full" else ["--fidelity", settings["fidelity"]]
    seeds = [] if settings["average_seeds"] is None else ["--average-seeds", str(settings["average_seeds"])]
    final = [] if settings["final"] == "auto" else ["--final", settings["final"]]
    test = [] if settings["evaluate_test"] else ["--no-test"]
    return [*families, *trials, *seeds, *final, *test, *more, *([] if settings["explain"] else ["--no-explain"])]


def _task(record: RunRecord) -> list[str]:
    """The task by its name, or the query that it was asked by: a task that only a query made has the name of the query."""
    task = record["task"]
    if task["query"] is not None and task["name"] == task_name(parse_query(task["query"])):
        return ["--query", shlex.quote(task["query"])]
    return ["--task", shlex.quote(task["name"])]
