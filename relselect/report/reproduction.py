"""The command that would run a record's run again."""

from __future__ import annotations

import shlex

from relselect.report.record import RunRecord

__all__ = ["reproduction_command"]

#: Database, task and regime that `relselect demo` trains on.
_DEMO = ("lahman", "player-active", "rolling")


def reproduction_command(record: RunRecord) -> str:
    """Returns the command line, or "" where it cannot express the run (frames in memory have no name)."""
    source, task = record["database"]["source"], record["task"]["name"]
    settings = record["settings"]
    seed = ["--seed", str(settings["seed"])]
    budget = [] if settings["time_budget"] is None else ["--time-budget", f"{settings['time_budget']:g}s"]
    options = _options(record)
    if source is None:
        named = (record["database"]["name"], task, record["task"]["regime"]) == _DEMO
        demo = named and record["kind"] == "run" and not options
        return " ".join(["relselect", "demo", *seed, *budget]) if demo else ""
    names = [shlex.quote(source), "--task", shlex.quote(task), *seed]
    if record["kind"] == "recommendation":
        return " ".join(["relselect", "recommend", *names])
    regime = [] if record["task"]["regime"] == "static" else ["--regime", record["task"]["regime"]]
    return " ".join(["relselect", "train", *names, *budget, *regime, *options])


def _options(record: RunRecord) -> list[str]:
    """The settings that differ from the defaults of `relselect train`."""
    settings = record["settings"]
    families = [] if settings["families"] is None else ["--families", shlex.quote(",".join(settings["families"]))]
    trials = [] if settings["max_trials"] is None else ["--max-trials", str(settings["max_trials"])]
    final = [] if settings["final"] == "auto" else ["--final", settings["final"]]
    return [*families, *trials, *final, *([] if settings["evaluate_test"] else ["--no-test"])]
