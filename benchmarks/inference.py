"""Propose keys, references and times for every known database from its tables alone, and compare with its manifest.

    RELSELECT_DATA=... python benchmarks/inference.py [--only rel-f1 sakila] [--misses] [--out docs]

The tables are read as the files hold them, columns included that the manifest drops; nothing else of the manifest is
seen. Proposals about dropped columns count neither for nor against: nobody declared what they mean. Every database is
measured a second time with all names hidden (tables t0, t1, ..., columns c0, c1, ...), which shows what the values say
by themselves. With `--out`, the tables go into `inference.md` there, below the text. The last line printed is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

KINDS = {"primary_key": "primary keys", "foreign_key": "foreign keys", "time": "time columns"}
BARS = {
    "primary_key": (0.95, 0.95),
    "foreign_key": (0.9, 0.85),
    "time": (0.9, 0.9),
}
MARK = "<!-- measured: python benchmarks/inference.py --out docs -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--misses", action="store_true", help="say what was missed and what was proposed wrongly")
    parser.add_argument("--out", type=Path, help="the folder of inference.md")
    arguments = parser.parse_args()
    from relselect.configs import known_databases

    names = arguments.only or known_databases()
    rows = [measured(name) for name in names]
    hidden = [measured(name, hidden=True) for name in names]
    for row in rows:
        shown = {kind: f"{len(row[kind]['right'])}/{row[kind]['proposed']}/{row[kind]['declared']}" for kind in KINDS}
        print(f"{row['database']:32s} {row['seconds']:6.1f} s  {shown}", file=sys.stderr)
        if arguments.misses:
            tell_misses(row)
    if arguments.out is not None:
        write(arguments.out / "inference.md", rows, hidden)
    print(json.dumps(summary(rows) | {"names_hidden": {kind: total(hidden, kind) for kind in KINDS}}))


def _named(table: str, column: str, columns: dict[Any, Any], parents: dict[tuple[str, str], str]) -> str:
    """Return the name of a column, or of the path to the time of a parent, whose steps are foreign keys."""
    if (table, column) in columns:
        return columns[table, column][1]
    step, _, rest = column.partition(".")
    return f"{columns[table, step][1]}.{_named(parents[table, step], rest, columns, parents)}"


def measured(name: str, hidden: bool = False) -> dict[str, Any]:
    """Propose for one database and compare; with its names hidden, if that is asked for."""
    from relselect.configs import config_path
    from relselect.database.manifest import load_manifest, resolve_root
    from relselect.database.sources.files import find_files, read_files
    from relselect.proposal import facts_of, propose

    manifest = load_manifest(config_path("databases", f"{name}.yaml"))
    root = resolve_root(manifest, config_path("databases"))
    tables: dict[str, Any] = {
        table: read_files(find_files(root, table, spec.file), table, (), root)
        for table, spec in manifest.tables.items()
    }
    names = {table: f"t{place}" if hidden else table for place, table in enumerate(tables)}
    columns = {
        (names[table], f"c{place}" if hidden else column): (table, column)
        for table, data in tables.items()
        for place, column in enumerate(data.column_names)
    }
    renamed = {names[table]: data.rename_columns([shown for (of, shown) in columns if of == names[table]])
               for table, data in tables.items()}  # fmt: skip
    begun = time.monotonic()
    proposal = propose(facts_of(renamed, name))
    seconds = time.monotonic() - begun
    back = {shown: table for table, shown in names.items()}
    parents = {(each.table, each.columns[0]): each.value for each in proposal.lines if each.what == "foreign_key"}
    found = [
        (each.what, back[each.table], tuple(_named(each.table, column, columns, parents) for column in each.columns),
         back[each.value] if each.what == "foreign_key" else each.value)
        for each in proposal.lines
    ]  # fmt: skip
    dropped = {(table, column) for table, spec in manifest.tables.items() for column in spec.drop}
    row: dict[str, Any] = {"database": name, "tables": len(tables), "seconds": seconds,
                           "rows": sum(table.num_rows for table in tables.values())}  # fmt: skip
    for kind in KINDS:
        declared = set(declared_of(manifest, kind))
        proposed = {
            (table, names_, value)
            for what, table, names_, value in found
            if what == kind and not any((table, column) in dropped for column in names_)
        }
        of_dropped = {(table, names_, value) for what, table, names_, value in found if what == kind} - proposed
        row[kind] = {
            "right": sorted(declared & proposed),
            "wrong": sorted(proposed - declared),
            "missed": sorted(declared - proposed),
            "dropped": sorted(of_dropped),
            "declared": len(declared),
            "proposed": len(proposed),
        }
    return row


def declared_of(manifest: Any, kind: str) -> Iterable[tuple[str, tuple[str, ...], str]]:
    for name, spec in manifest.tables.items():
        if kind == "foreign_key":
            yield from ((name, many(key.columns), key.table) for key in spec.foreign_keys)
        elif kind == "time" and spec.time:
            yield name, (spec.time,), ""
        elif kind == "primary_key" and spec.primary_key:
            yield name, many(spec.primary_key), ""


def many(columns: str | list[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def tell_misses(row: dict[str, Any]) -> None:
    for kind in KINDS:
        for what in ("wrong", "missed"):
            for table, columns, value in row[kind][what]:
                arrow = f" -> {value}" if value else ""
                print(f"    {what} {kind}: {table}.{'+'.join(columns)}{arrow}", file=sys.stderr)


def total(rows: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    right, proposed, declared = (
        sum(count(row[kind]) for row in rows)
        for count in (lambda each: len(each["right"]), lambda each: each["proposed"], lambda each: each["declared"])
    )
    return {"right": right, "proposed": proposed, "declared": declared,
            "precision": right / proposed if proposed else None, "recall": right / declared if declared else None}  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the totals with their bars, and the seconds."""
    totals = {kind: total(rows, kind) for kind in KINDS}
    met = {
        kind: (totals[kind]["precision"] or 0) >= BARS[kind][0] and (totals[kind]["recall"] or 0) >= BARS[kind][1]
        for kind in KINDS
    }
    return {"databases": len(rows), "seconds": round(sum(row["seconds"] for row in rows), 1), "bars": BARS,
            "met": met, **totals}  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]], hidden: list[dict[str, Any]]) -> None:
    """Replace the measured part of the page."""
    text = path.read_text(encoding="utf-8") if path.exists() else f"# Inference\n\n{MARK}\n"
    path.write_text(f"{text.partition(MARK)[0]}{MARK}\n\n{page(rows, hidden)}", encoding="utf-8")


def page(rows: list[dict[str, Any]], hidden: list[dict[str, Any]]) -> str:
    lines = [
        "| database | tables | rows | primary keys P / R | foreign keys P / R | times P / R | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = " | ".join(cell(total([row], kind)) for kind in KINDS)
        lines.append(f"| {row['database']} | {row['tables']} | {row['rows']:,} | {cells} | {row['seconds']:.1f} |")
    for title, measure in (("all", rows), ("all, names hidden", hidden)):
        cells = " | ".join(f"**{cell(total(measure, kind))}**" for kind in KINDS)
        number, size = sum(row["tables"] for row in measure), sum(row["rows"] for row in measure)
        seconds = sum(row["seconds"] for row in measure)
        lines.append(f"| **{title}** | {number} | {size:,} | {cells} | {seconds:.1f} |")
    return "\n".join([*lines, "", *missed(rows), ""])


def cell(found: dict[str, Any]) -> str:
    shares = ["–" if found[name] is None else f"{found[name]:.2f}" for name in ("precision", "recall")]
    return f"{' / '.join(shares)} ({found['right']} of {found['declared']})"


def missed(rows: list[dict[str, Any]]) -> Iterable[str]:
    yield "What was proposed and is not declared, what is declared and was not proposed, and what was not counted:"
    yield ""
    for row in rows:
        for kind, title in KINDS.items():
            named = (
                ("wrong", "not declared"),
                ("missed", "not proposed"),
                ("dropped", "about dropped columns, not counted"),
            )
            for what, word in named:
                found = [f"`{t}.{'+'.join(c)}`" + (f" → {v}" if v else "") for t, c, v in row[kind][what]]
                if found:
                    yield f"* {row['database']}, {title} {word}: {', '.join(found)}"


if __name__ == "__main__":
    main()
