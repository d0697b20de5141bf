"""Does masking lower the loss of masked tokens on databases that were not learnt from? The last line is one JSON object.

    RELSELECT_DATA=... RELSELECT_LANGUAGE_MODEL=... python benchmarks/masking.py [--seeds 0 1] [--layers 0 -1] [--rows 100]
    ... --databases sakila scotus --held-out chinook       what is learnt from, and what the loss is measured on
    ... --table                                            write the table of what is there, and train nothing

The encoders come without a head that restores tokens, so a head is trained in any case. `--layers 0` trains the head alone over
the model as it is, and is what `--layers -1`, the whole model, is compared with: same rows, same masks. A training that was cut
off goes on; finished ones are appended to `<out>-masking.jsonl`, and the table is written into `<out>.md` between its two marks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import torch

from relselect.budget import Budget
from relselect.configs import open_database
from relselect.pretraining import PretrainingPlan
from relselect.pretraining.corpus import choose_rows
from relselect.pretraining.masking import language_card_of, masked_language
from relselect.pretraining.plan import MaskingPlan
from relselect.progress import Progress
from relselect.threads import wait_passively

MARKS = ("<!-- masking -->", "<!-- end of masking -->")
DATABASES = ["international-football", "opam-packages", "sakila", "scotus"]
WAYS = {-1: "whole model", 0: "head alone"}


def main() -> None:
    wait_passively()
    torch.set_num_threads(1)
    arguments = parsed()
    log = arguments.out.with_name(f"{arguments.out.name}-masking.jsonl")
    if not arguments.table:
        for seed in arguments.seeds:
            for layers in arguments.layers:
                measure(seed, layers, arguments, log)
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    table = "\n".join(table_of(rows))
    page = arguments.out.with_suffix(".md")
    if page.exists():
        head, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
        page.write_text(f"{head}{MARKS[0]}\n\n{table}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}", encoding="utf-8")
    print(table)
    print(json.dumps({"trainings": rows, "differences": differences(rows)}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", nargs="+", default=DATABASES)
    parser.add_argument("--held-out", nargs="+", default=["chinook", "lahman-baseball"])
    parser.add_argument("--rows", type=int, default=150, help="rows of each database that are read, about")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--layers", nargs="*", type=int, default=[0, -1])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--weights", type=Path, default=Path("build/masking"))
    parser.add_argument("--out", type=Path, default=Path("docs/pretraining"))
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def measure(seed: int, layers: int, arguments: argparse.Namespace, log: Path) -> None:
    """Train one language model and append its losses to the log; nothing is done where they are there."""
    plan = PretrainingPlan(
        name="masking",
        databases=arguments.databases,
        held_out=arguments.held_out,
        rows=arguments.rows,
        seed=seed,
        masking=MaskingPlan(epochs=arguments.epochs, layers=layers, batch_size=arguments.batch_size),
    )
    key = {"plan": plan.stated()}
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if any(row["plan"] == key["plan"] for row in done):
        return
    begun = time.process_time()
    chosen = {place: choose_rows(open_database(place), plan) for place in (*arguments.databases, *arguments.held_out)}
    with Progress() as progress:
        folder = masked_language(
            plan, chosen, arguments.weights / f"{layers}-{seed}" / "language", Budget(None), progress
        )
    card = language_card_of(folder)
    row = {**key, "base": card["base"], "versions": card["versions"], "curve": card["curve"]}
    row |= {"rows": {each["database"]: each["rows"] for each in card["data"]}}
    row["cpu_seconds"] = round(time.process_time() - begun, 1)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def table_of(rows: list[dict[str, Any]]) -> list[str]:
    """Return the losses as lines of Markdown."""
    names = list(rows[0]["curve"][0]["held_out"]) if rows else []
    lines = [
        f"| seed | trained | epoch | training |{''.join(f' {name} |' for name in names)} CPU seconds |",
        f"|---:|---|---:|---:|{'---:|' * len(names)}---:|",
    ]
    for row in rows:
        plan = row["plan"]
        way = WAYS.get(plan["masking"]["layers"], f"last {plan['masking']['layers']} layers")
        for point in row["curve"]:
            loss = "" if point["loss"] is None else f"{point['loss']:.2f}"
            held_out = "".join(f" {point['held_out'][name]:.2f} |" for name in names)
            seconds = f"{row['cpu_seconds']:.0f}" if point is row["curve"][-1] else ""
            lines.append(f"| {plan['seed']} | {way} | {point['epoch']} | {loss} |{held_out} {seconds} |")
    return lines


def differences(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return, per held-out database, the whole model's last loss less that of the head alone: mean and spread over the seeds."""
    last = {(row["plan"]["seed"], row["plan"]["masking"]["layers"]): row["curve"][-1]["held_out"] for row in rows}
    seeds = [seed for seed, layers in last if layers == 0 and (seed, -1) in last]
    found = {}
    for name in last[seeds[0], 0] if seeds else ():
        paired = [last[seed, -1][name] - last[seed, 0][name] for seed in seeds]
        found[name] = {"mean": statistics.fmean(paired), "spread": statistics.pstdev(paired), "seeds": len(paired)}
    return found


if __name__ == "__main__":
    main()
