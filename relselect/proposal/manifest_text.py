"""A proposal as the text of a manifest: every line with its reason, and no password."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from relselect.database.sources.uri import HIDDEN
from relselect.database.task_spec import TaskSpec
from relselect.proposal.finding import Finding
from relselect.proposal.proposal import Proposal
from relselect.proposal.reading import Origin

__all__ = ["manifest_text", "placeholders"]

_SIMPLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_HIDDEN_FIELD = re.compile(rf"(\w+)(\s*=\s*){re.escape(HIDDEN)}")
_HEAD = """\
# Written by `relselect init`. Every line is a proposal with its reason; (0.90) is how sure it is. Change what is wrong
# here, or run `relselect init ... --set "orders.customer_id -> customers" --force` again.
"""


def manifest_text(proposal: Proposal, origin: Origin | None = None, folder: Path | None = None) -> str:
    """Return the text of a manifest.

    Args:
        proposal: What it declares.
        origin: Where the tables are; left out of the text if None.
        folder: The folder the manifest will stand in.
    """
    lines = [_HEAD.rstrip(), f"name: {_scalar(proposal.facts.name)}"]
    lines += _origin(origin, (folder or Path()).resolve()) if origin is not None else []
    lines.append("tables:")
    for name in proposal.facts.tables:
        lines += _table(proposal, name)
    text = "\n".join(lines) + "\n"
    return text + (_tasks(proposal.tasks) if proposal.tasks else "# tasks: none was found that could be asked\n")


def placeholders(shown: str) -> str:
    """Return an address with ${VARIABLES} where a password was hidden.

    >>> placeholders("postgresql://ann:***@db/shop?sslpassword=***")
    'postgresql://ann:${PGPASSWORD}@db/shop?sslpassword=${SSLPASSWORD}'
    """
    text = shown.replace(f":{HIDDEN}@", ":${PGPASSWORD}@")
    return _HIDDEN_FIELD.sub(_variable, text)


def _variable(match: re.Match[str]) -> str:
    name = "PGPASSWORD" if match[1].lower() in ("password", "passwd", "pwd") else match[1].upper()
    return f"{match[1]}{match[2]}${{{name}}}"


def _origin(origin: Origin, folder: Path) -> list[str]:
    if origin.address.kind == "postgresql":
        lines = [f"uri: {_scalar(placeholders(origin.address.shown))}"]
    else:
        assert origin.address.path is not None
        path = origin.folder or origin.address.path
        relative = os.path.relpath(path.resolve(), folder)
        told = str(path.resolve()) if relative.startswith("../../..") else relative
        if origin.folder is not None:
            lines = [] if relative == "." else [f"root: {_scalar(told)}"]
        else:
            lines = [f"uri: {_scalar(told)}"]
    return lines + ([f"schema: {_flow(origin.schema)}"] if origin.schema else [])


def _table(proposal: Proposal, name: str) -> Iterator[str]:
    findings = proposal.of(name)
    if not any(each.what == "primary_key" for each in findings):
        declared = ["    primary_key: null"]
    else:
        declared = [f"    primary_key: {_columns(each)}{_why(each)}" for each in findings if each.what == "primary_key"]
    yield f"  {_scalar(name)}:"
    comment = proposal.facts.tables[name].entry.comment
    if comment:
        yield f"    description: {_scalar(comment)}"
    yield from declared
    yield from (f"    time: {_columns(each)}{_why(each)}" for each in findings if each.what == "time")
    yield from _references([each for each in findings if each.what == "foreign_key"])
    of = {what: [each for each in findings if each.what == what] for what in ("known_at", "drop", "type")}
    yield from _block("known_at", [(each, f"{_columns(each)}: {_flow(each.masked)}") for each in of["known_at"]])
    yield from _block("drop", [(each, f"- {_columns(each)}") for each in of["drop"]])
    yield from _block("types", [(each, f"{_columns(each)}: {each.value}") for each in of["type"]])
    yield from (
        f"    # look at {_plain(each.column)}: {_plain(each.reason)}" for each in findings if each.what == "note"
    )


def _references(findings: list[Finding]) -> Iterator[str]:
    if not findings:
        yield "    foreign_keys: []"
        return
    rows = [(each, f"- {{columns: {_columns(each)}, table: {_scalar(each.value)}}}") for each in findings]
    yield from _block("foreign_keys", rows)


def _block(name: str, rows: list[tuple[Finding, str]]) -> Iterator[str]:
    if rows:
        yield f"    {name}:"
        yield from (f"      {text}{_why(finding)}" for finding, text in rows)


def _columns(finding: Finding) -> str:
    return _scalar(finding.columns[0]) if len(finding.columns) == 1 else _flow(finding.columns)


def _flow(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(_scalar(value) for value in values) + "]"


def _why(finding: Finding) -> str:
    sure = f" ({finding.confidence:.2f})" if finding.origin == "inferred" else ""
    return f"  # {_plain(finding.reason)}{sure}"


def _plain(text: str) -> str:
    """Return a text fit for a comment: on one line, nothing but what can be printed."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _scalar(text: str) -> str:
    """Return a text as YAML, quoted where YAML would read something else."""
    if _SIMPLE.match(text) and yaml.safe_load(text) == text:
        return text
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9)).strip()


class _Dumper(yaml.SafeDumper):
    """Safe YAML with queries as they are written."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _tasks(tasks: Mapping[str, TaskSpec]) -> str:
    told: dict[str, Any] = {
        name: {field: value for field, value in spec.model_dump(exclude_unset=True).items() if value != ""}
        for name, spec in tasks.items()
    }
    for spec, values in zip(tasks.values(), told.values(), strict=True):
        if values.get("known_after") == spec.horizon:
            values.pop("known_after", None)
    text = yaml.dump({"tasks": told}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return f"# Examples that run as they are: `relselect recommend database.yaml --task {next(iter(tasks))}`\n{text}"
