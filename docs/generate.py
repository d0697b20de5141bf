"""Writes the pages that follow from the code: the manifest from its published schema, the errors from their classes.

`python docs/generate.py` writes docs/manifest.md and docs/errors.md; a test fails where they are not what it writes.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from relselect import errors

__all__ = ["PAGES", "errors_page", "manifest_page"]

_ROOT = Path(__file__).resolve().parents[1]
_SCHEMA = _ROOT / "configs" / "database.schema.json"
_LABEL_SOURCES = "exactly one of `query`, `files`, `folds`, `population` with `label`, or `completes`"

_MANIFEST_HEAD = """# The manifest

Written by `docs/generate.py` from `configs/database.schema.json`, the schema that manifests are checked by. A manifest is a
YAML file, by default `database.yaml` beside its data. `relselect init` writes one; editors that read JSON schemas complete and
check it with this as its first line:

```yaml
# yaml-language-server: $schema=database.schema.json
```

Unknown fields are refused, and all mistakes of a file are listed at once.
"""

_EXAMPLE = """
## An example

```yaml
name: shop
uri: postgresql://${PGUSER}@db.example.org/shop
tables:
  customers: {primary_key: id, time: joined, drop: [status]}
  orders:
    primary_key: id
    time: placed
    foreign_keys: [{columns: customer_id, table: customers}]
    known_at: {closed: [outcome]}
  order_lines:
    time: order_id.placed          # the time of the order that the line belongs to
    foreign_keys: [{columns: order_id, table: orders}]
tasks:
  churn:
    query: PREDICT COUNT(orders.*, 0, 60, days) = 0 FOR EACH customers.id WHERE COUNT(orders.*, -180, 0, days) > 0
```
"""

_ERRORS_HEAD = """# Errors

Written by `docs/generate.py` from `relselect.errors`. Every error that is meant for people names the argument, the value,
the rule that it broke and the way out: `at=2026-01-01: the population query finds nobody. Check the date: ...`. These four parts
are the attributes `argument`, `value`, `rule` and `fix`. Checks of a schema, a plan or a query report all problems at once, in
`problems`.

`except relselect.errors.UserError` catches all of them; anything else that is raised is a fault of relselect. On the command
line an error is one line on standard error, or with `--json` the object `error` with `kind`, `message` and `problems`.

| exit code | meaning | errors |
|---|---|---|
| 0 | good | |
| 1 | a failure inside; `--verbose` shows where | none of these |
| 2 | bad input; the message says what to change | all but `BudgetError` |
| 3 | the time budget was too small for any model | `BudgetError` |
| 130 | interrupted; what was finished is kept | |
"""


def manifest_page() -> str:
    """Return the page on the fields of a manifest."""
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    parts = schema["$defs"]
    sections = [
        ("The file", schema),
        ("A table", parts["TableSpec"]),
        ("A foreign key", parts["ForeignKeySpec"]),
        ("A task", parts["TaskSpec"]),
        ("Label files", parts["LabelFiles"]),
    ]
    tasks = (
        f"\nThe labels of a task come from {_LABEL_SOURCES}. A query says entity, kind, target and horizon itself.\n"
    )
    body = "".join(f"\n## {title}\n{tasks if title == 'A task' else ''}\n{_fields(part)}" for title, part in sections)
    return _MANIFEST_HEAD + body + _EXAMPLE


def _fields(part: dict[str, Any]) -> str:
    """Return the fields of an object as a table."""
    needed = dict.fromkeys(part.get("required", []), "needed")
    for way in part.get("anyOf", []):
        needed |= dict.fromkeys(way["required"], "needed without `query`" if "query" not in way["required"] else "")
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in part["properties"].items():
        default = needed.get(name) or _default(field)
        meaning = re.sub(r"\s+", " ", field.get("description", "")).replace("|", "\\|")
        meaning = re.sub(r"docs/([a-z_]+\.md)", r"[\1](\1)", meaning)
        meaning = re.sub(r"<(\w+)>", r"`<\1>`", meaning)
        lines.append(f"| `{name}` | {_type(field)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, "", [], {}) else f"`{value}`"


def _type(field: dict[str, Any]) -> str:
    """Return the type of a field in words."""
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"] if each.get("type") != "null")
    if "$ref" in field:
        return {"TableSpec": "table", "TaskSpec": "task", "ForeignKeySpec": "foreign key", "LabelFiles": "label files"}[
            field["$ref"].rpartition("/")[2]
        ]
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if field.get("type") == "object":
        of = field.get("additionalProperties")
        return f"names to {_type(of)}" if isinstance(of, dict) else "object"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return names.get(field.get("type", ""), "any")


def errors_page() -> str:
    """Return the page on the errors and warnings."""
    found = [value for name in errors.__all__ if inspect.isclass(value := getattr(errors, name))]
    raised = [each for each in found if issubclass(each, Exception) and not issubclass(each, Warning)]
    warned = [each for each in found if issubclass(each, Warning)]
    listed = "".join(
        f"\n## {title}\n\n{_classes(classes)}" for title, classes in (("Raised", raised), ("Warned", warned))
    )
    return _ERRORS_HEAD + listed


def _classes(classes: list[type]) -> str:
    lines = ["| name | is a | when |", "|---|---|---|"]
    for each in classes:
        told = re.sub(r"\s+", " ", (inspect.getdoc(each) or "").split("\n\nArgs:")[0].split("\n\nAttributes:")[0])
        lines.append(f"| `{each.__name__}` | `{each.__bases__[0].__name__}` | {told} |")
    return "\n".join(lines) + "\n"


#: Page -> what writes it.
PAGES = {"manifest.md": manifest_page, "errors.md": errors_page}

if __name__ == "__main__":
    for name, write in PAGES.items():
        Path(__file__).with_name(name).write_text(write(), encoding="utf-8")
