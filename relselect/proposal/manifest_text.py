"""Writes a proposal as the text of a manifest: every line with its reason, passwords as ${VARIABLES}.

The text is returned; files are written in `relselect.proposal.init`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from relselect.database.sources.uri import HIDDEN
from relselect.database.task_spec import TaskSpec
from relselect.proposal.facts import Facts, InspectedTable
from relselect.proposal.proposed_line import ProposedLine
from relselect.proposal.reading import Origin

__all__ = ["manifest_text", "placeholders"]

_SIMPLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_HIDDEN_FIELD = re.compile(rf"(\w+)(\s*=\s*){re.escape(HIDDEN)}")
_HEAD = """\
# Written by `relselect init`. Every line is a proposal with its reason; (0.90) is how sure it is. Change what is wrong
# here, or run `relselect init ... --set "orders.customer_id -> customers" --force` again.
"""


def manifest_text(
    facts: Facts,
    lines: Sequence[ProposedLine],
    tasks: Mapping[str, TaskSpec],
    origin: Origin | None = None,
    folder: Path | None = None,
) -> str:
    """Return the text of a manifest.

    Args:
        facts: The tables.
        lines: What is proposed about them.
        tasks: Example tasks by name.
        origin: Where the tables are; left out of the text if None.
        folder: The folder of the manifest, which relative paths start from; the current one if None.
    """
    text = [_HEAD.rstrip(), f"name: {_scalar(facts.name)}"]
    text += _origin(origin, (folder or Path()).resolve()) if origin is not None else []
    text.append("tables:")
    for table in facts.tables.values():
        text += _table(table, [each for each in lines if each.table == table.name])
    return "\n".join(text) + "\n" + (_tasks(tasks) if tasks else "# tasks: no example task was found\n")


def placeholders(shown: str) -> str:
    """Return an address with ${VARIABLES} in place of its hidden passwords.

    >>> placeholders("postgresql://ann:***@db/shop?sslpassword=***")
    'postgresql://ann:${PGPASSWORD}@db/shop?sslpassword=${RELSELECT_SSLPASSWORD}'
    """
    text = shown.replace(f":{HIDDEN}@", ":${PGPASSWORD}@")
    return _HIDDEN_FIELD.sub(_variable, text)


def _variable(match: re.Match[str]) -> str:
    name = "PGPASSWORD" if match[1].lower() in ("password", "passwd", "pwd") else f"RELSELECT_{match[1].upper()}"
    return f"{match[1]}{match[2]}${{{name}}}"


def _origin(origin: Origin, folder: Path) -> list[str]:
    if origin.address.kind == "postgresql":
        lines = [f"uri: {_scalar(placeholders(origin.address.shown))}"]
    else:
        assert origin.address.path is not None
        path = origin.folder or origin.address.path
        relative = os.path.relpath(path.resolve(), folder)
        written = str(path.resolve()) if relative.startswith("../../..") else relative
        if origin.folder is not None:
            lines = [] if relative == "." else [f"root: {_scalar(written)}"]
        else:
            lines = [f"uri: {_scalar(written)}"]
    return lines + ([f"schema: {_flow(origin.schema)}"] if origin.schema else [])


def _table(table: InspectedTable, lines: Sequence[ProposedLine]) -> Iterator[str]:
    yield f"  {_scalar(table.name)}:"
    if table.entry.comment:
        yield f"    description: {_scalar(table.entry.comment)}"
    keys = [f"    primary_key: {_columns(each)}{_why(each)}" for each in lines if each.what == "primary_key"]
    yield from keys or ["    primary_key: null"]
    yield from (f"    time: {_columns(each)}{_why(each)}" for each in lines if each.what == "time")
    yield from _references([each for each in lines if each.what == "foreign_key"])
    of = {what: [each for each in lines if each.what == what] for what in ("known_at", "drop", "type", "format")}
    yield from _block("known_at", [(each, f"{_columns(each)}: {_flow(each.masked)}") for each in of["known_at"]])
    yield from _block("drop", [(each, f"- {_columns(each)}") for each in of["drop"]])
    yield from _block("types", [(each, f"{_columns(each)}: {each.value}") for each in of["type"]])
    yield from _block("formats", [(each, f"{_columns(each)}: {_scalar(each.value)}") for each in of["format"]])
    yield from (f"    # look at {_plain(each.column)}: {_plain(each.reason)}" for each in lines if each.what == "note")


def _references(lines: list[ProposedLine]) -> Iterator[str]:
    if not lines:
        yield "    foreign_keys: []"
        return
    rows = [(each, f"- {{columns: {_columns(each)}, table: {_scalar(each.value)}}}") for each in lines]
    yield from _block("foreign_keys", rows)


def _block(name: str, rows: list[tuple[ProposedLine, str]]) -> Iterator[str]:
    if rows:
        yield f"    {name}:"
        yield from (f"      {text}{_why(line)}" for line, text in rows)


def _columns(line: ProposedLine) -> str:
    return _scalar(line.columns[0]) if len(line.columns) == 1 else _flow(line.columns)


def _flow(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(_scalar(value) for value in values) + "]"


def _why(line: ProposedLine) -> str:
    sure = f" ({line.confidence:.2f})" if line.origin == "inferred" else ""
    return f"  # {_plain(line.reason)}{sure}"


def _plain(text: str) -> str:
    """Return a text as one line of printable characters, for a comment."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _scalar(text: str) -> str:
    """Return a text as a YAML scalar, quoted where the plain text would be read as another value."""
    if _SIMPLE.match(text) and yaml.safe_load(text) == text:
        return text
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9)).strip()


class _Dumper(yaml.SafeDumper):
    """Safe YAML that keeps the line breaks of queries."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _tasks(tasks: Mapping[str, TaskSpec]) -> str:
    declared: dict[str, Any] = {
        name: {field: value for field, value in spec.model_dump(exclude_unset=True).items() if value != ""}
        for name, spec in tasks.items()
    }
    for spec, values in zip(tasks.values(), declared.values(), strict=True):
        if values.get("known_after") == (spec.horizon if spec.query is None else "horizon"):
            values.pop("known_after", None)
        if spec.query is not None:  # which says these
            for name in [name for name, value in values.items() if value is None]:
                del values[name]
    text = yaml.dump({"tasks": declared}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return f"# Examples that run as they are: `relselect recommend database.yaml --task {next(iter(tasks))}`\n{text}"
