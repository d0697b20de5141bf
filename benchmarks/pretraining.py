"""Pretrain on the known databases but rel-f1, train on rel-f1 from there and from scratch; the last line is one JSON object.

    RELSELECT_DATA=... python benchmarks/pretraining.py [--seeds 0 1] [--regimes rolling frozen] [--out docs/pretraining]
    ... --rows 300 --epochs 10        rows of each database that are read, and passes over them
    ... --first 1995 --last 2013      rel-f1 without the rows, and the task rows, of other years: a smaller case
    ... --table                       write the tables of what is there, and fit nothing

The pretraining is kept in `--weights` and goes on after a stop; finished fits are appended to `<out>.jsonl`, and the same call
goes on with what is missing. The tables are written into `<out>.md` between its two marks. Ways:

    sentence       a linear head on the language vector of the driver's own row, nothing around it
    random         a network over language rows whose shared layers are random, drawn by the seed, and stay so
    frozen         the same with pretrained shared layers
    tuned          the same, trained further
    language       the same network over language rows from scratch
    both           columns and language rows, pretrained layers trained further
    both-scratch   the default network over columns and language rows, from scratch
    columns        the default network over columns, from scratch
    foundation     pretrained vectors, label history and a linear head: no gradient
    dfs            synthesised features and LightGBM, beside the networks

Scores are those of select rows (val) and of test rows after no refit; higher is better, errors are negative there and positive in
the tables. A fit that its budget ended is kept in the log, marked, and takes part in no table.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import numpy as np
import pyarrow as pa
import torch
from _pretraining_tables import WAYS, loss_table, paired, tables_of
from _relf1_protocol import TASKS

from relselect.api import open_task
from relselect.budget import Budget
from relselect.configs import config_path, open_database
from relselect.database import Database
from relselect.database.clock import ALWAYS, parse_time
from relselect.dfs import DFS
from relselect.events import EpochDone, Event
from relselect.families.candidate import Candidate
from relselect.files import cache_path
from relselect.foundation import Foundation
from relselect.foundation.head import fit_head
from relselect.language import row_sentences, sentence_encoder, sentence_vectors
from relselect.pretraining import pretrain, read_pretraining_plan
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.progress import Progress
from relselect.rdl import RDL
from relselect.rdl.graph.language_rows import sentence_of
from relselect.rdl.graph.table_encoding import fit_tables
from relselect.rdl.network.shared_layers import SharedLayers
from relselect.rdl.training.pretrained import read_pretrained, write_pretrained
from relselect.tasks import Rows, Task
from relselect.threads import wait_passively

MARKS = ("<!-- measured -->", "<!-- end of measured -->")
SHARED = {"convolution": "sage", "aggregation": "mean", "layers": 2}
#: Ways that begin with the pretrained weights.
PRETRAINED = ("frozen", "tuned", "both", "foundation")


def main() -> None:
    wait_passively()
    torch.set_num_threads(1)
    arguments = parsed()
    log = arguments.out.with_suffix(".jsonl")
    card: dict[str, Any] = {}
    if not arguments.table:
        card = pretrained(arguments)
        for regime in arguments.regimes:
            for name in arguments.tasks:
                problem = case(name, regime, arguments)
                for seed in arguments.seeds:
                    for way in arguments.ways:
                        measure(problem, name, regime, seed, way, arguments, card, log)
    elif (arguments.weights / "weights.safetensors").is_file():
        card = dict(read_pretrained(str(arguments.weights)).card)
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    tables = "\n".join([*loss_table(card), "", *tables_of(rows)])
    page = arguments.out.with_suffix(".md")
    if page.exists():
        head, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
        page.write_text(f"{head}{MARKS[0]}\n\n{tables}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}", encoding="utf-8")
    print(tables)
    print(json.dumps({"curve": card.get("curve", []), "fits": len(rows), "paired": paired(rows)}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, default=config_path("pretrain", "known.yaml"))
    parser.add_argument("--weights", type=Path, default=Path("build/pretraining"))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--channels", type=int)
    parser.add_argument("--databases", nargs="*", help="those of the plan by default")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--regimes", nargs="*", default=["rolling"], choices=["rolling", "frozen"])
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--first", type=int, help="first year of rel-f1 that is read")
    parser.add_argument("--last", type=int, help="last year of rel-f1 that is read")
    parser.add_argument("--drop", nargs="*", default=[], metavar="TABLE", help="tables of rel-f1 that are left out")
    parser.add_argument("--fit-epochs", type=int, help="most epochs of one fit")
    parser.add_argument("--seconds", type=float, default=3600.0, help="budget of one fit")
    parser.add_argument("--out", type=Path, default=Path("docs/pretraining"))
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def pretrained(arguments: argparse.Namespace) -> dict[str, Any]:
    """Pretrain, or read what was pretrained before; random layers of the same sizes are written beside it."""
    plan = read_pretraining_plan(arguments.plan)
    changes = {name: getattr(arguments, name) for name in ("rows", "epochs", "channels", "databases")}
    plan = plan.model_copy(update={name: value for name, value in changes.items() if value is not None})
    file = arguments.weights / "weights.safetensors"
    if not (file.is_file() and read_pretrained(str(file)).card["plan"] == plan.stated()):
        begun = time.process_time()
        with Progress() as progress:
            pretrain(plan, arguments.weights, emit=progress)
        print(f"pretrained in {time.process_time() - begun:.0f} CPU seconds", file=sys.stderr)
    found = read_pretrained(str(file))
    shared = found.shared
    for seed in arguments.seeds:
        torch.manual_seed(seed)
        drawn = SharedLayers(shared.width, shared.channels, shared.layers)
        write_pretrained(drawn, found.card, arguments.weights / f"random-{seed}")
    return dict(found.card)


def case(name: str, regime: str, arguments: argparse.Namespace) -> Problem:
    """Return a task of rel-f1; without the rows of some years where asked."""
    whole = open_database("rel-f1")
    task = open_task(whole, name).in_regime(regime)  # type: ignore[arg-type]
    database, task = within(whole, task, arguments.first, arguments.last)
    return Problem(without(database, arguments.drop), task)


def within(database: Database, task: Task, first: int | None, last: int | None) -> tuple[Database, Task]:
    """Return the database and the task with the rows of some years alone."""
    low = ALWAYS if first is None else parse_time(f"{first}-01-01", database.time_kind)
    high = np.iinfo(np.int64).max if last is None else parse_time(f"{last + 1}-01-01", database.time_kind)
    for name, table in list(database.tables.items()):
        times = database.times(name)
        kept = (times == ALWAYS) | ((times >= low) & (times < high))
        database = database.with_table(replace(table, data=table.data.filter(pa.array(kept))))
    splits = {name: frame.take((frame.cutoff >= low) & (frame.cutoff < high)) for name, frame in task.splits.items()}
    return database, replace(task, splits=splits)


def without(database: Database, tables: list[str]) -> Database:
    """Return the database without some tables."""
    kept = {name: table for name, table in database.tables.items() if name not in tables}
    for name, table in kept.items():
        keys = tuple(key for key in table.foreign_keys if key.table in kept)
        kept[name] = replace(table, foreign_keys=keys)
    return Database(list(kept.values()), database.name)


def measure(
    problem: Problem,
    task: str,
    regime: str,
    seed: int,
    way: str,
    arguments: argparse.Namespace,
    card: dict[str, Any],
    log: Path,
) -> None:
    """Fit one way and append its figures to the log; nothing is done where they are there."""
    identity = read_pretrained(str(arguments.weights)).identity if way in PRETRAINED else ""
    key = {"task": task, "regime": regime, "seed": seed, "way": way, "first": arguments.first, "last": arguments.last}
    key |= {"drop": arguments.drop, "fit_epochs": arguments.fit_epochs, "weights": identity}
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if any(all(row[name] == value for name, value in key.items()) for row in done):
        return
    begun = time.process_time()
    if way == "sentence":
        figures = sentence_alone(problem, seed)
    else:
        figures = fitted(problem, way, seed, arguments)
    row = {**key, **figures, "cpu_seconds": round(time.process_time() - begun, 1)}
    row |= {name: card["plan"][name] for name in ("rows", "epochs", "channels")}
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print({name: row[name] for name in ("task", "regime", "seed", "way", "val", "test")}, file=sys.stderr, flush=True)


def fitted(problem: Problem, way: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fit a network or the foundation family."""
    family: Any = {"foundation": Foundation, "dfs": DFS}.get(way, RDL)(*(() if way == "dfs" else ("cpu",)))
    weights, rnd = str(arguments.weights), str(arguments.weights / f"random-{seed}")
    channels = read_pretrained(weights).shared.channels
    options: dict[str, dict[str, Any]] = {
        "random": {"init": rnd, "rows": "language", "frozen": True},
        "frozen": {"init": weights, "rows": "language", "frozen": True},
        "tuned": {"init": weights, "rows": "language"},
        "language": {"rows": "language", "channels": channels, **SHARED},
        "both": {"init": weights, "rows": "both"},
        "both-scratch": {"rows": "both"},
        "columns": {},
        "dfs": {},
        "foundation": {"weights": weights},
    }
    wanted = dict(options[way])
    if arguments.fit_epochs is not None and way not in ("foundation", "dfs"):
        wanted["epochs"] = arguments.fit_epochs
    rows, marks = fit_rows(problem), []

    def listen(event: Event) -> None:
        if isinstance(event, EpochDone):
            marks.append((time.process_time(), event.score))

    found: Candidate = family.fit(
        problem, rows, family.adjusted(problem, wanted), seed=seed, number=0, budget=Budget(arguments.seconds),
        emit=listen,
    )  # fmt: skip
    test = family.predict(found, problem, problem.rows("test").unlabelled())
    return {
        "val": found.score,
        "test": problem.task.metric.score(problem.rows("test").label, test),
        "stop": found.stop_score,
        "seconds": round(found.seconds, 2),
        "ended": found.ended,
        "curve": [[round(at - marks[0][0], 2), score] for at, score in marks],
    }


def sentence_alone(problem: Problem, seed: int) -> dict[str, Any]:
    """Score a linear head on the vector of the entity's own sentence; stop rows choose its penalty."""
    begun, name = time.monotonic(), problem.entity
    sentence = sentence_of(problem.database[name], fit_tables(problem)[name], "")
    texts = row_sentences(name, problem.database[name].data, sentence.columns)
    code, vectors = sentence_vectors(texts, sentence_encoder(""), cache_path("language"))
    plain = np.concatenate([vectors[code].astype(np.float64), np.zeros((1, vectors.shape[1]))])
    rows = fit_rows(problem)
    train, metric, kind = rows.train(seed=seed, copies=0), problem.task.metric, problem.task.kind
    absolute = "absolute" in metric.name

    def scored(head: Any, some: Rows) -> float:
        return metric.score(some.label, head.predict(plain[some.entity]))

    heads = [
        fit_head(plain[train.entity], train.label, kind, 2, each, absolute=absolute) for each in (1e-3, 1e-2, 1e-1, 1)
    ]
    best = max(heads, key=lambda head: scored(head, rows.stop))
    found = {"val": rows.select, "test": problem.rows("test"), "stop": rows.stop}
    scores = {split: scored(best, some) for split, some in found.items()}
    return {**scores, "seconds": round(time.monotonic() - begun, 2), "ended": "converged", "curve": []}


if __name__ == "__main__":
    main()
